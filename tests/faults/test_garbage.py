"""A provider answers with rubbish: the item is marked with its reason, nothing is half-stored, no memory is filled."""

from typing import Any

from app.core.resources import Resources
from tests.conftest import People, Sandbox
from tests.faults.charts import chart
from tests.faults.figures import Figures
from tests.faults.memory import peak
from tests.faults.oracle import Oracle
from tests.faults.scale import scaled
from tests.faults.servers import another_ehr
from tests.faulty import faults
from tests.runs import Books, SignIn, Workers, connected, run_to_end

MEGABYTES = scaled(20, 50)
BOMB = scaled(80, 100)
RUBBISH: dict[str, dict[str, Any]] = {
    "cut": {"fault": "cut"},
    "too long": {"fault": "wrong-length", "by": 100},
    "too short": {"fault": "wrong-length", "by": -5},
    "html": {"fault": "html"},
    "bomb": {"fault": "gzip-bomb", "mb": BOMB},
    "huge": {"fault": "huge-json", "mb": MEGABYTES},
    "deep": {"fault": "deep-json"},
}
NOTES = len(RUBBISH) + 3
MARKED = "SELECT count(*) FROM files WHERE integrity IN ('MISSING', 'MISMATCHED')"
STILL_MISSING = """
    SELECT count(*) FROM files f WHERE f.sha256 IS NULL
    AND f.version = (SELECT max(n.version) FROM files n WHERE n.document_id = f.document_id)
"""
GROWTH = 64 * 1024
"""Kilobytes that a worker may need more than before."""


async def test_a_provider_that_answers_garbage_for_files_leaves_them_marked(
    resources: Resources,
    sandbox: Sandbox,
    people: People,
    books: Books,
    oracle: Oracle,
    figures: Figures,
    processes: Workers,
    sign_in: SignIn,
) -> None:
    sandbox.ehr.put_many([*chart("amara", NOTES), *chart("warm", NOTES)])
    client = await sign_in(people.dietician)
    worker = await processes.start()
    async with another_ehr(sandbox.ehr) as front:
        warm, patient = [
            await connected(resources, people, name, fhir=front.fhir, platform=sandbox.platform_url)
            for name in ("warm", "amara")
        ]
        await run_to_end(client, warm)
        before = peak(worker)
        rules = [
            {**rule, "match": {"path": f"/fhir/Binary/amara-note-{number}"}}
            for number, rule in enumerate(RUBBISH.values())
        ]
        async with faults(front.url, *rules) as on, books.no_pauses(attempts=2):
            run = await run_to_end(client, patient, 120)
            assert min(await on.struck()) > 0
        grown = peak(worker) - before
        marked = {it["reference"]: it["code"] for it in run["failures"]}
        assert run["status"] == "SUCCEEDED_WITH_GAPS"
        assert set(marked) == {f"DocumentReference/amara-note-{number}" for number in range(len(RUBBISH))}
        # What came is kept where it is a file at all, and said to be another one than was announced.
        assert await books.one(MARKED) == len(RUBBISH)
        kept = await books.one(f"{MARKED} AND sha256 IS NOT NULL")
        await oracle.assert_the_books_are_straight()
        mended = await run_to_end(client, patient, 60, mode="FULL")

    assert mended["status"] == "SUCCEEDED"
    assert await books.one(STILL_MISSING) == 0
    assert worker.process.returncode is None
    assert grown <= GROWTH
    figures.note(
        "garbage",
        kinds=len(RUBBISH),
        marked=len(marked),
        stored_and_marked_as_mismatched=kept,
        worker_memory_grown_by_mb=grown / 1024,
    )


async def test_a_provider_that_answers_garbage_for_pages_leaves_all_as_it_was(
    resources: Resources,
    sandbox: Sandbox,
    people: People,
    books: Books,
    oracle: Oracle,
    figures: Figures,
    processes: Workers,
    sign_in: SignIn,
) -> None:
    sandbox.ehr.put_many(chart("amara", 4))
    client = await sign_in(people.dietician)
    worker = await processes.start()
    async with another_ehr(sandbox.ehr) as front, books.no_pauses(attempts=2):
        patient = await connected(resources, people, "amara", fhir=front.fhir, platform=sandbox.platform_url)
        await run_to_end(client, patient)
        before, codes = peak(worker), dict[str, str]()
        for how in scaled(["cut", "html", "bomb"], list(RUBBISH)):
            rule = RUBBISH[how]
            async with faults(front.url, {**rule, "match": {"path": "/fhir/D.*"}}):
                run = await run_to_end(client, patient, 120, mode="FULL")
            assert (run["status"], run["counts"]["withdrawn"]) == ("FAILED", 0), how
            codes[how] = run["error"]["code"]
        await oracle.assert_nothing_is_lost_or_doubled()

    assert set(codes.values()) <= {"PROVIDER_BAD_RESPONSE", "PROVIDER_TOO_LARGE", "PROVIDER_UNREACHABLE"}
    assert peak(worker) - before <= GROWTH
    figures.note("garbage", worker_memory_grown_by_mb_for_pages=(peak(worker) - before) / 1024)
