"""The GraphQL edge of notifications: the list, reading, and the live stream."""

import datetime as dt
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import strawberry

from app.api.kit import ids
from app.api.kit.connection import TOTAL, After, First, Listing, PageInfo, connect, total_count
from app.api.kit.context import Info, unauthenticated
from app.api.kit.enums import described
from app.api.kit.node import Node, of_row
from app.api.kit.payload import UserError, errors, refusable
from app.api.kit.permission import SignedIn
from app.core import events
from app.core.errors import invalid
from app.domain.conflicts import queries as conflicts
from app.domain.connections import queries as connections
from app.domain.notifications import commands, models, queries, rules
from app.domain.notifications.events import notification_stream
from app.domain.notifications.models import NotificationKind, SubjectType
from app.domain.patients import queries as patients
from app.domain.sync import queries as sync

Row = strawberry.Parent[models.Notification]
SUBJECTS: dict[SubjectType, Any] = {
    SubjectType.RUN: sync.by_ids,
    SubjectType.CONFLICT: conflicts.by_ids,
    SubjectType.PATIENT: patients.by_ids,
    SubjectType.PROVIDER: connections.by_ids,
}

described(
    NotificationKind,
    "NotificationKind",
    "What a notification is about.",
    SYNC_FAILED="A synchronisation failed.",
    SYNC_INCOMPLETE="A synchronisation left gaps.",
    DETAILS_SENT="The provider has taken over what was edited here.",
    DETAILS_FAILED="The provider could not be told of what was edited here.",
    DETAILS_CONFLICT="A detail was changed here and at the provider, to different values.",
    CONNECTION_LOST="A provider cannot be reached, or does not accept our credentials any more (administrators).",
)


class RetryKind(StrEnum):
    """Which mutation tries again."""

    SYNC_RETRY = "SYNC_RETRY"
    PATIENT_DETAILS_RETRY = "PATIENT_DETAILS_RETRY"


described(
    RetryKind,
    "NotificationRetryKind",
    "Which mutation tries again.",
    SYNC_RETRY="`syncRetry`, with the id as `runId`.",
    PATIENT_DETAILS_RETRY="`patientDetailsRetry`, with the id as `patientId`.",
)
RETRIES = {
    NotificationKind.SYNC_FAILED: RetryKind.SYNC_RETRY,
    NotificationKind.SYNC_INCOMPLETE: RetryKind.SYNC_RETRY,
    NotificationKind.DETAILS_FAILED: RetryKind.PATIENT_DETAILS_RETRY,
}


@strawberry.type(description="How to try again what failed.")
class NotificationRetry:
    kind: RetryKind = strawberry.field(description="Which mutation.")
    id: strawberry.ID = strawberry.field(description="The id that it takes.")


@strawberry.type(description="Something that the caller should know (FHIR: Communication).")
@of_row(models.Notification)
class Notification(Node):
    kind: NotificationKind = strawberry.field(description="What it is about.")
    title: str = strawberry.field(description="A line.")
    body: str = strawberry.field(description="What happened, in a sentence or two.")
    code: str | None = strawberry.field(description="The code of the failure catalogue, where something failed.")
    times: int = strawberry.field(description="How often the same has happened since it was told.")
    created_at: dt.datetime = strawberry.field(description="When it was told.")
    read_at: dt.datetime | None = strawberry.field(description="When the caller marked it as read.")
    settled_at: dt.datetime | None = strawberry.field(description="When what it tells of was over.")

    @strawberry.field(description="What to do about it, and whom to ask when that has not helped.")
    def steps(self, root: Row, info: Info) -> list[str]:
        return rules.steps(root.code, root.hint, info.context.resources.settings.support_email)

    @strawberry.field(description="The address of support, where this installation names one.")
    def support_email(self, info: Info) -> str | None:
        return info.context.resources.settings.support_email or None

    @strawberry.field(description="How to try again; null where there is nothing to try, or where it is over.")
    def retry(self, root: Row) -> NotificationRetry | None:
        kind = RETRIES.get(root.kind)
        if kind is None or root.settled_at is not None:
            return None
        return NotificationRetry(kind=kind, id=ids.encode(root.subject_type.value, root.subject_id))

    @strawberry.field(description="What it leads to; null where that is gone, or not for the caller any more.")
    async def subject(self, root: Row, info: Info) -> Node | None:
        return await info.context.load(SUBJECTS[root.subject_type], root.subject_id)


