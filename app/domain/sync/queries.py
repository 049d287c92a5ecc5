"""Reads of runs, failures, logs and receipts; what a caller sees starts from `visible`."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.platform.port import ReceiptState
from app.core import page
from app.domain.documents.models import DocumentStatus, HealthcareDocument
from app.domain.identity.policies import Actor
from app.domain.sync.models import (
    OPEN_STATUSES,
    LogStatus,
    PlatformReceipt,
    Severity,
    SyncCursor,
    SyncFailure,
    SynchronizationLog,
    SyncPage,
    SyncRun,
)
from app.domain.sync.policies import readable

RUNS = page.Order("runs", ((SyncRun.id, UUID),), descending=True)
FAILURES = page.Order("failures", ((SyncFailure.id, UUID),))
LOGS = page.Order("logs", ((SynchronizationLog.timestamp, datetime), (SynchronizationLog.id, UUID)), descending=True)
UNSENT = (ReceiptState.PENDING, ReceiptState.SENDING)
UNFINISHED = (*UNSENT, ReceiptState.PROCESSING)


@dataclass(frozen=True, slots=True)
class LogFilter:
    patient_id: UUID | None = None
    document_id: UUID | None = None
    run_id: UUID | None = None
    actions: Sequence[str] | None = None
    statuses: Sequence[LogStatus] | None = None
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self) -> Iterable[ColumnElement[bool]]:
        row = SynchronizationLog
        if self.patient_id:
            yield row.patient_id == self.patient_id
        if self.document_id:
            yield row.document_id == self.document_id
        if self.run_id:
            yield row.run_id == self.run_id
        if self.actions:
            yield row.action.in_(self.actions)
        if self.statuses:
            yield row.status.in_(self.statuses)
        if self.since:
            yield row.timestamp >= self.since
        if self.until:
            yield row.timestamp <= self.until


def visible(actor: Actor) -> Select[SyncRun]:
    return select(SyncRun).where(SyncRun.deleted_at.is_(None), readable(actor, SyncRun))


def visible_logs(actor: Actor) -> Select[SynchronizationLog]:
    return select(SynchronizationLog).where(
        SynchronizationLog.deleted_at.is_(None), readable(actor, SynchronizationLog)
    )


def listed(actor: Actor, patient_id: UUID | None = None) -> Select[SyncRun]:
    statement = visible(actor)
    return statement.where(SyncRun.patient_id == patient_id) if patient_id else statement


def listed_logs(actor: Actor, wanted: LogFilter, search: str | None = None) -> Select[SynchronizationLog]:
    statement = visible_logs(actor).where(*wanted.conditions())
    if search:
        row = SynchronizationLog
        statement = statement.where(
            row.details.icontains(search, autoescape=True) | row.action.icontains(search, autoescape=True)
        )
    return statement


def failures(run_id: UUID) -> Select[SyncFailure]:
    return select(SyncFailure).where(SyncFailure.run_id == run_id)


async def get(session: AsyncSession, actor: Actor, run_id: UUID) -> SyncRun | None:
    return await session.scalar(visible(actor).where(SyncRun.id == run_id))


async def by_ids(session: AsyncSession, actor: Actor, ids: Sequence[UUID]) -> dict[UUID, SyncRun]:
    rows = await session.scalars(visible(actor).where(SyncRun.id.in_(ids)))
    return {row.id: row for row in rows}


async def get_log(session: AsyncSession, actor: Actor, log_id: UUID) -> SynchronizationLog | None:
    return await session.scalar(visible_logs(actor).where(SynchronizationLog.id == log_id))


async def get_failure(session: AsyncSession, actor: Actor, failure_id: UUID) -> SyncFailure | None:
    runs = visible(actor).with_only_columns(SyncRun.id)
    return await session.scalar(select(SyncFailure).where(SyncFailure.id == failure_id, SyncFailure.run_id.in_(runs)))


async def latest_by_patient(session: AsyncSession, actor: Actor, patient_ids: Sequence[UUID]) -> dict[UUID, SyncRun]:
    rows = await session.scalars(
        visible(actor)
        .where(SyncRun.patient_id.in_(patient_ids))
        .ext(distinct_on(SyncRun.patient_id))
        .order_by(SyncRun.patient_id, SyncRun.id.desc())
    )
    return {row.patient_id: row for row in rows}


async def by_idempotency_key(session: AsyncSession, actor: Actor, key: str) -> SyncRun | None:
    return await session.scalar(select(SyncRun).where(SyncRun.requested_by == actor.id, SyncRun.idempotency_key == key))


async def open_run(session: AsyncSession, patient_id: UUID) -> SyncRun | None:
    return await session.scalar(
        select(SyncRun).where(SyncRun.patient_id == patient_id, SyncRun.status.in_(OPEN_STATUSES))
    )


async def run(session: AsyncSession, run_id: UUID) -> SyncRun | None:
    """For workers, who act on an accepted request."""
    return await session.get(SyncRun, run_id)


async def run_locked(session: AsyncSession, run_id: UUID) -> SyncRun:
    statement = select(SyncRun).where(SyncRun.id == run_id).with_for_update()
    return (await session.scalars(statement.execution_options(populate_existing=True))).one()


async def pages(session: AsyncSession, run_id: UUID) -> Sequence[SyncPage]:
    rows = await session.scalars(
        select(SyncPage).where(SyncPage.run_id == run_id).order_by(SyncPage.resource_type, SyncPage.number)
    )
    return rows.all()


async def failure_count(session: AsyncSession, run_id: UUID) -> int:
    return (
        await session.scalar(
            select(func.count()).where(SyncFailure.run_id == run_id, SyncFailure.severity == Severity.FAILURE)
        )
        or 0
    )


async def is_noted(session: AsyncSession, run_id: UUID, reference: str, code: str) -> bool:
    row = SyncFailure
    noted = select(row.id).where(row.run_id == run_id, row.reference == reference, row.code == code).limit(1)
    return await session.scalar(noted) is not None


async def cursor(session: AsyncSession, run: SyncRun) -> datetime | None:
    row = SyncCursor
    return await session.scalar(
        select(row.since).where(
            row.patient_id == run.patient_id,
            row.provider_id == run.provider_id,
            row.provider_patient_id == run.provider_patient_id,
        )
    )


def receipts(run: SyncRun, platform_id: UUID) -> Select[PlatformReceipt]:
    """The run's receipts at one platform, without what is no longer to be handed over."""
    gone = select(HealthcareDocument.id).where(
        HealthcareDocument.status.in_((DocumentStatus.RETRACTED, DocumentStatus.WITHDRAWN))
    )
    return select(PlatformReceipt).where(
        PlatformReceipt.patient_id == run.patient_id,
        PlatformReceipt.platform_id == platform_id,
        PlatformReceipt.document_id.not_in(gone),
    )


