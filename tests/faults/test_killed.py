"""A worker is killed in the middle of a run: nothing is lost, nothing is doubled, nobody has to help."""

import asyncio
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest

from app.core.resources import Resources
from app.core.settings import Settings
from tests import factories
from tests.conftest import People, Sandbox
from tests.faults.charts import chart
from tests.faults.conftest import Fronts
from tests.faults.figures import Figures
from tests.faults.oracle import Oracle
from tests.faults.scale import FULL, SEED, percentile, scaled
from tests.runs import (
    Books,
    SignIn,
    WorkerProcess,
    Workers,
    connected,
    connected_to,
    ended,
    processes_that_know,
    row_id,
    start_run,
)

NOTES, REPORTS = scaled((35, 15), (700, 300))
TOTAL = NOTES + REPORTS
PAGE = 10
LISTING_KILLS, PUBLISHING_KILLS = scaled((1, 1), (36, 14))
KILLS = LISTING_KILLS + PUBLISHING_KILLS
UNAIDED = 30
"""Seconds after a death until another worker is at it, and after the last one until all is done."""
DONE = """
    SELECT (SELECT count(*) FROM document_sources)
         + (SELECT count(*) FROM platform_receipts WHERE attachment_id IS NOT NULL)
"""


STORED = """
    SELECT count(*) FROM event WHERE stream LIKE 'sync_run/%' AND kind IN ('PAGE_STORED', 'RUN_FINISHED')
"""
"""How often something was stored for good: a page, or a batch that the platform has taken."""


def moments() -> list[int]:
    """At how many documents stored and handed over the worker dies: the last ones while it publishes."""
    dice = random.Random(SEED)
    listing = dice.sample(range(PAGE, TOTAL - PAGE, PAGE), LISTING_KILLS)
    step = TOTAL // (PUBLISHING_KILLS + 4)
    return sorted(listing) + [TOTAL + 1 + step * number for number in range(PUBLISHING_KILLS)]


async def assert_the_story_is_whole(books: Books, run: dict[str, Any], total: int) -> None:
    assert run["counts"]["created"] == run["counts"]["published"] == run["counts"]["discovered"] == total
    assert [event["seq"] for event in run["events"]] == list(range(1, len(run["events"]) + 1))
    percents = [event["run"]["percent"] for event in run["events"]]
    assert percents == sorted(percents)
    told = Counter(event["kind"] for event in run["events"])
    assert told["DOCUMENT_CREATED"] == told["DOCUMENT_PUBLISHED"] == total
    asked = "SELECT status FROM synchronization_log WHERE action = 'manual_sync' ORDER BY timestamp"
    assert await books.column(asked) == ["STARTED", "SUCCESS"]


@dataclass
class Reaper:
    """Kills the worker at a moment, has another one started, and takes the time until that has stored something."""

    books: Books
    processes: Workers
    worker: WorkerProcess
    dice: random.Random = field(default_factory=lambda: random.Random(SEED))
    resumes: list[float] = field(default_factory=list[float])

    async def kill_at(self, moment: int) -> None:
        await self.books.until(DONE, lambda done: done >= moment, 60)
        await asyncio.sleep(self.dice.uniform(0, 0.15))
        await self.worker.end(signal.SIGKILL)
        killed = time.monotonic()
        if self.resumes and not FULL:
            # In small, one lease that runs out by itself is enough.
            await self.books.end_leases()
        stood = await self.books.one(STORED)
        self.worker = await self.processes.start(wait=False)
        await self.books.until(STORED, lambda stored: stored > stood, UNAIDED)
        self.resumes.append(time.monotonic() - killed)


def asked_again(fronts: Fronts) -> tuple[int, int]:
    """Pages and files that were asked for more than once."""
    binaries = sum(n for asked, n in fronts.ehr.asked.items() if "/Binary/" in asked)
    return sum(n - 1 for n in fronts.ehr.listed().values()), binaries - TOTAL


