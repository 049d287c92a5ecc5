"""A patient with very many documents: a page at a time, whatever there is."""

import time

from app.core.resources import Resources
from tests import factories
from tests.conftest import People, Sandbox
from tests.faults.charts import chart
from tests.faults.figures import Figures
from tests.faults.memory import peak
from tests.faults.oracle import Oracle
from tests.faults.scale import scaled
from tests.runs import SignIn, Workers, connected_to, run_to_end

DOCUMENTS = scaled(400, 10_000)
GROWTH = 64 * 1024
"""Kilobytes that a worker may need more than before."""


async def test_very_many_documents_of_one_patient_go_through_a_small_worker(
    resources: Resources,
    sandbox: Sandbox,
    people: People,
    oracle: Oracle,
    figures: Figures,
    processes: Workers,
    sign_in: SignIn,
) -> None:
    sandbox.ehr.put_many(chart("warm", 60))
    sandbox.ehr.put_many(factories.resources("amara", DOCUMENTS))
    warm, patient = [await connected_to(resources, people, sandbox, name) for name in ("warm", "amara")]
    client = await sign_in(people.dietician)
    worker = await processes.start()
    await run_to_end(client, warm)
    before, began = peak(worker), time.monotonic()

    run = await run_to_end(client, patient, 900)

    grown = peak(worker) - before
    assert (run["status"], run["counts"]["published"]) == ("SUCCEEDED", DOCUMENTS), run
    assert grown <= GROWTH
    await oracle.assert_nothing_is_lost_or_doubled()
    figures.note(
        "many",
        documents=DOCUMENTS,
        seconds=time.monotonic() - began,
        worker_memory_grown_by_mb=grown / 1024,
    )
