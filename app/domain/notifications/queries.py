"""Reads of notifications; everything starts from `visible(actor)`."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import page
from app.domain.identity.policies import Actor
from app.domain.notifications.models import Notification
from app.domain.notifications.policies import readable

NEWEST = page.Order("notifications", ((Notification.id, UUID),), descending=True)


def visible(actor: Actor) -> Select[Notification]:
    return select(Notification).where(Notification.deleted_at.is_(None), readable(actor))


def listed(actor: Actor, *, unread: bool | None = None) -> Select[Notification]:
    statement = visible(actor)
    if unread is None:
        return statement
    return statement.where(Notification.read_at.is_(None) if unread else Notification.read_at.is_not(None))


async def unread_count(session: AsyncSession, actor: Actor) -> int:
    rows = listed(actor, unread=True).with_only_columns(Notification.id).subquery()
    return await session.scalar(select(func.count()).select_from(rows)) or 0


async def get(session: AsyncSession, actor: Actor, notification_id: UUID) -> Notification | None:
    return await session.scalar(visible(actor).where(Notification.id == notification_id))


async def by_ids(session: AsyncSession, actor: Actor, ids: Sequence[UUID]) -> dict[UUID, Notification]:
    rows = await session.scalars(visible(actor).where(Notification.id.in_(ids)))
    return {row.id: row for row in rows}


async def locked(session: AsyncSession, actor: Actor, ids: Sequence[UUID]) -> dict[UUID, Notification]:
    """For a change, in one order: two who mark the same ones never wait for each other."""
    statement = (
        visible(actor).where(Notification.id.in_(ids)).order_by(Notification.id).with_for_update(of=Notification)
    )
    return {row.id: row for row in await session.scalars(statement)}
