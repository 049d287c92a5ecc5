"""Notifications as the network delivers them: many times at once, out of order, late, and from others than the provider."""

import asyncio
import time
from typing import Any

import httpx
import pytest

from app.core.resources import Resources
from tasks import updates
from tasks.broker import Worker
from tests import factories
from tests.conftest import People, Sandbox
from tests.domain.rows import everything
from tests.faults.figures import Figures
from tests.faults.processes import Web
from tests.faults.scale import scaled
from tests.runs import SignIn, Workers, connected_to
from tests.updating import Feed, at_sandbox, notification, turned_on

COPIES = 100
NOTE = "DocumentReference/amara-note-0"


@pytest.fixture
async def feed(
    resources: Resources, sandbox: Sandbox, people: People, sign_in: SignIn, server: str, worker: Worker
) -> Feed:
    """Confirmed by the provider, which sends nothing by itself from now on: the test is the network."""
    sandbox.ehr.put_many(factories.resources("amara", notes=1))
    patient = await connected_to(resources, people, sandbox, "amara")
    found = await turned_on(resources, people, sign_in, patient, server)
    await found.active()
    await found.quiet()
    sandbox.ehr.listener = lambda _: None
    return found


async def versions(feed: Feed) -> list[Any]:
    return [*await feed.books.all("SELECT number FROM document_versions ORDER BY number")]


async def test_one_notification_a_hundred_times_at_once_has_one_effect(
    feed: Feed, sandbox: Sandbox, figures: Figures
) -> None:
    runs, last = len(await feed.runs()), (await feed.row()).last_event
    sandbox.ehr.put(factories.note("amara", 0, "Now eats fish."))
    row = await feed.row()
    body = notification((last + 1, NOTE), remote=row.remote_id)
    known = {"subscription_id": row.id, "secret": await feed.secret(row.id)}

    answers = await asyncio.gather(*[feed.post(body, **known) for _ in range(COPIES)])

    assert {answer.status_code for answer in answers} == {200}
    await feed.books.until("SELECT max(number) FROM document_versions", lambda number: number == 2)
    await feed.quiet()
    made = len(await feed.runs()) - runs
    kept = await feed.books.one("SELECT count(*) FROM subscription_notifications")
    assert (made, kept, len(await versions(feed))) == (1, 1, 2)
    assert (await feed.post(body)).status_code == 200, "and once more, later"
    await feed.quiet()
    assert len(await feed.runs()) - runs == 1
    figures.note("notifications", copies=COPIES, effects=kept, runs=made)


async def test_of_versions_out_of_order_the_newest_wins(feed: Feed, sandbox: Sandbox) -> None:
    row, count = await feed.row(), scaled(5, 30)
    for number in range(count):
        sandbox.ehr.put(factories.note("amara", 0, f"Text {number}", description=f"Version {number}"))
    bodies = [notification((row.last_event + n, NOTE), remote=row.remote_id) for n in range(count, 0, -1)]

    for body in bodies:
        assert (await feed.post(body)).status_code == 200
    await feed.quiet()

    newest = f"Version {count - 1}"
    assert await feed.books.column("SELECT title FROM healthcare_documents") == [newest]
    await feed.post(bodies[-1])
    await feed.quiet()
    assert await feed.books.column("SELECT title FROM healthcare_documents") == [newest]
    assert await feed.books.one("SELECT sum(gaps) FROM subscriptions") == 0


@pytest.mark.parametrize(
    ("given", "status"),
    [({"timestamp": int(time.time()) - 3600}, 401), ({"secret": "somebody else's"}, 401), ({"headers": {}}, 401)],
    ids=["stale timestamp", "bad signature", "no proof"],
)
async def test_a_notification_that_is_not_the_providers_is_refused_and_changes_nothing(
    feed: Feed, given: dict[str, Any], status: int
) -> None:
    before = await everything(feed.resources)
    body = notification((99, NOTE))
    answers = await asyncio.gather(*[feed.post(body, **given) for _ in range(20)])
    assert {answer.status_code for answer in answers} == {status}
    after = await everything(feed.resources)
    assert {table for table in before if before[table] != after[table]} <= {"work"}
    assert await feed.books.one("SELECT count(*) FROM subscription_notifications") == 0


async def test_every_copy_that_a_provider_sends_itself_is_one_effect(
    resources: Resources, sandbox: Sandbox, people: People, sign_in: SignIn, server: str, worker: Worker
) -> None:
    """As the EHR's own retries and duplicates bring them, each signed anew."""
    sandbox.ehr.put_many(factories.resources("amara", notes=1))
    patient = await connected_to(resources, people, sandbox, "amara")
    feed = await turned_on(resources, people, sign_in, patient, server)
    await feed.active()
    await feed.quiet()
    runs = len(await feed.runs())
    async with httpx.AsyncClient(base_url=sandbox.ehr_url, trust_env=False) as control:
        await control.post("/control/faults", json=[{"fault": "duplicate-webhook", "copies": 10}])
    sandbox.ehr.put(factories.note("amara", 1, description="Told ten times"))
    await feed.books.until("SELECT count(*) FROM healthcare_documents", lambda number: number == 2)
    await feed.quiet()
    assert await feed.books.one("SELECT count(*) FROM subscription_notifications") == 1
    assert len(await feed.runs()) == runs + 1


async def test_two_worker_processes_ask_for_one_run(
    resources: Resources, sandbox: Sandbox, people: People, processes: Workers, web: Web
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=1))
    await connected_to(resources, people, sandbox, "amara")
    feed = Feed(resources, "")
    async with resources.db.transaction() as session:
        connection = await session.connection()
        await connection.exec_driver_sql("UPDATE providers SET sync_every_minutes = 1440, sweep_every_days = 7")
        await connection.exec_driver_sql(
            "INSERT INTO patient_updates (patient_id, created_at) SELECT id, now() - interval '3 days' FROM patients"
        )
    # Both look at the schedules as soon as they are there.
    workers = [await processes.start(wait=False) for _ in range(2)]
    await feed.books.until("SELECT count(*) FROM sync_runs WHERE status = 'SUCCEEDED'", lambda number: number == 1)
    for worker in workers:
        await worker.ready()
    await asyncio.sleep(scaled(0, updates.SCHEDULES_EACH * updates.INTERVAL + 1))
    for _ in range(3):
        await updates.one_round(resources)
    await feed.quiet()
    assert [run.trigger for run in await feed.runs()] == ["AUTOMATIC"]
    assert at_sandbox(sandbox) == []
