"""Reads of accounts and sessions."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import page
from app.domain.identity.models import Role, Session, User
from app.domain.identity.policies import Actor, readable

BY_NAME = page.Order("name", ((func.lower(User.name), str), (User.id, UUID)))


def visible(actor: Actor) -> Select[User]:
    return select(User).where(User.deleted_at.is_(None), readable(actor))


def listed(actor: Actor, search: str | None = None, roles: Sequence[Role] | None = None) -> Select[User]:
    statement = visible(actor)
    if search:
        statement = statement.where(
            User.name.icontains(search, autoescape=True) | User.email.icontains(search, autoescape=True)
        )
    if roles:
        statement = statement.where(User.type.in_(roles))
    return statement


async def get(session: AsyncSession, actor: Actor, user_id: UUID) -> User | None:
    return await session.scalar(visible(actor).where(User.id == user_id))


async def by_ids(session: AsyncSession, _actor: Actor, ids: Sequence[UUID]) -> dict[UUID, User]:
    """For edges of rows that the caller may see already: the name beside a patient or an upload."""
    rows = await session.scalars(select(User).where(User.id.in_(ids)))
    return {row.id: row for row in rows}


async def administrators(session: AsyncSession) -> Sequence[UUID]:
    """For workers: whom the installation itself has something to tell."""
    rows = await session.scalars(
        select(User.id).where(User.type == Role.ADMIN, User.deleted_at.is_(None)).order_by(User.id)
    )
    return rows.all()


async def by_email(session: AsyncSession, email: str) -> User | None:
    return await session.scalar(select(User).where(User.email == email.strip().lower(), User.deleted_at.is_(None)))


async def actor_of_session(session: AsyncSession, session_id: UUID) -> Actor | None:
    """The person behind a session that is neither ended nor expired."""
    row = (
        await session.execute(
            select(User.id, User.type)
            .join(Session, Session.user_id == User.id)
            .where(
                Session.id == session_id,
                Session.revoked_at.is_(None),
                Session.expires_at > func.now(),
                User.deleted_at.is_(None),
            )
        )
    ).one_or_none()
    return Actor(id=row.id, role=row.type, session_id=session_id) if row else None


async def session_by_refresh(session: AsyncSession, refresh_hash: str) -> Session | None:
    """The live session of a refresh token, locked: two clients with one token come one after the other."""
    return await session.scalar(
        select(Session)
        .join(User, User.id == Session.user_id)
        .where(
            Session.refresh_hash == refresh_hash,
            Session.revoked_at.is_(None),
            Session.expires_at > func.now(),
            User.deleted_at.is_(None),
        )
        .with_for_update(of=Session)
    )
