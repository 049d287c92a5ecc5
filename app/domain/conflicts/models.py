"""Details of a patient that are kept here and at the provider: what both last agreed on, and where they do not."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.connectors.provider.port import PatientField
from app.core.db import Base, Json, Record


class ConflictState(StrEnum):
    """Whether somebody has decided."""

    OPEN = "OPEN"
    RESOLVED = "RESOLVED"


class Resolution(StrEnum):
    """Whose value holds."""

    OURS = "OURS"
    THEIRS = "THEIRS"


class DetailsStatus(StrEnum):
    """How a patient's details here stand to those at the provider."""

    NOT_CONNECTED = "NOT_CONNECTED"
    NOT_COMPARED = "NOT_COMPARED"
    IN_STEP = "IN_STEP"
    DIFFERENT = "DIFFERENT"
    SENDING = "SENDING"
    CONFLICT = "CONFLICT"
    FAILED = "FAILED"


class ProviderDetails(Record, Base):
    """What a provider held of a patient when we last looked: the base of the next comparison. Good for one id there."""

    __tablename__ = "provider_details"

    patient_id: Mapped[UUID] = mapped_column(ForeignKey("patients.id"))
    provider_id: Mapped[UUID] = mapped_column(ForeignKey("providers.id"))
    provider_patient_id: Mapped[str]
    version_id: Mapped[str | None]
    details: Mapped[Json | None]
    """Every `PatientField`; NULL until the patient was read."""
    revision: Mapped[int] = mapped_column(server_default="0")
    """Grows with each comparison: who has read before another one was recorded has read too early."""
    insist: Mapped[bool] = mapped_column(server_default="false")
    """A person wants it tried although the capability card says that it will be refused."""
    compared_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    error_code: Mapped[str | None]
    """Why our edits could not be sent; one of the catalogue."""
    error_detail: Mapped[str | None]


Index(
    "uq_provider_details_patient",
    ProviderDetails.patient_id,
    ProviderDetails.provider_id,
    ProviderDetails.provider_patient_id,
    unique=True,
)


class Conflict(Record, Base):
    """One field that was changed on both sides, to different values. Empty text: nothing is held."""

    __tablename__ = "conflicts"

    patient_id: Mapped[UUID] = mapped_column(ForeignKey("patients.id"))
    provider_id: Mapped[UUID] = mapped_column(ForeignKey("providers.id"))
    provider_patient_id: Mapped[str]
    field: Mapped[PatientField]
    base: Mapped[str | None]
    """What both last agreed on; NULL where they never did."""
    ours: Mapped[str]
    theirs: Mapped[str]
    provider_version: Mapped[str | None]
    state: Mapped[ConflictState] = mapped_column(server_default=ConflictState.OPEN)
    resolution: Mapped[Resolution | None]
    resolved_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    """NULL where both sides came to agree by themselves."""
    resolved_at: Mapped[datetime | None]


Index(
    "uq_conflicts_open_field",
    Conflict.patient_id,
    Conflict.provider_id,
    Conflict.provider_patient_id,
    Conflict.field,
    unique=True,
    postgresql_where=text("state = 'OPEN'"),
)
Index("ix_conflicts_patient_id", Conflict.patient_id, Conflict.id)
