"""What a run carries along."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.platform.port import PlatformConnection
from app.connectors.provider.port import Connection
from app.core import work
from app.core.resources import Resources
from app.core.work import Claim
from app.domain.documents.storing import Origin
from app.domain.patients.models import Patient
from app.domain.sync.models import SyncRun


@dataclass(frozen=True, slots=True)
class Target:
    """The platform that takes the patient's documents."""

    platform_id: UUID
    connection: PlatformConnection


@dataclass(frozen=True, slots=True)
class Trip:
    """What a run needs to know of both ends, read once at its beginning."""

    run: SyncRun
    patient: Patient
    origin: Origin
    source: Connection
    target: Target | None


@asynccontextmanager
async def recording_as(resources: Resources, claim: Claim, *, progress: bool = False) -> AsyncGenerator[AsyncSession]:
    """A transaction of the claimant's: nothing is written where the lease is lost.

    `progress` only where something is stored that no later attempt will repeat: to have reached a stage is none, or a run
    that fails there each time would be tried for ever."""
    async with resources.db.transaction() as session:
        await work.hold(session, claim, progress=progress)
        yield session
