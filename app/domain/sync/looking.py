"""What a care platform says of itself: messages that give a reason to look, and what was seen then."""

# ruff: noqa: S608 - only our own conditions are put together; every value is bound.

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.platform.port import ReceiptState, WebhookEvent
from app.core import work
from app.domain.sync import publishing, queries
from app.domain.sync.events import LOOK
from app.domain.sync.handover import FREE, Handover, log
from app.domain.sync.models import LogAction, LogStatus, PlatformEvent, PlatformReceipt

KEPT = timedelta(days=30)
"""As long as a repeated message is recognised. What is older was refused by its time before it came here."""
THERE = [ReceiptState.PROCESSING, ReceiptState.CONFIRMED]

# A receipt that a job has in hand is left to it: what is being archived is expected to disappear, and what is being
# confirmed is asked for anyway.
CONCERNS = text(
    f"""
    SELECT r.patient_id FROM platform_receipts r
    WHERE r.platform_id = :platform_id AND r.attachment_id = :attachment_id AND {FREE}
      AND (r.state = 'PROCESSING' OR r.state = 'CONFIRMED' AND NOT :finished OR r.state = 'FAILED' AND :finished)
    LIMIT 1
    """
)
KNOWN = text(
    f"""
    SELECT r.id, r.attachment_id, r.state FROM platform_receipts r
    WHERE r.platform_id = :platform_id AND r.patient_id = :patient_id AND r.attachment_id IS NOT NULL AND {FREE}
      AND r.state IN ('PROCESSING', 'CONFIRMED', 'FAILED')
    """
)
STILL_FREE = text(f"SELECT r.id FROM platform_receipts r WHERE r.id = ANY(:ids) AND {FREE}")
HANDLED = text(
    """
    UPDATE platform_events SET handled_at = clock_timestamp()
    WHERE platform_id = :platform_id AND patient_id = :patient_id AND handled_at IS NULL AND id = ANY(:events)
    """
)
OPEN_EVENTS = text(
    """
    SELECT id FROM platform_events
    WHERE platform_id = :platform_id AND patient_id = :patient_id AND handled_at IS NULL
    """
)
FORGET = text(
    "DELETE FROM platform_events WHERE platform_id = :platform_id AND created_at < now() - CAST(:kept AS interval)"
)
TITLES = text("SELECT id, title FROM healthcare_documents WHERE id = ANY(:ids)")


@dataclass(frozen=True, slots=True)
class Known:
    """A file that the platform should have, as it stood before we looked."""

    receipt_id: UUID
    attachment_id: str
    state: ReceiptState


async def receive(session: AsyncSession, platform_id: UUID, event: WebhookEvent) -> bool:
    """Keeps a verified message, and asks for a look where it is about something of ours. False where it came before."""
    patient_id = await _concerned(session, platform_id, event)
    kept = await session.scalar(
        insert(PlatformEvent)
        .values(
            platform_id=platform_id,
            patient_id=patient_id,
            key=event.key,
            kind=event.kind,
            attachment_id=event.attachment_id,
            handled_at=None if patient_id else text("clock_timestamp()"),
        )
        .on_conflict_do_nothing(index_elements=[PlatformEvent.platform_id, PlatformEvent.key])
        .returning(PlatformEvent.id)
    )
    if kept is not None and patient_id is not None:
        await work.ask(session, LOOK, kept)
    return kept is not None


async def _concerned(session: AsyncSession, platform_id: UUID, event: WebhookEvent) -> UUID | None:
    """Whose documents may have changed by this. What others put there, and what we did there ourselves, is no reason."""
    action = event.kind.rpartition(".")[2]
    if event.attachment_id is None or action == "created":
        return None
    values = {"platform_id": platform_id, "attachment_id": event.attachment_id, "work_id": None, "lease": work.LEASE}
    return await session.scalar(CONCERNS, values | {"finished": action == "processed"})


async def known(session: AsyncSession, handover: Handover) -> list[Known]:
    """What should be at the platform, but for what another job has in hand."""
    rows = await session.execute(KNOWN, handover.values)
    return [Known(row.id, row.attachment_id, ReceiptState(row.state)) for row in rows]


async def open_events(session: AsyncSession, handover: Handover) -> list[UUID]:
    return [row.id for row in await session.execute(OPEN_EVENTS, handover.values)]


async def handled(session: AsyncSession, handover: Handover, event_ids: Collection[UUID]) -> None:
    """These messages were the reason for a look that has been taken."""
    await session.execute(HANDLED, {**handover.values, "events": [*event_ids]})
    await session.execute(FORGET, {"platform_id": handover.platform_id, "kept": KEPT})


async def record_removed(session: AsyncSession, handover: Handover, seen: Collection[Known]) -> None:
    """Somebody has removed these there by hand: said in the history, and not sent again by ourselves."""
    receipts = await _free(session, handover, seen)
    before = {it.receipt_id: it for it in seen}
    gone = [row for row in receipts if row.state in THERE and row.attachment_id == before[row.id].attachment_id]
    titles = await _titles(session, [row.document_id for row in gone])
    for row in gone:
        row.state, row.work_id = ReceiptState.REMOVED, None
        words = f"{titles.get(row.document_id, '')}: removed at the care platform by hand. It is kept here."
        log(session, handover, LogAction.PLATFORM_REMOVED, LogStatus.WARNING, words, row.document_id)


async def record_confirmed(session: AsyncSession, handover: Handover, seen: Collection[Known]) -> None:
    """The platform has finished with these: nobody has to ask for them any more."""
    settled: set[UUID] = set()
    for row in await _free(session, handover, seen):
        if row.state in (ReceiptState.PROCESSING, ReceiptState.FAILED):
            row.state, row.error_code, row.work_id = ReceiptState.CONFIRMED, None, None
            settled.add(row.document_id)
    await session.flush()
    await publishing.tell_whole(session, handover, None, settled)


async def _free(session: AsyncSession, handover: Handover, seen: Collection[Known]) -> list[PlatformReceipt]:
    """Those of them that no other job has in hand, locked."""
    receipts = await queries.receipts_locked(session, [it.receipt_id for it in seen])
    free = await session.scalars(STILL_FREE, {**handover.values, "ids": [*receipts]})
    return [receipts[it] for it in free]


async def _titles(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, str]:
    return {row.id: row.title for row in await session.execute(TITLES, {"ids": [*ids]})}
