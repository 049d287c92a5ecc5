"""Valkey loses everything, restarts, or is away for a while: work goes on, and what is new arrives late at most."""

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
import redis.asyncio

from app.cli.client import Client
from app.core.resources import Resources
from app.core.settings import Settings
from tests import factories
from tests.conftest import People, Sandbox
from tests.faults.conftest import Fronts
from tests.faults.figures import Figures
from tests.faults.oracle import Oracle
from tests.faults.own import OwnValkey
from tests.faults.scale import percentile, scaled
from tests.runs import Books, SignIn, Workers, connected, ended, run_to_end, start_run

ROUNDS = scaled(1, 10)
NOTES = scaled(30, 600)
AWAY_SECONDS = scaled(3, 300)
LATE = 5.0
"""Seconds that an event may be on its way while Valkey is away."""


@pytest.fixture
def settings(settings: Settings, own_valkey: OwnValkey) -> Settings:
    return settings.model_copy(update={"redis_url": own_valkey.url})


@dataclass
class Scene:
    """A patient whose run is under way for some time, and another one with three notes."""

    client: Client
    slow: str
    quick: str

    async def quick_run(self) -> float:
        """Seconds from the request to the end of a run of three notes."""
        began = time.monotonic()
        run = await run_to_end(self.client, self.quick, 60, mode="FULL")
        assert run["status"] == "SUCCEEDED"
        return time.monotonic() - began


@pytest.fixture
async def scene(resources: Resources, sandbox: Sandbox, fronts: Fronts, people: People, sign_in: SignIn) -> Scene:
    sandbox.ehr.put_many([*factories.resources("amara", NOTES), *factories.resources("bela", 3)])
    fronts.ehr.pause = 0.15
    slow, quick = [
        await connected(resources, people, name, fhir=fronts.fhir, platform=fronts.platform_url, page_size=5)
        for name in ("amara", "bela")
    ]
    return Scene(await sign_in(people.dietician), slow, quick)


async def flush(own: OwnValkey) -> None:
    async with contextlib.aclosing(redis.asyncio.Redis.from_url(own.url)) as forgetful:
        await forgetful.flushall()


async def restart(own: OwnValkey) -> None:
    own.stop()
    await asyncio.sleep(0.3)
    own.start()


async def test_a_valkey_that_restarts_and_forgets_everything_costs_nothing(
    own_valkey: OwnValkey,
    scene: Scene,
    books: Books,
    oracle: Oracle,
    figures: Figures,
    processes: Workers,
) -> None:
    worker = await processes.start()
    usual = max([await scene.quick_run() for _ in range(scaled(1, 3))])
    run_id = await start_run(scene.client, scene.slow)
    following = asyncio.create_task(ended(scene.client, run_id, 300))
    await books.until("SELECT max(created) FROM sync_runs", lambda created: created >= 5)
    faults = [restart, flush, restart] * ROUNDS
    delays: list[float] = []
    for fault in faults:
        began = time.monotonic()
        asked = await start_run(scene.client, scene.quick, mode="FULL")
        await fault(own_valkey)
        run = await ended(scene.client, asked)
        assert run["status"] == "SUCCEEDED"
        delays.append(time.monotonic() - began - usual)
    run = await following

    assert (run["status"], run["counts"]["created"]) == ("SUCCEEDED", NOTES), run
    assert worker.process.returncode is None
    assert len(processes.started) == 1
    await oracle.assert_nothing_is_lost_or_doubled()
    assert max(delays) <= 10
    figures.note(
        "valkey-restarted",
        restarts=faults.count(restart),
        flushes=faults.count(flush),
        worker_restarts=0,
        lost=0,
        seconds_of_delay_p50=percentile(delays, 0.5),
        seconds_of_delay_max=max(delays),
    )


async def test_a_hint_that_is_forgotten_before_anybody_took_it_costs_a_moment(
    own_valkey: OwnValkey, scene: Scene, processes: Workers, sandbox: Sandbox
) -> None:
    run_id = await start_run(scene.client, scene.quick)
    await flush(own_valkey)
    await processes.start()
    run = await ended(scene.client, run_id, 20)
    assert (run["status"], len(sandbox.platform.stored(None))) == ("SUCCEEDED", 3)


@dataclass
class Watch:
    """Follows runs and takes how late their events arrive; reads and writes all the time."""

    scene: Scene
    lateness: list[float] = field(default_factory=list[float])
    answered: int = 0
    told: list[Counter[str]] = field(default_factory=list[Counter[str]])

    async def follow(self, run_id: str) -> None:
        kinds: Counter[str] = Counter()
        async for data in self.scene.client.follow("SyncProgress", runId=run_id):
            event = data["syncProgress"]
            self.lateness.append((datetime.now(UTC) - datetime.fromisoformat(event["at"])).total_seconds())
            kinds[event["kind"]] += 1
        self.told.append(kinds)

    async def read_and_write(self) -> None:
        number = 0
        while True:
            number += 1
            notes: dict[str, Any] = {"medicalHistory": f"Note {number}"}
            await self.scene.client.change("PatientUpdate", "patientUpdate", id=self.scene.slow, input=notes)
            read = await self.scene.client.ask("PatientGet", id=self.scene.slow)
            assert read["patient"]["medicalHistory"] == f"Note {number}"
            self.answered += 2
            await asyncio.sleep(0.2)


async def heals(scene: Scene, usual: float) -> float:
    """Seconds until a run is as quick as before."""
    began = time.monotonic()
    async with asyncio.timeout(30):
        while await scene.quick_run() > usual + 0.7:  # noqa: ASYNC110 - each look is a run
            await asyncio.sleep(0.1)
    return time.monotonic() - began


async def test_while_valkey_is_away_all_goes_on_and_progress_comes_a_little_later(
    own_valkey: OwnValkey,
    scene: Scene,
    books: Books,
    oracle: Oracle,
    figures: Figures,
    processes: Workers,
) -> None:
    worker = await processes.start()
    usual = await scene.quick_run()
    watch = Watch(scene)
    following = [asyncio.create_task(watch.follow(await start_run(scene.client, scene.slow)))]
    await books.until("SELECT max(created) FROM sync_runs", lambda created: created >= 10)
    own_valkey.stop()
    working = asyncio.create_task(watch.read_and_write())
    accepted, until = 0, time.monotonic() + AWAY_SECONDS
    while time.monotonic() < until:
        run_id = await start_run(scene.client, scene.quick, mode="FULL")
        accepted += 1
        await asyncio.wait_for(watch.follow(run_id), 30)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    own_valkey.start()
    healed = await heals(scene, usual)
    await asyncio.gather(*following)

    told = max(watch.told, key=Counter.total)
    assert told["DOCUMENT_CREATED"] == told["DOCUMENT_PUBLISHED"] == NOTES
    assert worker.process.returncode is None
    await oracle.assert_nothing_is_lost_or_doubled()
    assert max(watch.lateness) <= LATE
    assert healed <= 10
    figures.note(
        "valkey-away",
        seconds_away=AWAY_SECONDS,
        reads_and_writes=watch.answered,
        of_them_answered="100 %",
        runs_accepted=accepted,
        seconds_late_p95=percentile(watch.lateness, 0.95),
        seconds_late_max=max(watch.lateness),
        healed_after_seconds=healed,
    )
