"""What workers record of a run. Every function here runs in a transaction whose claim was checked first (`work.hold`)."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import events, work
from app.core.db import copy
from app.core.events import Happened
from app.core.ids import uuid7
from app.domain.documents import recording as documents
from app.domain.documents.models import HealthcareDocument, Integrity
from app.domain.documents.recording import Received
from app.domain.documents.rules import Incoming, Outcome
from app.domain.documents.storing import Fresh, Origin
from app.domain.patients import commands as patients
from app.domain.patients.models import PatientSyncStatus
from app.domain.sync import catalogue, queries, rules
from app.domain.sync.events import RUN_ENDED, SyncEventKind, activity_stream, run_stream
from app.domain.sync.models import (
    LogAction,
    LogStatus,
    RunMode,
    RunStage,
    RunStatus,
    RunTrigger,
    Severity,
    SyncCursor,
    SyncFailure,
    SynchronizationLog,
    SyncPage,
    SyncRun,
)
from app.domain.sync.rules import Page

COUNTERS = {
    Outcome.CREATED: "created",
    Outcome.UPDATED: "updated",
    Outcome.UNCHANGED: "unchanged",
    Outcome.JOINED: "joined",
    Outcome.SKIPPED: "skipped",
    Outcome.WITHDRAWN: "withdrawn",
}
TOLD = {
    Outcome.CREATED: (SyncEventKind.DOCUMENT_CREATED, LogAction.DOCUMENT_CREATED),
    Outcome.UPDATED: (SyncEventKind.DOCUMENT_UPDATED, LogAction.DOCUMENT_UPDATED),
    Outcome.SETTLED: (SyncEventKind.DOCUMENT_UPDATED, LogAction.DOCUMENT_UPDATED),
    Outcome.WITHDRAWN: (SyncEventKind.DOCUMENT_WITHDRAWN, LogAction.DOCUMENT_WITHDRAWN),
}

LOG_COLUMNS = ("id", "patient_id", "owner_id", "document_id", "run_id", "action", "status", "details")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that went wrong with one resource; `code` is one of the catalogue."""

    reference: str
    code: str
    detail: str
    severity: Severity = Severity.FAILURE
    document_id: UUID | None = None
    action: LogAction = LogAction.DOCUMENT_FAILED


@dataclass(frozen=True, slots=True)
class Listed:
    """A page as it was fetched, with the files of what is new in it: everything that one transaction stores."""

    resource_type: str
    number: int
    next_link: str | None
    expected: int | None
    seen: int
    filtered: bool
    server_time: datetime | None
    resource_types: Sequence[str]
    """All that this provider is asked for: until each was listed, the total is an estimate."""
    references: Sequence[str] = ()
    """What the page showed."""
    gone: Sequence[str] = ()
    """What the provider says that it has deleted."""
    unchanged: Sequence[str] = ()
    arrivals: Sequence[Incoming] = ()
    problems: Sequence[Problem] = ()
    bytes: int = 0
    fetched: int = 0
    skipped: int = field(default=0)
    """Entries that are no documents or that have been seen in this run already."""


async def begin(session: AsyncSession, run_id: UUID) -> SyncRun:
    """A run starts, or is taken up again where it was left."""
    run = await queries.run_locked(session, run_id)
    resumed = run.started_at is not None
    run.status = RunStatus.RUNNING
    run.error_code = run.error_detail = None
    if not resumed:
        run.started_at = func.clock_timestamp()
    elif await queries.pages(session, run_id):
        run.resumed += 1
    if run.mode is RunMode.RETRY:
        # What it repeats has seen the rest: from there the next incremental run goes on.
        run.server_time = (await queries.repeated(session, run)).server_time
    await session.flush()
    await session.refresh(run)
    await patients.note_sync(session, run.patient_id, PatientSyncStatus.RUNNING)
    await tell(session, run, SyncEventKind.RUN_RESUMED if resumed else SyncEventKind.RUN_STARTED)
    return run


async def enter(session: AsyncSession, run_id: UUID, stage: RunStage) -> SyncRun:
    """The run goes on to another stage."""
    run = await queries.run_locked(session, run_id)
    if run.stage is not stage:
        run.stage = stage
        await tell(session, run, SyncEventKind.STAGE_CHANGED)
    return run


async def record_page(session: AsyncSession, origin: Origin, listed: Listed, *, publishes: bool) -> SyncRun:
    """A page's documents, checkpoint, counters, log rows and events: one transaction."""
    run = await queries.run_locked(session, origin.run_id)
    received = await documents.receive(session, origin, listed.arrivals) if listed.arrivals else []
    for reference in listed.gone:
        received += await documents.withdraw_named(session, origin, reference)
    problems = [*listed.problems, *_mismatches(listed.arrivals)]
    failed = {problem.reference for problem in problems if problem.severity is Severity.FAILURE}
    if run.server_time is None and await _is_first_page(session, run):
        run.server_time = listed.server_time
    _add_page(session, run, listed, len(failed))
    ids = {it.reference: it.document.id for it in received if it.document}
    note_problems(session, run, [replace(it, document_id=ids.get(it.reference)) for it in problems])
    _count(run, listed, received, failed - {it.reference for it in received})
    await session.flush()
    pages = await queries.pages(session, run.id)
    run.expected, open_ended = _expected(pages, run)
    run.estimated = open_ended or len({page.resource_type for page in pages}) < len(listed.resource_types)
    share = rules.listed_share(rules.coverage(pages, listed.resource_types))
    run.percent = rules.percent(run, publishes=publishes, listed=share)
    await tell(session, run, SyncEventKind.PAGE_STORED, await _log_documents(session, run, received))
    return run


