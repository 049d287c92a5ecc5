"""The files of a page's resources: fetched in handfuls, read and kept while the next ones come."""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

from app.connectors.provider.port import Attachment, Entry, Fetched, Provider, ProviderError, ResourceStatus
from app.core.resources import Resources
from app.core.work import Claim
from app.domain.documents import rules
from app.domain.documents.rules import Contents, Incoming, IncomingFile
from app.domain.sync.recording import Problem
from tasks.runtime import may_try_again
from tasks.sync.patience import TRIES, may_pass, pause

Done = TypeVar("Done")

HANDFUL = 25
AT_ONCE = 2
"""While one handful is read and kept, the next is on its way; more would only fill the memory."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One attachment of a resource."""

    entry: Entry
    position: int
    attachment: Attachment


@dataclass(frozen=True, slots=True)
class Got:
    """What came of it: a file with its bytes, or one that is missing and why."""

    wanted: Wanted
    file: IncomingFile
    problem: Problem | None = None


async def collect(
    resources: Resources, claim: Claim, provider: Provider, entries: Sequence[Entry]
) -> tuple[list[Incoming], list[Problem]]:
    """The resources with their files. What could not be had is named; a failure that may pass is raised, except in the
    last attempt."""
    wanted = [Wanted(it, *each) for it in entries for each in enumerate(_attachments(it))]
    gate = asyncio.Semaphore(AT_ONCE)
    handfuls = [wanted[start : start + HANDFUL] for start in range(0, len(wanted), HANDFUL)]
    got = await _together([_handful(resources, claim, provider, gate, handful) for handful in handfuls])
    files: defaultdict[str, list[IncomingFile]] = defaultdict(list)
    problems: list[Problem] = []
    for it in itertools.chain.from_iterable(got):
        files[it.wanted.entry.reference].append(it.file)
        problems += [it.problem] if it.problem else []
    return [Incoming(it, Contents(tuple(files[it.reference]))) for it in entries], problems


def _attachments(entry: Entry) -> list[Attachment]:
    """What was retracted is not fetched any more."""
    return [] if entry.status is ResourceStatus.ENTERED_IN_ERROR else [it for it in entry.attachments if not it.empty]


async def _handful(
    resources: Resources, claim: Claim, provider: Provider, gate: asyncio.Semaphore, wanted: Sequence[Wanted]
) -> list[Got]:
    async with gate:
        fetched = await _patiently(provider, [it.attachment for it in wanted])
        with ExitStack() as open_bodies:
            for it in fetched:
                if isinstance(it, Fetched):
                    open_bodies.callback(it.close)
            failed = [it for it in fetched if isinstance(it, ProviderError) and it.retryable]
            # Where one was asked and failed, the others were not asked because of it.
            first = min(failed, key=lambda it: not it.asked, default=None)
            if first is not None and may_try_again(claim, first):
                raise first
            got: list[Got] = []

            async def read() -> None:
                pairs = zip(wanted, fetched, strict=True)
                got.extend(await _together([_got(resources, it, outcome) for it, outcome in pairs]))

            keeping = resources.blobs.put_all([it.content for it in fetched if isinstance(it, Fetched)])
            await _together([read(), keeping])
            return got


async def _together(jobs: Sequence[Coroutine[Any, Any, Done]]) -> list[Done]:
    """All of them at once. Where one fails the others are ended before anybody hears of it: they hold files."""
    tasks = [asyncio.create_task(it) for it in jobs]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _got(resources: Resources, wanted: Wanted, outcome: Fetched | ProviderError) -> Got:
    entry, position, attachment = wanted.entry, wanted.position, wanted.attachment
    if isinstance(outcome, ProviderError):
        problem = Problem(entry.reference, outcome.code, outcome.detail)
        return Got(wanted, rules.missing(attachment, outcome.code, entry.title, position), problem)
    reading = await resources.reader.read(outcome.content, attachment.content_type or outcome.content_type)
    return Got(wanted, rules.arrived(attachment, outcome.content, reading, entry.title, position))


async def _patiently(provider: Provider, attachments: Sequence[Attachment]) -> list[Fetched | ProviderError]:
    """As `patiently`, for many at once: only what failed is asked for again."""
    outcomes = await provider.fetch_many(attachments)
    for attempt in range(1, TRIES):
        again = [place for place, it in enumerate(outcomes) if isinstance(it, ProviderError) and may_pass(it)]
        if not again:
            break
        await pause(attempt)
        for place, it in zip(again, await provider.fetch_many([attachments[it] for it in again]), strict=True):
            outcomes[place] = it
    return outcomes
