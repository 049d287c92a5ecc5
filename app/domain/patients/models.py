"""The people whose history is kept."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Json, Record


class PatientSyncStatus(StrEnum):
    """How the patient's latest synchronisation stands."""

    NEVER = "NEVER"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    SUCCEEDED_WITH_GAPS = "SUCCEEDED_WITH_GAPS"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class Patient(Record, Base):
    """A person in a dietician's care. FHIR: Patient.

    `user_id` is the responsible dietician, `account_id` the patient's own user. `contact_details` is `{phone, address}`,
    `dietary_preferences` `{allergies: [], restrictions: [], notes}`. `provider_patient_id` is the Patient's logical id at
    the primary provider."""

    __tablename__ = "patients"

    name: Mapped[str]
    email: Mapped[str | None]
    birth_date: Mapped[date | None]
    contact_details: Mapped[Json] = mapped_column(server_default="{}")
    medical_history: Mapped[str | None]
    dietary_preferences: Mapped[Json] = mapped_column(server_default="{}")
    carepatron_patient_id: Mapped[str | None]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    primary_provider_id: Mapped[UUID | None] = mapped_column(ForeignKey("providers.id"))
    provider_patient_id: Mapped[str | None]
    platform_id: Mapped[UUID | None] = mapped_column(ForeignKey("platforms.id"))
    sync_status: Mapped[PatientSyncStatus] = mapped_column(server_default=PatientSyncStatus.NEVER)
    last_verified_at: Mapped[datetime | None]
    """When everything at the provider was last known to be here too."""
    edited_details: Mapped[Json] = mapped_column(server_default="{}")
    """Edits that the primary provider has not been told of yet: the field, and what it was before."""


Index("ix_patients_user_id_name", Patient.user_id, func.lower(Patient.name), Patient.id)
Index("ix_patients_account_id", Patient.account_id)
Index("ix_patients_email", func.lower(Patient.email))
Index(
    "ix_patients_name_trgm",
    Patient.name,
    postgresql_using="gin",
    postgresql_ops={"name": "gin_trgm_ops"},
)