async def give_up_listing(session: AsyncSession, run_id: UUID, problem: Problem) -> None:
    """A listing cannot be had to its end: named as a gap, once, and the run goes on with the rest."""
    run = await queries.run_locked(session, run_id)
    if not await queries.is_noted(session, run_id, problem.reference, problem.code):
        note_problems(session, run, [problem])


async def withdraw(session: AsyncSession, origin: Origin) -> None:
    """What a complete, uninterrupted listing of everything did not show is gone at the provider."""
    listed = await queries.references_listed(session, origin.run_id)
    received = await documents.withdraw_unseen(session, origin, listed)
    run = await queries.run_locked(session, origin.run_id)
    run.compared_at = func.clock_timestamp()
    _count_outcomes(run, received)
    if received:
        await tell(session, run, SyncEventKind.PAGE_STORED, await _log_documents(session, run, received))


async def finish(session: AsyncSession, run_id: UUID, resource_types: Sequence[str]) -> SyncRun:
    """The run's honest end: SUCCEEDED only where everything was listed and nothing failed."""
    run = await queries.run_locked(session, run_id)
    listings = [await queries.listing_so_far(session, run, it) for it in resource_types]
    cover = rules.coverage([page for listing in listings for page in listing], resource_types)
    for part in cover:
        if part.complete and part.short:
            detail = f"announced {part.expected}, listed {part.seen}"
            note_problems(session, run, [Problem(part.resource_type, catalogue.LISTING_SHORT, detail)])
    await session.flush()
    failures = await queries.failure_count(session, run_id)
    complete = all(part.complete for part in cover)
    if complete and not failures:
        await _advance_cursor(session, run)
    summary = f"{run.created} created, {run.updated} updated, {run.unchanged} unchanged, {run.withdrawn} withdrawn, {run.published} published, {failures} failed."
    await _end(session, run, rules.outcome(failures=failures, complete=complete), summary)
    return run


async def fail(session: AsyncSession, run_id: UUID, code: str, detail: str) -> SyncRun:
    """The run cannot go on. What it had stored stays; nothing is half-done."""
    run = await queries.run_locked(session, run_id)
    run.error_code, run.error_detail = code, detail
    status = RunStatus.FAILED
    if await queries.pages(session, run_id):
        note_problems(session, run, [Problem(f"run/{run_id}", code, detail)])
        status = RunStatus.SUCCEEDED_WITH_GAPS
    await _end(session, run, status, f"{catalogue.advice(code).message} ({code})")
    return run


async def schedule_retry(session: AsyncSession, run_id: UUID, code: str, detail: str) -> None:
    run = await queries.run_locked(session, run_id)
    run.error_code, run.error_detail = code, detail
    await tell(session, run, SyncEventKind.RETRY_SCHEDULED)


async def _end(session: AsyncSession, run: SyncRun, status: RunStatus, summary: str) -> None:
    run.status, run.stage, run.finished_at = status, RunStage.DONE, func.clock_timestamp()
    succeeded = status in (RunStatus.SUCCEEDED, RunStatus.SUCCEEDED_WITH_GAPS)
    if succeeded:
        run.percent = 100
        run.estimated = False
    await session.flush()
    await session.refresh(run)
    verified = run.finished_at if status is RunStatus.SUCCEEDED and await _saw_everything(session, run) else None
    await patients.note_sync(session, run.patient_id, PatientSyncStatus(status), verified_at=verified)
    ended = LogStatus.SUCCESS if status is RunStatus.SUCCEEDED else LogStatus.WARNING if succeeded else LogStatus.ERROR
    log(session, run, _run_action(run), ended, summary)
    await work.ask(session, RUN_ENDED, run.id)
    await tell(session, run, SyncEventKind.RUN_FINISHED)


async def _saw_everything(session: AsyncSession, run: SyncRun) -> bool:
    """Whether a run, with those that it repeats, has listed everything and not only what changed."""
    pages = await queries.pages(session, run.id)
    while run.mode is RunMode.RETRY:
        run = await queries.repeated(session, run)
        pages = [*await queries.pages(session, run.id), *pages]
    return not any(page.filtered for page in pages)


async def _advance_cursor(session: AsyncSession, run: SyncRun) -> None:
    since = rules.next_cursor(run.server_time)
    if since is None:
        return
    await session.execute(
        insert(SyncCursor)
        .values(
            patient_id=run.patient_id,
            provider_id=run.provider_id,
            provider_patient_id=run.provider_patient_id,
            since=since,
        )
        .on_conflict_do_update(
            index_elements=[SyncCursor.patient_id, SyncCursor.provider_id],
            set_={"since": since, "provider_patient_id": run.provider_patient_id},
        )
    )


