"""Synchronisation: runs, their pages and failures, the log, and what the care platform has received."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.connectors.platform.port import ReceiptState
from app.core.db import Base, BulkRecord, Record


class RunStatus(StrEnum):
    """How a run stands."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    SUCCEEDED_WITH_GAPS = "SUCCEEDED_WITH_GAPS"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class RunStage(StrEnum):
    """What a run is doing."""

    CONNECTING = "CONNECTING"
    LISTING = "LISTING"
    FETCHING = "FETCHING"
    STORING = "STORING"
    PUBLISHING = "PUBLISHING"
    DONE = "DONE"


class RunMode(StrEnum):
    """INCREMENTAL asks for what changed since the last run; FULL compares everything and notices what is gone."""

    INCREMENTAL = "INCREMENTAL"
    FULL = "FULL"


class RunTrigger(StrEnum):
    """Who asked for a run."""

    MANUAL = "MANUAL"
    AUTOMATIC = "AUTOMATIC"


class Severity(StrEnum):
    """A FAILURE leaves a gap; a WARNING is something to know."""

    FAILURE = "FAILURE"
    WARNING = "WARNING"


class LogStatus(StrEnum):
    """How an event in the log ended."""

    STARTED = "STARTED"
    SUCCESS = "SUCCESS"
    WARNING = "WARNING"
    ERROR = "ERROR"


class LogAction(StrEnum):
    """What happened. The first two are the seed's."""

    MANUAL_SYNC = "manual_sync"
    AUTOMATIC_UPDATE = "automatic_update"
    DOCUMENT_CREATED = "document_created"
    DOCUMENT_UPDATED = "document_updated"
    DOCUMENT_WITHDRAWN = "document_withdrawn"
    DOCUMENT_FAILED = "document_failed"
    PUBLISHED = "published"
    PUBLISH_FAILED = "publish_failed"


class SyncRun(Record, Base):
    """One synchronisation of one patient. The counters are of documents, `bytes` of files fetched."""

    __tablename__ = "sync_runs"

    patient_id: Mapped[UUID] = mapped_column(ForeignKey("patients.id"))
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    provider_id: Mapped[UUID] = mapped_column(ForeignKey("providers.id"))
    provider_patient_id: Mapped[str]
    """Who the patient was at this provider when the run was asked for."""
    requested_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    retry_of_id: Mapped[UUID | None] = mapped_column(ForeignKey("sync_runs.id"))
    idempotency_key: Mapped[str | None]
    mode: Mapped[RunMode]
    trigger: Mapped[RunTrigger]
    status: Mapped[RunStatus] = mapped_column(server_default=RunStatus.QUEUED)
    stage: Mapped[RunStage] = mapped_column(server_default=RunStage.CONNECTING)
    percent: Mapped[int] = mapped_column(server_default="0")
    estimated: Mapped[bool] = mapped_column(server_default="true")
    expected: Mapped[int] = mapped_column(server_default="0")
    discovered: Mapped[int] = mapped_column(server_default="0")
    fetched: Mapped[int] = mapped_column(server_default="0")
    created: Mapped[int] = mapped_column(server_default="0")
    updated: Mapped[int] = mapped_column(server_default="0")
    unchanged: Mapped[int] = mapped_column(server_default="0")
    joined: Mapped[int] = mapped_column(server_default="0")
    skipped: Mapped[int] = mapped_column(server_default="0")
    withdrawn: Mapped[int] = mapped_column(server_default="0")
    failed: Mapped[int] = mapped_column(server_default="0")
    published: Mapped[int] = mapped_column(server_default="0")
    bytes: Mapped[int] = mapped_column(BigInteger, server_default="0")
    resumed: Mapped[int] = mapped_column(server_default="0")
    """How often another attempt took the run up again after it had begun."""
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    server_time: Mapped[datetime | None]
    """The provider's clock at the run's first page: where the next incremental run begins."""
    error_code: Mapped[str | None]
    error_detail: Mapped[str | None]


OPEN_STATUSES = (RunStatus.QUEUED, RunStatus.RUNNING)
Index(
    "uq_sync_runs_open_patient",
    SyncRun.patient_id,
    unique=True,
    postgresql_where=text("status IN ('QUEUED', 'RUNNING')"),
)
Index("uq_sync_runs_idempotency_key", SyncRun.requested_by, SyncRun.idempotency_key, unique=True)
Index("ix_sync_runs_patient_id", SyncRun.patient_id, SyncRun.id)
Index("ix_sync_runs_owner_id", SyncRun.owner_id, SyncRun.id)