@strawberry.type(description="A notification in a list.")
class NotificationEdge:
    cursor: str = strawberry.field(description="Where this row stands in its order.")
    node: Notification = strawberry.field(description="The notification itself.")


@strawberry.type(description="Notifications, a page at a time.")
class NotificationConnection:
    edges: list[NotificationEdge] = strawberry.field(description="The rows of this page.")
    page_info: PageInfo = strawberry.field(description="Where this page lies.")
    total_count: int = strawberry.field(resolver=total_count, description=TOTAL)

    @strawberry.field(description="How many of all of the caller's notifications are unread.")
    async def unread_count(self, root: strawberry.Parent[Listing], info: Info) -> int:
        del root
        return await info.context.read(queries.unread_count)


@strawberry.type(description="The answer to marking notifications as read.")
class NotificationsReadPayload:
    notifications: list[Notification] | None = strawberry.field(default=None, description="They, as they are now.")
    user_errors: list[UserError] = errors()


@strawberry.type(description="A new notification.")
class NotificationAdded:
    seq: int = strawberry.field(description="Contiguous from 1; pass the last one seen as `after` to go on.")
    notification: Notification = strawberry.field(description="The notification as it is now.")


@strawberry.type
class NotificationsQuery:
    @strawberry.field(permission_classes=[SignedIn], description="What the caller was told, the latest first.")
    async def notifications(
        self,
        info: Info,
        first: First,
        after: After = None,
        unread: Annotated[
            bool | None, strawberry.argument(description="Only unread ones, or only read ones; all if not given.")
        ] = None,
    ) -> NotificationConnection:
        statement = queries.listed(info.context.actor, unread=unread)
        return await connect(info.context, statement, queries.NEWEST, first, after)


@strawberry.type
class NotificationsMutation:
    @strawberry.mutation(
        permission_classes=[SignedIn], description="Marks some of the caller's notifications as read, all or none."
    )
    @refusable(NotificationsReadPayload)
    async def notifications_read(
        self,
        info: Info,
        ids: Annotated[list[strawberry.ID], strawberry.argument(description="Which; at most 100.")],
    ) -> NotificationsReadPayload:
        found: Any = await info.context.execute(commands.read, info.context.actor, _rows(ids))
        return NotificationsReadPayload(notifications=found)


@strawberry.type
class NotificationsSubscription:
    @strawberry.subscription(
        permission_classes=[SignedIn],
        description="What the caller is told, from now on, or from after a `seq`.",
    )
    async def notification_added(
        self,
        info: Info,
        after: Annotated[
            int | None, strawberry.argument(description="The last `seq` seen; from now on if not given.")
        ] = None,
    ) -> AsyncGenerator[NotificationAdded, None]:
        context, stream = info.context, notification_stream(info.context.actor.id)
        if after is not None and after < 0:
            raise invalid("`after` is a `seq` or 0.", "after")
        if after is None:
            async with context.reading() as session:
                after = await events.last_seq(session, stream)
        async with aclosing(context.resources.live.follow(context.resources.db, stream, after)) as followed:
            async for batch in followed:
                for event in batch or (None,):
                    # Rights are looked at for each event, and in quiet times too: the reader may take its time.
                    if await context.authenticate(anew=True) is None:
                        raise unauthenticated()
                    row = event and await context.read(queries.get, UUID(event.ids["notification"]))
                    if event and row:
                        yield NotificationAdded(seq=event.seq, notification=row)


def _rows(given: list[strawberry.ID]) -> list[UUID]:
    commands.check_number(given)
    return [ids.decode(it, "Notification", "ids") for it in given]


async def find(info: Info, row_id: UUID) -> Any:
    return await info.context.read(queries.get, row_id)


NODES: dict[str, Callable[[Info, UUID], Any]] = {"Notification": find}
