"""What is asked of synchronisation: start, stop, try again."""

from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import work
from app.core.db import one_at_a_time
from app.core.errors import ErrorCode, Refusal, invalid, not_found
from app.domain.documents import queries as documents
from app.domain.identity.policies import Actor, may_administer
from app.domain.patients import commands as patient_commands
from app.domain.patients import queries as patients
from app.domain.patients.models import Patient, PatientSyncStatus
from app.domain.sync import catalogue, publishing, queries, recording, rules
from app.domain.sync.events import RUN, SyncEventKind
from app.domain.sync.models import (
    OPEN_STATUSES,
    LogAction,
    LogStatus,
    RunMode,
    RunStage,
    RunStatus,
    RunTrigger,
    SynchronizationLog,
    SyncKey,
    SyncRun,
)
from app.domain.sync.policies import may_sync

MAX_KEY = 200
RUN_ATTEMPTS = 4


async def request(
    session: AsyncSession,
    actor: Actor,
    patient_id: UUID,
    *,
    mode: RunMode = RunMode.INCREMENTAL,
    idempotency_key: str | None = None,
    retry_of: SyncRun | None = None,
) -> SyncRun:
    """A run for this patient: a new one, the one under way, or the one that this key has brought about before."""
    patient = await _connected_patient(session, actor, patient_id)
    if mode is RunMode.RETRY and retry_of is None:
        raise invalid("A retry belongs to a run: use `syncRetry`.", "mode")
    if idempotency_key is None:
        return await _run(session, actor, patient, mode, retry_of)
    if not 1 <= len(idempotency_key) <= MAX_KEY:
        raise invalid(f"An idempotency key has between 1 and {MAX_KEY} characters.", "idempotencyKey")
    await one_at_a_time(session, f"sync_keys/{actor.id}/{idempotency_key}")
    found = await queries.by_idempotency_key(session, actor, idempotency_key)
    if found is None:
        found = await _run(session, actor, patient, mode, retry_of)
        session.add(SyncKey(requested_by=actor.id, key=idempotency_key, run_id=found.id))
        await session.flush()
    elif found.patient_id != patient.id:
        raise invalid("This idempotency key was used for another patient.", "idempotencyKey")
    return found


async def _run(
    session: AsyncSession, actor: Actor, patient: Patient, mode: RunMode, retry_of: SyncRun | None
) -> SyncRun:
    """A new run, or the one under way."""
    created = await _create(
        session, patient, mode, requested_by=actor.id, retry_of_id=retry_of.id if retry_of else None
    )
    found = created or await queries.open_run(session, patient.id)
    if found is None:
        # The run that stood in the way ended between two statements.
        raise Refusal(ErrorCode.CONFLICT, "A synchronisation has just ended. Please ask again.")
    return found


async def request_automatic(
    session: AsyncSession, patient_id: UUID, mode: RunMode, *, export_id: UUID | None = None
) -> SyncRun | None:
    """A run that nobody has pressed for; None where one is under way, or where the record is gone or not connected. The pages
    of one with an `export_id` come from that export: a patient has one such run, and it compares nothing."""
    patient = await patients.patient_kept(session, patient_id)
    if patient is None or patient.primary_provider_id is None or patient.provider_patient_id is None:
        return None
    return await _create(session, patient, mode, export_id=export_id)


async def replay(session: AsyncSession, actor: Actor, run_id: UUID) -> SyncRun:
    """What an administrator has done after all, though its work was given up: a run anew, for a patient whom they need not
    see. A run that never heard of its work's end goes on."""
    if refusal := may_administer(actor):
        raise refusal
    run = await queries.run(session, run_id)
    if run is None:
        raise not_found("synchronisation", "id")
    if run.status in OPEN_STATUSES and await work.ask(session, RUN, run_id, max_attempts=RUN_ATTEMPTS):
        return run
    patient = await patients.patient_kept(session, run.patient_id)
    if patient is None or patient.primary_provider_id is None or patient.provider_patient_id is None:
        raise Refusal(ErrorCode.CONFLICT, "The patient's record is gone, or has no provider any more.", ("id",))
    created = await _create(session, patient, RunMode.FULL, requested_by=actor.id, retry_of_id=run.id)
    if created is None:
        raise Refusal(ErrorCode.CONFLICT, "This patient is being synchronised already.", ("id",))
    return created


async def _create(
    session: AsyncSession,
    patient: Patient,
    mode: RunMode,
    *,
    requested_by: UUID | None = None,
    retry_of_id: UUID | None = None,
    export_id: UUID | None = None,
) -> SyncRun | None:
    """A new run with its work; None where one is under way: the constraint says so, not a look beforehand."""
    created = await session.scalar(
        insert(SyncRun)
        .values(
            patient_id=patient.id,
            owner_id=patient.user_id,
            provider_id=patient.primary_provider_id,
            provider_patient_id=patient.provider_patient_id,
            requested_by=requested_by,
            retry_of_id=retry_of_id,
            export_id=export_id,
            mode=mode if export_id else await _honest(session, patient, mode),
            trigger=RunTrigger.MANUAL if requested_by else RunTrigger.AUTOMATIC,
        )
        .on_conflict_do_nothing()
        .returning(SyncRun)
    )
    if created is not None:
        await _announce(session, created)
    return created


