"""What an export carries along."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.provider import connect_bulk
from app.connectors.provider.bulk import BulkProvider
from app.connectors.provider.port import Connection
from app.core import work
from app.core.resources import Resources
from app.core.work import Claim
from app.domain.updates.exports import queries
from app.domain.updates.exports.models import Export


class Turned(Exception):
    """An export is no longer in the state that a step began in: somebody has stopped it."""


@dataclass(frozen=True, slots=True)
class Trip:
    """An export as it stood when a step of it began, and the way to its provider."""

    resources: Resources
    claim: Claim
    row: Export
    source: Connection

    @asynccontextmanager
    async def provider(self) -> AsyncGenerator[BulkProvider]:
        async with connect_bulk(self.source) as opened:
            yield opened

    @asynccontextmanager
    async def recording(self, *, progress: bool = True) -> AsyncGenerator[tuple[AsyncSession, Export]]:
        """A transaction of the claimant's. Raises `Turned` where the export was stopped meanwhile."""
        async with self.resources.db.transaction() as session:
            await work.hold(session, self.claim, progress=progress)
            row = await queries.export_locked(session, self.row.id)
            if row.state is not self.row.state:
                raise Turned
            yield session, row
            await session.flush()
