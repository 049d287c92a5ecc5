"""What workers record of documents on their way into the care platform. The claim was checked first (`work.hold`)."""

# ruff: noqa: S608 - only our own conditions are put together; every value is bound.

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.platform.port import OF_THE_DOCUMENT, PlatformError, Receipt, ReceiptState
from app.core.events import Happened
from app.domain.documents.models import HealthcareDocument
from app.domain.sync import catalogue, queries, rules
from app.domain.sync.events import SyncEventKind
from app.domain.sync.handover import FREE, FROM, HERE, WANTED, Handover, introduced, log, note, note_again, run_of
from app.domain.sync.models import LogAction, LogStatus, PlatformReceipt, SynchronizationLog, SyncRun
from app.domain.sync.recording import Problem, tell

UNSENT = [ReceiptState.PENDING, ReceiptState.SENDING]
UNFINISHED = [*UNSENT, ReceiptState.PROCESSING]
FINAL = sorted(OF_THE_DOCUMENT)


@dataclass(frozen=True, slots=True)
class Parcel:
    """A file to be sent: what the platform is told of it, and where its bytes lie."""

    receipt_id: UUID
    reference: str
    sha256: str
    size: int
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
    f"""
    INSERT INTO platform_receipts (platform_id, patient_id, document_id, file_id, reference)
    SELECT :platform_id, d.patient_id, d.id, f.id, concat(d.id, '/v', f.version, '/', f.position)
    FROM healthcare_documents d JOIN files f ON f.document_id = d.id
    WHERE d.patient_id = :patient_id AND (CAST(:document_id AS uuid) IS NULL OR d.id = CAST(:document_id AS uuid))
      AND {WANTED}
    ON CONFLICT (platform_id, reference) DO NOTHING
    """
)
# What has left the platform and is wanted again is sent again; so is what failed, unless the platform refused that very file.
# What this run was refused itself, before it was taken up again, is named already.
TAKE_UP = text(
    f"""
    UPDATE platform_receipts SET state = 'SENDING', error_code = NULL,
      attachment_id = CASE WHEN state = 'ARCHIVED' THEN NULL ELSE attachment_id END
    WHERE id IN (
      SELECT r.id FROM {FROM}
      WHERE {HERE} AND {WANTED} AND {FREE} AND (
        r.state IN ('ARCHIVING', 'ARCHIVED')
        OR r.state = 'FAILED' AND NOT coalesce(r.error_code = ANY(:final), false)
           AND (CAST(:begun AS timestamptz) IS NULL OR r.updated_at < :begun)
      )
      ORDER BY r.id FOR UPDATE OF r
    )
    """
)
STILL_REFUSED = text(
    f"""
    SELECT DISTINCT d.id AS document_id, r.error_code FROM {FROM}
    WHERE {HERE} AND {WANTED} AND r.state = 'FAILED' AND r.error_code = ANY(:final) AND r.updated_at < :begun
      AND NOT EXISTS (
        SELECT FROM sync_failures s
        WHERE s.run_id = :run_id AND s.reference = concat('document/', d.id) AND s.code = r.error_code
      )
    ORDER BY d.id
    """
)
OFFER_AGAIN = text(
    f"""
    UPDATE platform_receipts SET state = 'SENDING', error_code = NULL,
      attachment_id = CASE WHEN state = 'REMOVED' THEN NULL ELSE attachment_id END
    WHERE id IN (
      SELECT r.id FROM {FROM}
      WHERE r.patient_id = :patient_id AND {WANTED}
        AND (r.state = 'REMOVED' OR r.state = 'FAILED' AND r.error_code = ANY(:final))
    )
    RETURNING id
    """
)
START_OVER = text(
    f"""
    UPDATE platform_receipts SET state = 'SENDING', attachment_id = NULL
    WHERE id IN (
      SELECT r.id FROM {FROM} WHERE {HERE} AND {FREE} AND r.state IN ('PROCESSING', 'CONFIRMED') ORDER BY r.id FOR UPDATE OF r
    )
    """
)
# Marked before anything is sent: a killed worker leaves a trace to look after.
NEXT = text(
    f"""
    WITH next AS (
      SELECT r.id, r.state FROM {FROM}
      WHERE {HERE} AND {WANTED} AND {FREE} AND r.state = ANY(:unsent)
      ORDER BY r.id LIMIT :limit FOR UPDATE OF r
    ), marked AS (
      UPDATE platform_receipts r SET state = 'SENDING', attempts = r.attempts + 1, work_id = :work_id
      FROM next WHERE r.id = next.id
      RETURNING r.id, r.reference, r.file_id, next.state AS before
    )
    SELECT m.id, m.reference, m.before, f.sha256, f.size, f.filename, f.content_type, d.title, d.date
    FROM marked m JOIN files f ON f.id = m.file_id JOIN healthcare_documents d ON d.id = f.document_id
    ORDER BY m.id
    """
)
PROCESSING = text(
    f"""
    WITH next AS (
      SELECT r.id FROM {FROM}
      WHERE {HERE} AND {WANTED} AND {FREE} AND r.state = 'PROCESSING'
      ORDER BY r.id LIMIT :limit FOR UPDATE OF r
    )
    UPDATE platform_receipts r SET work_id = :work_id FROM next WHERE r.id = next.id
    RETURNING r.id, r.reference, r.attachment_id
    """
)
LEFT = text(
    f"""
    SELECT count(*) FILTER (WHERE r.state <> 'PROCESSING') AS to_send,
           count(*) FILTER (WHERE r.state = 'PROCESSING') AS to_confirm
    FROM {FROM} WHERE {HERE} AND {WANTED} AND r.state = ANY(:unfinished)
    """
)
WHOLE = text(
    f"""
    SELECT d.id, d.title FROM healthcare_documents d
    WHERE d.id = ANY(:documents) AND (
      SELECT bool_and(r.state = 'CONFIRMED') FROM platform_receipts r JOIN files f ON f.id = r.file_id
      WHERE r.document_id = d.id AND r.platform_id = :platform_id AND {WANTED}
    )
    ORDER BY d.id
    """
)
"""Those of some documents whose every file has arrived and been confirmed."""
GIVE_UP = text(
    f"""
    UPDATE platform_receipts SET state = 'FAILED', error_code = :code, work_id = NULL
    WHERE id IN (SELECT r.id FROM {FROM} WHERE {HERE} AND {FREE} AND {WANTED} AND r.state = ANY(:unfinished))
    """
)
# Held by a job that was ended a moment ago: to be had as soon as that can no longer send.
ABOUT_TO_BE_FREE = text(
    f"""
    SELECT EXISTS (
      SELECT FROM {FROM} JOIN work w ON w.id = r.work_id AND (w.done_at IS NOT NULL OR w.dead_at IS NOT NULL)
      WHERE {HERE} AND {WANTED} AND r.state = ANY(:unfinished) AND NOT {FREE}
    )
    """
)


