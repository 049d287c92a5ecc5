"""The provider's side of a run: its pages, one after the other, each with the files of what is new in it."""

import itertools
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from app.connectors.provider.port import (
    Entry,
    Page,
    Provider,
    ProviderError,
    ProviderErrorCode,
    ResourceStatus,
    Unreadable,
)
from app.core.resources import Resources
from app.core.work import Claim
from app.domain.documents import queries as documents
from app.domain.documents import rules as document_rules
from app.domain.sync import catalogue, queries, recording, rules
from app.domain.sync.models import RunMode, RunStage
from app.domain.sync.recording import Listed, Problem
from tasks.runtime import may_try_again
from tasks.sync.fetching import collect
from tasks.sync.patience import patiently
from tasks.sync.trip import Trip, recording_as

NAMED_AT_ONCE = 50
MOST_PAGES = 10_000
"""A listing that names ever new pages is stopped too."""


class Looped(Exception):
    """A listing names a page as the next that it has named before."""


@dataclass(slots=True)
class Memory:
    """What a run need not ask the database for with each page: the digest of every resource that is whole here, and the
    references that it has listed itself."""

    known: dict[str, bytes]
    listed: set[str]
    listings: Sequence[str]
    """The resource types that it lists."""

    def has(self, entry: Entry) -> bool:
        """Whether a resource is here as it is."""
        return self.known.get(entry.reference) == entry.digest

    def note(self, listed: Listed) -> None:
        """A page has been stored."""
        self.listed.update(listed.references)
        for incoming in listed.arrivals:
            if incoming.contents.incomplete:
                self.known.pop(incoming.entry.reference, None)
            else:
                self.known[incoming.entry.reference] = incoming.entry.digest


async def remember(resources: Resources, trip: Trip, listings: Sequence[str]) -> Memory:
    """What is here of the patient before a run lists anything."""
    async with resources.db.reading() as session:
        known = await documents.digests(session, trip.origin.provider_id, trip.origin.patient_id)
        return Memory(known, await queries.references_listed(session, trip.run.id), listings)


@dataclass(slots=True)
class Sorted:
    """The entries of a page by what is to be done with them."""

    unchanged: list[str] = field(default_factory=list[str])
    to_fetch: list[Entry] = field(default_factory=list[Entry])
    problems: list[Problem] = field(default_factory=list[Problem])
    skipped: int = 0


async def pages(
    resources: Resources,
    claim: Claim,
    trip: Trip,
    provider: Provider,
    memory: Memory,
    resource_type: str,
) -> AsyncIterator[Listed]:
    """From where the run stands, or the one that it goes on with, to the last page. Whoever reads stores each page before
    asking for the next."""
    async with resources.db.reading() as session:
        stored = await queries.listing_so_far(session, trip.run, resource_type)
        cursor = await queries.cursor(session, trip.run)
    if stored and stored[-1].next_link is None:
        return
    since = cursor if trip.run.mode is RunMode.INCREMENTAL else None
    link = stored[-1].next_link if stored else None
    links = {it.next_link for it in stored}
    filtered = stored[0].filtered if stored else None
    for number in itertools.count(len(stored) + 1):
        ask = partial(provider.page, resource_type, trip.run.provider_patient_id, since=since, link=link)
        page = await patiently(ask)
        if filtered is None:
            # A server that does not show that it applied the filter has listed everything; an export never counts as that.
            filtered = trip.run.export_id is not None or (since is not None and page.since_applied)
        if page.restarted:
            links.clear()
        listed = _blank(memory, resource_type, number, page, filtered=filtered)
        yield await _with_files(resources, claim, trip, provider, memory, page, listed)
        if page.next is None:
            return
        if page.next in links or number >= MOST_PAGES:
            raise Looped(f"page {number} leads back to an earlier one")
        links.add(page.next)
        link = page.next


