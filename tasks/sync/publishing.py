"""Into the platform: every file that it is to have and is not known to have, in batches; and out of it again."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

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
from app.domain.patients import queries as patient_queries
from app.domain.patients.models import Patient
from app.domain.patients.rules import name_parts
from app.domain.sync import handover as handovers
from app.domain.sync import publishing, recording
from app.domain.sync.handover import Handover
from app.domain.sync.models import RunMode, RunStage
from app.domain.sync.publishing import Parcel, Sent, Taken
from tasks.runtime import may_try_again, try_again
from tasks.sync import archiving, looking
from tasks.sync.trip import Target, Trip, recording_as

BATCH = 50
SENDS_AT_ONCE = 8
CONFIRM_WAITS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
LOOK_AGAIN = 0.5
LOOKS = 6


@dataclass(frozen=True, slots=True)
class Delivery:
    """A handover under way: who does it, at which platform, for which patient there."""

    resources: Resources
    claim: Claim
    handover: Handover
    platform: CarePlatform
    patient_id: str
    """The platform's id of the patient."""


async def publish(resources: Resources, claim: Claim, trip: Trip, target: Target) -> None:
    """A run's last stage. Ends when the platform shows what we have, or when what it did not take is named as a gap."""
    handover = Handover(claim.id, target.platform_id, trip.patient.id, trip.patient.user_id, run_id=trip.run.id)
    async with recording_as(resources, claim) as session:
        await recording.enter(session, trip.run.id, RunStage.PUBLISHING)
    await hand_over(resources, claim, handover, trip.patient, target, compares=trip.run.mode is RunMode.FULL)


async def hand_over(
    resources: Resources, claim: Claim, handover: Handover, patient: Patient, target: Target, *, compares: bool = False
) -> None:
    """Everything that this handover is about. What may pass raises `TryLater`, but for the last attempt. With `compares` the
    platform's own list is looked through too: what it told us of, or forgot to, is found there."""
    async with recording_as(resources, claim) as session:
        await archiving.begin(session, handover)
        await publishing.open_receipts(session, handover)
    try:
        async with connect_platform(target.connection) as platform:
            platform_patient_id = await _introduce(resources, claim, handover, patient, platform)
            if compares:
                await looking.compare(resources, claim, handover, platform, platform_patient_id)
            delivery = Delivery(resources, claim, handover, platform, platform_patient_id)
            # What was withdrawn goes first: it must not wait for a document that the platform is slow with.
            await archiving.archive(resources, claim, handover, platform, platform_patient_id)
            await _send_all(delivery)
            await _confirm(delivery)
            async with recording_as(resources, claim) as session:
                await archiving.begin(session, handover)
            await archiving.archive(resources, claim, handover, platform, platform_patient_id)
    except PlatformError as error:
        if may_try_again(claim, error):
            raise try_again(claim, error) from error
        async with recording_as(resources, claim) as session:
            await publishing.give_up(session, handover, error)


async def _introduce(
    resources: Resources, claim: Claim, handover: Handover, patient: Patient, platform: CarePlatform
) -> str:
    """The patient's id at the platform, kept once it is known. With another one than before, everything is handed over anew."""
    known, alone = await _take_in_hand(resources, claim, handover)
    if not alone:
        # Another job is looking at this very moment.
        return known
    try:
        found = await platform.ensure_patient(_person(patient), known or None)
    except PlatformError as error:
        if not error.ambiguous:
            async with recording_as(resources, claim) as session:
                await handovers.introduced(session, handover)
        raise
    async with recording_as(resources, claim) as session:
        if found != known:
            await patients.note_platform_patient(session, patient.id, handover.platform_id, found)
            if known:
                await publishing.start_over(session, handover)
        await handovers.introduced(session, handover)
    return found


async def _take_in_hand(resources: Resources, claim: Claim, handover: Handover) -> tuple[str, bool]:
    """What is known of the patient's id there, and whether it is ours to look. Who knows nothing waits for who does."""
    for _ in range(LOOKS):
        async with recording_as(resources, claim) as session:
            alone = await handovers.may_introduce(session, handover)
            row = await patient_queries.patient(session, handover.patient_id)
            # The patient may have another platform since: the id is one of that one's.
            known = row.carepatron_patient_id if row and row.platform_id == handover.platform_id else None
        if alone or known:
            return known or "", alone
        await asyncio.sleep(LOOK_AGAIN)
    detail = "another job is introducing the patient"
    raise PlatformError(PlatformErrorCode.UNAVAILABLE, detail, retry_after=LOOK_AGAIN, asked=False)


