"""Reads of runs, failures, logs and receipts; what a caller sees starts from `visible`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import page
from app.domain.identity.policies import Actor
from app.domain.patients.models import Patient
from app.domain.sync import rules
from app.domain.sync.models import (
    OPEN_STATUSES,
    LogStatus,
    PlatformEvent,
    PlatformReceipt,
    RunMode,
    RunStatus,
    Severity,
    SyncCursor,
    SyncFailure,
    SynchronizationLog,
    SyncKey,
    SyncPage,
    SyncRun,
)
from app.domain.sync.policies import readable
from app.domain.sync.rules import Page, Scope

CONCLUSIVE = (RunStatus.SUCCEEDED, RunStatus.SUCCEEDED_WITH_GAPS, RunStatus.FAILED)
RUNS = page.Order("runs", ((SyncRun.id, UUID),), descending=True)
FAILURES = page.Order("failures", ((SyncFailure.id, UUID),))
LOGS = page.Order("logs", ((SynchronizationLog.timestamp, datetime), (SynchronizationLog.id, UUID)), descending=True)


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
    keyed = select(SyncKey.run_id).where(SyncKey.requested_by == actor.id, SyncKey.key == key)
    return await session.scalar(select(SyncRun).where(SyncRun.id.in_(keyed)))


async def open_run(session: AsyncSession, patient_id: UUID) -> SyncRun | None:
    return await session.scalar(
        select(SyncRun).where(SyncRun.patient_id == patient_id, SyncRun.status.in_(OPEN_STATUSES))
    )


async def run(session: AsyncSession, run_id: UUID) -> SyncRun | None:
    """For workers, who act on an accepted request."""
    return await session.get(SyncRun, run_id)


async def is_overtaken(session: AsyncSession, run: SyncRun) -> bool:
    """Whether a later run of the same patient has come to an end of its own, which says how things stand. A cancelled one says
    nothing."""
    if run.finished_at is None:
        return False
    row = SyncRun
    later = select(row.id).where(
        row.patient_id == run.patient_id, row.finished_at > run.finished_at, row.status.in_(CONCLUSIVE)
    )
    return await session.scalar(later.limit(1)) is not None


async def run_locked(session: AsyncSession, run_id: UUID) -> SyncRun:
    statement = select(SyncRun).where(SyncRun.id == run_id).with_for_update()
    return (await session.scalars(statement.execution_options(populate_existing=True))).one()


async def pages(session: AsyncSession, run_id: UUID) -> Sequence[Page]:
    """The ledger of a run, without what each page showed."""
    row = SyncPage
    rows = await session.execute(
        select(row.resource_type, row.number, row.next_link, row.expected, row.seen, row.failed, row.filtered)
        .where(row.run_id == run_id)
        .order_by(row.resource_type, row.number)
    )
    return [Page(*line) for line in rows]


async def references_listed(session: AsyncSession, run_id: UUID) -> set[str]:
    """The references that a run's listings have shown so far."""
    rows = await session.scalars(select(func.unnest(SyncPage.listed)).where(SyncPage.run_id == run_id))
    return {*rows}


async def gaps(session: AsyncSession, run_id: UUID) -> Sequence[tuple[str, str]]:
    """Reference and code of everything that a run has failed at."""
    row = SyncFailure
    rows = await session.execute(
        select(row.reference, row.code).where(row.run_id == run_id, row.severity == Severity.FAILURE).order_by(row.id)
    )
    return [(it.reference, it.code) for it in rows]


async def failure_count(session: AsyncSession, run_id: UUID) -> int:
    return (
        await session.scalar(
            select(func.count()).where(SyncFailure.run_id == run_id, SyncFailure.severity == Severity.FAILURE)
        )
        or 0
    )


async def failure_codes(session: AsyncSession, run_id: UUID) -> Sequence[tuple[str, int]]:
    """Why a run has gaps, the most frequent reason first."""
    count = func.count()
    rows = await session.execute(
        select(SyncFailure.code, count)
        .where(SyncFailure.run_id == run_id, SyncFailure.severity == Severity.FAILURE)
        .group_by(SyncFailure.code)
        .order_by(count.desc(), SyncFailure.code)
    )
    return [(code, number) for code, number in rows]


async def is_noted(session: AsyncSession, run_id: UUID, reference: str, code: str) -> bool:
    row = SyncFailure
    noted = select(row.id).where(row.run_id == run_id, row.reference == reference, row.code == code).limit(1)
    return await session.scalar(noted) is not None


async def repeated(session: AsyncSession, run: SyncRun) -> SyncRun:
    """The run whose failures this one takes up."""
    return (await session.scalars(select(SyncRun).where(SyncRun.id == run.retry_of_id))).one()


async def retry_scope(session: AsyncSession, run: SyncRun, resource_types: Sequence[str]) -> Scope:
    """What is left to do of the run that this one repeats. That may be a retry too: then of what was its part."""
    before = await repeated(session, run)
    listings, untouched = resource_types, list[str]()
    if before.mode is RunMode.RETRY:
        part = await retry_scope(session, before, resource_types)
        met = await references_listed(session, before.id)
        listings, untouched = part.listings, [it for it in part.references if it not in met]
    scope = rules.retry_scope(await pages(session, before.id), await gaps(session, before.id), listings, resource_types)
    return replace(scope, references=(*dict.fromkeys((*scope.references, *untouched)),))


async def listing_so_far(session: AsyncSession, run: SyncRun, resource_type: str) -> Sequence[Page]:
    """The stored pages of one listing; where a retry goes on with what the run that it repeats has begun, those come first."""
    found = [page for page in await pages(session, run.id) if page.resource_type == resource_type]
    if run.mode is RunMode.RETRY and resource_type in (await retry_scope(session, run, (resource_type,))).onward:
        found = [*await listing_so_far(session, await repeated(session, run), resource_type), *found]
    return found


async def has_cursor(session: AsyncSession, patient: Patient) -> bool:
    """Whether something says since when this patient's changes at the provider are to be asked for."""
    row = SyncCursor
    found = select(row.id).where(
        row.patient_id == patient.id,
        row.provider_id == patient.primary_provider_id,
        row.provider_patient_id == patient.provider_patient_id,
    )
    return await session.scalar(found) is not None


async def cursor(session: AsyncSession, run: SyncRun) -> datetime | None:
    row = SyncCursor
    return await session.scalar(
        select(row.since).where(
            row.patient_id == run.patient_id,
            row.provider_id == run.provider_id,
            row.provider_patient_id == run.provider_patient_id,
        )
    )


async def receipts_locked(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, PlatformReceipt]:
    statement = select(PlatformReceipt).where(PlatformReceipt.id.in_(ids)).order_by(PlatformReceipt.id)
    return {row.id: row for row in await session.scalars(statement.with_for_update())}


async def platform_event(session: AsyncSession, event_id: UUID) -> PlatformEvent | None:
    return await session.get(PlatformEvent, event_id)
