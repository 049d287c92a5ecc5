"""The live edge of synchronisation. Every event is read again with the caller's rights: nobody sees what they may not."""

import datetime as dt
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry

from app.api.kit import ids
from app.api.kit.context import Info, unauthenticated
from app.api.kit.permission import SignedIn
from app.api.sync import SyncRun
from app.api.sync_enums import SyncEventKind
from app.core import events
from app.core.errors import invalid, not_found
from app.domain.documents import queries as documents
from app.domain.sync import queries
from app.domain.sync.events import activity_stream, run_stream

if TYPE_CHECKING:
    from app.api.documents import Document

STALE_SECONDS = 1.0
"""How long what a reader may see is taken for true while it takes its time."""


@strawberry.type(description="An event of a run.")
class SyncProgress:
    seq: int = strawberry.field(description="Contiguous from 1; pass the last one seen as `after` to go on.")
    kind: SyncEventKind = strawberry.field(description="What happened.")
    at: dt.datetime = strawberry.field(description="When it happened.")
    document: Annotated["Document", strawberry.lazy("app.api.documents")] | None = strawberry.field(
        description="The document that it is about, if there is one."
    )
    run: SyncRun = strawberry.field(description="The run as it stands now.")


@strawberry.type(description="An event of any run of the caller's patients.")
class SyncActivity:
    seq: int = strawberry.field(description="Contiguous from 1; pass the last one seen as `after` to go on.")
    kind: SyncEventKind = strawberry.field(description="What happened.")
    at: dt.datetime = strawberry.field(description="When it happened.")
    run: SyncRun = strawberry.field(description="The run as it stands now.")


@strawberry.type
class SyncSubscription:
    @strawberry.subscription(
        permission_classes=[SignedIn],
        description="A run's events: replays those after `after` (all of them if not given), then follows, and ends with the run.",
    )
    async def sync_progress(
        self,
        info: Info,
        run_id: Annotated[strawberry.ID, strawberry.argument(description="The run.")],
        after: Annotated[int | None, strawberry.argument(description="The last `seq` seen.")] = None,
    ) -> AsyncGenerator[SyncProgress, None]:
        row_id = ids.decode(run_id, "SyncRun", "runId")
        if after is not None and after < 0:
            raise invalid("`after` is a `seq` or 0.", "after")
        if await _visible_run(info, row_id) is None:
            raise not_found("synchronisation", "runId")
        if await _ended_at(info, row_id, after or 0):
            return
        async with aclosing(_follow(info, run_stream(row_id), after or 0)) as seen:
            async for event, run, document in seen:
                if run is None:
                    return
                kind = SyncEventKind(event.kind)
                yield SyncProgress(seq=event.seq, kind=kind, at=event.at, document=document, run=run)
                if kind is SyncEventKind.RUN_FINISHED:
                    return

    @strawberry.subscription(
        permission_classes=[SignedIn],
        description="The runs of all of the caller's patients, from now on, or from after a `seq`.",
    )
    async def sync_activity(
        self,
        info: Info,
        after: Annotated[
            int | None, strawberry.argument(description="The last `seq` seen; from now on if not given.")
        ] = None,
    ) -> AsyncGenerator[SyncActivity, None]:
        stream = activity_stream(info.context.actor.id)
        if after is None:
            async with info.context.reading() as session:
                after = await events.last_seq(session, stream)
        async with aclosing(_follow(info, stream, after)) as seen:
            async for event, run, _ in seen:
                if run is not None:
                    yield SyncActivity(seq=event.seq, kind=SyncEventKind(event.kind), at=event.at, run=run)


async def _follow(info: Info, stream: str, after: int) -> AsyncGenerator[tuple[events.Event, Any, Any], None]:
    """A stream for as long as the caller is signed in: each event with its run and its document as the caller may see them
    now. What comes together is looked up together, and again where the reader takes its time."""
    context = info.context
    async with aclosing(context.resources.live.follow(context.resources.db, stream, after)) as followed:
        async for batch in followed:
            looked, looked_at = await _look(info, batch), time.monotonic()
            for event in batch:
                if time.monotonic() - looked_at > STALE_SECONDS:
                    looked, looked_at = await _look(info, batch), time.monotonic()
                runs, seen = looked
                yield event, runs.get(_id(event, "run")), seen.get(_id(event, "document"))


async def _look(info: Info, batch: Sequence[events.Event]) -> tuple[dict[UUID | None, Any], dict[UUID | None, Any]]:
    """The runs and documents of some events, with the caller's rights of this moment."""
    if await info.context.authenticate(anew=True) is None:
        raise unauthenticated()
    if not batch:
        return {}, {}
    async with info.context.reading() as session:
        actor = info.context.actor
        runs = await queries.by_ids(session, actor, list({it for event in batch if (it := _id(event, "run"))}))
        wanted = [it for event in batch if (it := _id(event, "document"))]
        return {**runs}, {**await documents.by_ids(session, actor, wanted)} if wanted else {}


def _id(event: events.Event, name: str) -> UUID | None:
    found = event.ids.get(name)
    return UUID(found) if found else None


async def _ended_at(info: Info, run_id: UUID, after: int) -> bool:
    """Whether a finished run has nothing to tell after this `seq`."""
    async with info.context.reading() as session:
        last = await events.after(
            session, run_stream(run_id), max(await events.last_seq(session, run_stream(run_id)) - 1, 0)
        )
        return bool(last) and last[-1].kind == SyncEventKind.RUN_FINISHED and after >= last[-1].seq


async def _visible_run(info: Info, run_id: UUID) -> Any:
    return await info.context.read(queries.get, run_id)