async def _honest(session: AsyncSession, patient: Patient, mode: RunMode) -> RunMode:
    """Where documents are here and nothing says since when to ask for changes (the patient's id at the provider was corrected),
    only a comparison of everything finds what does not belong here."""
    if mode is not RunMode.INCREMENTAL or await queries.has_cursor(session, patient):
        return mode
    assert patient.primary_provider_id is not None
    known = await documents.digests(session, patient.primary_provider_id, patient.id)
    return RunMode.FULL if known else mode


async def _connected_patient(session: AsyncSession, actor: Actor, patient_id: UUID) -> Patient:
    # Locked, so that a run is asked for either before a deletion, which ends it, or not at all.
    patient = await patients.get_kept(session, actor, patient_id)
    if patient is None:
        raise not_found("patient", "patientId")
    if refusal := may_sync(actor, patient):
        raise refusal
    if patient.primary_provider_id is None or patient.provider_patient_id is None:
        raise invalid(
            "This patient is not connected to a provider yet: name the provider and the patient's id there.",
            "patientId",
        )
    return patient


async def _announce(session: AsyncSession, run: SyncRun) -> None:
    await work.ask(session, RUN, run.id, max_attempts=RUN_ATTEMPTS)
    await patient_commands.note_sync(session, run.patient_id, PatientSyncStatus.QUEUED)
    action = LogAction.MANUAL_SYNC if run.trigger is RunTrigger.MANUAL else LogAction.AUTOMATIC_UPDATE
    recording.log(session, run, action, LogStatus.STARTED, f"{run.mode.capitalize()} synchronisation asked for.")
    await recording.tell(session, run, SyncEventKind.RUN_QUEUED)


async def cancel(session: AsyncSession, actor: Actor, run_id: UUID) -> SyncRun:
    """Ends a run where it stands; what it has stored stays. Whoever works on it loses the lease within a second."""
    await _steerable(session, actor, run_id)
    # The work row first, as workers lock it first too: the other way round, two of them could wait for each other.
    await work.close_subject(session, RUN, run_id)
    run = await queries.run_locked(session, run_id)
    if run.status is RunStatus.CANCELLED:
        return run
    if run.status not in OPEN_STATUSES:
        raise Refusal(ErrorCode.CONFLICT, "This synchronisation has ended already.", ("runId",))
    run.status, run.stage, run.finished_at = RunStatus.CANCELLED, RunStage.DONE, func.clock_timestamp()
    await session.flush()
    await patient_commands.note_sync(session, run.patient_id, PatientSyncStatus.CANCELLED)
    recording.log(session, run, LogAction.MANUAL_SYNC, LogStatus.WARNING, "Cancelled.")
    await recording.tell(session, run, SyncEventKind.RUN_FINISHED)
    await session.refresh(run)
    return run


async def retry(session: AsyncSession, actor: Actor, run_id: UUID, *, everything: bool = False) -> SyncRun:
    """Another run that takes up only what this one has failed at. With `everything` it offers the care platform also what that
    has refused for good, or what was removed there."""
    run = await _steerable(session, actor, run_id)
    if run.status in OPEN_STATUSES:
        return run
    offered = await publishing.offer_again(session, run.patient_id) if everything else 0
    if run.status is RunStatus.SUCCEEDED and not offered:
        raise Refusal(ErrorCode.CONFLICT, "This synchronisation has left nothing to retry.", ("runId",))
    return await request(session, actor, run.patient_id, mode=await _repeating(session, actor, run), retry_of=run)


async def _repeating(session: AsyncSession, actor: Actor, run: SyncRun) -> RunMode:
    """How a run is best repeated: what never began is done as it was meant, what is about another connection from scratch."""
    patient = await patients.get(session, actor, run.patient_id)
    ours = patient and (patient.primary_provider_id, patient.provider_patient_id)
    if ours != (run.provider_id, run.provider_patient_id) or run.export_id is not None:
        # An export's pages are gone when its run has ended.
        return RunMode.FULL
    if await queries.is_noted(session, run.id, rules.WHOLE_LISTING, catalogue.LISTING_SHORT):
        # Only another comparison of everything shows whether the listing still hides something.
        return RunMode.FULL
    begun = run.mode is RunMode.RETRY or await queries.pages(session, run.id)
    return RunMode.RETRY if begun else run.mode


async def hide_patient(session: AsyncSession, patient_id: UUID) -> None:
    """For a deleted record: ends the run under way and hides the history, on nobody's behalf."""
    found = await queries.open_run(session, patient_id)
    if found is not None:
        await work.close_subject(session, RUN, found.id)
        run = await queries.run_locked(session, found.id)
        if run.status in OPEN_STATUSES:
            run.status, run.stage, run.finished_at = RunStatus.CANCELLED, RunStage.DONE, func.clock_timestamp()
            await session.flush()
            await recording.tell(session, run, SyncEventKind.RUN_FINISHED)
    for table in (SyncRun, SynchronizationLog):
        await session.execute(
            update(table)
            .where(table.patient_id == patient_id, table.deleted_at.is_(None))
            .values(deleted_at=func.now())
        )


async def _steerable(session: AsyncSession, actor: Actor, run_id: UUID) -> SyncRun:
    run = await queries.get(session, actor, run_id)
    patient = await patients.get(session, actor, run.patient_id) if run else None
    if run is None or patient is None:
        raise not_found("synchronisation", "runId")
    if refusal := may_sync(actor, patient):
        raise refusal
    return run
