"""What workers record of a run: honest counters, honest coverage, an honest end."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.core.resources import Resources
from app.domain.documents.storing import Origin
from app.domain.patients.models import Patient
from app.domain.sync import commands, queries, recording
from app.domain.sync.events import run_stream
from app.domain.sync.models import RunMode, RunStage, RunStatus, Severity, SyncRun
from app.domain.sync.recording import Listed, Problem
from app.domain.sync.rules import WHOLE_LISTING
from tests.conftest import People
from tests.domain.documents.arrivals import NOTE, REPORT, incoming
from tests.domain.rows import actor, rows, sql

TYPES = (NOTE, REPORT)
NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)
FAILURES = "SELECT reference, code, severity FROM sync_failures ORDER BY reference"


@dataclass
class Running:
    """A run, seen from the worker's side."""

    resources: Resources
    run_id: UUID
    origin: Origin

    async def page(self, resource_type: str = NOTE, number: int = 1, **given: Any) -> SyncRun:
        values: dict[str, Any] = {
            "resource_type": resource_type,
            "number": number,
            "next_link": None,
            "expected": None,
            "seen": len(given.get("arrivals", ())),
            "filtered": False,
            "server_time": NOW,
            "resource_types": TYPES,
        }
        async with self.resources.db.transaction() as session:
            return await recording.record_page(session, self.origin, Listed(**values | given), publishes=False)

    async def finish(self) -> SyncRun:
        async with self.resources.db.transaction() as session:
            return await recording.finish(session, self.run_id, TYPES)

    async def begin(self) -> SyncRun:
        async with self.resources.db.transaction() as session:
            return await recording.begin(session, self.run_id)

    async def again(self, people: People) -> "Running":
        """A retry of it, begun."""
        async with self.resources.db.transaction() as session:
            run = await commands.retry(session, actor(people.dietician), self.run_id)
        found = Running(self.resources, run.id, replace(self.origin, run_id=run.id))
        await found.begin()
        return found


@pytest.fixture
async def running(resources: Resources, people: People, patient: Patient) -> Running:
    assert patient.primary_provider_id
    async with resources.db.transaction() as session:
        run = await commands.request(session, actor(people.dietician), patient.id, mode=RunMode.FULL)
    origin = Origin(patient.id, people.dietician.id, patient.primary_provider_id, "The EHR", run.id)
    found = Running(resources, run.id, origin)
    await found.begin()
    return found


async def test_a_complete_run_without_failures_succeeds_and_moves_the_cursor(
    resources: Resources, running: Running
) -> None:
    await running.page(arrivals=[incoming(f"{NOTE}/1", "a"), incoming(f"{NOTE}/2", "b")], bytes=2, fetched=2)
    await running.page(REPORT)
    run = await running.finish()
    assert (run.status, run.stage, run.percent, run.estimated) == (RunStatus.SUCCEEDED, RunStage.DONE, 100, False)
    assert (run.discovered, run.fetched, run.created, run.bytes, run.failed) == (2, 2, 2, 2, 0)
    assert await rows(resources, "SELECT since FROM sync_cursors") == [NOW - timedelta(minutes=10)]
    assert await rows(resources, "SELECT sync_status, last_verified_at = :at FROM patients", at=run.finished_at) == [
        ("SUCCEEDED", True)
    ]
    kinds = "SELECT kind FROM event WHERE stream = :stream ORDER BY seq"
    assert await rows(resources, kinds, stream=run_stream(run.id)) == [
        "RUN_QUEUED",
        "RUN_STARTED",
        "DOCUMENT_CREATED",
        "DOCUMENT_CREATED",
        "PAGE_STORED",
        "PAGE_STORED",
        "RUN_FINISHED",
    ]
    logged = "SELECT action, status, count(*) FROM synchronization_log GROUP BY 1, 2 ORDER BY 1, 2"
    assert await rows(resources, logged) == [
        ("document_created", "SUCCESS", 2),
        ("manual_sync", "STARTED", 1),
        ("manual_sync", "SUCCESS", 1),
    ]


async def test_only_the_first_page_says_when_the_run_began_to_look(resources: Resources, running: Running) -> None:
    """By a later page's clock, what changed in between would be missed."""
    await running.page(server_time=None)
    run = await running.page(REPORT)
    assert run.server_time is None
    assert (await running.finish()).status is RunStatus.SUCCEEDED
    assert await rows(resources, "SELECT since FROM sync_cursors") == []


