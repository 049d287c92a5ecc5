"""A worker is killed in the middle of a run: nothing is lost, nothing is doubled, nobody has to help."""

import asyncio
import hashlib
import random
import signal
import sys
from base64 import b64encode
from collections import Counter
from typing import Any

import pytest

from app.core.resources import Resources
from app.core.settings import Settings
from tests import factories
from tests.conftest import People, Sandbox
from tests.faults.conftest import Fronts
from tests.runs import Books, SignIn, Workers, connected, connected_to, ended, processes_that_know, row_id, start_run

SEED = 20260101
NOTES, REPORTS = 140, 60
TOTAL = NOTES + REPORTS
PAGE = 10
KILLS = 5
UNAIDED = 30
"""Seconds after a death until another worker is at it, and after the last one until all is done."""
DONE = """
    SELECT created + (SELECT count(*) FROM platform_receipts WHERE attachment_id IS NOT NULL)
    FROM sync_runs WHERE id = :run
"""


def chart(patient_id: str) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Notes and reports whose files lie in Binaries, and the hashes of those."""
    resources = list(factories.resources(patient_id, NOTES, REPORTS))
    hashes: Counter[str] = Counter()
    for resource in tuple(resources[1:]):
        data = f"What {resource['id']} says.".encode()
        binary = {"resourceType": "Binary", "id": resource["id"], "contentType": "text/plain"}
        resources.append(binary | {"data": b64encode(data).decode()})
        pointer = {"contentType": "text/plain", "url": f"Binary/{resource['id']}", "size": len(data)}
        if resource["resourceType"] == "DocumentReference":
            resource["content"] = [{"attachment": pointer}]
        else:
            resource["presentedForm"] = [pointer]
        hashes[hashlib.sha256(data).hexdigest()] += 1
    return resources, hashes


def moments(kills: int) -> list[int]:
    """At how many documents stored and handed over the worker dies: the last ones while it publishes."""
    dice = random.Random(SEED + kills)
    publishing = kills // 2
    listing = dice.sample(range(PAGE, TOTAL - PAGE, PAGE), kills - publishing)
    return sorted(listing) + sorted(dice.sample(range(TOTAL + 1, 2 * TOTAL - 60), publishing))


async def assert_all_is_there_once(books: Books, sandbox: Sandbox, hashes: Counter[str], run: dict[str, Any]) -> None:
    references = await books.column("SELECT reference FROM document_sources")
    assert len(references) == len(set(references)) == TOTAL
    assert await books.one("SELECT count(*) FROM healthcare_documents") == TOTAL
    assert Counter(await books.column("SELECT sha256 FROM files")) == hashes
    at_platform = sandbox.platform.stored(None)
    assert Counter(it["sha256"] for it in at_platform) == hashes
    sent = await books.column("SELECT reference FROM platform_receipts WHERE state = 'CONFIRMED'")
    assert sorted(it["external_id"] for it in at_platform) == sorted(sent)
    assert run["counts"]["created"] == run["counts"]["published"] == run["counts"]["discovered"] == TOTAL


async def assert_the_books_are_straight(books: Books, run: dict[str, Any]) -> None:
    await books.assert_streams_are_contiguous()
    assert [event["seq"] for event in run["events"]] == list(range(1, len(run["events"]) + 1))
    percents = [event["run"]["percent"] for event in run["events"]]
    assert percents == sorted(percents)
    told = Counter(event["kind"] for event in run["events"])
    assert told["DOCUMENT_CREATED"] == told["DOCUMENT_PUBLISHED"] == TOTAL
    for action in ("document_created", "published"):
        logged = await books.column("SELECT document_id FROM synchronization_log WHERE action = :it", it=action)
        assert len(logged) == len(set(logged)) == TOTAL
    asked = "SELECT status FROM synchronization_log WHERE action = 'manual_sync' ORDER BY timestamp"
    assert await books.column(asked) == ["STARTED", "SUCCESS"]


async def test_a_run_survives_the_sudden_death_of_five_workers(
    resources: Resources,
    sandbox: Sandbox,
    fronts: Fronts,
    people: People,
    books: Books,
    processes: Workers,
    sign_in: SignIn,
) -> None:
    content, hashes = chart("amara")
    sandbox.ehr.put_many(content)
    fronts.ehr.pause = fronts.platform.pause = 0.02
    patient = await connected(
        resources, people, "amara", fhir=fronts.fhir, platform=fronts.platform_url, page_size=PAGE
    )
    client = await sign_in(people.dietician)
    worker = await processes.start()
    run_id = await start_run(client, patient)
    dice = random.Random(SEED)

    for number, moment in enumerate(moments(KILLS), 1):
        await books.until(DONE, lambda done, moment=moment: done >= moment, run=row_id(run_id))
        await asyncio.sleep(dice.uniform(0, 0.15))
        await worker.end(signal.SIGKILL)
        worker = await processes.start(wait=False)
        await books.until("SELECT resumed FROM sync_runs", lambda resumed, n=number: resumed == n, UNAIDED)
    run = await ended(client, run_id, UNAIDED)

    assert run["status"] == "SUCCEEDED", run
    await assert_all_is_there_once(books, sandbox, hashes, run)
    await assert_the_books_are_straight(books, run)
    assert sum(times - 1 for times in fronts.ehr.listed().values()) <= KILLS


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are looked up in /proc")
async def test_a_killed_worker_leaves_no_process_behind(
    resources: Resources,
    sandbox: Sandbox,
    people: People,
    books: Books,
    settings: Settings,
    processes: Workers,
    sign_in: SignIn,
) -> None:
    """Files that are read in a process of their own: it goes with the worker."""
    page = "<html><body>Eats well.</body></html>"
    content = [{"attachment": factories.attachment(page, "text/html")}]
    sandbox.ehr.put_many(
        [factories.fhir_patient("amara"), *(factories.note("amara", number, content=content) for number in range(60))]
    )
    patient = await connected_to(resources, people, sandbox, "amara", page_size=2)
    worker = await processes.start()
    await start_run(await sign_in(people.dietician), patient)
    await books.until("SELECT created FROM sync_runs", lambda created: created >= 10)
    assert len(processes_that_know(settings.data_dir)) == 2

    await worker.end(signal.SIGKILL)

    async with asyncio.timeout(5):
        while processes_that_know(settings.data_dir):  # noqa: ASYNC110 - nobody tells us when a stranger ends
            await asyncio.sleep(0.05)


async def test_a_worker_that_is_asked_to_stop_gives_its_run_back_at_once(
    resources: Resources,
    sandbox: Sandbox,
    fronts: Fronts,
    people: People,
    books: Books,
    processes: Workers,
    sign_in: SignIn,
) -> None:
    content, hashes = chart("amara")
    sandbox.ehr.put_many(content)
    fronts.ehr.pause = 0.02
    patient = await connected(
        resources, people, "amara", fhir=fronts.fhir, platform=fronts.platform_url, page_size=PAGE
    )
    client = await sign_in(people.dietician)
    worker = await processes.start()
    run_id = await start_run(client, patient)
    await books.until(DONE, lambda done: done >= 50, run=row_id(run_id))

    code = await worker.end(signal.SIGTERM)

    assert code == 0, worker.log.read_text()
    work = "SELECT attempts, lease_until, done_at, dead_at FROM work WHERE kind = 'sync.run'"
    assert [tuple(row) for row in await books.all(work)] == [(0, None, None, None)]
    await processes.start()
    await books.until("SELECT resumed FROM sync_runs", lambda resumed: resumed == 1, seconds=5)
    run = await ended(client, run_id)
    assert run["status"] == "SUCCEEDED"
    await assert_all_is_there_once(books, sandbox, hashes, run)
    await assert_the_books_are_straight(books, run)
