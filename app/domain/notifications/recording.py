"""What workers tell people."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Boolean, func, literal_column, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import events
from app.core.events import Happened
from app.domain.notifications.events import NotificationEventKind, notification_stream
from app.domain.notifications.models import Notification, NotificationKind
from app.domain.notifications.rules import Note

FRESH = literal_column("(xmax = 0)", Boolean())
"""PostgreSQL: whether a row that came of INSERT … ON CONFLICT DO UPDATE was inserted."""


async def tell(session: AsyncSession, user_id: UUID, note: Note, *, again: bool = False) -> None:
    """Where the same is told already and not settled yet, that one gets the newest words, and is counted where it happened
    `again`; nobody is told anew."""
    words = {
        "kind": note.kind,
        "title": note.title,
        "body": note.body,
        "code": note.code,
        "hint": note.hint,
        "subject_type": note.subject_type,
        "subject_id": note.subject_id,
    }
    statement = insert(Notification).values(user_id=user_id, patient_id=note.patient_id, fold=note.fold, **words)
    row = await session.execute(
        statement.on_conflict_do_update(
            index_elements=[Notification.user_id, Notification.fold],
            index_where=Notification.fold.is_not(None) & Notification.settled_at.is_(None),
            set_={**words, "times": Notification.times + int(again)},
        ).returning(Notification.id, FRESH)
    )
    notification_id, fresh = row.one()
    if fresh:
        happened = Happened(NotificationEventKind.ADDED, {"notification": notification_id})
        await events.append(session, notification_stream(user_id), [happened])


async def tell_anew(session: AsyncSession, user_id: UUID, note: Note) -> None:
    """The same, but as news: what was told of it before is over."""
    if note.fold is not None:
        await settle(session, note.fold)
    await tell(session, user_id, note)


async def settle_conflicts(session: AsyncSession, patient_id: UUID, still_open: Collection[UUID]) -> None:
    await session.execute(
        update(Notification)
        .where(
            Notification.patient_id == patient_id,
            Notification.kind == NotificationKind.DETAILS_CONFLICT,
            Notification.settled_at.is_(None),
            Notification.subject_id.not_in(still_open),
        )
        .values(settled_at=func.clock_timestamp())
    )


async def settle(session: AsyncSession, fold: str) -> None:
    """It works again, or has been decided: the next time is news."""
    await session.execute(
        update(Notification)
        .where(Notification.fold == fold, Notification.settled_at.is_(None))
        .values(settled_at=func.clock_timestamp())
    )
