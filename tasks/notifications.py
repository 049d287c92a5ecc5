"""Jobs of the notifications context: what happened elsewhere is told to whom it concerns. Each looks at how things stand now,
so that what was asked for twice, or late, is told once and truly."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.provider.port import ProviderErrorCode
from app.core import work
from app.core.resources import Resources
from app.core.work import Claim
from app.domain.conflicts import queries as conflicts
from app.domain.conflicts.events import CHANGED, SENT
from app.domain.connections import queries as connections
from app.domain.connections.events import HEALTH_CHANGED
from app.domain.connections.models import HealthStatus, Provider
from app.domain.identity import queries as identity
from app.domain.notifications import recording, rules
from app.domain.patients import queries as patients
from app.domain.patients.models import Patient
from app.domain.sync import catalogue
from app.domain.sync import queries as sync
from app.domain.sync.events import RUN_ENDED
from app.domain.sync.models import RunStatus, RunTrigger, SyncRun
from app.domain.updates.events import EXPORT
from app.domain.updates.exports import queries as exports
from tasks.runtime import Job


async def run_ended(resources: Resources, claim: Claim) -> None:
    async with resources.db.transaction() as session:
        run = await sync.run(session, claim.subject_id)
        # The end of a run writes to its patient: locked, a later one has ended before this look or is told of after it.
        patient = await patients.patient_locked(session, run.patient_id) if run else None
        await work.finish(session, claim)
        export_id = run.export_id if run else None
        if run is not None and patient is not None and not await sync.is_overtaken(session, run):
            await _tell_of_run(session, patient, run)
            await _tell_of_connection(session, run)
    if export_id is not None:
        # Apart: whoever works on the export has its job locked before the patients.
        async with resources.db.transaction() as session:
            if not await exports.runs_under_way(session, export_id):
                await work.hurry(session, EXPORT, export_id)


async def _tell_of_connection(session: AsyncSession, run: SyncRun) -> None:
    provider = await connections.provider(session, run.provider_id)
    if run.error_code is None:
        await recording.settle(session, rules.connection_fold(run.provider_id))
    elif provider is not None and run.error_code in rules.LOST:
        await _tell_administrators(session, provider, str(run.error_code))


async def _tell_of_run(session: AsyncSession, patient: Patient, run: SyncRun) -> None:
    if run.status is RunStatus.SUCCEEDED:
        await recording.settle(session, rules.run_fold(patient.id))
    if run.status not in (RunStatus.FAILED, RunStatus.SUCCEEDED_WITH_GAPS):
        return
    note = rules.of_run(patient, run, await sync.failure_codes(session, run.id))
    # Who has pressed a button wants to know how that one ended; a schedule that fails all night is one thing to be told.
    if run.trigger is RunTrigger.AUTOMATIC:
        await recording.tell(session, patient.user_id, note, again=True)
    else:
        await recording.tell_anew(session, patient.user_id, note)


async def _tell_administrators(session: AsyncSession, provider: Provider, code: str) -> None:
    note = rules.of_connection(provider, code)
    for user_id in await identity.administrators(session):
        await recording.tell(session, user_id, note)


async def health_changed(resources: Resources, claim: Claim) -> None:
    async with resources.db.transaction() as session:
        await work.finish(session, claim)
        provider = await connections.provider(session, claim.subject_id)
        if provider is None:
            return
        if provider.health_status is not HealthStatus.UNREACHABLE or provider.deleted_at is not None:
            await recording.settle(session, rules.connection_fold(provider.id))
            return
        named = (provider.health_detail or "").partition(":")[0]
        await _tell_administrators(
            session, provider, named if named in catalogue.CATALOGUE else ProviderErrorCode.UNREACHABLE
        )


async def details_changed(resources: Resources, claim: Claim) -> None:
    """Conflicts and failures of a patient's details as they stand. Whoever changes them has the patient locked."""
    async with resources.db.transaction() as session:
        patient = await patients.patient_locked(session, claim.subject_id)
        await work.finish(session, claim)
        if patient is None:
            return
        found = await conflicts.open_conflicts(session, patient)
        await recording.settle_conflicts(session, patient.id, [it.id for it in found])
        for conflict in found:
            await recording.tell(session, patient.user_id, rules.of_conflict(patient, conflict))
        held = await conflicts.held(session, patient)
        if held is not None and held.error_code and patient.edited_details:
            await recording.tell(session, patient.user_id, rules.of_failed_details(patient, held, held.error_code))
        else:
            await recording.settle(session, rules.failure_fold(patient.id))


async def details_sent(resources: Resources, claim: Claim) -> None:
    async with resources.db.transaction() as session:
        patient = await patients.patient_locked(session, claim.subject_id)
        await work.finish(session, claim)
        if patient is not None:
            await recording.tell(session, patient.user_id, rules.of_sent_details(patient))


JOBS = {
    RUN_ENDED: Job(run=run_ended),
    HEALTH_CHANGED: Job(run=health_changed),
    CHANGED: Job(run=details_changed),
    SENT: Job(run=details_sent),
}
