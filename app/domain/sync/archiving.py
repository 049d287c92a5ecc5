"""What workers record of documents that leave the care platform: withdrawn, retracted, deleted, or replaced by a new
version. The claim was checked first (`work.hold`)."""

# ruff: noqa: S608 - only our own conditions are put together; every value is bound.

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.platform.port import PlatformError, ReceiptState
from app.domain.sync import queries
from app.domain.sync.events import SyncEventKind
from app.domain.sync.handover import FREE, FROM, HERE, NEWEST, WANTED, Handover, log, note, run_of
from app.domain.sync.models import LogAction, LogStatus
from app.domain.sync.recording import Problem, tell


@dataclass(frozen=True, slots=True)
class Leaving:
    """A file that the platform is to have no longer. Without an id of the platform's nobody knows yet whether it is there."""

    receipt_id: UUID
    document_id: UUID
    title: str
    reference: str
    attachment_id: str | None


@dataclass(frozen=True, slots=True)
class Left:
    """What came of one that was to leave. `was_there` tells whether there was anything to take out."""

    leaving: Leaving
    was_there: bool = True
    error: PlatformError | None = None


# An older version goes only after every file of the newer one has been confirmed: the platform is never without any.
REPLACED = f"""
    (f.version < {NEWEST} AND EXISTS (
      SELECT FROM platform_receipts s JOIN files n ON n.id = s.file_id
      WHERE s.document_id = d.id AND s.platform_id = r.platform_id AND s.state = 'CONFIRMED' AND n.version = {NEWEST}
    ) AND NOT EXISTS (
      SELECT FROM files n LEFT JOIN platform_receipts s ON s.file_id = n.id AND s.platform_id = r.platform_id
      WHERE n.document_id = d.id AND n.version = {NEWEST} AND n.sha256 IS NOT NULL AND s.state IS DISTINCT FROM 'CONFIRMED'
    ))
"""
GONE = "(d.deleted_at IS NOT NULL OR d.status IN ('WITHDRAWN', 'RETRACTED'))"
NEVER_SENT = text(
    f"""
    UPDATE platform_receipts SET state = 'ARCHIVED'
    WHERE id IN (
      SELECT r.id FROM {FROM} WHERE {HERE} AND {FREE} AND NOT {WANTED} AND r.state = 'PENDING' ORDER BY r.id FOR UPDATE OF r
    )
    """
)
ASK_TO_LEAVE = text(
    f"""
    UPDATE platform_receipts SET state = 'ARCHIVING', error_code = NULL
    WHERE id IN (
      SELECT r.id FROM {FROM}
      WHERE {HERE} AND {FREE} AND NOT {WANTED} AND ({GONE} OR {REPLACED})
        AND r.state IN ('SENDING', 'PROCESSING', 'CONFIRMED', 'FAILED')
      ORDER BY r.id FOR UPDATE OF r
    )
    """
)
NEXT = text(
    f"""
    WITH next AS (
      SELECT r.id FROM {FROM}
      WHERE {HERE} AND {FREE} AND r.state = 'ARCHIVING' AND NOT (r.id = ANY(:tried))
      ORDER BY r.id LIMIT :limit FOR UPDATE OF r
    ), marked AS (
      UPDATE platform_receipts r SET work_id = :work_id, attempts = r.attempts + 1 FROM next WHERE r.id = next.id
      RETURNING r.id, r.document_id, r.reference, r.attachment_id
    )
    SELECT m.*, d.title FROM marked m JOIN healthcare_documents d ON d.id = m.document_id ORDER BY m.id
    """
)


async def open_departures(session: AsyncSession, handover: Handover) -> None:
    """Marks what the platform is to have no longer. What was never sent needs nothing more."""
    await session.execute(NEVER_SENT, handover.values)
    await session.execute(ASK_TO_LEAVE, handover.values)


async def next_leaving(session: AsyncSession, handover: Handover, tried: Collection[UUID], limit: int) -> list[Leaving]:
    """The next files on their way out, but for those that were tried already."""
    rows = await session.execute(NEXT, {**handover.values, "tried": [*tried], "limit": limit})
    return [Leaving(row.id, row.document_id, row.title, row.reference, row.attachment_id) for row in rows]


async def record_left(session: AsyncSession, handover: Handover, results: Sequence[Left]) -> None:
    """Receipts and log rows of a batch. What cannot be taken out stays asked for, and is a named gap."""
    receipts = await queries.receipts_locked(session, [left.leaving.receipt_id for left in results])
    problems: list[Problem] = []
    told = False
    for left in results:
        row, leaving = receipts[left.leaving.receipt_id], left.leaving
        if row.work_id != handover.work_id or row.state is not ReceiptState.ARCHIVING:
            continue
        if left.error is None:
            row.state, row.work_id, row.error_code = ReceiptState.ARCHIVED, None, None
            if left.was_there:
                told = True
                log(session, handover, LogAction.ARCHIVED, LogStatus.SUCCESS, leaving.title, leaving.document_id)
        elif left.error.of_one_document:
            row.work_id, row.error_code = None, left.error.code
            problems.append(_stays(leaving, left.error))
    await note(session, handover, problems)
    await session.flush()
    run = await run_of(session, handover) if told else None
    if run is not None:
        await tell(session, run, SyncEventKind.PAGE_STORED)


def _stays(leaving: Leaving, error: PlatformError) -> Problem:
    return Problem(
        f"document/{leaving.document_id}",
        error.code,
        error.detail,
        document_id=leaving.document_id,
        action=LogAction.ARCHIVE_FAILED,
    )
