"""What workers record of an export. Every function here runs in a transaction whose claim was checked first (`work.hold`)."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import delete, func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.provider.bulk import ExportFile as Named
from app.connectors.provider.bulk import Manifest
from app.core import work
from app.core.ids import uuid7
from app.domain.sync import catalogue
from app.domain.updates import recording as updates
from app.domain.updates.events import EXPORT
from app.domain.updates.exports import queries
from app.domain.updates.exports.commands import ATTEMPTS
from app.domain.updates.exports.models import (
    OPEN_STATES,
    Export,
    ExportFile,
    ExportPart,
    ExportResource,
    ExportState,
)

NOW = func.clock_timestamp()
MOST_PROBLEMS = 100
"""Gaps that are described; the others are counted."""
PREPARED, LOADED = 20, 50
"""The percent at which the provider is done, and at which everything is here."""
AT_ONCE = 2000
_PERCENT = re.compile(r"(\d{1,3})(?:\.\d+)? ?%", re.ASCII)


@dataclass(frozen=True, slots=True)
class Gap:
    """Something of an export that is missing here; `code` is one of the catalogue."""

    place: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Found:
    """A resource of one of our patients; `data` is None where it was deleted."""

    subject: str
    reference: str
    data: bytes | None


@dataclass(slots=True)
class Batch:
    """Lines of a file that are stored together: up to which one, and what came of them."""

    upto: int = 0
    lines: int = 0
    size: int = 0
    unknown: int = 0
    found: list[Found] = field(default_factory=list[Found])
    gaps: list[Gap] = field(default_factory=list[Gap])


def started(row: Export, address: str) -> None:
    """The provider has accepted it."""
    row.state, row.address, row.started_at = ExportState.PREPARING, address, NOW
    row.error_code = row.error_detail = None


def waits(row: Export, progress: str) -> None:
    row.progress = progress
    row.error_code = row.error_detail = None
    said = _PERCENT.search(progress)
    _advance(row, PREPARED * min(int(said[1]), 100) // 100 if said else 1)


async def ready(session: AsyncSession, row: Export, manifest: Manifest, resource_types: Collection[str]) -> None:
    """The provider has everything prepared: from here on its files are read."""
    row.state, row.progress = ExportState.LOADING, ""
    row.transaction_time, row.token = manifest.transaction_time, manifest.requires_token
    row.error_code = row.error_detail = None
    wanted = [it for it in manifest.output if not it.resource_type or it.resource_type in resource_types]
    parts = (
        *((ExportPart.OUTPUT, it) for it in wanted),
        *((ExportPart.DELETED, it) for it in manifest.deleted),
        *((ExportPart.ERRORS, it) for it in manifest.errors),
    )
    session.add_all(_file(row, number, part, named) for number, (part, named) in enumerate(parts))
    row.files = len(parts)
    _advance(row, PREPARED)
    if manifest.partial:
        note_gaps(row, [Gap("manifest", catalogue.EXPORT_PARTIAL, "the manifest goes on at another address")])


def _file(row: Export, number: int, part: ExportPart, named: Named) -> ExportFile:
    return ExportFile(export_id=row.id, number=number, part=part, url=named.url, expected=named.count)


async def store(session: AsyncSession, row: Export, file_id: UUID, batch: Batch) -> None:
    """Some lines of a file with what came of them: they are never read again."""
    file = await queries.file_locked(session, file_id)
    file.lines, file.seen = batch.upto, file.seen + batch.lines
    values = [
        {
            "id": uuid7(),
            "export_id": row.id,
            "subject": it.subject,
            "resource_type": it.reference.partition("/")[0],
            "reference": it.reference,
            "data": it.data,
        }
        for it in batch.found
    ]
    if values:
        # A resource that a provider names twice counts once.
        added = insert(ExportResource).on_conflict_do_nothing().returning(ExportResource.data.is_(None))
        gone = (await session.scalars(added, values)).all()
        row.deletions += sum(gone)
        row.resources += len(gone) - sum(gone)
    row.unknown += batch.unknown
    row.bytes += batch.size
    row.error_code = row.error_detail = None
    note_gaps(row, batch.gaps)


async def file_read(session: AsyncSession, row: Export, file_id: UUID, gap: Gap | None = None) -> None:
    """A file has come to its end, or cannot be had."""
    file = await queries.file_locked(session, file_id)
    file.done, file.error_code = True, gap.code if gap else None
    row.files_done += 1
    _advance(row, PREPARED + (LOADED - PREPARED) * row.files_done // max(row.files, 1))
    if gap is not None:
        note_gaps(row, [gap])
    elif file.expected is not None and file.seen < file.expected:
        detail = f"announced {file.expected}, listed {file.seen}"
        note_gaps(row, [Gap(place(file), catalogue.LISTING_SHORT, detail)])


def place(file: ExportFile, line: int | None = None) -> str:
    """Where in an export something is: words for a person."""
    words = f"file {file.number + 1} ({file.part.lower()})"
    return words if line is None else f"{words}, line {line}"


async def loaded(session: AsyncSession, row: Export) -> None:
    """Everything that the provider gave is here: now it goes to the patients."""
    row.state = ExportState.STORING
    _advance(row, LOADED)
    await session.flush()
    row.patients = (await queries.census(session, row)).pending


async def settle(session: AsyncSession, row: Export) -> queries.Census:
    """What runs have taken is thrown away; whoever's run has not ended well is looked at again by an ordinary one."""
    settled = await queries.settled(session, row)
    if settled:
        # Of two dieticians' patients who are one person there, the second may still need it.
        awaited = await queries.awaited(session, row)
        settled = [it for it in settled if it[0] not in awaited]
        over = {subject for subject, _, _ in settled}
        await session.execute(
            delete(ExportResource).where(ExportResource.export_id == row.id, ExportResource.subject.in_(over))
        )
        if again := {patient_id for _, patient_id, well in settled if not well}:
            await updates.mark(session, row.provider_id, again, suspect=True)
    census = await queries.census(session, row)
    row.patients = census.pending + census.runs
    row.patients_done, row.patients_failed = census.ended, census.failed
    _advance(row, LOADED + (99 - LOADED) * census.ended // max(row.patients, 1))
    return census


async def finish(session: AsyncSession, row: Export) -> None:
    """An export's honest end: SUCCEEDED only where nothing is missing."""
    whole = not row.gaps and not row.patients_failed
    row.state = ExportState.SUCCEEDED if whole else ExportState.SUCCEEDED_WITH_GAPS
    row.percent, row.finished_at = 100, NOW
    row.error_code = row.error_detail = None
    if row.since is not None and (strangers := await queries.never_listed(session, row.provider_id)):
        # Connected since the last export: of theirs, only the changes were in this one.
        await updates.mark(session, row.provider_id, strangers)


def fail(row: Export, code: str, detail: str) -> None:
    if row.state in OPEN_STATES:
        row.state, row.finished_at = ExportState.FAILED, NOW
        row.error_code, row.error_detail = code, detail


async def postponed(session: AsyncSession, export_id: UUID, code: str, detail: str) -> None:
    row = await queries.export_locked(session, export_id)
    if row.state in OPEN_STATES:
        row.error_code, row.error_detail = code, detail


async def abandoned(session: AsyncSession, export_id: UUID, code: str, detail: str) -> None:
    """Nobody works on it any more. What is left of it is cleared away by work of its own, which is asked for once."""
    row = await queries.export_locked(session, export_id)
    if row.state in OPEN_STATES:
        fail(row, code, detail)
        await work.ask(session, EXPORT, row.id, max_attempts=ATTEMPTS)


async def clear(session: AsyncSession, export_id: UUID) -> bool:
    """Throws away some of what nobody takes any more; whether that was all."""
    gone = await session.execute(
        delete(ExportResource)
        .where(ExportResource.id.in_(queries.leftovers(export_id, AT_ONCE)))
        .returning(ExportResource.id)
        .execution_options(synchronize_session=False)
    )
    return len(gone.all()) < AT_ONCE


def note_gaps(row: Export, gaps: Sequence[Gap]) -> None:
    row.gaps += len(gaps)
    room = max(MOST_PROBLEMS - len(row.problems), 0)
    described = [{"place": it.place, "code": it.code, "detail": it.detail} for it in gaps[:room]]
    row.problems = [*row.problems, *described]


def _advance(row: Export, percent: int) -> None:
    row.percent = max(row.percent, min(percent, 99))
