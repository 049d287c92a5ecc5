"""What workers find out about providers."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.provider.port import Probed, Strategy
from app.core import work
from app.domain.connections import queries, rules
from app.domain.connections.events import HEALTH_CHANGED, PROBE
from app.domain.connections.models import HealthStatus, Provider

AGAIN = timedelta(days=1)
"""Servers change without a word."""
AGAIN_AFTER_FAILURE = timedelta(hours=1)
SUSPICION_RESTS = timedelta(hours=1)
"""A server that was tried out so lately is not tried out again because of one more refusal."""


async def record_probe(session: AsyncSession, provider_id: UUID, probed: Probed) -> None:
    """Keeps the card and the facts, and asks for the next probe."""
    provider = await queries.provider_locked(session, provider_id)
    if provider is None:
        return
    provider.capabilities = [asdict(line) for line in probed.card]
    provider.strategy = rules.dump_strategy(rules.probed(rules.strategy_of(provider), probed.strategy))
    await _turn(session, provider, rules.health_of(probed.card))
    provider.health_detail = None
    provider.health_checked_at = func.now()
    await work.ask(session, PROBE, provider_id, after=AGAIN)


async def record_unreachable(session: AsyncSession, provider_id: UUID, detail: str) -> None:
    """The card and the facts stay: they were true when the server last answered."""
    provider = await queries.provider_locked(session, provider_id)
    if provider is None:
        return
    await _turn(session, provider, HealthStatus.UNREACHABLE)
    provider.health_detail = detail
    provider.health_checked_at = func.now()
    await work.ask(session, PROBE, provider_id, after=AGAIN_AFTER_FAILURE)


async def _turn(session: AsyncSession, provider: Provider, status: HealthStatus) -> None:
    if provider.health_status is not status:
        provider.health_status = status
        await work.ask(session, HEALTH_CHANGED, provider.id)


async def record_learnt(session: AsyncSession, provider_id: UUID, before: Strategy, after: Strategy) -> None:
    """What a run has learnt of the server, so that the next one begins with it."""
    if after == before:
        return
    provider = await queries.provider_locked(session, provider_id)
    if provider is not None:
        provider.strategy = rules.dump_strategy(rules.learnt(rules.strategy_of(provider), before, after))


async def suspect(session: AsyncSession, provider_id: UUID) -> None:
    """The server did something that its card does not say: it is tried out again, if it was not just now."""
    provider = await queries.provider(session, provider_id)
    if provider is None or provider.deleted_at is not None:
        return
    checked = provider.health_checked_at
    if checked is None or checked < datetime.now(UTC) - SUSPICION_RESTS:
        await work.ask(session, PROBE, provider_id)
