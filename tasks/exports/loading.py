"""An export's files, line by line: what is our patients' is kept until their runs take it, the rest is counted."""

from contextlib import aclosing

from app.connectors.provider.bulk import BulkProvider, Line
from app.connectors.provider.fhir.bulk import about, complaints, deletions
from app.connectors.provider.fhir.client import RESOURCE_TYPES
from app.connectors.provider.port import ProviderError, ProviderErrorCode
from app.domain.sync import catalogue
from app.domain.updates.exports import queries, recording
from app.domain.updates.exports.models import ExportFile, ExportPart
from app.domain.updates.exports.recording import Batch, Found, Gap
from tasks.exports.trip import Trip
from tasks.runtime import may_try_again

LINES, SIZE = 1000, 4 * 1024 * 1024
"""Lines and bytes that are stored in one transaction."""
PATIENT = "Patient/"


async def load(trip: Trip, provider: BulkProvider) -> None:
    """Every file from where it stands. One that cannot be had for good is a gap, and the others go on."""
    async with trip.resources.db.reading() as session:
        known = await queries.subjects(session, trip.row.provider_id)
    while True:
        async with trip.resources.db.reading() as session:
            file = await queries.next_file(session, trip.row.id)
        if file is None:
            return
        gap = None
        try:
            await _read(trip, provider, file, known)
        except ProviderError as error:
            if may_try_again(trip.claim, error):
                raise
            gap = Gap(recording.place(file), error.code, error.detail)
        async with trip.recording() as (session, row):
            await recording.file_read(session, row, file.id, gap)


async def _read(trip: Trip, provider: BulkProvider, file: ExportFile, known: set[str]) -> None:
    batch = Batch()
    async with aclosing(provider.export_lines(file.url, token=trip.row.token)) as lines:
        async for line in lines:
            if line.number <= file.lines:
                continue
            await _take(trip, file, batch, line, known)
            if batch.lines >= LINES or batch.size >= SIZE:
                await _store(trip, file, batch)
                batch = Batch()
    if batch.lines:
        await _store(trip, file, batch)


async def _store(trip: Trip, file: ExportFile, batch: Batch) -> None:
    async with trip.recording() as (session, row):
        await recording.store(session, row, file.id, batch)


async def _take(trip: Trip, file: ExportFile, batch: Batch, line: Line, known: set[str]) -> None:
    batch.upto, batch.lines = line.number, batch.lines + 1
    where = recording.place(file, line.number)
    if line.data is None:
        batch.gaps.append(Gap(where, ProviderErrorCode.TOO_LARGE, "the line is longer than a page may be"))
        return
    batch.size += len(line.data)
    try:
        match file.part:
            case ExportPart.OUTPUT:
                _sort(batch, line.data, where, trip.source.base_url, known)
            case ExportPart.DELETED:
                batch.found += await _deleted(trip, line.data)
            case ExportPart.ERRORS:
                said = complaints(line.data)
                batch.gaps += [Gap(where, catalogue.EXPORT_PARTIAL, f"OperationOutcome {code}") for code in said]
    except ValueError as error:
        batch.gaps.append(Gap(where, catalogue.ENTRY_UNREADABLE, str(error)))


def _sort(batch: Batch, data: bytes, where: str, base: str, known: set[str]) -> None:
    reference, subject = about(data, base)
    if reference.partition("/")[0] not in RESOURCE_TYPES:
        # Nobody has asked for it.
        batch.unknown += 1
    elif not subject:
        batch.gaps.append(Gap(where, catalogue.ENTRY_UNREADABLE, "a resource that names no patient"))
    elif subject.startswith(PATIENT) and (patient := subject.removeprefix(PATIENT)) in known:
        batch.found.append(Found(patient, reference, data))
    else:
        batch.unknown += 1


async def _deleted(trip: Trip, data: bytes) -> list[Found]:
    """What is here of the resources that the provider has deleted. Each is asked for by its name before it is withdrawn."""
    named = [it for it in deletions(data, trip.source.base_url) if it.partition("/")[0] in RESOURCE_TYPES]
    async with trip.resources.db.reading() as session:
        owners = await queries.subjects_of(session, trip.row.provider_id, named)
    return [Found(subject, reference, None) for reference, subject in owners.items()]
