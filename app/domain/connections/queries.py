"""Reads of providers and platforms."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.provider.port import AuthKind
from app.core import page
from app.domain.connections.models import Platform, Provider
from app.domain.connections.policies import readable
from app.domain.identity.policies import Actor

BY_NAME = page.Order("name", ((func.lower(Provider.name), str), (Provider.id, UUID)))
PLATFORMS = page.Order("platforms", ((func.lower(Platform.name), str), (Platform.id, UUID)))


def visible(actor: Actor) -> Select[Provider]:
    return select(Provider).where(Provider.deleted_at.is_(None), readable(actor))


async def get(session: AsyncSession, actor: Actor, provider_id: UUID) -> Provider | None:
    return await session.scalar(visible(actor).where(Provider.id == provider_id))


async def get_locked(session: AsyncSession, actor: Actor, provider_id: UUID) -> Provider | None:
    """For a change: nobody else changes the row until the transaction ends."""
    return await session.scalar(visible(actor).where(Provider.id == provider_id).with_for_update())


async def by_ids(session: AsyncSession, _actor: Actor, ids: Sequence[UUID]) -> dict[UUID, Provider]:
    """For edges of rows that the caller may see already: the name of a patient's provider."""
    rows = await session.scalars(select(Provider).where(Provider.id.in_(ids)))
    return {row.id: row for row in rows}


async def provider(session: AsyncSession, provider_id: UUID) -> Provider | None:
    """For workers, who act on an accepted request."""
    return await session.get(Provider, provider_id)


async def provider_locked(session: AsyncSession, provider_id: UUID) -> Provider | None:
    """The same, for a change."""
    statement = select(Provider).where(Provider.id == provider_id, Provider.deleted_at.is_(None)).with_for_update()
    return await session.scalar(statement.execution_options(populate_existing=True))


async def provider_by_name(session: AsyncSession, name: str) -> Provider | None:
    return await session.scalar(select(Provider).where(Provider.name == name))


async def smart_providers(session: AsyncSession) -> Sequence[Provider]:
    """Those that verify our signatures."""
    rows = await session.scalars(
        select(Provider)
        .where(Provider.deleted_at.is_(None), Provider.auth_kind == AuthKind.SMART_BACKEND)
        .order_by(Provider.id)
    )
    return rows.all()


def visible_platforms(actor: Actor) -> Select[Platform]:
    return select(Platform).where(Platform.deleted_at.is_(None), readable(actor))


async def get_platform(session: AsyncSession, actor: Actor, platform_id: UUID) -> Platform | None:
    return await session.scalar(visible_platforms(actor).where(Platform.id == platform_id))


async def get_platform_locked(session: AsyncSession, actor: Actor, platform_id: UUID) -> Platform | None:
    return await session.scalar(visible_platforms(actor).where(Platform.id == platform_id).with_for_update())


async def platforms_by_ids(session: AsyncSession, _actor: Actor, ids: Sequence[UUID]) -> dict[UUID, Platform]:
    """For edges of rows that the caller may see already: the platform of a patient."""
    rows = await session.scalars(select(Platform).where(Platform.id.in_(ids)))
    return {row.id: row for row in rows}


async def platform_by_name(session: AsyncSession, name: str) -> Platform | None:
    return await session.scalar(select(Platform).where(Platform.name == name))


async def platform(session: AsyncSession, platform_id: UUID) -> Platform | None:
    return await session.get(Platform, platform_id)


async def default_platform(session: AsyncSession) -> Platform | None:
    """Where an installation has one care platform, new patients go into it."""
    rows = (await session.scalars(select(Platform).where(Platform.deleted_at.is_(None)).limit(2))).all()
    return rows[0] if len(rows) == 1 else None
