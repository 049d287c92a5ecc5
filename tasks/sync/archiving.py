"""Out of the platform: what was withdrawn, retracted or deleted here, and older versions once the newer one is there."""

import asyncio
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.platform.port import CarePlatform, PlatformError, Receipt
from app.core.resources import Resources
from app.core.work import Claim
from app.domain.sync import archiving
from app.domain.sync.archiving import Leaving, Left
from app.domain.sync.handover import Handover
from tasks.sync.trip import recording_as

BATCH = 50
AT_ONCE = 8


async def begin(session: AsyncSession, handover: Handover) -> None:
    await archiving.open_departures(session, handover)


async def archive(
    resources: Resources, claim: Claim, handover: Handover, platform: CarePlatform, platform_patient_id: str
) -> None:
    """Everything that is marked as on its way out. Of what nobody knows whether it arrived, the platform is asked first."""
    tried: set[UUID] = set()
    while True:
        async with recording_as(resources, claim) as session:
            batch = await archiving.next_leaving(session, handover, tried, BATCH)
        if not batch:
            return
        tried |= {it.receipt_id for it in batch}
        unknown = {it.reference for it in batch if it.attachment_id is None}
        there = await platform.find(platform_patient_id, unknown) if unknown else {}
        gate = asyncio.Semaphore(AT_ONCE)
        left = await asyncio.gather(*(_take_out(platform, gate, it, there) for it in batch))
        async with recording_as(resources, claim, progress=any(it.error is None for it in left)) as session:
            await archiving.record_left(session, handover, left)
        for it in left:
            if it.error and not it.error.of_one_document:
                raise it.error


async def _take_out(
    platform: CarePlatform, gate: asyncio.Semaphore, leaving: Leaving, there: dict[str, Receipt]
) -> Left:
    found = there.get(leaving.reference)
    attachment_id = leaving.attachment_id or (found.attachment_id if found else None)
    if attachment_id is None:
        return Left(leaving, was_there=False)
    async with gate:
        try:
            await platform.archive(attachment_id)
        except PlatformError as error:
            return Left(leaving, error=error)
    return Left(leaving)
