"""What a run learns of its provider's server, kept for the next one."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from app.connectors.provider.port import Provider, ProviderError
from app.core.resources import Resources
from app.domain.connections import recording as connections
from tasks.sync.trip import Trip


@asynccontextmanager
async def remembering(resources: Resources, trip: Trip, provider: Provider) -> AsyncGenerator[None]:
    """However the provider's side of a run ends, its lessons are kept; a server that surprised us is tried out again."""
    try:
        yield
    except ProviderError:
        await _keep(resources, trip, provider)
        raise
    await _keep(resources, trip, provider)


async def _keep(resources: Resources, trip: Trip, provider: Provider) -> None:
    before, after = trip.source.strategy, provider.learnt
    if after == before and not provider.surprised:
        return
    async with resources.db.transaction() as session:
        await connections.record_learnt(session, trip.origin.provider_id, before, after)
        await connections.suspect(session, trip.origin.provider_id)
