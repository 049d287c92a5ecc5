"""Everybody sees their own notifications, as long as they may see whom these name."""

from sqlalchemy import ColumnElement, or_, select

from app.domain.identity.policies import Actor
from app.domain.notifications.models import Notification
from app.domain.patients import policies as patients
from app.domain.patients.models import Patient


def readable(actor: Actor) -> ColumnElement[bool]:
    seen = select(Patient.id).where(
        Patient.id == Notification.patient_id, Patient.deleted_at.is_(None), patients.readable(actor)
    )
    return (Notification.user_id == actor.id) & or_(Notification.patient_id.is_(None), seen.exists())