async def test_a_run_survives_the_sudden_death_of_its_workers(
    resources: Resources,
    sandbox: Sandbox,
    fronts: Fronts,
    people: People,
    books: Books,
    oracle: Oracle,
    figures: Figures,
    processes: Workers,
    sign_in: SignIn,
) -> None:
    sandbox.ehr.put_many(chart("amara", NOTES, REPORTS))
    fronts.ehr.pause = fronts.platform.pause = 0.02
    patient = await connected(
        resources, people, "amara", fhir=fronts.fhir, platform=fronts.platform_url, page_size=PAGE
    )
    client = await sign_in(people.dietician)
    reaper = Reaper(books, processes, await processes.start())
    run_id = await start_run(client, patient)
    for moment in moments():
        await reaper.kill_at(moment)
    run = await ended(client, run_id, 60)

    assert run["status"] == "SUCCEEDED", run
    await oracle.assert_nothing_is_lost_or_doubled()
    await assert_the_story_is_whole(books, run, TOTAL)
    assert await books.one("SELECT resumed FROM sync_runs") == KILLS
    pages, files = asked_again(fronts)
    assert pages <= KILLS
    assert files <= KILLS * PAGE
    assert percentile(reaper.resumes, 0.95) <= 15
    figures.note(
        "killed-worker",
        kills=KILLS,
        documents=TOTAL,
        lost=0,
        doubled=0,
        seconds_to_resume_p50=percentile(reaper.resumes, 0.5),
        seconds_to_resume_p95=percentile(reaper.resumes, 0.95),
        pages_asked_for_again=pages,
        files_asked_for_again=files,
    )


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are looked up in /proc")
async def test_a_killed_worker_leaves_no_process_behind(
    resources: Resources,
    sandbox: Sandbox,
    people: People,
    books: Books,
    settings: Settings,
    processes: Workers,
    sign_in: SignIn,
) -> None:
    """Files that are read in a process of their own: it goes with the worker."""
    page = "<html><body>Eats well.</body></html>"
    content = [{"attachment": factories.attachment(page, "text/html")}]
    sandbox.ehr.put_many(
        [factories.fhir_patient("amara"), *(factories.note("amara", number, content=content) for number in range(60))]
    )
    patient = await connected_to(resources, people, sandbox, "amara", page_size=2)
    worker = await processes.start()
    await start_run(await sign_in(people.dietician), patient)
    await books.until("SELECT created FROM sync_runs", lambda created: created >= 10)
    assert len(processes_that_know(settings.data_dir)) == 2

    await worker.end(signal.SIGKILL)

    async with asyncio.timeout(5):
        while processes_that_know(settings.data_dir):  # noqa: ASYNC110 - nobody tells us when a stranger ends
            await asyncio.sleep(0.05)


async def test_a_worker_that_is_asked_to_stop_gives_its_run_back_at_once(
    resources: Resources,
    sandbox: Sandbox,
    fronts: Fronts,
    people: People,
    books: Books,
    oracle: Oracle,
    processes: Workers,
    sign_in: SignIn,
) -> None:
    sandbox.ehr.put_many(chart("amara", 80, 20))
    fronts.ehr.pause = 0.02
    patient = await connected(
        resources, people, "amara", fhir=fronts.fhir, platform=fronts.platform_url, page_size=PAGE
    )
    client = await sign_in(people.dietician)
    worker = await processes.start()
    run_id = await start_run(client, patient)
    await books.until(DONE, lambda done: done >= 50)

    code = await worker.end(signal.SIGTERM)

    assert code == 0, worker.log.read_text()
    work = "SELECT attempts, lease_until, done_at, dead_at FROM work WHERE kind = 'sync.run' AND subject_id = :run"
    assert [tuple(row) for row in await books.all(work, run=row_id(run_id))] == [(0, None, None, None)]
    await processes.start()
    await books.until("SELECT resumed FROM sync_runs", lambda resumed: resumed == 1, seconds=5)
    run = await ended(client, run_id)
    assert run["status"] == "SUCCEEDED"
    await oracle.assert_nothing_is_lost_or_doubled()
    await assert_the_story_is_whole(books, run, 100)
