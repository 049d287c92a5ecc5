"""What a person asks of synchronisation: start, stop, try again."""

from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import work
from app.core.errors import ErrorCode, Refusal, invalid, not_found
from app.domain.identity.policies import Actor
from app.domain.patients import commands as patient_commands
from app.domain.patients import queries as patients
from app.domain.patients.models import Patient, PatientSyncStatus
from app.domain.sync import queries, recording
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
    if idempotency_key is not None and not 1 <= len(idempotency_key) <= MAX_KEY:
        raise invalid(f"An idempotency key has between 1 and {MAX_KEY} characters.", "idempotencyKey")
    created = await session.scalar(
        insert(SyncRun)
        .values(
            patient_id=patient.id,
            owner_id=patient.user_id,
            provider_id=patient.primary_provider_id,
            provider_patient_id=patient.provider_patient_id,
            requested_by=actor.id,
            retry_of_id=retry_of.id if retry_of else None,
            idempotency_key=idempotency_key,
            mode=mode,
            trigger=RunTrigger.MANUAL,
        )
        .on_conflict_do_nothing()
        .returning(SyncRun)
    )
    if created is None:
        return await _already_there(session, actor, patient, idempotency_key)
    await _announce(session, created)
    return created


async def _connected_patient(session: AsyncSession, actor: Actor, patient_id: UUID) -> Patient:
    # Locked, so that a run is asked for either before a deletion, which ends it, or not at all.
    patient = await patients.get_locked(session, actor, patient_id)
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


async def _already_there(session: AsyncSession, actor: Actor, patient: Patient, key: str | None) -> SyncRun:
    """What kept the new run from being: the same key, else the run under way."""
    found = await queries.by_idempotency_key(session, actor, key) if key else None
    found = found or await queries.open_run(session, patient.id)
    if found is None:
        # The run that stood in the way ended between two statements.
        raise Refusal(ErrorCode.CONFLICT, "A synchronisation has just ended. Please ask again.")
    if found.patient_id != patient.id:
        raise invalid("This idempotency key was used for another patient.", "idempotencyKey")
    return found


async def _announce(session: AsyncSession, run: SyncRun) -> None:
    await work.ask(session, RUN, run.id, max_attempts=RUN_ATTEMPTS)
    await patient_commands.note_sync(session, run.patient_id, PatientSyncStatus.QUEUED)
    recording.log(
        session, run, LogAction.MANUAL_SYNC, LogStatus.STARTED, f"{run.mode.capitalize()} synchronisation asked for."
    )
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


async def retry(session: AsyncSession, actor: Actor, run_id: UUID) -> SyncRun:
    """Another run that lists everything again and takes up what is missing: what is here already costs nothing."""
    run = await _steerable(session, actor, run_id)
    if run.status in OPEN_STATUSES:
        return run
    if run.status is RunStatus.SUCCEEDED:
        raise Refusal(ErrorCode.CONFLICT, "This synchronisation has left nothing to retry.", ("runId",))
    return await request(session, actor, run.patient_id, mode=RunMode.FULL, retry_of=run)


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
