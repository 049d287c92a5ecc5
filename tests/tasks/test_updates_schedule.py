"""Schedules: runs that nobody presses for, asked for once, not too many, and of everything where that is due."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from app.core.resources import Resources
from tasks import updates
from tasks.broker import Worker
from tests import factories
from tests.conftest import People, Sandbox
from tests.domain.rows import sql
from tests.runs import Books, SignIn, connected_to

RUNS = "SELECT count(*) FROM sync_runs WHERE trigger = 'AUTOMATIC'"


@pytest.fixture
async def patient(resources: Resources, sandbox: Sandbox, people: People) -> str:
    sandbox.ehr.put_many(factories.resources("amara", notes=1))
    return await connected_to(resources, people, sandbox, "amara")


async def since_ever(resources: Resources, provider_column: str) -> None:
    """Every patient's turn by the schedule has come."""
    await sql(resources, f"UPDATE providers SET {provider_column}")
    await updates.one_round(resources)
    await sql(resources, "UPDATE patient_updates SET created_at = now() - interval '1 day', attempted_at = NULL")


async def test_a_schedule_synchronises_by_itself_and_compares_everything_where_that_was_long_ago(
    resources: Resources, sandbox: Sandbox, patient: str, worker: Worker
) -> None:
    books = Books(resources)
    await since_ever(resources, "sync_every_minutes = 60, sweep_every_days = 1")
    await updates.one_round(resources)
    await books.until("SELECT max(status) FROM sync_runs", lambda status: status == "SUCCEEDED")
    await since_ever(resources, "sync_every_minutes = 60")
    await updates.one_round(resources)
    await books.until("SELECT count(*) FROM sync_runs WHERE status = 'SUCCEEDED'", lambda n: n == 2)
    runs = await books.all("SELECT mode, trigger FROM sync_runs ORDER BY id")
    assert [tuple(run) for run in runs] == [("FULL", "AUTOMATIC"), ("INCREMENTAL", "AUTOMATIC")]


async def test_a_run_whose_listing_had_a_gap_is_followed_by_one_of_everything(
    resources: Resources, sandbox: Sandbox, patient: str, worker: Worker
) -> None:
    books = Books(resources)
    await since_ever(resources, "sync_every_minutes = 60")
    await updates.one_round(resources)
    await books.until("SELECT max(status) FROM sync_runs", lambda status: status == "SUCCEEDED")
    await sql(resources, "UPDATE sync_runs SET created_at = created_at - interval '2 hours'")
    await sql(
        resources,
        "WITH run AS (INSERT INTO sync_runs (patient_id, owner_id, provider_id, provider_patient_id, mode, trigger, status,"
        " started_at, finished_at, created_at) SELECT patient_id, owner_id, provider_id, provider_patient_id,"
        " 'INCREMENTAL', 'AUTOMATIC', 'SUCCEEDED_WITH_GAPS', now(), now(), now() - interval '1 hour' FROM sync_runs"
        " RETURNING id)"
        " INSERT INTO sync_failures (run_id, reference, code, detail, severity)"
        " SELECT id, 'DocumentReference', 'LISTING_SHORT', '', 'FAILURE' FROM run",
    )
    await since_ever(resources, "sync_every_minutes = 60")
    await updates.one_round(resources)
    await books.until("SELECT count(*) FROM sync_runs WHERE finished_at IS NOT NULL", lambda n: n == 3)
    assert await books.one("SELECT mode FROM sync_runs ORDER BY id DESC LIMIT 1") == "FULL"


async def test_only_a_run_that_could_compare_makes_good_what_was_removed(resources: Resources, patient: str) -> None:
    books = Books(resources)
    await sql(
        resources,
        "INSERT INTO patient_updates (patient_id, changed_at, removed_at) SELECT id, now(), now() FROM patients",
    )
    assert await updates.ask_for_runs(resources) == 1
    ended = "UPDATE sync_runs SET status = 'SUCCEEDED', started_at = clock_timestamp(), finished_at = clock_timestamp()"
    await sql(resources, ended)
    await updates.one_round(resources, schedules=False)
    marks = "SELECT changed_at IS NULL, removed_at IS NULL FROM patient_updates"
    assert [tuple(row) for row in await books.all(marks)] == [(True, False)]
    await sql(resources, ended + ", compared_at = clock_timestamp()")
    await updates.one_round(resources, schedules=False)
    assert [tuple(row) for row in await books.all(marks)] == [(True, True)]


async def test_many_workers_ask_for_one_run(resources: Resources, sandbox: Sandbox, patient: str) -> None:
    """No worker takes the run up here: it stays open."""
    await since_ever(resources, "sync_every_minutes = 60")
    await asyncio.gather(*[updates.one_round(resources) for _ in range(3)])
    assert await Books(resources).one(RUNS) == 1


async def test_no_more_than_a_bounded_number_is_asked_for_at_once(
    resources: Resources, sandbox: Sandbox, people: People, patient: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updates, "AT_ONCE", 3)
    async with resources.db.transaction() as session:
        provider = await factories.provider(session, resources.vault, sandbox.fhir)
        for number in range(7):
            await factories.patient(
                session, people.dietician, primary_provider_id=provider.id, provider_patient_id=f"p{number}"
            )
    await since_ever(resources, "sync_every_minutes = 60")
    for _ in range(3):
        await updates.one_round(resources)
    assert await Books(resources).one(RUNS) == 3


async def test_without_a_schedule_nothing_is_asked_for(resources: Resources, patient: str) -> None:
    await since_ever(resources, "sync_every_minutes = NULL")
    await updates.one_round(resources)
    assert await Books(resources).one("SELECT count(*) FROM sync_runs") == 0


async def test_a_change_that_a_run_has_failed_at_is_tried_again_later(resources: Resources, patient: str) -> None:
    books = Books(resources)
    await sql(resources, "INSERT INTO patient_updates (patient_id, changed_at) SELECT id, now() FROM patients")
    assert await updates.ask_for_runs(resources) == 1
    await sql(
        resources,
        "UPDATE sync_runs SET status = 'FAILED', started_at = clock_timestamp(), finished_at = clock_timestamp()",
    )
    await updates.one_round(resources)
    assert await books.one(RUNS) == 1
    await sql(
        resources,
        "UPDATE patient_updates SET attempted_at = now() - interval '1 hour', changed_at = now() - interval '2 hours'",
    )
    await updates.one_round(resources)
    assert await books.one(RUNS) == 2


async def test_a_dietician_sees_when_the_next_synchronisation_is_due(
    resources: Resources, patient: str, people: People, sign_in: SignIn
) -> None:
    client = await sign_in(people.dietician)
    assert await _next(client, patient) is None
    await since_ever(resources, "sync_every_minutes = 60")
    due = datetime.fromisoformat(await _next(client, patient))
    assert due < datetime.now(UTC)
    await updates.one_round(resources)
    after = datetime.fromisoformat(await _next(client, patient))
    assert 0 < (after - datetime.now(UTC)).total_seconds() <= 3600


async def _next(client: Any, patient: str) -> Any:
    query = "query($id: ID!) { patient(id: $id) { nextSyncAt primaryProvider { schedule { everyMinutes sweepEveryDays } } } }"
    answer: httpx.Response = await client._http.post("/graphql", json={"query": query, "variables": {"id": patient}})
    data = json.loads(answer.text)["data"]["patient"]
    assert (data["primaryProvider"]["schedule"] is None) == (data["nextSyncAt"] is None)
    return data["nextSyncAt"]
