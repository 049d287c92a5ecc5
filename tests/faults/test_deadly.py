"""Jobs that take their worker's process along each time are buried; the work of others goes on."""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import AsyncGenerator
from uuid import uuid4

import pytest

from app.core import work
from app.core.resources import Resources
from tests import factories
from tests.conftest import People, Sandbox
from tests.faults.deadly_worker import DEADLY, GREEDY, HARMLESS, RAISING
from tests.faults.figures import Figures
from tests.faults.oracle import Oracle
from tests.faults.scale import FULL, scaled
from tests.runs import Books, SignIn, Workers, connected_to, ended, start_run

OTHERS = scaled(40, 999)
ATTEMPTS = 3
OPEN = "SELECT count(*) FROM work WHERE kind LIKE 'faults.%' AND done_at IS NULL AND dead_at IS NULL"
BURIED = "SELECT kind, last_error, done_at FROM work WHERE dead_at IS NOT NULL ORDER BY kind"
DONE = "SELECT count(*) FROM work WHERE kind = :kind AND done_at IS NOT NULL"


@contextlib.asynccontextmanager
async def restarted(processes: Workers, books: Books) -> AsyncGenerator[list[int]]:
    """A worker that is started again whenever it dies; how it died each time."""
    deaths: list[int] = []

    async def tend() -> None:
        while True:
            worker = await processes.start("tests.faults.deadly_worker", wait=False)
            deaths.append(await worker.process.wait())
            if not FULL:
                await books.end_leases()

    tending = asyncio.create_task(tend())
    try:
        yield deaths
    finally:
        tending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            # We have just cancelled it.
            await tending


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the memory of a process is looked up in /proc")
async def test_jobs_that_raise_kill_or_devour_are_buried_and_others_go_on(
    resources: Resources,
    sandbox: Sandbox,
    people: People,
    books: Books,
    oracle: Oracle,
    figures: Figures,
    processes: Workers,
    sign_in: SignIn,
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=30))
    patient = await connected_to(resources, people, sandbox, "amara", page_size=5)
    client = await sign_in(people.dietician)
    began = time.monotonic()
    async with resources.db.transaction() as session:
        for kind in (DEADLY, RAISING, GREEDY):
            await work.ask(session, kind, uuid4(), max_attempts=ATTEMPTS)
        for _ in range(OTHERS):
            await work.ask(session, HARMLESS, uuid4(), max_attempts=ATTEMPTS)
    run_id = await start_run(client, patient)

    async with restarted(processes, books) as deaths:
        run = await ended(client, run_id, 120)
        await books.until(OPEN, lambda left: left == 0, scaled(90, 180))

    assert run["status"] == "SUCCEEDED"
    assert run["counts"]["created"] == 30
    assert set(deaths) == {-signal.SIGKILL}
    assert len(deaths) <= ATTEMPTS
    buried = await books.all(BURIED)
    assert [(row.kind, row.done_at) for row in buried] == [(DEADLY, None), (GREEDY, None), (RAISING, None)]
    assert all(row.last_error.startswith("WORKER_FAILED") for row in buried)
    assert await books.one(DONE, kind=HARMLESS) == OTHERS
    await oracle.assert_nothing_is_lost_or_doubled()
    figures.note(
        "deadly-job",
        other_jobs=OTHERS,
        of_them_done=OTHERS,
        attempts=ATTEMPTS,
        buried=len(buried),
        deaths_of_the_worker=len(deaths),
        seconds=time.monotonic() - began,
    )
