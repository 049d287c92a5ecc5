"""How a run goes: its states, its share done, its end. No I/O."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.connectors.provider.port import Entry
from app.domain.sync import catalogue
from app.domain.sync.models import RunMode, RunStatus, SyncRun

OVERLAP = timedelta(minutes=10)
"""How far an incremental listing reaches back: clocks drift and transactions take their time."""
BASE_DELAY = 1.0
MAX_DELAY = 300.0
LONGEST_WAIT = 3600.0
"""Nobody is asked before the moment that they have named, up to an hour from now."""
WHOLE_LISTING = "listing"
"""The reference of a gap that is about everything that was listed: it hides what can still be read."""
CONNECTED = 3
PUBLISHING_SHARE = 25


@dataclass(frozen=True, slots=True)
class Page:
    """A line of a run's ledger: see `SyncPage`."""

    resource_type: str
    number: int
    next_link: str | None
    expected: int | None
    seen: int
    failed: int
    filtered: bool


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of one resource type a run has seen."""

    resource_type: str
    pages_fetched: int
    expected: int | None
    seen: int
    failed: int
    complete: bool

    @property
    def short(self) -> bool:
        """Whether less was listed than the provider announced."""
        return self.expected is not None and self.seen < self.expected


def listed_share(cover: Sequence[Coverage]) -> float:
    """The share of the listing that is done, 0 to 1: each resource type weighs the same until it is known."""
    shares = [1.0 if it.complete else min(it.seen / it.expected, 1) if it.expected else 0.0 for it in cover]
    return sum(shares) / len(shares) if shares else 0.0


def percent(run: SyncRun, *, publishes: bool, listed: float, sent: float = 0) -> int:
    """The share done, 0 to 99 until the run ends, and never less than before. `listed` and `sent` are shares, 0 to 1."""
    publishing = PUBLISHING_SHARE if publishes else 0
    done = CONNECTED + (100 - CONNECTED - publishing) * listed + publishing * sent
    return max(run.percent, min(int(done), 99))


def published_share(published: int, to_send: int, to_confirm: int) -> float:
    """The share of the way into the platform that is done: a file that was sent and not yet confirmed has half of it."""
    everything = published + to_send + to_confirm
    return (published + to_confirm / 2) / everything if everything else 1.0


def outcome(*, failures: int, complete: bool) -> RunStatus:
    """Any hole makes a success one with gaps."""
    return RunStatus.SUCCEEDED if complete and not failures else RunStatus.SUCCEEDED_WITH_GAPS


def coverage(pages: Sequence[Page], resource_types: Iterable[str]) -> list[Coverage]:
    found: list[Coverage] = []
    for resource_type in resource_types:
        own = [page for page in pages if page.resource_type == resource_type]
        totals = [page.expected for page in own if page.expected is not None]
        found.append(
            Coverage(
                resource_type=resource_type,
                pages_fetched=len(own),
                expected=totals[-1] if totals else None,
                seen=sum(page.seen for page in own),
                failed=sum(page.failed for page in own),
                complete=any(page.next_link is None for page in own),
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class Scope:
    """What a retry takes up: listings from their beginning, listings from where they stood, single resources."""

    anew: tuple[str, ...] = ()
    onward: tuple[str, ...] = ()
    references: tuple[str, ...] = ()

    @property
    def listings(self) -> tuple[str, ...]:
        return (*self.anew, *self.onward)


def retry_scope(
    pages: Sequence[Page], failures: Iterable[tuple[str, str]], listings: Sequence[str], resource_types: Sequence[str]
) -> Scope:
    """What a run, whose part were these `listings`, left undone at the provider: by its pages and by reference and code of its
    failures. What has no name has to be looked for in everything."""
    failures = [*failures]
    if any(not reference for reference, _ in failures):
        return Scope(anew=tuple(resource_types))
    wrong = {reference for reference, code in failures if code in (catalogue.LISTING_LOOPED, catalogue.LISTING_SHORT)}
    anew = tuple(it for it in resource_types if it in wrong)
    onward = tuple(it.resource_type for it in coverage(pages, listings) if not it.complete)
    left = set(resource_types) - {*anew, *onward}
    named = dict.fromkeys(it for it, _ in failures if it.partition("/")[0] in left and "/" in it)
    return Scope(anew, tuple(it for it in onward if it not in anew), tuple(named))


def withdraws(run: SyncRun, pages: Sequence[Page], resource_types: Sequence[str]) -> bool:
    """Only a complete listing of everything, never resumed, may say that something is gone."""
    return (
        run.mode is RunMode.FULL
        and run.resumed == 0
        and not any(page.filtered for page in pages)
        and all(part.complete and not part.failed and not part.short for part in coverage(pages, resource_types))
    )


def is_ours(entry: Entry, provider_patient_id: str) -> bool:
    """Whether a resource is about our patient. One that names nobody is not."""
    return entry.subject == f"Patient/{provider_patient_id}"


def delay(attempt: int, retry_after: float | None) -> float:
    """Seconds until the next attempt: what the other side asked for, else full jitter over a growing span, never under half."""
    if retry_after is not None:
        return min(max(retry_after, BASE_DELAY), LONGEST_WAIT)
    span = min(BASE_DELAY * 3 ** (attempt - 1), MAX_DELAY)
    return span * random.uniform(0.5, 1)  # noqa: S311 - spreading load, not guarding a secret


def next_cursor(server_time: datetime | None) -> datetime | None:
    return server_time - OVERLAP if server_time else None
