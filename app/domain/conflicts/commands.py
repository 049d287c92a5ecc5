"""What a person decides about details that differ."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import work
from app.core.errors import ErrorCode, Refusal, invalid, not_found
from app.domain.conflicts import queries, recording, rules
from app.domain.conflicts.events import CHANGED
from app.domain.conflicts.models import Conflict, ConflictState, Resolution
from app.domain.conflicts.policies import may_decide
from app.domain.identity.policies import Actor
from app.domain.patients import commands as patients
from app.domain.patients import queries as patient_queries
from app.domain.patients import rules as patient_rules
from app.domain.patients.models import Patient
from app.domain.sync.models import LogAction, LogStatus


@dataclass(frozen=True, slots=True)
class Resolved:
    conflict: Conflict
    patient: Patient


async def resolve(session: AsyncSession, actor: Actor, conflict_id: UUID, choice: Resolution) -> Resolved:
    """Ours is sent once more, with the provider's newest version; theirs takes the place of ours."""
    found = await queries.get(session, actor, conflict_id)
    patient = await patient_queries.get_locked(session, actor, found.patient_id) if found else None
    if found is None or patient is None:
        raise not_found("conflict", "id")
    if refusal := may_decide(actor, patient):
        raise refusal
    conflict = await queries.fresh(session, conflict_id)
    if conflict.state is ConflictState.RESOLVED:
        if conflict.resolution is choice:
            return Resolved(conflict, patient)
        raise Refusal(ErrorCode.CONFLICT, "This has been decided already, the other way round.", ("choice",))
    if choice is Resolution.THEIRS:
        _take(patient, conflict)
    else:
        await patients.send_details(session, patient, {conflict.field: conflict.theirs})
    conflict.state, conflict.resolution = ConflictState.RESOLVED, choice
    conflict.resolved_by, conflict.resolved_at = actor.id, func.clock_timestamp()
    whose = "the provider's value was chosen" if choice is Resolution.THEIRS else "our value was chosen"
    words = f"{rules.words([conflict.field])}: {whose}."
    recording.log(session, patient, LogAction.DETAILS_CONFLICT, LogStatus.SUCCESS, words)
    await work.ask(session, CHANGED, patient.id)
    await session.flush()
    await session.refresh(conflict)
    await session.refresh(patient)
    return Resolved(conflict, patient)


def _take(patient: Patient, conflict: Conflict) -> None:
    value = patient_rules.fitting(conflict.field, conflict.theirs, datetime.now(UTC).date())
    if value is None:
        raise invalid("The provider's value cannot be kept here: choose yours, or edit the record.", "choice")
    patients.take_details(patient, {conflict.field: value})
    patients.settle_edits(patient, {conflict.field})


async def retry(session: AsyncSession, actor: Actor, patient_id: UUID) -> Patient:
    """Sends once more what the provider has not taken, also where its capability card says that it takes nothing."""
    patient = await patient_queries.get_locked(session, actor, patient_id)
    if patient is None:
        raise not_found("patient", "patientId")
    if refusal := may_decide(actor, patient):
        raise refusal
    if not patient.edited_details:
        raise Refusal(ErrorCode.CONFLICT, "The provider has been told of every edit.", ("patientId",))
    held = await queries.held(session, patient)
    if held is not None:
        held.insist = True
    await patients.send_details(session, patient, {})
    await session.flush()
    await session.refresh(patient)
    return patient