async def in_state(
    session: AsyncSession, run: SyncRun, platform_id: UUID, states: Collection[ReceiptState], limit: int
) -> Sequence[PlatformReceipt]:
    """The next files in one of these states."""
    statement = receipts(run, platform_id).where(PlatformReceipt.state.in_(states))
    return (await session.scalars(statement.order_by(PlatformReceipt.id).limit(limit))).all()


async def receipts_locked(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, PlatformReceipt]:
    rows = await session.scalars(select(PlatformReceipt).where(PlatformReceipt.id.in_(ids)).with_for_update())
    return {row.id: row for row in rows}


async def unpublished(session: AsyncSession, run: SyncRun, platform_id: UUID) -> tuple[int, int]:
    """How many files are still to be sent, and how many to be confirmed."""
    row = receipts(run, platform_id).with_only_columns(PlatformReceipt.state).subquery()
    counts = await session.execute(
        select(
            func.count().filter(row.c.state.in_(UNSENT)), func.count().filter(row.c.state == ReceiptState.PROCESSING)
        )
    )
    to_send, to_confirm = counts.one()
    return to_send, to_confirm


async def published(session: AsyncSession, document_ids: Collection[UUID]) -> Sequence[HealthcareDocument]:
    """Those of the documents whose every file has arrived and been confirmed."""
    waiting = (
        select(PlatformReceipt.id)
        .where(PlatformReceipt.document_id == HealthcareDocument.id, PlatformReceipt.state != ReceiptState.CONFIRMED)
        .exists()
    )
    rows = await session.scalars(select(HealthcareDocument).where(HealthcareDocument.id.in_(document_ids), ~waiting))
    return rows.all()
