"""The GraphQL edge of work: jobs that were given up, for administrators. They carry ids and codes, no health data."""

import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

import strawberry
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.api.kit import ids
from app.api.kit.connection import After, Connection, First, connect
from app.api.kit.context import Info
from app.api.kit.node import Node, of_row
from app.api.kit.payload import UserError, errors, refusable
from app.api.kit.permission import SignedIn
from app.api.sync import SyncError, in_words
from app.core import work
from app.core.errors import ErrorCode, Refusal, not_found
from app.core.work import Work
from app.domain.conflicts import events as conflicts
from app.domain.connections import events as connections
from app.domain.documents import events as documents
from app.domain.identity.policies import Actor, may_administer
from app.domain.patients import events as patients
from app.domain.sync import catalogue
from app.domain.sync import commands as sync
from app.domain.sync import events as sync_events
from app.domain.updates import events as updates

log = structlog.get_logger(__name__)

SUBJECTS = {
    sync_events.RUN: "SyncRun",
    sync_events.RUN_ENDED: "SyncRun",
    connections.PROBE: "Provider",
    connections.HEALTH_CHANGED: "Provider",
    connections.WATCH: "Platform",
    documents.UPLOADED: "Document",
    patients.DELETED: "Patient",
    patients.EDITED: "Patient",
    conflicts.CHANGED: "Patient",
    conflicts.SENT: "Patient",
    conflicts.GAVE_UP: "Patient",
    updates.EXPORT: "Export",
}
"""What a kind of work is about, where that is something with an id."""
AGAIN: dict[str, Callable[[AsyncSession, Actor, UUID], Awaitable[object]]] = {sync_events.RUN: sync.replay}
"""Kinds whose subject has ended with them: to do the work is to begin it anew."""

Row = strawberry.Parent[Work]


@strawberry.type(description="A job that was given up after its last attempt.")
@of_row(Work)
class DeadLetter(Node):
    kind: str = strawberry.field(description="What was to be done: `context.verb`.")
    attempts: int = strawberry.field(description="How often it was begun since it last made progress.")
    created_at: dt.datetime = strawberry.field(description="When it was asked for.")
    replayed_at: dt.datetime | None = strawberry.field(
        description="When somebody had it done after all; it is listed no more then."
    )

    @strawberry.field(description="When it was given up.")
    def dead_at(self, root: Row) -> dt.datetime:
        assert root.dead_at is not None
        return root.dead_at

    @strawberry.field(
        description="The id of what it is about, for `node`, where that has one. Whether the caller may see it is another matter."
    )
    def subject(self, root: Row) -> strawberry.ID | None:
        name = SUBJECTS.get(root.kind)
        return ids.encode(name, root.subject_id) if name else None

    @strawberry.field(description="Why it was given up.")
    def error(self, root: Row) -> SyncError:
        known = root.error_code if root.error_code in catalogue.CATALOGUE else catalogue.WORKER_FAILED
        return in_words(known)


@strawberry.type(description="The answer to replaying a dead letter.")
class DeadLetterPayload:
    dead_letter: DeadLetter | None = strawberry.field(
        default=None, description="The letter, as it stands in the record from now on; null when it was refused."
    )
    user_errors: list[UserError] = errors()


@strawberry.type
class WorkQuery:
    @strawberry.field(
        permission_classes=[SignedIn], description="Jobs that were given up, the latest first (administrators)."
    )
    async def dead_letters(self, info: Info, first: First, after: After = None) -> Connection[DeadLetter]:
        if refusal := may_administer(info.context.actor):
            raise refusal
        return await connect(info.context, work.dead_letters(), work.DEAD_LETTERS, first, after)


@strawberry.type
class WorkMutation:
    @strawberry.mutation(
        permission_classes=[SignedIn],
        description="Has a job done after all (administrators). To replay a letter twice is to replay it once. Of a "
        "synchronisation that has ended a new one is begun.",
    )
    @refusable(DeadLetterPayload)
    async def dead_letter_replay(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The letter.")],  # noqa: A002
    ) -> DeadLetterPayload:
        letter: Any = await info.context.execute(replay, info.context.actor, id)
        return DeadLetterPayload(dead_letter=letter)


async def replay(session: AsyncSession, actor: Actor, letter_id: str) -> Work:
    """Refuses a letter whose work is open again: somebody has asked for it since."""
    if refusal := may_administer(actor):
        raise refusal
    letter = await work.dead_letter(session, ids.decode(letter_id, "DeadLetter", "id"))
    if letter is None:
        raise not_found("dead letter", "id")
    if letter.replayed_at is not None:
        return letter
    if letter.kind in AGAIN:
        await AGAIN[letter.kind](session, actor, letter.subject_id)
    else:
        if await work.is_open_for(session, letter.kind, letter.subject_id):
            raise Refusal(ErrorCode.CONFLICT, "The same work is under way again already.", ("id",))
        await work.ask(session, letter.kind, letter.subject_id, max_attempts=letter.max_attempts)
    await work.note_replayed(session, letter, actor.id)
    log.info("work.replayed", work=str(letter.id), kind=letter.kind, by=str(actor.id))
    return letter


async def find(info: Info, row_id: UUID) -> Any:
    if may_administer(info.context.actor):
        return None
    async with info.context.reading() as session:
        return await work.get_dead_letter(session, row_id)


NODES = {"DeadLetter": find}
