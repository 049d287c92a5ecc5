"""What workers record of documents on their way into the care platform. The claim was checked first (`work.hold`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.platform.port import PlatformError, Receipt, ReceiptState
from app.core.events import Happened
from app.domain.documents import queries as documents
from app.domain.documents.models import HealthcareDocument
from app.domain.sync import queries, rules
from app.domain.sync.events import SyncEventKind
from app.domain.sync.models import LogAction, LogStatus, PlatformReceipt, SyncRun
from app.domain.sync.recording import Problem, log, note_problems, tell


@dataclass(frozen=True, slots=True)
class Parcel:
    """A file to be sent: what the platform is told of it, and where its bytes lie."""

    receipt_id: UUID
    reference: str
    sha256: str
    filename: str
    content_type: str
    description: str
    sent_before: bool
    """An earlier attempt may have arrived: look for it before sending."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A file that the platform has taken and is still processing."""

    receipt_id: UUID
    reference: str
    attachment_id: str


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of one parcel."""

    receipt_id: UUID
    receipt: Receipt | None = None
    error: PlatformError | None = None


ASK_FOR_ALL = text(
    """
    INSERT INTO platform_receipts (platform_id, patient_id, document_id, file_id, reference)
    SELECT :platform_id, d.patient_id, d.id, f.id, concat(d.id, '/v', f.version, '/', f.position)
    FROM healthcare_documents d
    JOIN files f ON f.document_id = d.id
     AND f.version = (SELECT max(newest.version) FROM files newest WHERE newest.document_id = d.id)
    WHERE d.patient_id = :patient_id AND d.source = 'PROVIDER' AND d.deleted_at IS NULL
      AND d.status IN ('CURRENT', 'SUPERSEDED') AND f.sha256 IS NOT NULL
    ON CONFLICT (platform_id, reference) DO NOTHING
    """
)


async def open_receipts(session: AsyncSession, run_id: UUID, platform_id: UUID) -> None:
    """Makes a receipt for every file that the platform is to have, and takes up again what it did not take in an earlier run: that may
    have arrived all the same, so it is looked for first."""
    run = await queries.run_locked(session, run_id)
    await session.execute(ASK_FOR_ALL, {"platform_id": platform_id, "patient_id": run.patient_id})
    await session.execute(
        update(PlatformReceipt)
        .where(
            *_here(run, platform_id),
            PlatformReceipt.state == ReceiptState.FAILED,
            # What this run was refused itself, before it was taken up again, is named already.
            PlatformReceipt.updated_at < run.started_at,
        )
        .values(state=ReceiptState.SENDING)
    )


async def next_parcels(session: AsyncSession, run: SyncRun, platform_id: UUID, limit: int) -> list[Parcel]:
    """Marks the next files as on their way, before anything is sent: a killed worker leaves a trace to look after."""
    receipts = await queries.in_state(session, run, platform_id, queries.UNSENT, limit)
    files = await documents.file_rows(session, [receipt.file_id for receipt in receipts])
    parcels: list[Parcel] = []
    for receipt in receipts:
        file, document = files[receipt.file_id]
        parcels.append(
            Parcel(
                receipt_id=receipt.id,
                reference=receipt.reference,
                sha256=file.sha256 or "",
                filename=file.filename,
                content_type=file.content_type,
                description=_description(document),
                sent_before=receipt.state is not ReceiptState.PENDING,
            )
        )
        receipt.state = ReceiptState.SENDING
        receipt.attempts += 1
    return parcels


async def processing(session: AsyncSession, run: SyncRun, platform_id: UUID, limit: int) -> list[Taken]:
    rows = await queries.in_state(session, run, platform_id, (ReceiptState.PROCESSING,), limit)
    return [Taken(row.id, row.reference, row.attachment_id or "") for row in rows]


async def record_sent(session: AsyncSession, run_id: UUID, platform_id: UUID, results: Sequence[Sent]) -> SyncRun:
    """Receipts, counters, log rows and events of a batch: one transaction."""
    run = await queries.run_locked(session, run_id)
    receipts = await queries.receipts_locked(session, [sent.receipt_id for sent in results])
    problems: list[Problem] = []
    for sent in results:
        row = receipts[sent.receipt_id]
        if sent.receipt:
            row.state, row.attachment_id, row.error_code = sent.receipt.state, sent.receipt.attachment_id, None
        elif sent.error:
            row.error_code = sent.error.code
            if not sent.error.retryable:
                row.state = ReceiptState.FAILED
                problems.append(_refused(row, sent.error))
    note_problems(session, run, problems)
    await session.flush()
    done = await queries.published(session, {row.document_id for row in receipts.values()})
    run.published += len(done)
    to_send, to_confirm = await queries.unpublished(session, run, platform_id)
    run.percent = rules.percent(
        run, publishes=True, listed=1, sent=rules.published_share(run.published, to_send, to_confirm)
    )
    for document in done:
        log(session, run, LogAction.PUBLISHED, LogStatus.SUCCESS, document.title, document.id)
    told = [Happened(SyncEventKind.DOCUMENT_PUBLISHED, {"run": run.id, "document": it.id}) for it in done]
    await tell(session, run, SyncEventKind.PAGE_STORED, told)
    return run


async def give_up(session: AsyncSession, run_id: UUID, platform_id: UUID, error: PlatformError) -> None:
    """The platform cannot be had: what was not sent is named as a gap, and tried again by the next run."""
    run = await queries.run_locked(session, run_id)
    await session.execute(
        update(PlatformReceipt)
        .where(*_here(run, platform_id), PlatformReceipt.state.in_(queries.UNFINISHED))
        .values(state=ReceiptState.FAILED, error_code=error.code)
    )
    note_problems(session, run, [Problem("platform", error.code, error.detail, action=LogAction.PUBLISH_FAILED)])


def _here(run: SyncRun, platform_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return PlatformReceipt.patient_id == run.patient_id, PlatformReceipt.platform_id == platform_id


def _refused(receipt: PlatformReceipt, error: PlatformError) -> Problem:
    return Problem(
        f"document/{receipt.document_id}",
        error.code,
        error.detail,
        document_id=receipt.document_id,
        action=LogAction.PUBLISH_FAILED,
    )


def _description(document: HealthcareDocument) -> str:
    day = f" ({document.date:%Y-%m-%d})" if document.date else ""
    return f"{document.title}{day}"
