"""The provider's side of a run: its pages, one after the other, each with the files of what is new in it."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

from app.connectors.provider.port import (
    Attachment,
    Entry,
    Fetched,
    Page,
    Provider,
    ProviderError,
    ResourceStatus,
)
from app.core.resources import Resources
from app.core.work import Claim
from app.domain.documents import queries as documents
from app.domain.documents import rules as document_rules
from app.domain.documents.models import DocumentSource
from app.domain.documents.rules import Contents, Incoming, IncomingFile
from app.domain.sync import catalogue, queries, recording, rules
from app.domain.sync.models import RunMode, RunStage
from app.domain.sync.recording import Listed, Problem
from tasks.sync.trip import Trip, recording_as

FETCHES_AT_ONCE = 8
TRIES = 3
MOST_PAGES = 10_000
"""A listing that names ever new pages is stopped too."""


class Looped(Exception):
    """A listing names a page as the next that it has named before."""


@dataclass(slots=True)
class Sorted:
    """The entries of a page by what is to be done with them."""

    unchanged: list[str] = field(default_factory=list[str])
    to_fetch: list[Entry] = field(default_factory=list[Entry])
    problems: list[Problem] = field(default_factory=list[Problem])
    skipped: int = 0


async def pages(
    resources: Resources, claim: Claim, trip: Trip, provider: Provider, resource_type: str
) -> AsyncIterator[Listed]:
    """From where the run stands to the last page. Whoever reads stores each page before asking for the next."""
    async with resources.db.reading() as session:
        stored = [it for it in await queries.pages(session, trip.run.id) if it.resource_type == resource_type]
        cursor = await queries.cursor(session, trip.run)
    if stored and stored[-1].next_link is None:
        return
    since = cursor if trip.run.mode is RunMode.INCREMENTAL else None
    link = stored[-1].next_link if stored else None
    links = {it.next_link for it in stored}
    filtered = stored[0].filtered if stored else None
    for number in itertools.count(len(stored) + 1):
        page = await provider.page(resource_type, trip.run.provider_patient_id, since=since, link=link)
        if filtered is None:
            # A server that does not show that it applied the filter has listed everything.
            filtered = since is not None and page.since_applied
        listed = _blank(provider, resource_type, number, page, filtered=filtered)
        yield await _with_files(resources, claim, trip, provider, page, listed)
        if page.next is None:
            return
        if page.next in links or number >= MOST_PAGES:
            raise Looped(f"page {number} leads back to an earlier one")
        links.add(page.next)
        link = page.next


def _blank(provider: Provider, resource_type: str, number: int, page: Page, *, filtered: bool) -> Listed:
    references = {entry.reference for entry in page.entries} | {it.reference for it in page.unreadable}
    return Listed(
        resource_type=resource_type,
        number=number,
        next_link=page.next,
        expected=page.total,
        seen=len(references),
        filtered=filtered,
        server_time=page.server_time,
        resource_types=provider.resource_types,
    )


async def _with_files(
    resources: Resources, claim: Claim, trip: Trip, provider: Provider, page: Page, listed: Listed
) -> Listed:
    async with resources.db.reading() as session:
        references = [entry.reference for entry in page.entries]
        known = await documents.sources(session, trip.origin.provider_id, trip.origin.patient_id, references)
    found = sort_entries(page, known, trip)
    if found.to_fetch:
        async with recording_as(resources, claim) as session:
            await recording.enter(session, trip.run.id, RunStage.FETCHING)
    gate = asyncio.Semaphore(FETCHES_AT_ONCE)
    fetched = await asyncio.gather(*(_collect(resources, claim, provider, gate, entry) for entry in found.to_fetch))
    files = [file for incoming, _ in fetched for file in incoming.contents.files if file.size is not None]
    repeated = sum(source.seen_run_id == trip.run.id for source in known.values())
    return replace(
        listed,
        # What another page of this run has shown already is not seen twice: it would hide what was skipped.
        seen=listed.seen - repeated,
        unchanged=found.unchanged,
        arrivals=[incoming for incoming, _ in fetched],
        problems=[*found.problems, *(problem for _, problems in fetched for problem in problems)],
        skipped=found.skipped,
        fetched=len(files),
        bytes=sum(file.size or 0 for file in files),
    )


def sort_entries(page: Page, known: dict[str, DocumentSource], trip: Trip) -> Sorted:
    """Which entries of a page are new or changed, which are as before, and which are refused."""
    found = Sorted(problems=[Problem(it.reference, catalogue.ENTRY_UNREADABLE, it.reason) for it in page.unreadable])
    met: set[str] = set()
    for entry in page.entries:
        source = known.get(entry.reference)
        if entry.reference in met:
            continue
        met.add(entry.reference)
        if not rules.is_ours(entry, trip.run.provider_patient_id):
            found.problems.append(Problem(entry.reference, catalogue.SUBJECT_MISMATCH, "subject is another Patient"))
        elif source is not None and _as_before(source, entry):
            if source.seen_run_id == trip.run.id:
                found.skipped += 1
            else:
                found.unchanged.append(entry.reference)
        elif entry.status is ResourceStatus.ENTERED_IN_ERROR or not _is_empty(entry):
            found.to_fetch.append(entry)
        elif entry.resource_type == document_rules.LEADING:
            found.problems.append(Problem(entry.reference, catalogue.ATTACHMENT_EMPTY, "neither data nor url"))
        else:
            # A DiagnosticReport without a presented form holds results, not a document.
            found.skipped += 1
    return found


def _as_before(source: DocumentSource, entry: Entry) -> bool:
    return source.digest == entry.digest and not source.incomplete and source.withdrawn_at is None


def _is_empty(entry: Entry) -> bool:
    return all(attachment.empty for attachment in entry.attachments)


async def _collect(
    resources: Resources, claim: Claim, provider: Provider, gate: asyncio.Semaphore, entry: Entry
) -> tuple[Incoming, list[Problem]]:
    """The files of one resource. What was retracted is not fetched any more."""
    wanted = [] if entry.status is ResourceStatus.ENTERED_IN_ERROR else [it for it in entry.attachments if not it.empty]
    files: list[IncomingFile] = []
    problems: list[Problem] = []
    for position, attachment in enumerate(wanted):
        try:
            async with gate:
                files.append(await _file(resources, provider, attachment, entry.title, position))
        except ProviderError as error:
            if error.retryable and not claim.last:
                raise
            problems.append(Problem(entry.reference, error.code, error.detail))
            files.append(document_rules.missing(attachment, error.code, entry.title, position))
    return Incoming(entry, Contents(tuple(files))), problems


async def _file(
    resources: Resources, provider: Provider, attachment: Attachment, title: str, position: int
) -> IncomingFile:
    fetched = await _patiently(provider, attachment)
    reading = await resources.reader.read(fetched.data, attachment.content_type or fetched.content_type)
    await resources.blobs.put(fetched.data)
    return document_rules.arrived(attachment, fetched.data, reading, title, position)


async def _patiently(provider: Provider, attachment: Attachment) -> Fetched:
    """A hiccup costs a moment, not the page; what lasts is left to the next attempt of the whole run."""
    for attempt in itertools.count(1):
        try:
            return await provider.fetch(attachment)
        except ProviderError as error:
            if not error.retryable or error.retry_after or attempt == TRIES:
                raise
            await asyncio.sleep(random.uniform(0.05, 0.2) * attempt)  # noqa: S311 - spreading load
    raise AssertionError