async def tell(session: AsyncSession, run: SyncRun, kind: SyncEventKind, before: Sequence[Happened] = ()) -> None:
    """Adds to the run's stream, then to its dietician's: always in this order."""
    about = {"run": run.id}
    await session.flush()
    await events.append(session, run_stream(run.id), [*before, Happened(kind, about)])
    await events.append(session, activity_stream(run.owner_id), [Happened(kind, about)])


def log(
    session: AsyncSession,
    run: SyncRun,
    action: LogAction,
    status: LogStatus,
    details: str,
    document_id: UUID | None = None,
) -> None:
    session.add(
        SynchronizationLog(
            patient_id=run.patient_id,
            owner_id=run.owner_id,
            document_id=document_id,
            run_id=run.id,
            action=action,
            status=status,
            details=details,
        )
    )


def _run_action(run: SyncRun) -> LogAction:
    return LogAction.MANUAL_SYNC if run.trigger is RunTrigger.MANUAL else LogAction.AUTOMATIC_UPDATE


async def _is_first_page(session: AsyncSession, run: SyncRun) -> bool:
    """Whether nothing was listed before, by this run or by those that it repeats. Only that page's clock says from when on
    changes are still to be asked for: by a later one's, what changed in between would be missed."""
    while not await queries.pages(session, run.id):
        if run.mode is not RunMode.RETRY:
            return True
        run = await queries.repeated(session, run)
    return False


def _add_page(session: AsyncSession, run: SyncRun, listed: Listed, failed: int) -> None:
    session.add(
        SyncPage(
            run_id=run.id,
            resource_type=listed.resource_type,
            number=listed.number,
            next_link=listed.next_link,
            expected=listed.expected,
            seen=listed.seen,
            failed=failed,
            filtered=listed.filtered,
            listed=[*listed.references],
        )
    )


def _mismatches(arrivals: Sequence[Incoming]) -> list[Problem]:
    return [
        Problem(incoming.entry.reference, catalogue.INTEGRITY_MISMATCH, file.filename, Severity.WARNING)
        for incoming in arrivals
        for file in incoming.contents.files
        if file.integrity is Integrity.MISMATCHED
    ]


def note_problems(session: AsyncSession, run: SyncRun, problems: Sequence[Problem]) -> None:
    for problem in problems:
        session.add(
            SyncFailure(
                run_id=run.id,
                reference=problem.reference,
                code=problem.code,
                detail=problem.detail,
                severity=problem.severity,
            )
        )
        status = LogStatus.WARNING if problem.severity is Severity.WARNING else LogStatus.ERROR
        message = catalogue.advice(problem.code).message
        log(
            session,
            run,
            problem.action,
            status,
            f"{problem.reference}: {message} ({problem.code})",
            problem.document_id,
        )


def _count(run: SyncRun, listed: Listed, received: Sequence[Received], failed: set[str]) -> None:
    """Every entry is counted once: `failed` are those that left nothing behind."""
    run.discovered += listed.seen
    run.fetched += listed.fetched
    run.bytes += listed.bytes
    run.unchanged += len(listed.unchanged)
    run.skipped += listed.skipped
    run.failed += len(failed)
    _count_outcomes(run, received)


def _count_outcomes(run: SyncRun, received: Sequence[Received]) -> None:
    for it in received:
        # What was only settled was not received: it is told of, and counted nowhere.
        if counter := COUNTERS.get(it.outcome):
            setattr(run, counter, getattr(run, counter) + 1)


def _expected(pages: Sequence[Page], run: SyncRun) -> tuple[int, bool]:
    """How many resources there are to come, as far as the provider has told, and whether a listing without a total goes on."""
    totals: dict[str, int] = {}
    open_ended = False
    for page in pages:
        if page.expected is not None:
            totals[page.resource_type] = page.expected
        else:
            totals[page.resource_type] = totals.get(page.resource_type, 0) + page.seen
            open_ended = open_ended or page.next_link is not None
    return max(sum(totals.values()), run.discovered), open_ended


async def _log_documents(session: AsyncSession, run: SyncRun, received: Sequence[Received]) -> list[Happened]:
    """A line of the log for each document that changed; the events that tell of them."""
    lines: list[tuple[object, ...]] = []
    happened: list[Happened] = []
    for it in received:
        if it.outcome in TOLD and it.document is not None:
            kind, action = TOLD[it.outcome]
            words = _words(it.document, it.reference)
            about = (uuid7(), run.patient_id, run.owner_id, it.document.id, run.id)
            lines.append((*about, action.value, LogStatus.SUCCESS.value, words))
            happened.append(Happened(kind, {"run": run.id, "document": it.document.id}))
    await copy(session, SynchronizationLog, LOG_COLUMNS, lines)
    return happened


def _words(document: HealthcareDocument | Fresh, reference: str) -> str:
    return f"{document.title} ({reference})" if reference else document.title
