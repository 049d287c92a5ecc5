"""What workers record of an exchange of details. The patient is locked, and the claim was checked (`work.hold`)."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.provider.port import PatientField, ProviderPatient
from app.core import work
from app.domain.conflicts import queries, rules
from app.domain.conflicts.events import CHANGED, SENT
from app.domain.conflicts.models import Conflict, ConflictState, ProviderDetails, Resolution
from app.domain.patients import commands as patients
from app.domain.patients import rules as patient_rules
from app.domain.patients.models import Patient
from app.domain.sync import catalogue
from app.domain.sync.models import LogAction, LogStatus, SynchronizationLog


async def compare(
    session: AsyncSession, patient: Patient, found: ProviderPatient, revision: int
) -> dict[PatientField, str] | None:
    """Takes over what was changed at the provider alone, notes what was changed on both sides, and returns what is to be
    sent. None where somebody else has compared since `revision`: what was read may be older than what they recorded."""
    held = await _held(session, patient)
    if held.revision != revision:
        return None
    clashes = {it.field: it for it in await queries.open_conflicts(session, patient)}
    edits = {name: value for name, value in patient.edited_details.items() if name not in clashes}
    ours = patient_rules.details_of(patient)
    found_out = rules.merge(held.details, edits, ours, found.details, datetime.now(UTC).date())
    for name in clashes:
        found_out.send.pop(name, None)
        found_out.take.pop(name, None)
    fresh = found_out.clash - clashes.keys()
    for name in fresh:
        _open(session, patient, name, held.details or edits, ours[name], found)
    closed = _update_conflicts(clashes, ours, found)
    patients.take_details(patient, found_out.take)
    patients.settle_edits(patient, found_out.settled | found_out.clash | clashes.keys())
    _note_read(held, found)
    if not patient.edited_details:
        held.error_code = held.error_detail = None
    if found_out.take:
        log(session, patient, LogAction.DETAILS_RECEIVED, LogStatus.SUCCESS, rules.words(found_out.take))
    await _tell_of_conflicts(session, patient, fresh, changed=bool(fresh or closed))
    return found_out.send


async def clash(
    session: AsyncSession, patient: Patient, names: Collection[PatientField], found: ProviderPatient
) -> None:
    """The provider's record moved under each attempt: a person decides."""
    held = await _held(session, patient)
    known = {it.field for it in await queries.open_conflicts(session, patient)}
    ours = patient_rules.details_of(patient)
    fresh = set(names) - known
    for name in fresh:
        _open(session, patient, name, held.details, ours[name], found)
    patients.settle_edits(patient, set(names))
    held.error_code = held.error_detail = None
    await _tell_of_conflicts(session, patient, fresh, changed=True)


async def sent(
    session: AsyncSession,
    patient: Patient,
    values: Mapping[PatientField, str],
    before: ProviderPatient,
    after: ProviderPatient,
    revision: int,
) -> bool:
    """The provider has taken what was sent; whether something else has been edited meanwhile and is still to be sent."""
    held = await _held(session, patient)
    if held.revision == revision:
        _note_read(held, after)
    ours = patient_rules.details_of(patient)
    idle = rules.without_effect(values, before.details, after.details)
    arrived = {name for name in values if name not in idle}
    patients.settle_edits(patient, {name for name in arrived if ours[name] == values[name]})
    held.insist = False
    if idle:
        await fail(session, patient, catalogue.DETAILS_REFUSED, f"taken without effect: {rules.words(idle)}")
    else:
        held.error_code = held.error_detail = None
    if arrived:
        held.sent_at = func.clock_timestamp()
        log(session, patient, LogAction.DETAILS_SENT, LogStatus.SUCCESS, rules.words(arrived))
        await work.ask(session, SENT, patient.id)
    await work.ask(session, CHANGED, patient.id)
    return any(name not in idle for name in patient.edited_details)


async def fail(session: AsyncSession, patient: Patient, code: str, detail: str) -> None:
    """Our edits could not be sent. They stay ours, and wait for somebody to ask again."""
    held = await _held(session, patient)
    held.error_code, held.error_detail, held.insist = code, detail, False
    message = catalogue.advice(code).message
    names = {name for name in PatientField if name in patient.edited_details}
    log(session, patient, LogAction.DETAILS_FAILED, LogStatus.ERROR, f"{rules.words(names)}: {message} ({code})")
    await work.ask(session, CHANGED, patient.id)


async def _held(session: AsyncSession, patient: Patient) -> ProviderDetails:
    """Made at the first look. Only with a provider."""
    held = await queries.held(session, patient)
    if held is None:
        held = ProviderDetails(
            patient_id=patient.id,
            provider_id=patient.primary_provider_id,
            provider_patient_id=patient.provider_patient_id,
        )
        session.add(held)
        await session.flush()
        await session.refresh(held)
    return held


def _note_read(held: ProviderDetails, found: ProviderPatient) -> None:
    held.details = {name.value: found.details.get(name, "") for name in PatientField}
    held.version_id = found.version_id or None
    held.revision += 1
    held.compared_at = func.clock_timestamp()


def _open(
    session: AsyncSession,
    patient: Patient,
    name: PatientField,
    base: Mapping[str, str] | None,
    ours: str,
    found: ProviderPatient,
) -> None:
    assert patient.primary_provider_id
    assert patient.provider_patient_id
    session.add(
        Conflict(
            patient_id=patient.id,
            provider_id=patient.primary_provider_id,
            provider_patient_id=patient.provider_patient_id,
            field=name,
            base=(base or {}).get(name),
            ours=ours,
            theirs=found.details[name],
            provider_version=found.version_id or None,
        )
    )


def _update_conflicts(
    clashes: Mapping[PatientField, Conflict], ours: rules.Values, found: ProviderPatient
) -> list[Conflict]:
    """Both sides as they stand by now; those that came to agree by themselves are closed."""
    closed: list[Conflict] = []
    for name, conflict in clashes.items():
        theirs = found.details[name]
        if rules.same(name, ours[name], theirs):
            stayed = rules.same(name, theirs, conflict.theirs)
            conflict.state, conflict.resolved_at = ConflictState.RESOLVED, func.clock_timestamp()
            conflict.resolution = Resolution.THEIRS if stayed else Resolution.OURS
            closed.append(conflict)
        conflict.ours, conflict.theirs, conflict.provider_version = ours[name], theirs, found.version_id or None
    return closed


async def _tell_of_conflicts(
    session: AsyncSession, patient: Patient, fresh: Collection[PatientField], *, changed: bool
) -> None:
    if fresh:
        message = f"{rules.words(fresh)}: {catalogue.advice(catalogue.DETAILS_CONFLICT).message}"
        log(session, patient, LogAction.DETAILS_CONFLICT, LogStatus.WARNING, message)
    if changed:
        await work.ask(session, CHANGED, patient.id)


def log(session: AsyncSession, patient: Patient, action: LogAction, status: LogStatus, details: str) -> None:
    """The names of the fields, never their values: the log is read by others than the record."""
    session.add(
        SynchronizationLog(
            patient_id=patient.id, owner_id=patient.user_id, action=action, status=status, details=details
        )
    )
