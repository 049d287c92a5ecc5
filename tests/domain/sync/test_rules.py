"""How a run goes: its share done, its coverage, its end, the waits between its attempts."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.connectors.provider.port import DocumentType, Entry, ResourceStatus
from app.domain.sync import rules
from app.domain.sync.models import RunMode, RunStatus, SyncRun
from app.domain.sync.rules import Coverage, Page

TYPES = ("DocumentReference", "DiagnosticReport")


def page(number: int, **given: Any) -> Page:
    blank = Page(TYPES[0], number, next_link=None, expected=None, seen=0, failed=0, filtered=False)
    return replace(blank, **given)


def both(**given: Any) -> list[Page]:
    return [page(1, resource_type=resource_type, **given) for resource_type in TYPES]


def run(**given: Any) -> SyncRun:
    return SyncRun(**{"percent": 0, "mode": RunMode.FULL, "resumed": 0} | given)


SHARE = st.floats(0, 1)


@hypothesis_settings(derandomize=True, max_examples=100, database=None, deadline=None)
@given(st.booleans(), st.lists(st.tuples(SHARE, SHARE), max_size=30))
def test_the_percentage_never_falls_and_reaches_the_end_only_with_the_run(
    publishes: bool, shares: list[tuple[float, float]]
) -> None:
    row, seen = run(), [0]
    for listed, sent in shares:
        row.percent = rules.percent(row, publishes=publishes, listed=listed, sent=sent)
        seen.append(row.percent)
    assert all(before <= after for before, after in pairwise(seen))
    assert all(0 <= percent <= 99 for percent in seen)


def test_a_total_that_grows_on_the_way_does_not_move_the_bar_back() -> None:
    chance, row, pages = random.Random(7), run(), list[Page]()
    seen: list[int] = []
    for number in range(1, 60):
        total = None if chance.random() < 0.3 else chance.randint(1, 50 * number)
        pages.append(page(number, expected=total, seen=chance.randint(0, 50), next_link="next"))
        share = rules.listed_share(rules.coverage(pages, TYPES))
        assert 0 <= share <= 1
        row.percent = rules.percent(row, publishes=True, listed=share)
        seen.append(row.percent)
    assert seen == sorted(seen)


def test_the_bar_leaves_room_for_publishing_only_where_there_is_any() -> None:
    assert rules.percent(run(), publishes=False, listed=1) == 99
    assert rules.percent(run(), publishes=True, listed=1) == 100 - rules.PUBLISHING_SHARE
    assert rules.percent(run(), publishes=True, listed=1, sent=1) == 99
    assert rules.percent(run(), publishes=True, listed=0) == rules.CONNECTED


def test_coverage_adds_up_the_pages_of_each_type() -> None:
    pages = [
        page(1, expected=5, seen=3, failed=1, next_link="next"),
        page(2, expected=6, seen=3),
        page(1, resource_type=TYPES[1], seen=2, next_link="next"),
    ]
    assert rules.coverage(pages, TYPES) == [
        Coverage(TYPES[0], 2, 6, 6, 1, complete=True),
        Coverage(TYPES[1], 1, None, 2, 0, complete=False),
    ]
    assert rules.coverage([], TYPES[:1]) == [Coverage(TYPES[0], 0, None, 0, 0, complete=False)]


def test_the_listed_share_weighs_types_alike_and_never_passes_one() -> None:
    done, half = Coverage("A", 1, None, 0, 0, complete=True), Coverage("B", 1, 10, 5, 0, complete=False)
    over, unknown = Coverage("C", 1, 10, 50, 0, complete=False), Coverage("D", 1, None, 50, 0, complete=False)
    assert rules.listed_share([done, half]) == 0.75
    assert rules.listed_share([over]) == 1
    assert rules.listed_share([unknown]) == 0
    assert rules.listed_share([]) == 0


@pytest.mark.parametrize(
    ("failures", "complete", "status"),
    [
        (0, True, RunStatus.SUCCEEDED),
        (1, True, RunStatus.SUCCEEDED_WITH_GAPS),
        (0, False, RunStatus.SUCCEEDED_WITH_GAPS),
        (9, False, RunStatus.SUCCEEDED_WITH_GAPS),
    ],
)
def test_any_hole_makes_a_success_one_with_gaps(failures: int, complete: bool, status: RunStatus) -> None:
    assert rules.outcome(failures=failures, complete=complete) is status


def test_only_a_complete_listing_of_everything_withdraws() -> None:
    assert rules.withdraws(run(), both(), TYPES)
    assert not rules.withdraws(run(mode=RunMode.INCREMENTAL), both(), TYPES)
    assert not rules.withdraws(run(resumed=1), both(), TYPES)
    assert not rules.withdraws(run(), both(filtered=True), TYPES)
    assert not rules.withdraws(run(), both(failed=1), TYPES)
    assert not rules.withdraws(run(), both(expected=50, seen=20), TYPES), "it broke off early, whatever it said"
    assert not rules.withdraws(run(), both(next_link="more"), TYPES)
    assert not rules.withdraws(run(), both()[:1], TYPES)


@pytest.mark.parametrize("attempt", [1, 2, 3, 4, 10, 100])
def test_a_wait_grows_with_the_attempts_within_its_bounds(attempt: int) -> None:
    span = min(rules.BASE_DELAY * 3 ** (attempt - 1), rules.MAX_DELAY)
    waits = [rules.delay(attempt, None) for _ in range(200)]
    assert all(span / 2 <= wait <= span for wait in waits)
    assert len(set(waits)) > 100


@pytest.mark.parametrize(
    ("asked", "wait"),
    [(0, 1), (-5, 1), (0.2, 1), (7, 7), (299, 299), (3000, 3000), (10**9, 3600), (float("inf"), 3600)],
)
def test_a_wait_that_the_other_side_asks_for_is_kept_within_reason(asked: float, wait: float) -> None:
    assert rules.delay(3, asked) == wait


def test_the_next_listing_begins_a_little_before_the_providers_clock() -> None:
    now = datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert rules.next_cursor(now) == now - timedelta(minutes=10)
    assert rules.next_cursor(None) is None


@pytest.mark.parametrize(
    ("subject", "ours"),
    [
        ("Patient/amara", True),
        ("Patient/amara2", False),
        ("Patient/Amara", False),
        ("Group/amara", False),
        ("", False),
        ("https://elsewhere.example.test/Patient/amara", False),
    ],
)
def test_a_resource_is_ours_only_when_it_names_our_patient(subject: str, ours: bool) -> None:
    entry = Entry(
        reference="DocumentReference/1",
        resource_type=TYPES[0],
        version_id="1",
        last_updated=None,
        digest=b"",
        subject=subject,
        status=ResourceStatus.CURRENT,
        type=DocumentType.OTHER,
        title="",
        date=None,
        author="",
    )
    assert rules.is_ours(entry, "amara") is ours
