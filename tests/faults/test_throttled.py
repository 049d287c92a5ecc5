"""A provider asks to be asked less: it is left alone for as long as it wants, and nobody else waits for it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from app.core.resources import Resources
from tasks.broker import Worker
from tests import factories
from tests.conftest import People, Sandbox
from tests.faults.figures import Figures
from tests.faults.oracle import Oracle
from tests.faults.scale import FULL, scaled
from tests.faults.servers import Clocked, another_ehr
from tests.faulty import faults
from tests.runs import Books, SignIn, connected, connected_to, ended, row_id, run_to_end, start_run

SEARCH = {"path": "/fhir/DocumentReference"}
SLACK = 0.05
"""A date in a header has whole seconds, and the clocks of two processes differ by the way of a request."""
FORMS: dict[str, tuple[dict[str, Any], float]] = {
    "seconds": ({"retry_after": "2"}, 2.0),
    "date": ({"retry_after_date": 3}, 2.0),
    "past date": ({"retry_after_date": -60}, 0.0),
    "rubbish": ({"retry_after": "soon"}, 0.0),
}
DAY = {"retry_after": "86400"}
CAP = 3600
"""Seconds. Nobody waits for longer than this without asking again."""
WAITING = """
    SELECT count(*) FILTER (WHERE lease_until > clock_timestamp()), count(*),
           max(extract(epoch FROM due_at - clock_timestamp()))
    FROM work WHERE kind = 'sync.run' AND done_at IS NULL
"""


@dataclass
class Throttled:
    """A provider that answers 429 once, in one form."""

    name: str
    front: Clocked
    patient: str
    floor: float

    @property
    def waited(self) -> float:
        """Seconds from the refusal to the next listing."""
        first, second = self.front.moments(SEARCH["path"])[:2]
        return second - first


@contextlib.asynccontextmanager
async def throttled(resources: Resources, people: People, sandbox: Sandbox) -> AsyncGenerator[list[Throttled]]:
    async with contextlib.AsyncExitStack() as stack:
        found: list[Throttled] = []
        for name, (form, floor) in {**FORMS, "day": (DAY, 0.0)}.items():
            front = await stack.enter_async_context(another_ehr(sandbox.ehr))
            times = None if name == "day" else 1
            rule = {"fault": "status", "status": 429, "match": SEARCH, "times": times, **form}
            await stack.enter_async_context(faults(front.url, rule))
            patient = await connected(
                resources, people, f"patient-{len(found)}", fhir=front.fhir, platform=sandbox.platform_url
            )
            found.append(Throttled(name, front, patient, floor))
        yield found


async def test_a_provider_that_asks_for_patience_gets_it(
    resources: Resources,
    sandbox: Sandbox,
    people: People,
    books: Books,
    oracle: Oracle,
    figures: Figures,
    worker: Worker,
    sign_in: SignIn,
) -> None:
    for number in range(len(FORMS) + 1):
        sandbox.ehr.put_many(factories.resources(f"patient-{number}", 3))
    sandbox.ehr.put_many(factories.resources("healthy", scaled(30, 800)))
    healthy = await connected_to(resources, people, sandbox, "healthy")
    client = await sign_in(people.dietician)
    await run_to_end(client, healthy)

    async def timed() -> float:
        began = time.monotonic()
        assert (await run_to_end(client, healthy, mode="FULL"))["status"] == "SUCCEEDED"
        return time.monotonic() - began

    alone = min([await timed() for _ in range(scaled(1, 5))])
    async with throttled(resources, people, sandbox) as providers:
        runs = [await start_run(client, it.patient) for it in providers]
        following = [asyncio.create_task(ended(client, run)) for run in runs[:-1]]
        await asyncio.sleep(0.8)
        held, waiting, _ = (await books.all(WAITING))[0]
        beside = min([await timed() for _ in range(scaled(1, 5))])
        finished = await asyncio.gather(*following)
        _, left, due = (await books.all(WAITING))[0]
        asked = len(providers[-1].front.moments(SEARCH["path"]))
        await client.change("SyncCancel", "syncCancel", runId=runs[-1])

    # A worker has four places, and five providers asked for time.
    assert held < waiting
    assert [run["status"] for run in finished] == ["SUCCEEDED"] * len(FORMS)
    for it in providers[:-1]:
        assert it.waited >= it.floor - SLACK, it.name
        assert it.waited <= it.floor + 15, it.name
    assert (left, asked) == (1, 1)
    assert 60 < due <= CAP + 1
    assert not FULL or beside <= 1.1 * alone + 0.1
    waits = {it.name.replace(" ", "_"): round(it.waited, 1) for it in providers[:-1]}
    figures.note(
        "throttled",
        **{f"seconds_waited_for_{name}": waited for name, waited in waits.items()},
        seconds_waited_for_a_day=float(due),
        workers_held=held,
        others_slower_percent=round(100 * (beside / alone - 1)),
    )
    cancelled = await books.column("SELECT id FROM sync_runs WHERE status = 'CANCELLED'")
    assert cancelled == [row_id(runs[-1])]
    await oracle.assert_the_books_are_straight()
