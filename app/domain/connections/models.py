"""Our ways out: the Primary Healthcare Providers that documents come from, the care platforms that they go to."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ARRAY, Text
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

    `credentials` is sealed JSON; `capabilities` the card of the last probe: `[{name, supported, detail}]`."""

    __tablename__ = "providers"

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


class Platform(Record, Base):
    """A care platform that dieticians work in, and our key to it. `credentials` is sealed JSON."""

    __tablename__ = "platforms"

    name: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[PlatformKind]
    base_url: Mapped[str]
    credentials: Mapped[bytes | None]
