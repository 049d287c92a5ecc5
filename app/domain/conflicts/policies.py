"""What differs from the provider is the responsible dietician's business, and nobody else's."""

from sqlalchemy import ColumnElement, and_, false

from app.core.errors import ErrorCode, Refusal
from app.domain.identity.models import Role
from app.domain.identity.policies import Actor
from app.domain.patients import policies as patients
from app.domain.patients.models import Patient


def readable_patients(actor: Actor) -> ColumnElement[bool]:
    """Those whose conflicts the caller may see."""
    if actor.role is not Role.DIETICIAN:
        return false()
    return and_(patients.readable(actor), Patient.deleted_at.is_(None))


def may_decide(actor: Actor, patient: Patient) -> Refusal | None:
    return patients.may_edit(actor, patient)


def may_see(actor: Actor, patient: Patient) -> Refusal | None:
    if patients.may_edit(actor, patient) is None:
        return None
    return Refusal(ErrorCode.FORBIDDEN, "Only the responsible dietician sees what differs from the provider.")