REMAINDER = text(
    f"""
    SELECT EXISTS (
      SELECT FROM files f JOIN healthcare_documents d ON d.id = f.document_id
      WHERE d.id = :document_id AND {WANTED}
        AND NOT EXISTS (SELECT FROM platform_receipts r WHERE r.file_id = f.id AND r.platform_id = :platform_id)
    ) OR EXISTS (
      SELECT FROM {FROM} WHERE {HERE} AND d.deleted_at IS NOT NULL AND r.state IN ('SENDING', 'PROCESSING', 'CONFIRMED')
    ) AS unseen, EXISTS (
      SELECT FROM {FROM} WHERE {HERE} AND NOT {FREE} AND r.state IN ('PENDING', 'SENDING', 'PROCESSING', 'ARCHIVING')
    ) AS elsewhere
    """
)


@dataclass(frozen=True, slots=True)
class Remainder:
    """What a job that handed a document over has not dealt with: changes that it did not see, files that another job has in
    hand."""

    unseen: bool
    elsewhere: bool


async def open_receipts(session: AsyncSession, handover: Handover) -> None:
    """Makes a receipt for every file that the platform is to have, and takes up again what it did not take before: that may
    have arrived all the same, so it is looked for first. A file that was refused for good stays a gap, and is named."""
    run = await run_of(session, handover)
    begun = run.started_at if run else None
    await session.execute(ASK_FOR_ALL, handover.values)
    await session.execute(TAKE_UP, {**handover.values, "final": FINAL, "begun": begun})
    if run is not None:
        values = {**handover.values, "final": FINAL, "begun": begun, "run_id": run.id}
        rows = await session.execute(STILL_REFUSED, values)
        gaps = [_refused(row.document_id, row.error_code, "refused before, and the same since") for row in rows]
        await note_again(session, handover, gaps)


async def start_over(session: AsyncSession, handover: Handover) -> None:
    """The platform has lost the patient's record, and with it what lay in there: all of it is on its way again."""
    await session.execute(START_OVER, {**handover.values, "document_id": None})


async def offer_again(session: AsyncSession, patient_id: UUID) -> int:
    """Because somebody has asked for it: what the platform refused for good, and what was removed there, is on its way again.
    Returns how many files that are."""
    rows = await session.execute(OFFER_AGAIN, {"patient_id": patient_id, "final": FINAL})
    return len(rows.all())


async def next_parcels(session: AsyncSession, handover: Handover, limit: int) -> list[Parcel]:
    """The next files, marked as on their way and as this job's."""
    rows = await session.execute(NEXT, {**handover.values, "unsent": UNSENT, "limit": limit})
    return [
        Parcel(
            receipt_id=row.id,
            reference=row.reference,
            sha256=row.sha256,
            size=row.size or 0,
            filename=row.filename,
            content_type=row.content_type,
            description=_description(row.title, row.date),
            sent_before=row.before != ReceiptState.PENDING,
        )
        for row in rows
    ]


