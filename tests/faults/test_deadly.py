"""A job that takes its worker's process along each time is buried; the work of others goes on."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncGenerator
from uuid import uuid4

from app.core import work
from app.core.resources import Resources
from tests import factories
from tests.conftest import People, Sandbox
from tests.faults.deadly_worker import DEADLY
from tests.runs import Books, SignIn, Workers, connected_to, ended, start_run

WORK = "SELECT dead_at IS NOT NULL FROM work WHERE kind = :kind"


@contextlib.asynccontextmanager
async def restarted(processes: Workers) -> AsyncGenerator[list[int]]:
    """A worker that is started again whenever it dies; how it died each time."""
    deaths: list[int] = []

    async def tend() -> None:
        while True:
            worker = await processes.start("tests.faults.deadly_worker", wait=False)
            deaths.append(await worker.process.wait())

    tending = asyncio.create_task(tend())
    try:
        yield deaths
    finally:
        tending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            # We have just cancelled it.
            await tending


async def test_a_job_that_kills_its_process_is_buried_and_others_go_on(
    resources: Resources, sandbox: Sandbox, people: People, books: Books, processes: Workers, sign_in: SignIn
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=30))
    patient = await connected_to(resources, people, sandbox, "amara", page_size=5)
    client = await sign_in(people.dietician)
    async with resources.db.transaction() as session:
        await work.ask(session, DEADLY, uuid4(), max_attempts=2)
    run_id = await start_run(client, patient)

    async with restarted(processes) as deaths:
        run = await ended(client, run_id)
        await books.until(WORK, bool, 60, kind=DEADLY)

    assert run["status"] == "SUCCEEDED"
    assert (run["counts"]["created"], len(sandbox.platform.stored(None))) == (30, 30)
    assert deaths == [-signal.SIGKILL] * 2
    row = await books.all("SELECT attempts, done_at, last_error FROM work WHERE kind = :kind", kind=DEADLY)
    assert (row[0].attempts, row[0].done_at) == (3, None)
    assert row[0].last_error.startswith("WORKER_FAILED")