async def named(
    resources: Resources, claim: Claim, trip: Trip, provider: Provider, memory: Memory, references: Sequence[str]
) -> AsyncIterator[Listed]:
    """Single resources as if they stood on pages: what a retry takes up. Those that have been met already are left out."""
    wanted = [it for it in references if it not in memory.listed]
    async with resources.db.reading() as session:
        stored = Counter(it.resource_type for it in await queries.pages(session, trip.run.id))
    for resource_type, group in itertools.groupby(sorted(wanted), lambda it: it.partition("/")[0]):
        for chunk in _chunks([*group], NAMED_AT_ONCE):
            stored[resource_type] += 1
            page, gone = await _read_all(claim, provider, chunk)
            listed = _blank(memory, resource_type, stored[resource_type], page, filtered=False)
            listed = replace(listed, references=chunk, gone=gone, expected=len(chunk), seen=len(chunk))
            yield await _with_files(resources, claim, trip, provider, memory, page, listed)


async def _read_all(claim: Claim, provider: Provider, references: Sequence[str]) -> tuple[Page, list[str]]:
    """What cannot be read is a gap with its reason; what was deleted is none, and stands in a list of its own."""
    entries: list[Entry] = []
    unreadable: list[Unreadable] = []
    gone: list[str] = []
    for reference in references:
        try:
            entries.append(await patiently(partial(provider.read, reference)))
        except ProviderError as error:
            if may_try_again(claim, error):
                raise
            if error.code is ProviderErrorCode.GONE:
                gone.append(reference)
            else:
                unreadable.append(Unreadable(reference, error.detail, error.code))
    page = Page(tuple(entries), tuple(unreadable), next=None, total=None, server_time=None, since_applied=False)
    return page, gone


def _chunks(items: Sequence[str], size: int) -> list[Sequence[str]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _blank(memory: Memory, resource_type: str, number: int, page: Page, *, filtered: bool) -> Listed:
    references = {entry.reference for entry in page.entries} | {it.reference for it in page.unreadable}
    return Listed(
        resource_type=resource_type,
        number=number,
        next_link=page.next,
        expected=page.total,
        # What another page of this run has shown already is not seen twice: it would hide what was skipped.
        seen=len(references - memory.listed),
        filtered=filtered,
        references=sorted(references - memory.listed - {""}),
        server_time=page.server_time,
        resource_types=memory.listings,
    )


async def _with_files(
    resources: Resources, claim: Claim, trip: Trip, provider: Provider, memory: Memory, page: Page, listed: Listed
) -> Listed:
    found = sort_entries(page, memory, trip.run.provider_patient_id)
    if found.to_fetch and trip.run.stage is not RunStage.FETCHING:
        async with recording_as(resources, claim) as session:
            trip.run.stage = (await recording.enter(session, trip.run.id, RunStage.FETCHING)).stage
    arrivals, problems = await collect(resources, claim, provider, found.to_fetch)
    files = [file for incoming in arrivals for file in incoming.contents.files if file.size is not None]
    return replace(
        listed,
        unchanged=found.unchanged,
        arrivals=arrivals,
        problems=[*found.problems, *problems],
        skipped=found.skipped,
        fetched=len(files),
        bytes=sum(file.size or 0 for file in files),
    )


def sort_entries(page: Page, memory: Memory, provider_patient_id: str) -> Sorted:
    """Which entries of a page are new or changed, which are as before, and which are refused."""
    found = Sorted(problems=[_unreadable(it) for it in page.unreadable])
    met: set[str] = set()
    for entry in page.entries:
        if entry.reference in met:
            continue
        met.add(entry.reference)
        if not rules.is_ours(entry, provider_patient_id):
            found.problems.append(Problem(entry.reference, catalogue.SUBJECT_MISMATCH, "subject is another Patient"))
        elif memory.has(entry):
            if entry.reference in memory.listed:
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


def _unreadable(found: Unreadable) -> Problem:
    return Problem(found.reference, found.code or catalogue.ENTRY_UNREADABLE, found.reason)


def _is_empty(entry: Entry) -> bool:
    return all(attachment.empty for attachment in entry.attachments)
