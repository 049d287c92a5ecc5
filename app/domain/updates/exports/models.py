"""Exports of a whole group: what a provider was asked for, its files, and what waits in them for the patients' runs."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, BulkRecord, Json, Record


class ExportState(StrEnum):
    """How an export stands."""

    REQUESTED = "REQUESTED"
    PREPARING = "PREPARING"
    LOADING = "LOADING"
    STORING = "STORING"
    SUCCEEDED = "SUCCEEDED"
    SUCCEEDED_WITH_GAPS = "SUCCEEDED_WITH_GAPS"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class ExportPart(StrEnum):
    """What a file of an export holds."""

    OUTPUT = "OUTPUT"
    DELETED = "DELETED"
    ERRORS = "ERRORS"


class Export(Record, Base):
    """A provider's export of a group's documents (HL7 Bulk Data Access), or of all patients' where `group_id` is empty.

    `problems` are the first of its gaps: `[{place, code, detail}]`."""

    __tablename__ = "exports"

    provider_id: Mapped[UUID] = mapped_column(ForeignKey("providers.id"))
    group_id: Mapped[str]
    requested_by: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    state: Mapped[ExportState] = mapped_column(server_default=ExportState.REQUESTED)
    since: Mapped[datetime | None]
    """Only what has changed since is asked for; NULL: everything."""
    address: Mapped[str | None]
    """Where the provider tells how it stands, for as long as the export is kept there."""
    transaction_time: Mapped[datetime | None]
    """Up to this moment on the provider's clock everything is in it."""
    token: Mapped[bool] = mapped_column(server_default="true")
    """Whether its files are kept behind our credentials."""
    progress: Mapped[str] = mapped_column(server_default="")
    """The provider's own words while it prepares the export."""
    percent: Mapped[int] = mapped_column(server_default="0")
    files: Mapped[int] = mapped_column(server_default="0")
    files_done: Mapped[int] = mapped_column(server_default="0")
    resources: Mapped[int] = mapped_column(server_default="0")
    deletions: Mapped[int] = mapped_column(server_default="0")
    unknown: Mapped[int] = mapped_column(server_default="0")
    bytes: Mapped[int] = mapped_column(BigInteger, server_default="0")
    gaps: Mapped[int] = mapped_column(server_default="0")
    problems: Mapped[list[Json]] = mapped_column(JSONB, server_default="[]")
    patients: Mapped[int] = mapped_column(server_default="0")
    patients_done: Mapped[int] = mapped_column(server_default="0")
    patients_failed: Mapped[int] = mapped_column(server_default="0")
    started_at: Mapped[datetime | None]
    """When the provider accepted it."""
    finished_at: Mapped[datetime | None]
    error_code: Mapped[str | None]
    error_detail: Mapped[str | None]


OPEN_STATES = (ExportState.REQUESTED, ExportState.PREPARING, ExportState.LOADING, ExportState.STORING)
Index(
    "uq_exports_open",
    Export.provider_id,
    Export.group_id,
    unique=True,
    postgresql_where=text("state IN ('REQUESTED', 'PREPARING', 'LOADING', 'STORING')"),
)
Index("ix_exports_provider_id", Export.provider_id, Export.id)


class ExportFile(BulkRecord, Base):
    """A file that a manifest names, and how far it has been read."""

    __tablename__ = "export_files"

    export_id: Mapped[UUID] = mapped_column(ForeignKey("exports.id"))
    number: Mapped[int]
    part: Mapped[ExportPart]
    url: Mapped[str]
    expected: Mapped[int | None]
    """How many lines the manifest announces."""
    lines: Mapped[int] = mapped_column(server_default="0")
    """Up to this one everything is stored: where the next attempt goes on."""
    seen: Mapped[int] = mapped_column(server_default="0")
    """How many of them were not empty."""
    done: Mapped[bool] = mapped_column(server_default="false")
    error_code: Mapped[str | None]


Index("uq_export_files_number", ExportFile.export_id, ExportFile.number, unique=True)


class ExportResource(BulkRecord, Base):
    """A resource on its way to its patient's run. Gone when that run has ended."""

    __tablename__ = "export_resources"

    export_id: Mapped[UUID] = mapped_column(ForeignKey("exports.id"))
    subject: Mapped[str]
    """Whose it is: the patient's id at the provider."""
    resource_type: Mapped[str]
    reference: Mapped[str]
    data: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Its JSON; NULL where the provider says that it was deleted."""


Index("uq_export_resources_reference", ExportResource.export_id, ExportResource.reference, unique=True)
Index(
    "ix_export_resources_subject",
    ExportResource.export_id,
    ExportResource.subject,
    ExportResource.resource_type,
    ExportResource.id,
)
