"""Many ask at once, and somebody changes their mind."""

import asyncio
import time
from collections import Counter

from app.cli.client import ApiError
from app.core.resources import Resources
from tasks.broker import Worker
from tests import factories
from tests.conftest import People, Sandbox
from tests.faults.conftest import Fronts
from tests.faults.figures import Figures
from tests.faults.oracle import Oracle
from tests.faults.scale import scaled
from tests.runs import Books, SignIn, Workers, connected, connected_to, ended, row_id, run_to_end, start_run

RUNS = "SELECT count(*) FROM sync_runs"
WRITTEN = """
    SELECT (SELECT count(*) FROM healthcare_documents) + (SELECT count(*) FROM event)
         + (SELECT count(*) FROM synchronization_log) + (SELECT count(*) FROM sync_pages)
"""


async def test_twenty_who_ask_at_once_get_the_same_run(
    resources: Resources, sandbox: Sandbox, people: People, books: Books, sign_in: SignIn, figures: Figures
) -> None:
    patient = await connected_to(resources, people, sandbox, "amara")
    clients = [await sign_in(people.dietician) for _ in range(scaled(4, 20))]

    asked = await asyncio.gather(*(start_run(clients[number % len(clients)], patient) for number in range(20)))

    assert len(set(asked)) == 1
    assert await books.one(RUNS) == await books.one("SELECT count(*) FROM work WHERE kind = 'sync.run'") == 1
    assert await books.column("SELECT kind FROM event WHERE stream LIKE 'sync_run/%'") == ["RUN_QUEUED"]
    figures.note("many-ask", clients=20, runs=len(set(asked)))


async def test_the_same_key_brings_about_one_run_however_often_it_is_sent(
    resources: Resources, sandbox: Sandbox, people: People, books: Books, worker: Worker, sign_in: SignIn
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=2))
    patient = await connected_to(resources, people, sandbox, "amara")
    client = await sign_in(people.dietician)

    asked = await asyncio.gather(*(start_run(client, patient, idempotencyKey="monday") for _ in range(10)))
    run = await ended(client, asked[0])
    again = await asyncio.gather(*(start_run(client, patient, idempotencyKey="monday") for _ in range(10)))

    assert run["status"] == "SUCCEEDED"
    assert set(asked) == set(again) == {run["id"]}
    assert await books.one(RUNS) == 1
    assert await start_run(client, patient, idempotencyKey="tuesday") != run["id"]


async def test_a_cancelled_run_stops_within_two_seconds_and_writes_nothing_more(
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
    sandbox.ehr.put_many(factories.resources("amara", notes=120))
    fronts.ehr.pause = 0.1
    patient = await connected(resources, people, "amara", fhir=fronts.fhir, platform=fronts.platform_url, page_size=5)
    client = await sign_in(people.dietician)
    await processes.start()
    run_id = await start_run(client, patient)
    await books.until("SELECT created FROM sync_runs", lambda created: created >= 20)

    began = time.monotonic()
    payload = await client.change("SyncCancel", "syncCancel", runId=run_id)
    cancelled = time.monotonic() - began
    assert cancelled < 2
    assert payload["syncRun"]["status"] == "CANCELLED"
    written = await books.one(WRITTEN)
    await asyncio.sleep(2)
    asked = fronts.ehr.asked.total()
    await asyncio.sleep(1)

    assert await books.one(WRITTEN) == written
    assert fronts.ehr.asked.total() == asked, "it still lists after two seconds"
    assert sandbox.platform.stored(None) == []
    fronts.ehr.pause = 0
    run = await run_to_end(client, patient)
    assert run["status"] == "SUCCEEDED"
    assert run["counts"]["created"] + run["counts"]["unchanged"] == 120
    assert len(sandbox.platform.stored(None)) == 120
    await oracle.assert_nothing_is_lost_or_doubled()
    figures.note("many-ask", seconds_to_cancel=cancelled, written_after_the_cancel=0, new_run=run["status"])


async def test_pressing_at_the_very_moment_when_a_run_ends_is_answered(
    resources: Resources,
    sandbox: Sandbox,
    people: People,
    books: Books,
    oracle: Oracle,
    worker: Worker,
    sign_in: SignIn,
) -> None:
    """Whoever asks and whoever works take their locks in one order: nobody waits for the other in a circle."""
    sandbox.ehr.put_many(factories.resources("amara", notes=1))
    patient = await connected_to(resources, people, sandbox, "amara")
    client = await sign_in(people.dietician)
    until = time.monotonic() + scaled(2.0, 30.0)
    answers: Counter[str] = Counter()

    async def press() -> None:
        while time.monotonic() < until:
            try:
                await start_run(client, patient)
                answers["OK"] += 1
            except ApiError as error:
                answers[error.code] += 1

    await asyncio.gather(*(press() for _ in range(6)))
    await books.until("SELECT count(*) FROM work WHERE kind = 'sync.run' AND done_at IS NULL", lambda left: left == 0)

    assert answers["OK"] > 10
    assert set(answers) <= {"OK", "CONFLICT"}
    assert await books.column("SELECT last_error FROM work WHERE attempts > 1") == []
    await oracle.assert_nothing_is_lost_or_doubled()


async def test_a_run_that_nobody_has_taken_up_can_be_cancelled(
    resources: Resources, sandbox: Sandbox, people: People, books: Books, sign_in: SignIn
) -> None:
    patient = await connected_to(resources, people, sandbox, "amara")
    client = await sign_in(people.dietician)
    run_id = await start_run(client, patient)

    payloads = [await client.change("SyncCancel", "syncCancel", runId=run_id) for _ in range(2)]

    assert [payload["syncRun"]["status"] for payload in payloads] == ["CANCELLED", "CANCELLED"]
    assert await books.column("SELECT done_at IS NOT NULL FROM work WHERE subject_id = :run", run=row_id(run_id)) == [
        True
    ]
    assert await start_run(client, patient) != run_id
