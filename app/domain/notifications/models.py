"""What a person is told, until it is mended or read."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Record


class NotificationKind(StrEnum):
    """What it is about."""

    SYNC_FAILED = "SYNC_FAILED"
    SYNC_INCOMPLETE = "SYNC_INCOMPLETE"
    DETAILS_SENT = "DETAILS_SENT"
    DETAILS_FAILED = "DETAILS_FAILED"
    DETAILS_CONFLICT = "DETAILS_CONFLICT"
    CONNECTION_LOST = "CONNECTION_LOST"


class SubjectType(StrEnum):
    """What kind of thing it leads to; the names of the API."""

    RUN = "SyncRun"
    CONFLICT = "PatientConflict"
    PATIENT = "Patient"
    PROVIDER = "Provider"


class Notification(Record, Base):
    """One thing that one person should know. FHIR: Communication.

    No health data: a patient's name, and words of the failure catalogue. `fold` names what it is about: while one is not
    settled, the same again is counted there and not told again."""

    __tablename__ = "notifications"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    patient_id: Mapped[UUID | None] = mapped_column(ForeignKey("patients.id"))
    """Whose name it holds: who may no longer see the patient no longer sees it."""
    kind: Mapped[NotificationKind]
    title: Mapped[str]
    body: Mapped[str]
    code: Mapped[str | None]
    """The failure catalogue's, for the steps."""
    hint: Mapped[str]
    """What support should be told; empty where there is nothing to ask support about."""
    subject_type: Mapped[SubjectType]
    subject_id: Mapped[UUID]
    fold: Mapped[str | None]
    times: Mapped[int] = mapped_column(server_default="1")
    read_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]
    """When what it tells of was over."""


Index("ix_notifications_user_id", Notification.user_id, Notification.id)
Index(
    "ix_notifications_unread",
    Notification.user_id,
    Notification.id,
    postgresql_where=text("read_at IS NULL AND deleted_at IS NULL"),
)
Index(
    "uq_notifications_fold",
    Notification.user_id,
    Notification.fold,
    unique=True,
    postgresql_where=text("fold IS NOT NULL AND settled_at IS NULL"),
)
Index("ix_notifications_fold", Notification.fold, postgresql_where=text("fold IS NOT NULL AND settled_at IS NULL"))
