"""Our ways out: the Primary Healthcare Providers that documents come from, the care platforms that they go to."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ARRAY, CheckConstraint, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.connectors.platform.port import PlatformKind
from app.connectors.provider.port import AuthKind
from app.core.db import Base, Json, Record


class HealthStatus(StrEnum):
    """How a provider answered when it was last asked."""

    UNKNOWN = "UNKNOWN"
    HEALTHY = "HEALTHY"
    DEGRADED = "DEGRADED"
    UNREACHABLE = "UNREACHABLE"


class Provider(Record, Base):
    """A Primary Healthcare Provider's FHIR server and our key to it. FHIR: Endpoint.

    `credentials` is sealed JSON; `capabilities` the card of the last probe: `[{name, supported, detail}]`; `strategy` a
    `Strategy` of the connectors."""

    __tablename__ = "providers"
    __table_args__ = (
        CheckConstraint("sync_every_minutes >= 1", "sync_every_minutes"),
        CheckConstraint("sweep_every_days >= 1", "sweep_every_days"),
        CheckConstraint("requests_per_second > 0", "requests_per_second"),
        CheckConstraint(
            "(former_credentials IS NULL) = (key_changes_at IS NULL)"
            " AND (former_credentials IS NULL) = (former_key_until IS NULL)",
            "former_key",
        ),
    )

    name: Mapped[str] = mapped_column(unique=True)
    base_url: Mapped[str]
    auth_kind: Mapped[AuthKind]
    credentials: Mapped[bytes | None]
    file_hosts: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    page_size: Mapped[int] = mapped_column(server_default="50")
    health_status: Mapped[HealthStatus] = mapped_column(server_default=HealthStatus.UNKNOWN)
    health_checked_at: Mapped[datetime | None]
    health_detail: Mapped[str | None]
    capabilities: Mapped[list[Json]] = mapped_column(JSONB, server_default="[]")
    strategy: Mapped[Json] = mapped_column(server_default="{}")
    sync_every_minutes: Mapped[int | None]
    """How often its patients are synchronised without being asked; NULL: never."""
    sweep_every_days: Mapped[int] = mapped_column(server_default="7")
    """How often everything is compared, and not only what the provider says has changed."""
    requests_per_second: Mapped[float | None]
    """The most that the provider wants to be asked; NULL: nothing is known of a limit."""
    revision: Mapped[int] = mapped_column(server_default="1")
    """Grows with each change that an administrator makes; what probes and runs find out does not count."""
    former_credentials: Mapped[bytes | None]
    """Sealed like `credentials`: holds the key that the current one replaces, while a rotation is under way."""
    key_changes_at: Mapped[datetime | None]
    """Until then we sign with the former key, so that the provider has fetched the current one when it meets it."""
    former_key_until: Mapped[datetime | None]
    """Until then the former key stays published."""


class Platform(Record, Base):
    """A care platform that dieticians work in, and our key to it. `credentials` is sealed JSON, `webhook_secret` what the
    platform signs its messages with, sealed."""

    __tablename__ = "platforms"

    name: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[PlatformKind]
    base_url: Mapped[str]
    credentials: Mapped[bytes | None]
    webhook_secret: Mapped[bytes | None]
    webhook_checked_at: Mapped[datetime | None]
    """When we last saw to it that the platform tells us of changes."""
    webhook_problem: Mapped[str | None]
    """The code of what stood in the way."""
