"""A document is seen by who sees its patient; it is changed by its source only."""

from sqlalchemy import ColumnElement, false, select

from app.core.errors import ErrorCode, Refusal
from app.domain.documents.models import HealthcareDocument, SourceKind
from app.domain.identity.models import Role
from app.domain.identity.policies import Actor
from app.domain.patients import policies as patients
from app.domain.patients.models import Patient


def readable(actor: Actor) -> ColumnElement[bool]:
    match actor.role:
        case Role.DIETICIAN:
            return HealthcareDocument.owner_id == actor.id
        case Role.PATIENT:
            own = select(Patient.id).where(Patient.account_id == actor.id, Patient.deleted_at.is_(None))
            return HealthcareDocument.patient_id.in_(own)
        case _:
            return false()


def may_upload(actor: Actor, patient: Patient) -> Refusal | None:
    return patients.may_edit(actor, patient)


def may_edit(actor: Actor, document: HealthcareDocument) -> Refusal | None:
    """The seed's rule: restricted to the source of the document."""
    if document.source is SourceKind.PROVIDER:
        return Refusal(
            ErrorCode.FORBIDDEN,
            "This document comes from the provider; it changes there and arrives by synchronisation.",
        )
    if document.uploaded_by != actor.id:
        return Refusal(ErrorCode.FORBIDDEN, "Only whoever uploaded a document may change it.")
    return None