async def test_a_retry_does_not_take_its_own_clock_for_that_of_the_run_it_repeats(
    people: People, running: Running
) -> None:
    await running.page(server_time=None, next_link="https://ehr.example.test/2")
    await running.page(REPORT)
    await running.finish()
    again = await running.again(people)
    assert (await again.page(number=2)).server_time is None


async def test_a_failure_is_a_gap_with_its_name_and_leaves_the_cursor(resources: Resources, running: Running) -> None:
    problem = Problem(f"{NOTE}/2", "ENTRY_UNREADABLE", "no content")
    await running.page(seen=2, arrivals=[incoming(f"{NOTE}/1", "a")], problems=[problem])
    await running.page(REPORT)
    run = await running.finish()
    assert (run.status, run.percent, run.created, run.failed) == (RunStatus.SUCCEEDED_WITH_GAPS, 100, 1, 1)
    assert await rows(resources, FAILURES) == [(f"{NOTE}/2", "ENTRY_UNREADABLE", "FAILURE")]
    assert await rows(resources, "SELECT since FROM sync_cursors") == []
    assert await rows(resources, "SELECT sync_status, last_verified_at FROM patients") == [
        ("SUCCEEDED_WITH_GAPS", None)
    ]


async def test_a_warning_is_told_but_is_no_gap(resources: Resources, running: Running) -> None:
    warning = Problem(f"{NOTE}/1", "INTEGRITY_MISMATCH", "note.txt", Severity.WARNING)
    await running.page(arrivals=[incoming(f"{NOTE}/1", "a")], problems=[warning])
    await running.page(REPORT)
    assert (await running.finish()).status is RunStatus.SUCCEEDED
    assert await rows(resources, FAILURES) == [(f"{NOTE}/1", "INTEGRITY_MISMATCH", "WARNING")]


async def test_a_type_that_was_not_listed_to_its_end_is_a_gap(running: Running) -> None:
    await running.page(next_link="https://ehr.example.test/next")
    await running.page(REPORT)
    assert (await running.finish()).status is RunStatus.SUCCEEDED_WITH_GAPS


async def test_a_listing_shorter_than_announced_is_a_gap(resources: Resources, running: Running) -> None:
    await running.page(expected=3, arrivals=[incoming(f"{NOTE}/1", "a")])
    await running.page(REPORT)
    assert (await running.finish()).status is RunStatus.SUCCEEDED_WITH_GAPS
    assert await rows(resources, FAILURES) == [(NOTE, "LISTING_SHORT", "FAILURE")]


async def test_a_listing_that_a_retry_goes_on_with_is_as_long_as_its_parts_together(
    people: People, running: Running
) -> None:
    await running.page(next_link="https://ehr.example.test/2", expected=2, arrivals=[incoming(f"{NOTE}/1", "a")])
    await running.page(REPORT)
    assert (await running.finish()).status is RunStatus.SUCCEEDED_WITH_GAPS
    again = await running.again(people)
    await again.page(number=2, expected=2, arrivals=[incoming(f"{NOTE}/2", "b")])
    async with running.resources.db.transaction() as session:
        run = await recording.finish(session, again.run_id, (NOTE,))
    assert run.status is RunStatus.SUCCEEDED


async def test_a_listing_that_begins_anew_does_not_go_on_with_the_one_that_was_wrong(
    people: People, running: Running
) -> None:
    """The first retry could not list anything: the second begins where that one would have."""
    await running.page(expected=3, arrivals=[incoming(f"{NOTE}/1", "a")])
    await running.page(REPORT)
    await running.finish()
    again = await running.again(people)
    async with running.resources.db.transaction() as session:
        await recording.fail(session, again.run_id, "PROVIDER_UNAVAILABLE", "503")
    last = await again.again(people)
    async with running.resources.db.reading() as session:
        run = await queries.run_locked(session, last.run_id)
        scope = await queries.retry_scope(session, run, TYPES)
        assert (scope.listings, scope.references) == ((NOTE,), ())
        assert await queries.listing_so_far(session, run, NOTE) == []


async def test_a_listing_that_hides_something_is_compared_again_as_a_whole(people: People, running: Running) -> None:
    await running.page(arrivals=[incoming(f"{NOTE}/1", "a")])
    await running.page(REPORT)
    async with running.resources.db.transaction() as session:
        gap = Problem(WHOLE_LISTING, "LISTING_SHORT", "1 can still be read")
        await recording.give_up_listing(session, running.run_id, gap)
    await running.finish()
    again = await running.again(people)
    async with running.resources.db.reading() as session:
        assert (await queries.run_locked(session, again.run_id)).mode is RunMode.FULL


