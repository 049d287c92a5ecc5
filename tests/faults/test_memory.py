"""Files of any size, one or many at once: what is allowed arrives whole, what is not is named, and the worker stays small."""

import gzip
import hashlib
import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fpdf import FPDF
from starlette.responses import Response, StreamingResponse

from app.core.resources import Resources
from sandbox.platform.store import LARGEST_UPLOAD
from tests import factories
from tests.conftest import People, Sandbox
from tests.faults.conftest import Fronts
from tests.faults.scale import scaled
from tests.runs import Books, SignIn, WorkerProcess, Workers, connected, ended, run_to_end, start_run

MEGABYTE = 1024 * 1024
LARGEST = 45
MANY = scaled(12, LARGEST)
"""Megabytes of each of the eight files that come at the same time."""
GROWTH = 64 * 1024
"""Kilobytes that a worker may need more than before."""
STORED = "SELECT size, sha256 FROM files WHERE sha256 IS NOT NULL AND size > 1000000 ORDER BY sha256"


def pdf(megabytes: int) -> bytes:
    """One page of words, and ballast."""
    made = FPDF()
    made.add_page()
    made.set_font("helvetica", size=12)
    made.cell(text="A scanned letter")
    made.embed_file(bytes=os.urandom(megabytes * MEGABYTE), basename="scan", compress=False)
    return bytes(made.output())


async def endless(head: bytes, block: bytes, megabytes: int) -> AsyncIterator[bytes]:
    yield head
    for _ in range(megabytes * MEGABYTE // len(block)):
        yield block


def spoilt(name: str) -> Response:
    match name:
        case "huge":
            return StreamingResponse(endless(b"%PDF-1.7", b"x" * MEGABYTE, 200), media_type="application/pdf")
        case "json":
            head = b'{"resourceType":"Binary","data":"'
            return StreamingResponse(endless(head, b"QUJD" * 250_000, 50), media_type="application/fhir+json")
        case "deep":
            return Response(b'{"a":' * 100_000, media_type="application/fhir+json")
        case _:
            body = gzip.compress(b"\0" * 45 * MEGABYTE)
            return Response(body, headers={"Content-Encoding": "gzip"}, media_type="application/pdf")


CODES = {
    "huge": "PROVIDER_TOO_LARGE",
    "json": "PROVIDER_TOO_LARGE",
    "bomb": "PROVIDER_TOO_LARGE",
    "deep": "PROVIDER_BAD_RESPONSE",
}


def note_of(patient_id: str, name: str) -> dict[str, Any]:
    pointer = {"contentType": "application/pdf", "url": f"Binary/{name}"}
    return factories.note(patient_id, name) | {"content": [{"attachment": pointer}]}


def kilobytes(worker: WorkerProcess, name: str) -> int:
    status = Path(f"/proc/{worker.process.pid}/status")
    if not status.exists():
        pytest.skip("the memory of a process is looked up in /proc")
    found = re.search(rf"{name}:\s+(\d+)", status.read_text())
    assert found
    return int(found[1])


def forget_peak(worker: WorkerProcess) -> None:
    Path(f"/proc/{worker.process.pid}/clear_refs").write_text("5")


def left(folder: Path) -> list[Path]:
    return [*folder.iterdir()] if folder.is_dir() else []


async def test_large_files_come_and_go_on_through_a_small_worker(
    resources: Resources,
    sandbox: Sandbox,
    fronts: Fronts,
    people: People,
    books: Books,
    processes: Workers,
    sign_in: SignIn,
) -> None:
    good = {f"scan-{number}": pdf(LARGEST if number == 0 else MANY) for number in range(8)}
    names = [*good, *CODES]
    sandbox.ehr.put_many([factories.fhir_patient("amara"), *(note_of("amara", name) for name in names)])
    sandbox.ehr.put_many(factories.resources("warm", notes=10, reports=2))

    def answer(asked: str) -> Response | None:
        _, found, name = asked.partition("/Binary/")
        if not found:
            return None
        return Response(good[name], media_type="application/pdf") if name in good else spoilt(name)

    fronts.ehr.rule = answer
    client = await sign_in(people.dietician)
    warm, patient = [
        await connected(resources, people, name, fhir=fronts.fhir, platform=fronts.platform_url)
        for name in ("warm", "amara")
    ]
    worker = await processes.start()
    await run_to_end(client, warm)
    forget_peak(worker)
    before = kilobytes(worker, "VmRSS")

    run = await run_to_end(client, patient, 120)

    grown = kilobytes(worker, "VmHWM") - before
    codes = {it["reference"].removeprefix("DocumentReference/amara-note-"): it["code"] for it in run["failures"]}
    fit = [it for it in good.values() if len(it) <= LARGEST_UPLOAD]
    refused = [it["code"] for it in run["failures"] if it["reference"].startswith("document/")]
    assert run["status"] == "SUCCEEDED_WITH_GAPS"
    assert {name: code for name, code in codes.items() if name in names} == CODES
    assert refused == ["PLATFORM_TOO_LARGE"] * (len(good) - len(fit))
    assert grown <= GROWTH, f"{grown} kB more than before"
    wanted = sorted((hashlib.sha256(it).hexdigest(), len(it)) for it in good.values())
    assert [(row.sha256, row.size) for row in await books.all(STORED)] == wanted
    there = sandbox.platform.stored(None)
    assert sorted(it["sha256"] for it in there if it["size"] > MEGABYTE) == sorted(
        hashlib.sha256(it).hexdigest() for it in fit
    )
    assert await books.one("SELECT count(*) FROM document_texts WHERE content LIKE '%scanned letter%'") == len(good)
    assert left(resources.settings.spool) == []


async def test_a_worker_killed_in_the_middle_of_a_large_file_leaves_nothing_behind(
    resources: Resources,
    sandbox: Sandbox,
    fronts: Fronts,
    people: People,
    books: Books,
    processes: Workers,
    sign_in: SignIn,
) -> None:
    whole = pdf(3)
    sandbox.ehr.put_many([factories.fhir_patient("amara"), note_of("amara", "scan")])
    spool = resources.settings.spool

    async def stalling() -> AsyncIterator[bytes]:
        yield whole[: 2 * MEGABYTE]
        await killed.process.wait()

    def answer(asked: str) -> Response | None:
        if "/Binary/" not in asked:
            return None
        first = fronts.ehr.asked[asked] == 1
        return StreamingResponse(stalling()) if first else Response(whole, media_type="application/pdf")

    fronts.ehr.rule = answer
    patient = await connected(resources, people, "amara", fhir=fronts.fhir)
    client = await sign_in(people.dietician)
    killed = await processes.start()
    run_id = await start_run(client, patient)
    await books.until("SELECT 1", lambda _: bool(left(spool)))
    await killed.end(signal.SIGKILL)
    assert len(left(spool)) == 1

    await processes.start()
    assert left(spool) == []
    run = await ended(client, run_id)

    assert (run["status"], run["counts"]["created"]) == ("SUCCEEDED", 1)
    assert [row.sha256 for row in await books.all(STORED)] == [hashlib.sha256(whole).hexdigest()]
    assert left(spool) == []