async def processing(session: AsyncSession, handover: Handover, limit: int) -> list[Taken]:
    rows = await session.execute(PROCESSING, {**handover.values, "limit": limit})
    return [Taken(row.id, row.reference, row.attachment_id or "") for row in rows]


async def is_about_to_be_free(session: AsyncSession, handover: Handover) -> bool:
    """Whether something is held by a job that has just been ended from outside."""
    found = await session.scalar(ABOUT_TO_BE_FREE, {**handover.values, "unfinished": UNFINISHED})
    return bool(found)


async def left(session: AsyncSession, handover: Handover) -> tuple[int, int]:
    """How many files are still to be sent, and how many to be confirmed, whoever has them in hand."""
    row = (await session.execute(LEFT, {**handover.values, "unfinished": UNFINISHED})).one()
    return row.to_send, row.to_confirm


async def remainder(session: AsyncSession, handover: Handover) -> Remainder:
    """For one document."""
    row = (await session.execute(REMAINDER, handover.values)).one()
    return Remainder(row.unseen, row.elsewhere)


async def record_sent(session: AsyncSession, handover: Handover, results: Sequence[Sent]) -> None:
    """Receipts, counters, log rows and events of a batch: one transaction. What another job has taken over since is its."""
    run = await run_of(session, handover)
    receipts = await queries.receipts_locked(session, [sent.receipt_id for sent in results])
    problems: list[Problem] = []
    settled: set[UUID] = set()
    for sent in results:
        row = receipts[sent.receipt_id]
        if row.work_id != handover.work_id:
            continue
        settled.add(row.document_id)
        if sent.receipt:
            row.state, row.attachment_id, row.error_code = sent.receipt.state, sent.receipt.attachment_id, None
        elif sent.error:
            row.error_code = sent.error.code
            if sent.error.of_one_document:
                row.state = ReceiptState.FAILED
                problems.append(_refused(row.document_id, sent.error.code, sent.error.detail))
        if row.state in (ReceiptState.CONFIRMED, ReceiptState.FAILED):
            row.work_id = None
    await note(session, handover, problems)
    await session.flush()
    await tell_whole(session, handover, run, settled)


async def tell_whole(
    session: AsyncSession, handover: Handover, run: SyncRun | None, document_ids: Collection[UUID]
) -> None:
    """Documents that have arrived with all their files: in the history, in the run's counters and on its stream."""
    values = {"documents": [*document_ids], "platform_id": handover.platform_id}
    done = (await session.execute(WHOLE, values)).all()
    for document in done:
        log(session, handover, LogAction.PUBLISHED, LogStatus.SUCCESS, document.title, document.id)
    if run is None:
        return
    run.published += len(done)
    to_send, to_confirm = await left(session, handover)
    run.percent = rules.percent(
        run, publishes=True, listed=1, sent=rules.published_share(run.published, to_send, to_confirm)
    )
    told = [Happened(SyncEventKind.DOCUMENT_PUBLISHED, {"run": run.id, "document": it.id}) for it in done]
    await tell(session, run, SyncEventKind.PAGE_STORED, told)


async def give_up(session: AsyncSession, handover: Handover, error: PlatformError) -> None:
    """The platform cannot be had: what was not sent is named as a gap, and tried again by the next run."""
    await session.execute(GIVE_UP, {**handover.values, "unfinished": UNFINISHED, "code": error.code})
    await _let_go(session, handover)
    reference = f"document/{handover.document_id}" if handover.document_id else "platform"
    problem = Problem(
        reference, error.code, error.detail, document_id=handover.document_id, action=LogAction.PUBLISH_FAILED
    )
    await note(session, handover, [problem])


def note_undelivered(session: AsyncSession, document: HealthcareDocument, code: str, detail: str) -> None:
    """A job has ended that was to bring a document into the platform. The next run takes it up."""
    session.add(
        SynchronizationLog(
            patient_id=document.patient_id,
            owner_id=document.owner_id,
            document_id=document.id,
            action=LogAction.PUBLISH_FAILED,
            status=LogStatus.ERROR,
            details=f"{document.title}: {catalogue.advice(code).message} ({code}: {detail})",
        )
    )


async def _let_go(session: AsyncSession, handover: Handover) -> None:
    await session.execute(
        update(PlatformReceipt).where(PlatformReceipt.work_id == handover.work_id).values(work_id=None)
    )
    await introduced(session, handover)


def _refused(document_id: UUID, code: str, detail: str) -> Problem:
    return Problem(f"document/{document_id}", code, detail, document_id=document_id, action=LogAction.PUBLISH_FAILED)


def _description(title: str, date: datetime | None) -> str:
    return f"{title} ({date:%Y-%m-%d})" if date else title
