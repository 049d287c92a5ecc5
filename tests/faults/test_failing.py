"""A provider that fails often, or is dead."""

import asyncio
import contextlib
import time

from app.api.kit import ids
from app.core.resources import Resources
from tasks.broker import Worker
from tests import factories
from tests.conftest import People, Sandbox
from tests.faults.charts import chart
from tests.faults.figures import Figures
from tests.faults.oracle import Oracle
from tests.faults.scale import SEED, scaled
from tests.faults.servers import another_ehr
from tests.faulty import faults
from tests.runs import Books, SignIn, connected, connected_to, ended, run_to_end, start_run

NOTES = scaled(40, 1000)
PAGE = 20
PATIENTS = scaled(6, 20)
DEAD_SECONDS = scaled(3, 95)
OPENING_SECONDS = 2.0
BACK_SECONDS = 60
ARRIVED = "SELECT count(*) FROM document_sources WHERE reference LIKE '%patient-%'"


async def all_connected(resources: Resources, people: People, names: list[str], fhir: str, platform: str) -> list[str]:
    """Patients of one provider and one platform."""
    async with resources.db.transaction() as session:
        provider = await factories.provider(session, resources.vault, fhir)
        platform_id = await factories.platform(session, resources.vault, platform)
        rows = [
            await factories.patient(
                session,
                people.dietician,
                primary_provider_id=provider.id,
                provider_patient_id=name,
                platform_id=platform_id,
            )
            for name in names
        ]
    return [ids.encode("Patient", row.id) for row in rows]


async def test_a_provider_that_fails_three_times_in_ten_is_read_completely(
    resources: Resources,
    sandbox: Sandbox,
    people: People,
    books: Books,
    oracle: Oracle,
    figures: Figures,
    worker: Worker,
    sign_in: SignIn,
) -> None:
    sandbox.ehr.put_many(chart("amara", NOTES))
    items = NOTES + NOTES // PAGE + 2
    # A tenth of all, a ninth of what is left, an eighth of that: three tenths together.
    rules = [
        {"fault": "status", "status": status, "share": share, "seed": SEED + status, "match": {"path": "/fhir/.*"}}
        for status, share in ((500, 0.1), (502, 0.111), (503, 0.125))
    ]
    async with another_ehr(sandbox.ehr) as front, faults(front.url, *rules) as on:
        patient = await connected(
            resources, people, "amara", fhir=front.fhir, platform=sandbox.platform_url, page_size=PAGE
        )
        client = await sign_in(people.dietician)
        async with contextlib.AsyncExitStack() as stack:
            if scaled(True, False):
                await stack.enter_async_context(books.no_pauses())
            began = time.monotonic()
            run = await run_to_end(client, patient, scaled(60, 900))
        struck = sum(await on.struck())

    assert (run["status"], run["counts"]["created"]) == ("SUCCEEDED", NOTES), run["failures"][:3]
    await oracle.assert_nothing_is_lost_or_doubled()
    requests = len(front.asked)
    assert struck > 0.2 * requests
    assert requests <= 2 * items
    figures.note(
        "failing-third",
        items=items,
        requests=requests,
        of_them_failed=struck,
        requests_an_item=requests / items,
        gaps=0,
        seconds=time.monotonic() - began,
    )


async def test_a_dead_provider_is_left_alone_until_it_is_back(
    resources: Resources,
    sandbox: Sandbox,
    people: People,
    books: Books,
    oracle: Oracle,
    figures: Figures,
    worker: Worker,
    sign_in: SignIn,
) -> None:
    """Many patients are synchronised with it at once; those of another provider notice nothing."""
    names = [f"patient-{number}" for number in range(PATIENTS)]
    sandbox.ehr.put_many([it for name in names for it in factories.resources(name, 2)])
    sandbox.ehr.put_many(factories.resources("healthy", 5))
    client = await sign_in(people.dietician)
    healthy = await connected_to(resources, people, sandbox, "healthy")
    async with another_ehr(sandbox.ehr) as front:
        patients = await all_connected(resources, people, names, front.fhir, sandbox.platform_url)
        async with faults(front.url, {"fault": "close"}):
            runs = [await start_run(client, patient) for patient in patients]
            died = time.monotonic()
            unaffected = await run_to_end(client, healthy, 20)
            await asyncio.sleep(DEAD_SECONDS)
            moments = [moment - died for moment, _ in front.asked]
        back = time.monotonic()
        await books.until(ARRIVED, bool, BACK_SECONDS)
        closed = time.monotonic() - back
        finished = [await ended(client, run, 120) for run in runs]

    assert unaffected["status"] == "SUCCEEDED"
    # What comes in the first seconds has opened the breaker; every later request is a probe.
    opened = len([moment for moment in moments if moment < OPENING_SECONDS])
    assert opened <= 20
    probes = [moment for moment in moments if moment >= OPENING_SECONDS]
    assert len(probes) <= 1 + DEAD_SECONDS / 30
    assert {run["status"] for run in finished} == {"SUCCEEDED"}
    await oracle.assert_nothing_is_lost_or_doubled()
    figures.note(
        "dead-provider",
        patients=PATIENTS,
        seconds_dead=DEAD_SECONDS,
        requests_until_the_breaker_opened=opened,
        requests_while_it_was_open=len(moments) - opened,
        closed_after_seconds=closed,
    )
