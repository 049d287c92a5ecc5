"""Looking at a care platform because it said that something has changed there."""

import asyncio
from datetime import datetime, timedelta

from app.connectors.platform import connect_platform
from app.connectors.platform.port import CarePlatform, PlatformError, PlatformErrorCode, ReceiptState
from app.core import work
from app.core.resources import Resources
from app.core.work import Claim
from app.domain.connections import commands as connections
from app.domain.connections import queries as connection_queries
from app.domain.patients import queries as patients
from app.domain.sync import looking, queries
from app.domain.sync.handover import Handover
from app.domain.sync.looking import Known
from app.domain.sync.models import PlatformEvent
from tasks.runtime import may_try_again, try_again
from tasks.sync.trip import Target, recording_as

AT_ONCE = 8
OVERLAP = timedelta(minutes=5)


async def look(resources: Resources, claim: Claim) -> None:
    """One look answers all messages about a patient that have come before it began."""
    async with resources.db.reading() as session:
        event = await queries.platform_event(session, claim.subject_id)
    if event is not None and event.handled_at is None and event.patient_id is not None:
        await _look(resources, claim, event)
    async with resources.db.transaction() as session:
        await work.finish(session, claim)


async def _look(resources: Resources, claim: Claim, event: PlatformEvent) -> None:
    async with resources.db.reading() as session:
        platform = await connection_queries.platform(session, event.platform_id)
        patient = await patients.patient(session, event.patient_id) if event.patient_id else None
        if platform is None or patient is None or patient.carepatron_patient_id is None:
            return
        if patient.platform_id != platform.id:
            # The id is one of the platform's that the patient has now.
            return
        handover = Handover(claim.id, platform.id, patient.id, patient.user_id)
        networks = resources.settings.networks
        target = Target(
            platform.id, connections.platform_connection(platform, resources.vault, networks, resources.gates)
        )
        events = await looking.open_events(session, handover)
        since = event.created_at - OVERLAP
    try:
        async with connect_platform(target.connection) as opened:
            await compare(resources, claim, handover, opened, patient.carepatron_patient_id, since)
    except PlatformError as error:
        if may_try_again(claim, error):
            raise try_again(claim, error) from error
        # The next run that compares everything looks there too.
        return
    async with recording_as(resources, claim) as session:
        await looking.handled(session, handover, events)


async def compare(
    resources: Resources,
    claim: Claim,
    handover: Handover,
    platform: CarePlatform,
    platform_patient_id: str,
    since: datetime | None = None,
) -> None:
    """What was removed there is noted, what was finished there is confirmed."""
    async with resources.db.reading() as session:
        known = {it.attachment_id: it for it in await looking.known(session, handover)}
    if not known:
        return
    changes = await platform.changes(platform_patient_id, known.keys(), since)
    removed = await _really_removed(platform, [known[it] for it in sorted(changes.removed)])
    async with recording_as(resources, claim) as session:
        await looking.record_removed(session, handover, removed)
        await looking.record_confirmed(session, handover, [known[it] for it in sorted(changes.confirmed)])


async def _really_removed(platform: CarePlatform, missing: list[Known]) -> list[Known]:
    """Two witnesses: the list does not show it, and it cannot be had by its id."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def is_gone(it: Known) -> bool:
        if it.state not in (ReceiptState.PROCESSING, ReceiptState.CONFIRMED):
            return False
        async with gate:
            try:
                await platform.confirm(it.attachment_id)
            except PlatformError as error:
                if error.code is PlatformErrorCode.NOT_FOUND:
                    return True
                raise
        return False

    gone = await asyncio.gather(*(is_gone(it) for it in missing))
    return [it for it, is_it in zip(missing, gone, strict=True) if is_it]
