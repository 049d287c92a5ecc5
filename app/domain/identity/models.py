"""Who may come in, and who is in."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Record


class Role(StrEnum):
    """What a person is here. The seed's `users.type`."""

    DIETICIAN = "DIETICIAN"
    PATIENT = "PATIENT"
    PRACTITIONER = "PRACTITIONER"
    ADMIN = "ADMIN"


class User(Record, Base):
    """A person with an account. FHIR: Practitioner or Person."""

    __tablename__ = "users"
    __table_args__ = (CheckConstraint("email = lower(email)", name="email_lower"),)

    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    type: Mapped[Role]
    carepatron_id: Mapped[str | None]
    password_hash: Mapped[str | None]

    @property
    def role(self) -> Role:
        return self.type


class Session(Record, Base):
    """A signed-in client. Of the refresh token only the SHA-256 is kept."""

    __tablename__ = "sessions"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    refresh_hash: Mapped[str] = mapped_column(unique=True)
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


Index("ix_sessions_user_id", Session.user_id)
