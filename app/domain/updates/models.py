"""Updates that nobody presses for: subscriptions at providers, their notifications, what is due for a patient."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, BulkRecord, Record


class SubscriptionStatus(StrEnum):
    """How a subscription stands."""

    REQUESTED = "REQUESTED"
    ACTIVE = "ACTIVE"
    ERROR = "ERROR"
    OFF = "OFF"


class Subscription(Record, Base):
    """What a provider is to tell us about: changes of one resource type, of all patients. FHIR: Subscription.

    Its id is a part of the address that the provider calls. `secret` is sealed; whoever calls proves with it who they are."""

    __tablename__ = "subscriptions"

    provider_id: Mapped[UUID] = mapped_column(ForeignKey("providers.id"))
    resource_type: Mapped[str]
    status: Mapped[SubscriptionStatus] = mapped_column(server_default=SubscriptionStatus.REQUESTED)
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    remote_id: Mapped[str | None]
    """The Subscription's logical id at the provider, while there is one."""
    generation: Mapped[int] = mapped_column(server_default="1")
    """Grows when the provider begins to count events anew: a number is unique in its generation."""
    last_event: Mapped[int | None] = mapped_column(BigInteger)
    """The highest number that we know of, received or announced."""
    settled_event: Mapped[int | None] = mapped_column(BigInteger)
    """Up to here every event has arrived, or has been made up for."""
    counted_at: Mapped[datetime | None]
    """When `last_event` last grew."""
    gaps: Mapped[int] = mapped_column(server_default="0")
    """How often events were missing."""
    ignored: Mapped[int] = mapped_column(server_default="0")
    """How many events were about nobody that we know."""
    last_heard_at: Mapped[datetime | None]
    checked_at: Mapped[datetime | None]
    """When the provider was last asked how the subscription stands, or was last tried."""
    spread_at: Mapped[datetime | None]
    """When a notification that names nobody last led to all patients."""
    error_code: Mapped[str | None]
    error_detail: Mapped[str | None]


Index("uq_subscriptions_resource_type", Subscription.provider_id, Subscription.resource_type, unique=True)


class SubscriptionNotification(BulkRecord, Base):
    """An event that a provider has told of. Kept for 30 days, so that a copy is known for one.

    `focus` is the resource that changed, `subject` whose it is (`Patient/…`), where the notification says so."""

    __tablename__ = "subscription_notifications"

    subscription_id: Mapped[UUID] = mapped_column(ForeignKey("subscriptions.id"))
    key: Mapped[str]
    """The same for every copy of an event: the generation with the number, or the resource with its version."""
    generation: Mapped[int]
    event_number: Mapped[int | None] = mapped_column(BigInteger)
    focus: Mapped[str] = mapped_column(server_default="")
    subject: Mapped[str] = mapped_column(server_default="")
    removed: Mapped[bool] = mapped_column(server_default="false")
    """The resource was deleted: only a listing of everything shows that."""
    handled_at: Mapped[datetime | None]


Index(
    "uq_subscription_notifications_key",
    SubscriptionNotification.subscription_id,
    SubscriptionNotification.key,
    unique=True,
)
Index(
    "ix_subscription_notifications_number",
    SubscriptionNotification.subscription_id,
    SubscriptionNotification.generation,
    SubscriptionNotification.event_number,
)
Index(
    "ix_subscription_notifications_unhandled",
    SubscriptionNotification.subscription_id,
    postgresql_where=SubscriptionNotification.handled_at.is_(None),
)
Index("ix_subscription_notifications_created_at", SubscriptionNotification.created_at)


class PatientUpdate(Record, Base):
    """What is due for a patient. A mark is a moment: a run that began later makes it good."""

    __tablename__ = "patient_updates"

    patient_id: Mapped[UUID] = mapped_column(ForeignKey("patients.id"), unique=True)
    changed_at: Mapped[datetime | None]
    """Something has changed at the provider."""
    removed_at: Mapped[datetime | None]
    """Something was deleted there: a run that lists everything is needed."""
    suspect_at: Mapped[datetime | None]
    """Something may have been missed: the next run by the schedule lists everything."""
    attempted_at: Mapped[datetime | None]
    """When an automatic run was last asked for."""


for mark in (PatientUpdate.changed_at, PatientUpdate.removed_at, PatientUpdate.suspect_at):
    Index(f"ix_patient_updates_{mark.key}", mark, postgresql_where=mark.is_not(None))
