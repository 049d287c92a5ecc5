"""Synchronisation: runs, their pages and failures, the log, and what the care platform has received."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, ForeignKey, Index, Text, text
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
    """INCREMENTAL asks for what changed since the last run; FULL compares everything and notices what is gone; RETRY takes up
    what another run has failed at, and nothing else."""

    INCREMENTAL = "INCREMENTAL"
    FULL = "FULL"
    RETRY = "RETRY"


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
    ARCHIVED = "archived"
    ARCHIVE_FAILED = "archive_failed"
    PLATFORM_REMOVED = "platform_removed"
    DETAILS_SENT = "details_sent"
    DETAILS_RECEIVED = "details_received"
    DETAILS_CONFLICT = "details_conflict"
    DETAILS_FAILED = "details_failed"


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
    export_id: Mapped[UUID | None]
    """The export of a whole group that its pages come from, instead of from searches. No key: it belongs to a higher context."""
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
    compared_at: Mapped[datetime | None]
    """When everything here was held against a complete listing: what the provider no longer has is withdrawn since."""
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
Index(
    "uq_sync_runs_export",
    SyncRun.export_id,
    SyncRun.patient_id,
    unique=True,
    postgresql_where=SyncRun.export_id.is_not(None),
)
Index("ix_sync_runs_patient_id", SyncRun.patient_id, SyncRun.id)
Index("ix_sync_runs_owner_id", SyncRun.owner_id, SyncRun.id)


class SyncKey(Record, Base):
    """A client's own name for a request, and the run that answered it: a new one, or the one that was under way."""

    __tablename__ = "sync_keys"

    requested_by: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    key: Mapped[str]
    run_id: Mapped[UUID] = mapped_column(ForeignKey("sync_runs.id"))


Index("uq_sync_keys_key", SyncKey.requested_by, SyncKey.key, unique=True)


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
    listed: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    """The references that it showed: what a complete listing of everything does not show is gone."""


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
    """One file on its way into the care platform, or out of it. `reference` is ours and travels with it; SENDING means that
    an attempt was made whose outcome is not known yet: look before sending again. ARCHIVING is on its way out; REMOVED was
    taken out there by hand, and is not sent again by itself."""

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
    work_id: Mapped[UUID | None]
    """The job that has it in hand: for as long as that is open, no other one touches it."""


Index("uq_platform_receipts_reference", PlatformReceipt.platform_id, PlatformReceipt.reference, unique=True)
Index("ix_platform_receipts_patient", PlatformReceipt.patient_id, PlatformReceipt.state)
Index("ix_platform_receipts_attachment", PlatformReceipt.platform_id, PlatformReceipt.attachment_id)


class PlatformIntroduction(BulkRecord, Base):
    """The job that is looking for a patient at a platform, or making the record there: one at a time, or there were two."""

    __tablename__ = "platform_introductions"

    platform_id: Mapped[UUID] = mapped_column(ForeignKey("platforms.id"))
    patient_id: Mapped[UUID] = mapped_column(ForeignKey("patients.id"))
    work_id: Mapped[UUID | None]


Index(
    "uq_platform_introductions_patient",
    PlatformIntroduction.patient_id,
    PlatformIntroduction.platform_id,
    unique=True,
)


class PlatformEvent(BulkRecord, Base):
    """A verified message of a platform's: a reason to look, once. `key` is the same for one that is sent twice."""

    __tablename__ = "platform_events"

    platform_id: Mapped[UUID] = mapped_column(ForeignKey("platforms.id"))
    patient_id: Mapped[UUID | None] = mapped_column(ForeignKey("patients.id"))
    key: Mapped[str]
    kind: Mapped[str]
    attachment_id: Mapped[str | None]
    handled_at: Mapped[datetime | None]
    """When somebody had looked, or when it was plain that there was nothing to look for."""


Index("uq_platform_events_key", PlatformEvent.platform_id, PlatformEvent.key, unique=True)
Index(
    "ix_platform_events_open",
    PlatformEvent.platform_id,
    PlatformEvent.patient_id,
    postgresql_where=PlatformEvent.handled_at.is_(None),
)
