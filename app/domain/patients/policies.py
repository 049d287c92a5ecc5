"""A dietician's patients are theirs; a patient sees the own record; nobody else sees any."""

from sqlalchemy import ColumnElement, false

from app.core.errors import ErrorCode, Refusal
from app.domain.identity.models import Role
from app.domain.identity.policies import Actor
from app.domain.patients.models import Patient


def readable(actor: Actor) -> ColumnElement[bool]:
    match actor.role:
        case Role.DIETICIAN:
            return Patient.user_id == actor.id
        case Role.PATIENT:
            return Patient.account_id == actor.id
        case _:
            return false()


def may_create(actor: Actor) -> Refusal | None:
    if actor.role is Role.DIETICIAN:
        return None
    return Refusal(ErrorCode.FORBIDDEN, "Only a dietician may add a patient.")


def may_edit(actor: Actor, patient: Patient) -> Refusal | None:
    if actor.role is Role.DIETICIAN and patient.user_id == actor.id:
        return None
    return Refusal(ErrorCode.FORBIDDEN, "Only the responsible dietician may change this record.")
