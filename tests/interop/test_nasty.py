"""Fourteen awkward cases of other people's, from an independent server and from the sandbox: each as its expectation says."""

import base64
import hashlib
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.api.kit import ids
from app.core.resources import Resources
from tasks.broker import Worker
from tests import factories
from tests.conftest import People, Sandbox
from tests.interop.conftest import Resource, file_server, memfhir
from tests.runs import Books, SignIn, connected, run_to_end

PATIENT, SECOND_PATIENT = "nasty-patient", "pat2"
DOCUMENTS = """
    SELECT s.reference, d.id, d.status, d.title, d.type, d.date, f.content_type, f.sha256, f.integrity, f.missing
    FROM document_sources s JOIN healthcare_documents d ON d.id = s.document_id
    LEFT JOIN files f ON f.document_id = d.id
"""


@dataclass(frozen=True)
class Synchronised:
    """Both patients after their runs: what is here by reference, and what each run has said."""

    resources: Resources
    documents: dict[str, Any]
    runs: dict[str, dict[str, Any]]
    shown: list[dict[str, Any]]

    def row(self, case: str) -> Any:
        """The only document of a case, with its only file."""
        return self.documents[f"DocumentReference/{case}"]

    def failures(self, reference: str) -> list[str]:
        return [it["code"] for run in self.runs.values() for it in run["failures"] if it["reference"] == reference]

    async def data(self, row: Any) -> bytes:
        return await self.resources.blobs.get(row.sha256)


def load(nasty: Path, files: str) -> list[Resource]:
    """All resources, with a patient for the case that brings none; a collection Bundle's singly."""
    found: list[Resource] = [factories.fhir_patient(SECOND_PATIENT, "Second", "Case")]
    for path in sorted((nasty / "resources").iterdir()):
        resource = json.loads(path.read_text().replace("{{FILES}}", files))
        bundled = resource["resourceType"] == "Bundle"
        found += [entry["resource"] for entry in resource["entry"]] if bundled else [resource]
    return found


@asynccontextmanager
async def served(
    request: pytest.FixtureRequest, sandbox: Sandbox, nasty: Path, files: str, tmp_path: Path
) -> AsyncGenerator[str]:
    if request.param == "sandbox":
        sandbox.ehr.put_many(load(nasty, files))
        yield sandbox.fhir
        return
    second = tmp_path / "second.json"
    second.write_text(json.dumps(factories.fhir_patient(SECOND_PATIENT, "Second", "Case")))
    async with memfhir(request.getfixturevalue("packages"), nasty / "resources", second, files=files) as fhir:
        yield fhir


@pytest.fixture(params=["sandbox", "memfhir"])
async def synchronised(
    request: pytest.FixtureRequest,
    resources: Resources,
    people: People,
    sandbox: Sandbox,
    worker: Worker,
    sign_in: SignIn,
    nasty: Path,
    tmp_path: Path,
) -> Synchronised:
    books, client = Books(resources), await sign_in(people.dietician)
    async with (
        file_server(nasty / "files") as files,
        served(request, sandbox, nasty, files, tmp_path) as fhir,
    ):
        hosts = (files.removeprefix("http://"),)
        runs = {
            patient_id: await run_to_end(
                client, await connected(resources, people, patient_id, fhir=fhir, file_hosts=hosts)
            )
            for patient_id in (PATIENT, SECOND_PATIENT)
        }
    shown = await client.ask("DocumentList", first=100, orderBy="OLDEST")
    rows = await books.all(DOCUMENTS)
    found = {row.reference: row for row in rows}
    assert len(found) == len(rows)
    return Synchronised(resources, found, runs, [edge["node"] for edge in shown["documents"]["edges"]])


def bytes_of(nasty: Path, name: str, *path: str | int) -> bytes:
    found: Any = json.loads((nasty / "resources" / f"{name}.json").read_text())
    for step in path:
        found = found[step]
    return base64.b64decode(found["data"])


