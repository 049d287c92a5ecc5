"""Messages are hints: however often one is delivered, to whomever, it has one effect."""

import asyncio

from sqlalchemy import text

from app.core.resources import Resources
from app.core.signals import Outbox
from tasks.broker import Worker
from tests import factories
from tests.conftest import People, Sandbox
from tests.faults.figures import Figures
from tests.faults.oracle import Oracle
from tests.faults.scale import scaled
from tests.runs import Books, SignIn, Workers, connected_to, ended, start_run

COPIES = 10
PATIENTS, NOTES = scaled((4, 10), (50, 40))


async def deliver(resources: Resources) -> int:
    """A copy of the message for every job that there ever was; how many those are."""
    async with resources.db.reading() as session:
        rows = (await session.execute(text("SELECT id, kind FROM work"))).all()
    await resources.db.signals.send(Outbox(hints={row.id: row.kind for row in rows}))
    return len(rows)


async def test_messages_that_are_delivered_ten_times_have_one_effect(
    resources: Resources,
    sandbox: Sandbox,
    people: People,
    books: Books,
    oracle: Oracle,
    figures: Figures,
    worker: Worker,
    processes: Workers,
    sign_in: SignIn,
) -> None:
    """Before, while and after the work is done, to two workers."""
    names = [f"patient-{number}" for number in range(PATIENTS)]
    for name in names:
        sandbox.ehr.put_many(factories.resources(name, NOTES))
    patients = [await connected_to(resources, people, sandbox, name, page_size=5) for name in names]
    client = await sign_in(people.dietician)
    await processes.start()
    runs = [await start_run(client, patient) for patient in patients]
    sent = 0
    for _ in range(COPIES):
        sent += await deliver(resources)
        await asyncio.sleep(0.1)
    finished = [await ended(client, run, 120) for run in runs]
    for _ in range(COPIES):
        sent += await deliver(resources)
    await asyncio.sleep(1)

    assert {run["status"] for run in finished} == {"SUCCEEDED"}
    assert {run["counts"]["created"] for run in finished} == {NOTES}
    assert await books.one("SELECT max(resumed) FROM sync_runs") == 0
    assert await books.one("SELECT max(fence) FROM work WHERE kind = 'sync.run'") == 1
    assert await books.one(
        "SELECT count(*) FROM event WHERE kind = 'RUN_FINISHED' AND stream LIKE 'sync_run/%'"
    ) == len(runs)
    await oracle.assert_nothing_is_lost_or_doubled()
    figures.note("duplicate-messages", jobs=len(runs), messages=sent, effects=len(runs), runs_begun_twice=0)
