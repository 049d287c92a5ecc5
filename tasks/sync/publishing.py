"""The platform's side of a run: every file that it is not known to have, in batches."""

import asyncio
from collections.abc import Sequence

from app.connectors.platform import connect_platform
from app.connectors.platform.port import (
    CarePlatform,
    Outgoing,
    PlatformError,
    PlatformErrorCode,
    PlatformPatient,
    Receipt,
    ReceiptState,
)
from app.core.blobs import BlobMissingError
from app.core.resources import Resources
from app.core.work import Claim
from app.domain.patients import commands as patients
from app.domain.patients.models import Patient
from app.domain.patients.rules import name_parts
from app.domain.sync import publishing, recording, rules
from app.domain.sync.models import RunStage
from app.domain.sync.publishing import Parcel, Sent, Taken
from tasks.runtime import TryLater
from tasks.sync.trip import Target, Trip, recording_as

BATCH = 50
SENDS_AT_ONCE = 8
CONFIRM_WAITS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)


async def publish(resources: Resources, claim: Claim, trip: Trip, target: Target) -> None:
    """Ends when the platform has confirmed everything, or when what it did not take is named as a gap."""
    async with recording_as(resources, claim) as session:
        await recording.enter(session, trip.run.id, RunStage.PUBLISHING)
        await publishing.open_receipts(session, trip.run.id, target.platform_id)
    try:
        async with connect_platform(target.connection) as platform:
            platform_patient_id = await _introduce(resources, claim, trip, platform)
            while await _send_batch(resources, claim, trip, target, platform, platform_patient_id):
                continue
            await _confirm(resources, claim, trip, target, platform)
    except PlatformError as error:
        if error.retryable and not claim.last:
            raise TryLater(error.code, error.detail, rules.delay(claim.attempt, error.retry_after)) from error
        async with recording_as(resources, claim) as session:
            await publishing.give_up(session, trip.run.id, target.platform_id, error)


async def _introduce(resources: Resources, claim: Claim, trip: Trip, platform: CarePlatform) -> str:
    """The patient's id at the platform, kept once it is known."""
    known = trip.patient.carepatron_patient_id
    found = await platform.ensure_patient(_person(trip.patient), known)
    if found != known:
        async with recording_as(resources, claim) as session:
            await patients.note_platform_patient(session, trip.patient.id, found)
    return found


def _person(patient: Patient) -> PlatformPatient:
    first, last = name_parts(patient.name)
    return PlatformPatient(str(patient.id), first, last, patient.birth_date.isoformat() if patient.birth_date else "")


async def _send_batch(
    resources: Resources, claim: Claim, trip: Trip, target: Target, platform: CarePlatform, platform_patient_id: str
) -> bool:
    """Sends the next files; False when there are none. A passing failure is raised after the others were recorded."""
    async with recording_as(resources, claim) as session:
        parcels = await publishing.next_parcels(session, trip.run, target.platform_id, BATCH)
    if not parcels:
        return False
    doubtful = {parcel.reference for parcel in parcels if parcel.sent_before}
    there = await platform.find(platform_patient_id, doubtful) if doubtful else {}
    gate = asyncio.Semaphore(SENDS_AT_ONCE)
    sent = await asyncio.gather(
        *(_send(resources, platform, gate, platform_patient_id, parcel, there) for parcel in parcels)
    )
    await _record(resources, claim, trip, target, sent)
    return True


async def _record(resources: Resources, claim: Claim, trip: Trip, target: Target, sent: Sequence[Sent]) -> None:
    """Keeps what came of some parcels. A failure that may pass is raised once the others are safe."""
    async with recording_as(resources, claim, progress=any(it.receipt for it in sent)) as session:
        await publishing.record_sent(session, trip.run.id, target.platform_id, sent)
    for it in sent:
        if it.error and it.error.retryable:
            raise it.error


async def _send(
    resources: Resources,
    platform: CarePlatform,
    gate: asyncio.Semaphore,
    platform_patient_id: str,
    parcel: Parcel,
    there: dict[str, Receipt],
) -> Sent:
    if parcel.reference in there:
        return Sent(parcel.receipt_id, there[parcel.reference])
    async with gate:
        try:
            document = Outgoing(
                reference=parcel.reference,
                filename=parcel.filename,
                content_type=parcel.content_type,
                description=parcel.description,
                data=await resources.blobs.get(parcel.sha256),
            )
            return Sent(parcel.receipt_id, await platform.put(platform_patient_id, document))
        except PlatformError as error:
            return Sent(parcel.receipt_id, error=error)
        except BlobMissingError:
            lost = PlatformError(PlatformErrorCode.REFUSED, "the file is missing in our own store")
            return Sent(parcel.receipt_id, error=lost)


async def _confirm(resources: Resources, claim: Claim, trip: Trip, target: Target, platform: CarePlatform) -> None:
    """Asks for what the platform was still processing, at the end, when most is done; what stays so is a time-out."""
    gate = asyncio.Semaphore(SENDS_AT_ONCE)
    waits = iter(CONFIRM_WAITS)
    while True:
        async with resources.db.reading() as session:
            waiting = await publishing.processing(session, trip.run, target.platform_id, BATCH)
        if not waiting:
            return
        looked = await asyncio.gather(*(_look_again(platform, gate, it) for it in waiting))
        settled = [it for it in looked if it is not None]
        if settled:
            await _record(resources, claim, trip, target, settled)
            waits = iter(CONFIRM_WAITS)
            continue
        wait = next(waits, None)
        if wait is None:
            raise PlatformError(PlatformErrorCode.TIMEOUT, "a document is still being processed")
        await asyncio.sleep(wait)


async def _look_again(platform: CarePlatform, gate: asyncio.Semaphore, taken: Taken) -> Sent | None:
    """None while nothing has changed."""
    async with gate:
        try:
            state = await platform.confirm(taken.attachment_id)
        except PlatformError as error:
            return Sent(taken.receipt_id, error=error)
    if state is ReceiptState.PROCESSING:
        return None
    return Sent(taken.receipt_id, Receipt(taken.attachment_id, taken.reference, state))