class SyncPage(Record, Base):
    """A page of a listing that a run has stored: the checkpoint that it resumes from, and the ledger of its coverage."""

    __tablename__ = "sync_pages"

    run_id: Mapped[UUID] = mapped_column(ForeignKey("sync_runs.id"))
    resource_type: Mapped[str]
    number: Mapped[int]
    next_link: Mapped[str | None]
    """NULL on the last page: the listing is complete."""
    expected: Mapped[int | None]
    seen: Mapped[int]
    failed: Mapped[int]
    filtered: Mapped[bool]
    """Whether the listing was asked for changes only."""


Index("uq_sync_pages_number", SyncPage.run_id, SyncPage.resource_type, SyncPage.number, unique=True)


class SyncCursor(Record, Base):
    """Where the next incremental listing begins, on the provider's clock; good for one id of the patient there."""

    __tablename__ = "sync_cursors"

    patient_id: Mapped[UUID] = mapped_column(ForeignKey("patients.id"))
    provider_id: Mapped[UUID] = mapped_column(ForeignKey("providers.id"))
    provider_patient_id: Mapped[str]
    since: Mapped[datetime]


Index("uq_sync_cursors_patient", SyncCursor.patient_id, SyncCursor.provider_id, unique=True)


class SyncFailure(BulkRecord, Base):
    """Something that a run could not do, or noticed. `code` is one of the catalogue."""

    __tablename__ = "sync_failures"

    run_id: Mapped[UUID] = mapped_column(ForeignKey("sync_runs.id"))
    reference: Mapped[str]
    code: Mapped[str]
    detail: Mapped[str]
    severity: Mapped[Severity]


Index("ix_sync_failures_run_id", SyncFailure.run_id, SyncFailure.id)


class SynchronizationLog(BulkRecord, Base):
    """What happened to a patient's documents, and when: the history that a dietician reads."""

    __tablename__ = "synchronization_log"

    patient_id: Mapped[UUID] = mapped_column(ForeignKey("patients.id"))
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    document_id: Mapped[UUID | None] = mapped_column(ForeignKey("healthcare_documents.id"))
    run_id: Mapped[UUID | None] = mapped_column(ForeignKey("sync_runs.id"))
    action: Mapped[str]
    timestamp: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    status: Mapped[LogStatus]
    details: Mapped[str] = mapped_column(server_default="")


Index("ix_synchronization_log_owner", SynchronizationLog.owner_id, SynchronizationLog.timestamp, SynchronizationLog.id)
Index(
    "ix_synchronization_log_patient", SynchronizationLog.patient_id, SynchronizationLog.timestamp, SynchronizationLog.id
)
Index("ix_synchronization_log_document", SynchronizationLog.document_id, SynchronizationLog.timestamp)
Index("ix_synchronization_log_run", SynchronizationLog.run_id, SynchronizationLog.timestamp)


class PlatformReceipt(BulkRecord, Base):
    """One file on its way into the care platform. `reference` is ours and travels with it; SENDING means that an attempt
    was made whose outcome is not known yet: look before sending again."""

    __tablename__ = "platform_receipts"

    platform_id: Mapped[UUID] = mapped_column(ForeignKey("platforms.id"))
    patient_id: Mapped[UUID] = mapped_column(ForeignKey("patients.id"))
    document_id: Mapped[UUID] = mapped_column(ForeignKey("healthcare_documents.id"))
    file_id: Mapped[UUID] = mapped_column(ForeignKey("files.id"))
    reference: Mapped[str]
    attachment_id: Mapped[str | None]
    state: Mapped[ReceiptState] = mapped_column(server_default=ReceiptState.PENDING)
    attempts: Mapped[int] = mapped_column(server_default="0")
    error_code: Mapped[str | None]


Index("uq_platform_receipts_reference", PlatformReceipt.platform_id, PlatformReceipt.reference, unique=True)
Index("ix_platform_receipts_patient", PlatformReceipt.patient_id, PlatformReceipt.state)