def _person(patient: Patient) -> PlatformPatient:
    first, last = name_parts(patient.name)
    return PlatformPatient(str(patient.id), first, last, patient.birth_date.isoformat() if patient.birth_date else "")


async def _send_all(delivery: Delivery) -> None:
    try:
        await _send_what_is_left(delivery)
    except PlatformError as error:
        if error.code is PlatformErrorCode.FULL:
            # It takes nothing more, but it works: what it has taken is confirmed.
            await _confirm(delivery)
        raise


async def _send_what_is_left(delivery: Delivery) -> None:
    while True:
        if await _send_batch(delivery):
            continue
        async with delivery.resources.db.reading() as session:
            if not await publishing.is_about_to_be_free(session, delivery.handover):
                return
        await asyncio.sleep(LOOK_AGAIN)


async def _send_batch(delivery: Delivery) -> bool:
    """Sends the next files; False when there are none. A failure that is not one document's is raised after the others were
    recorded."""
    async with recording_as(delivery.resources, delivery.claim) as session:
        parcels = await publishing.next_parcels(session, delivery.handover, BATCH)
    if not parcels:
        return False
    doubtful = {parcel.reference for parcel in parcels if parcel.sent_before}
    there = await delivery.platform.find(delivery.patient_id, doubtful) if doubtful else {}
    gate = asyncio.Semaphore(SENDS_AT_ONCE)
    await _record(delivery, await asyncio.gather(*(_send(delivery, gate, parcel, there) for parcel in parcels)))
    return True


async def _record(delivery: Delivery, sent: Sequence[Sent]) -> None:
    """Keeps what came of some parcels. What stands in the way of the others too is raised once these are safe."""
    progress = any(it.receipt for it in sent)
    async with recording_as(delivery.resources, delivery.claim, progress=progress) as session:
        await publishing.record_sent(session, delivery.handover, sent)
    errors = [it.error for it in sent if it.error and not it.error.of_one_document]
    if errors:
        # What will not pass by itself says more than what may.
        raise min(errors, key=lambda error: (error.retryable, not error.asked))


async def _send(delivery: Delivery, gate: asyncio.Semaphore, parcel: Parcel, there: dict[str, Receipt]) -> Sent:
    if parcel.reference in there:
        return Sent(parcel.receipt_id, there[parcel.reference])
    if refusal := delivery.platform.limits.refusal(parcel.size, parcel.content_type):
        return Sent(parcel.receipt_id, error=refusal)
    async with gate:
        try:
            document = Outgoing(
                reference=parcel.reference,
                filename=parcel.filename,
                content_type=parcel.content_type,
                description=parcel.description,
                data=await delivery.resources.blobs.open(parcel.sha256),
            )
            return Sent(parcel.receipt_id, await delivery.platform.put(delivery.patient_id, document))
        except PlatformError as error:
            return Sent(parcel.receipt_id, error=error)
        except BlobMissingError:
            lost = PlatformError(PlatformErrorCode.REFUSED, "the file is missing in our own store")
            return Sent(parcel.receipt_id, error=lost)


async def _confirm(delivery: Delivery) -> None:
    """Asks for what the platform was still processing, at the end, when most is done; what stays so is a time-out."""
    gate = asyncio.Semaphore(SENDS_AT_ONCE)
    waits = iter(CONFIRM_WAITS)
    while True:
        async with recording_as(delivery.resources, delivery.claim) as session:
            waiting = await publishing.processing(session, delivery.handover, BATCH)
        if not waiting:
            return
        looked = await asyncio.gather(*(_look_again(delivery.platform, gate, it) for it in waiting))
        settled = [it for it in looked if it is not None]
        if settled:
            await _record(delivery, settled)
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
            return Sent(taken.receipt_id, error=_about_one(error))
    if state is ReceiptState.PROCESSING:
        return None
    return Sent(taken.receipt_id, Receipt(taken.attachment_id, taken.reference, state))


def _about_one(error: PlatformError) -> PlatformError:
    """Of a document that was there a moment ago, «not found» says nothing about the patient."""
    if error.code is not PlatformErrorCode.NOT_FOUND:
        return error
    return PlatformError(PlatformErrorCode.BAD_RESPONSE, "the platform took the document and does not know it any more")
