"""The database goes away and comes back: whoever asks is told so quickly, and everything goes on by itself."""

import asyncio
import contextlib
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from sqlalchemy.exc import SQLAlchemyError

from app import migrations
from app.cli.client import ApiError, Client
from app.core.resources import Resources
from app.core.settings import Settings
from tests.conftest import People, Sandbox
from tests.faults.charts import chart
from tests.faults.conftest import Fronts
from tests.faults.figures import Figures
from tests.faults.oracle import Oracle
from tests.faults.own import FAST, IMMEDIATE, OwnPostgres
from tests.faults.processes import Web, signed_in
from tests.faults.scale import scaled
from tests.runs import Books, Workers, connected, run_as_it_stands, start_run

RESTARTS = scaled([IMMEDIATE], [FAST, IMMEDIATE] * 5)
NOTES = scaled(30, 600)
AWAY_SECONDS = scaled(0.5, 1.5)
PATIENCE = 5.0
"""Seconds until a caller has an answer, and until the first good one once the database is back."""


@pytest.fixture
def own_postgres() -> Generator[OwnPostgres]:
    with tempfile.TemporaryDirectory(prefix="hr-") as folder:
        own = OwnPostgres(Path(folder))
        migrations.upgrade(own.url)
        yield own
        own.stop()


@pytest.fixture
def settings(settings: Settings, own_postgres: OwnPostgres) -> Settings:
    return settings.model_copy(update={"database_url": own_postgres.url})


@dataclass
class Caller:
    """Reads and asks for work all the time, and keeps what came of it and how long it took."""

    client: Client
    patient: str
    answers: Counter[str] = field(default_factory=Counter[str])
    longest: float = 0
    good_at: float = 0

    async def call(self) -> None:
        ways: list[Callable[[], Awaitable[object]]] = [
            lambda: self.client.ask("PatientGet", id=self.patient),
            lambda: self.client.change(
                "PatientUpdate", "patientUpdate", id=self.patient, input={"medicalHistory": "x"}
            ),
            lambda: start_run(self.client, self.patient),
        ]
        while True:
            for way in ways:
                began = time.monotonic()
                self.answers[await self._outcome(way)] += 1
                self.longest = max(self.longest, time.monotonic() - began)
                await asyncio.sleep(0.05)

    async def _outcome(self, way: Callable[[], Awaitable[object]]) -> str:
        try:
            await way()
        except ApiError as error:
            return error.code
        except (httpx.HTTPError, ValueError) as error:
            return type(error).__name__
        self.good_at = time.monotonic()
        return "OK"


async def stored(books: Books) -> int:
    """How many documents there are; while the database is away nobody knows."""
    with contextlib.suppress(SQLAlchemyError, OSError):
        # The next look tells.
        return await books.one("SELECT count(*) FROM document_sources")
    return -1


async def test_a_database_that_restarts_costs_nothing(
    own_postgres: OwnPostgres,
    resources: Resources,
    sandbox: Sandbox,
    fronts: Fronts,
    people: People,
    books: Books,
    oracle: Oracle,
    figures: Figures,
    processes: Workers,
    web: Web,
) -> None:
    sandbox.ehr.put_many(chart("amara", NOTES))
    fronts.ehr.pause = 0.1
    patient = await connected(resources, people, "amara", fhir=fronts.fhir, platform=fronts.platform_url, page_size=5)
    worker = await processes.start()
    async with signed_in(web.url, people.dietician) as client:
        run_id = await start_run(client, patient)
        caller = Caller(client, patient)
        calling = asyncio.create_task(caller.call())
        recovered: list[float] = []
        for number, how in enumerate(RESTARTS, 1):
            async with asyncio.timeout(60):
                while await stored(books) < number * NOTES // (len(RESTARTS) + 1):  # noqa: ASYNC110 - a process writes it
                    await asyncio.sleep(0.05)
            await own_postgres.restart(how, AWAY_SECONDS)
            back = time.monotonic()
            async with asyncio.timeout(30):
                while caller.good_at < back:  # noqa: ASYNC110 - another task counts
                    await asyncio.sleep(0.01)
            recovered.append(caller.good_at - back)
        calling.cancel()
        await asyncio.wait([calling])
        await books.until("SELECT status FROM sync_runs ORDER BY id LIMIT 1", lambda it: it != "RUNNING", 120)
        run = await run_as_it_stands(client, run_id)
        await books.until("SELECT count(*) FROM work WHERE kind = 'sync.run' AND done_at IS NULL", lambda it: it == 0)

    assert (run["status"], run["counts"]["created"]) == ("SUCCEEDED", NOTES), run
    assert worker.process.returncode is None
    assert set(caller.answers) == {"OK", "UNAVAILABLE"}, web.defects()
    assert caller.longest <= PATIENCE
    assert max(recovered) <= PATIENCE
    await oracle.assert_nothing_is_lost_or_doubled()
    figures.note(
        "postgres-restarted",
        restarts_fast=RESTARTS.count(FAST),
        restarts_immediate=RESTARTS.count(IMMEDIATE),
        lost=0,
        doubled=0,
        answers_that_say_it_is_away=caller.answers["UNAVAILABLE"],
        longest_answer_seconds=caller.longest,
        recovered_after_seconds_max=max(recovered),
    )
