"""A worker is killed in every state of an export: nothing is lost, nothing is doubled, nobody has to help."""

import signal

import pytest

from app.core.resources import Resources
from tests import factories
from tests.conftest import People, Sandbox
from tests.exporting import Practice, practice, set_manner
from tests.faults.charts import chart
from tests.faults.conftest import Fronts
from tests.faults.oracle import Oracle
from tests.faults.scale import FULL, scaled
from tests.runs import Books, SignIn, Workers

PATIENTS = [f"patient-{number}" for number in range(scaled(4, 40))]
NOTES, REPORTS = scaled(4, 6), 2
LONG = scaled(750, 10_000)
"""Notes of each of two patients in one file: more lines than are stored at once."""
MOMENTS = (
    "SELECT percent > 0 FROM exports",
    "SELECT files_done >= 2 FROM exports",
    "SELECT files_done >= 5 FROM exports",
    "SELECT count(*) >= 1 FROM sync_runs WHERE status = 'RUNNING'",
    "SELECT patients_done >= 2 FROM exports",
)


@pytest.fixture
async def found(resources: Resources, sandbox: Sandbox, fronts: Fronts, people: People, sign_in: SignIn) -> Practice:
    for name in PATIENTS:
        sandbox.ehr.put_many(chart(name, NOTES, REPORTS))
    fronts.ehr.pause = fronts.platform.pause = scaled(0.02, 0.03)
    await set_manner(fronts.ehr_url, polls=2, lines=5)
    admin = await sign_in(people.admin)
    given = {"fhir": fronts.fhir, "platform": fronts.platform_url, "page_size": 3}
    return await practice(resources, people, admin, sandbox, PATIENTS, **given)


async def test_an_export_survives_the_sudden_death_of_its_workers(
    found: Practice, books: Books, oracle: Oracle, processes: Workers, fronts: Fronts
) -> None:
    worker = await processes.start()
    await found.export()
    for moment in scaled(MOMENTS[::2], MOMENTS):
        await books.until(moment, bool, 60)
        await worker.end(signal.SIGKILL)
        if not FULL:
            await books.end_leases()
        worker = await processes.start(wait=False)
    done = await found.until("SUCCEEDED", seconds=120)

    total = len(PATIENTS) * (NOTES + REPORTS)
    counts = done["counts"]
    assert (counts["resources"], counts["gaps"], counts["patientsDone"]) == (total, 0, len(PATIENTS))
    assert counts["files"] == counts["filesDone"]
    await oracle.assert_nothing_is_lost_or_doubled()
    runs = "SELECT count(*) FROM sync_runs WHERE export_id IS NOT NULL AND trigger = 'AUTOMATIC'"
    assert await books.one(runs) == await books.one("SELECT count(*) FROM sync_runs") == len(PATIENTS)
    await books.until("SELECT count(*) FROM export_resources", lambda left: left == 0)
    listed = [words for words in fronts.ehr.listed() if "/DocumentReference?" in words]
    assert listed == [], "what the export has shown is not searched for"


async def test_a_file_is_read_on_from_the_line_where_its_reader_died(
    resources: Resources,
    sandbox: Sandbox,
    people: People,
    books: Books,
    oracle: Oracle,
    processes: Workers,
    sign_in: SignIn,
) -> None:
    names = ["amara", "bela"]
    for name in names:
        sandbox.ehr.put_many(factories.resources(name, LONG))
    await set_manner(sandbox.ehr_url, lines=10 * LONG)
    found = await practice(resources, people, await sign_in(people.admin), sandbox, names, page_size=200)
    worker = await processes.start()
    await found.export()
    await books.until("SELECT coalesce(max(lines), 0) FROM export_files", lambda lines: lines > 0, 60)
    await worker.end(signal.SIGKILL)
    if not FULL:
        await books.end_leases()
    stood = await books.one("SELECT max(lines) FROM export_files")
    assert stood >= 1000, "the first lines are stored for good"
    await processes.start(wait=False)
    done = await found.until("SUCCEEDED", seconds=120)

    assert (done["counts"]["files"], done["counts"]["resources"]) == (1, 2 * LONG)
    assert await books.one("SELECT seen FROM export_files") == 2 * LONG, "no line was counted twice"
    await oracle.assert_all_is_here()
    await oracle.assert_the_books_are_straight()


async def test_one_that_was_stopped_while_its_worker_was_dead_is_cleared_away(
    found: Practice, books: Books, processes: Workers, fronts: Fronts
) -> None:
    worker = await processes.start()
    asked = await found.export()
    await books.until("SELECT files_done >= 2 FROM exports", bool, 60)
    await worker.end(signal.SIGKILL)
    if not FULL:
        await books.end_leases()
    stopped = await found.admin.change("ProviderExportCancel", "providerExportCancel", id=asked["id"])
    assert stopped["export"]["state"] == "CANCELLED"
    await processes.start(wait=False)
    await books.until("SELECT count(*) FROM work WHERE kind = 'updates.export' AND done_at IS NULL", lambda n: n == 0)
    assert await books.one("SELECT count(*) FROM export_resources") == 0
    assert sum(n for words, n in fronts.ehr.asked.items() if words.startswith("DELETE /bulk/")) == 1
    assert await books.one("SELECT count(*) FROM sync_runs") == 0
