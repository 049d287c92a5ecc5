"""Runs and logs are seen by who sees the patient; they are started and stopped by the responsible dietician."""

from sqlalchemy import ColumnElement, false, select

from app.core.errors import Refusal
from app.domain.identity.models import Role
from app.domain.identity.policies import Actor
from app.domain.patients import policies as patients
from app.domain.patients.models import Patient
from app.domain.sync.models import SynchronizationLog, SyncRun


def readable(actor: Actor, row: type[SyncRun] | type[SynchronizationLog]) -> ColumnElement[bool]:
    match actor.role:
        case Role.DIETICIAN:
            return row.owner_id == actor.id
        case Role.PATIENT:
            own = select(Patient.id).where(Patient.account_id == actor.id, Patient.deleted_at.is_(None))
            return row.patient_id.in_(own)
        case _:
            return false()


def may_sync(actor: Actor, patient: Patient) -> Refusal | None:
    return patients.may_edit(actor, patient)