async def test_each_case_comes_out_as_it_should(synchronised: Synchronised, nasty: Path) -> None:
    """One run for all of them: the cases stand beside each other at a provider, too."""
    it = synchronised
    assert {run["status"] for run in it.runs.values()} == {"SUCCEEDED_WITH_GAPS", "SUCCEEDED"}
    assert it.runs[SECOND_PATIENT]["status"] == "SUCCEEDED"
    assert it.documents.keys() == {
        *(f"DocumentReference/{case}" for case in ("p01", "p02", "p03", "p04", "p05", "p09", "p10", "p11")),
        *(f"DiagnosticReport/{case}" for case in ("p06", "p07", "101")),
    }
    assert_relations_and_refusals(it)
    await assert_inline_contents(it, nasty)
    await assert_reports(it, nasty)
    await assert_binaries_and_integrity(it, nasty)


def assert_relations_and_refusals(it: Synchronised) -> None:
    # p01: another host's attachment is not fetched; the document is here all the same, and replaces p02.
    assert (it.row("p01").status, it.row("p01").missing) == ("CURRENT", "ATTACHMENT_HOST_REFUSED")
    assert it.failures("DocumentReference/p01") == ["ATTACHMENT_HOST_REFUSED"]
    assert it.row("p02").status == "SUPERSEDED"
    # p12: entered in error, never shown. p13: neither data nor url, reported and no more than that.
    assert {shown["id"] for shown in it.shown} == {ids.encode("Document", row.id) for row in it.documents.values()}
    assert it.failures("DocumentReference/p13") == ["ATTACHMENT_EMPTY"]
    failed = {part["resourceType"]: part["failed"] for part in it.runs[PATIENT]["coverage"]}
    assert failed == {"DocumentReference": 2, "DiagnosticReport": 0}


async def assert_inline_contents(it: Synchronised, nasty: Path) -> None:
    assert await it.data(it.row("p03")) == b"This is a test"
    # p04: no date at all.
    assert (it.row("p04").date, it.row("p04").type) == (None, "DISCHARGE_SUMMARY")
    dates = [shown["date"] for shown in it.shown]
    assert dates == sorted(dates, key=lambda date: date or "")
    assert it.row("p01").date == datetime(2005, 12, 23, 22, 43, 41, tzinfo=UTC)
    living_will = bytes_of(nasty, "p05-0", "content", 0, "attachment")
    assert living_will.startswith(b"%PDF-")
    assert await it.data(it.row("p05")) == living_will


async def assert_reports(it: Synchronised, nasty: Path) -> None:
    imaging, cardiology, blood = (it.documents[f"DiagnosticReport/{case}"] for case in ("p06", "p07", "101"))
    assert (imaging.type, (await it.data(imaging))[:9]) == ("IMAGING_REPORT", b"<!DOCTYPE")
    assert await it.data(cardiology) == (nasty / "files" / "p07.pdf").read_bytes()
    assert it.failures("DiagnosticReport/p07") == ["INTEGRITY_MISMATCH"]
    # p07 and p09 hold the very same PDF: one document, two provenances.
    assert cardiology.id == it.row("p09").id
    report = bytes_of(nasty, "p08-0", "entry", 0, "resource", "presentedForm", 0)
    assert (blood.type, blood.sha256) == ("LAB_REPORT", hashlib.sha256(report).hexdigest())


async def assert_binaries_and_integrity(it: Synchronised, nasty: Path) -> None:
    for case in ("p09", "p10"):
        assert await it.data(it.row(case)) == bytes_of(nasty, f"{case}-0")
    assert it.row("p10").content_type == "image/jpeg"
    # p02: the served file is not what its hash says, p11 is.
    assert await it.data(it.row("p02")) == (nasty / "files" / "p02.xml").read_bytes()
    assert it.row("p02").integrity == "MISMATCHED"
    assert it.failures("DocumentReference/p02") == ["INTEGRITY_MISMATCH"]
    assert (it.row("p11").integrity, it.failures("DocumentReference/p11")) == ("VERIFIED", [])
