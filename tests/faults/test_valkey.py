"""Valkey loses everything, or is away for a while: work goes on, and what is new arrives late at most."""

import asyncio
import contextlib
import tempfile
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest
import redis.asyncio

from app.core.embedded import Running, valkey
from app.core.resources import Resources
from app.core.settings import Settings
from tests import factories
from tests.conftest import People, Sandbox
from tests.faults.conftest import Fronts
from tests.runs import Books, SignIn, Workers, connected, ended, start_run


class OwnValkey:
    """A Valkey of this test's own, so that stopping it harms nobody else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: Running | None = valkey.start(folder)
        self.url = self.running.url

    def stop(self) -> None:
        if self.running:
            self.running.stop()
        self.running = None

    def start(self) -> None:
        self.running = valkey.start(self.folder)


@pytest.fixture
def own_valkey() -> Generator[OwnValkey]:
    with tempfile.TemporaryDirectory(prefix="hr-") as folder:
        own = OwnValkey(Path(folder))
        yield own
        own.stop()


@pytest.fixture
def settings(settings: Settings, own_valkey: OwnValkey) -> Settings:
    return settings.model_copy(update={"redis_url": own_valkey.url})


async def start_slow_run(
    resources: Resources, sandbox: Sandbox, fronts: Fronts, people: People, sign_in: SignIn
) -> tuple[str, str]:
    """A run of 80 notes in pages of five that is under way for some seconds; the run's and another patient's id."""
    sandbox.ehr.put_many([*factories.resources("amara", notes=80), *factories.resources("bela", notes=3)])
    fronts.ehr.pause = 0.15
    patient, other = [
        await connected(resources, people, name, fhir=fronts.fhir, platform=fronts.platform_url, page_size=5)
        for name in ("amara", "bela")
    ]
    return await start_run(await sign_in(people.dietician), patient), other


async def test_a_valkey_that_forgets_everything_costs_nothing(
    own_valkey: OwnValkey,
    resources: Resources,
    sandbox: Sandbox,
    fronts: Fronts,
    people: People,
    books: Books,
    processes: Workers,
    sign_in: SignIn,
) -> None:
    client = await sign_in(people.dietician)
    run_id, other = await start_slow_run(resources, sandbox, fronts, people, sign_in)
    second = await start_run(client, other)
    async with contextlib.aclosing(redis.asyncio.Redis.from_url(own_valkey.url)) as forgetful:
        # Nobody has taken the second run's hint yet: there is no worker.
        await forgetful.flushall()
        await processes.start()
        await books.until("SELECT max(created) FROM sync_runs", lambda created: created >= 20)
        await forgetful.flushall()
        runs = [await ended(client, it) for it in (run_id, second)]

    assert [run["status"] for run in runs] == ["SUCCEEDED", "SUCCEEDED"]
    assert [run["counts"]["created"] for run in runs] == [80, 3]
    assert len(sandbox.platform.stored(None)) == 83
    await books.assert_streams_are_contiguous()


async def test_while_valkey_is_away_runs_go_on_and_new_ones_are_taken_and_done(
    own_valkey: OwnValkey,
    resources: Resources,
    sandbox: Sandbox,
    fronts: Fronts,
    people: People,
    books: Books,
    processes: Workers,
    sign_in: SignIn,
) -> None:
    client = await sign_in(people.dietician)
    worker = await processes.start()
    run_id, other = await start_slow_run(resources, sandbox, fronts, people, sign_in)
    following = asyncio.create_task(ended(client, run_id))
    await books.until("SELECT max(created) FROM sync_runs", lambda created: created >= 10)

    await asyncio.to_thread(own_valkey.stop)
    second = await ended(client, await start_run(client, other), 20)
    own_valkey.start()
    run = await following

    assert [it["status"] for it in (run, second)] == ["SUCCEEDED", "SUCCEEDED"]
    for it, documents in ((run, 80), (second, 3)):
        assert [event["seq"] for event in it["events"]] == list(range(1, len(it["events"]) + 1))
        told = Counter(event["kind"] for event in it["events"])
        assert told["DOCUMENT_CREATED"] == told["DOCUMENT_PUBLISHED"] == documents
    assert worker.process.returncode is None
    again = await ended(client, await start_run(client, other), 20)
    assert again["status"] == "SUCCEEDED"