async def test_a_page_is_recorded_wholly_or_not_at_all(resources: Resources, running: Running) -> None:
    async def killed() -> None:
        async with resources.db.transaction() as session:
            listed = Listed(NOTE, 1, None, 1, 1, filtered=False, server_time=NOW, resource_types=TYPES)
            await recording.record_page(session, running.origin, listed, publishes=False)
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        await killed()
    assert await rows(resources, "SELECT id FROM sync_pages") == []
    assert await rows(resources, "SELECT discovered FROM sync_runs") == [0]
    await running.page(arrivals=[incoming(f"{NOTE}/1", "a")])
    assert await rows(resources, "SELECT number FROM sync_pages") == [1]


async def test_progress_is_known_once_every_type_was_begun(running: Running) -> None:
    first = await running.page(expected=4, next_link="next", arrivals=[incoming(f"{NOTE}/{n}", "a") for n in "12"])
    assert (first.expected, first.estimated, first.percent) == (4, True, 3 + 97 // 4)
    second = await running.page(number=2, expected=4, arrivals=[incoming(f"{NOTE}/{n}", "b") for n in "34"])
    assert second.percent > first.percent
    third = await running.page(REPORT, expected=1, arrivals=[incoming(f"{REPORT}/1", "c")])
    assert (third.expected, third.estimated, third.percent) == (5, False, 99)


async def test_a_run_that_is_taken_up_again_says_so(resources: Resources, running: Running) -> None:
    assert (await running.begin()).resumed == 0, "nothing was listed before: nothing was interrupted"
    await running.page(next_link="next")
    run = await running.begin()
    assert (run.resumed, run.status) == (1, RunStatus.RUNNING)
    kinds = "SELECT kind FROM event WHERE stream = :stream ORDER BY seq"
    assert (await rows(resources, kinds, stream=run_stream(run.id)))[-1] == "RUN_RESUMED"


async def test_a_run_that_cannot_go_on_has_failed_or_has_gaps(resources: Resources, running: Running) -> None:
    await running.page(arrivals=[incoming(f"{NOTE}/1", "a")], next_link="next")
    async with resources.db.transaction() as session:
        run = await recording.fail(session, running.run_id, "PROVIDER_UNREACHABLE", "no route")
    assert (run.status, run.error_code, run.percent) == (RunStatus.SUCCEEDED_WITH_GAPS, "PROVIDER_UNREACHABLE", 100)
    assert await rows(resources, "SELECT code FROM sync_failures") == ["PROVIDER_UNREACHABLE"]
    assert await rows(resources, "SELECT count(*) FROM healthcare_documents") == [1]


async def test_a_run_that_stored_nothing_has_failed(resources: Resources, running: Running) -> None:
    async with resources.db.transaction() as session:
        run = await recording.fail(session, running.run_id, "PROVIDER_UNAUTHORIZED", "401")
    assert (run.status, run.percent, run.stage) == (RunStatus.FAILED, 0, RunStage.DONE)
    logged = "SELECT status, details FROM synchronization_log ORDER BY timestamp DESC LIMIT 1"
    ((status, details),) = await rows(resources, logged)
    assert status == "ERROR"
    assert "PROVIDER_UNAUTHORIZED" in details


async def test_what_a_full_listing_did_not_show_is_withdrawn_and_told(resources: Resources, running: Running) -> None:
    await running.page(arrivals=[incoming(f"{NOTE}/1", "a"), incoming(f"{NOTE}/2", "b")])
    await sql(resources, "UPDATE sync_pages SET listed = ARRAY[:seen]", seen=f"{NOTE}/1")
    async with resources.db.transaction() as session:
        await recording.withdraw(session, running.origin)
    assert await rows(resources, "SELECT withdrawn FROM sync_runs") == [1]
    assert await rows(resources, "SELECT content, status FROM healthcare_documents ORDER BY content") == [
        ("a", "CURRENT"),
        ("b", "WITHDRAWN"),
    ]
    told = "SELECT count(*) FROM event WHERE kind = 'DOCUMENT_WITHDRAWN' AND stream = :stream"
    assert await rows(resources, told, stream=run_stream(running.run_id)) == [1]
    async with resources.db.transaction() as session:
        await recording.withdraw(session, running.origin)
    assert await rows(resources, "SELECT withdrawn FROM sync_runs") == [1]
