"""Other people's awkward resources, as a page of a real server. What is expected of each case stands in cases.json."""

import base64
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response

from app.connectors.provider import connect
from app.connectors.provider.port import Connection, DocumentType, Entry, Fetched, Page, Relation, ResourceStatus
from app.core.settings import LOOPBACK
from tests.connectors.scripted import Scripted, bundle, fhir

Read = Callable[[str], Awaitable[tuple[Entry, list[Fetched]]]]


def _resources(nasty: Path, case: str, files: str) -> list[dict[str, Any]]:
    """The case's resources; a collection Bundle's come singly."""
    cases = {each["id"]: each for each in json.loads((nasty / "cases.json").read_text())["cases"]}
    found: list[dict[str, Any]] = []
    for name in cases[case]["resources"]:
        resource = json.loads((nasty / "resources" / name).read_text().replace("{{FILES}}", files))
        collected = resource["resourceType"] == "Bundle"
        found += [each["resource"] for each in resource["entry"]] if collected else [resource]
    return found


@pytest.fixture
def read(server: Scripted, elsewhere: Scripted, nasty: Path) -> Read:
    """Serves a case, lists it, and fetches what its only entry holds."""

    async def served(case: str) -> tuple[Entry, list[Fetched]]:
        resources = _resources(nasty, case, elsewhere.origin)
        for resource in resources:
            if resource["resourceType"] == "Binary":
                server.on(f"GET /fhir/Binary/{resource['id']}", fhir(resource))
        for file in (nasty / "files").iterdir():
            elsewhere.on(f"GET /{file.name}", Response(file.read_bytes()))
        async with connect(Connection(server.base, file_hosts=(elsewhere.place,), networks=LOOPBACK)) as provider:
            pages: list[Page] = []
            for kind in provider.resource_types:
                server.on(f"GET /fhir/{kind}", bundle(*resources))
                pages.append(await provider.page(kind, "nasty-patient"))
            assert [page.unreadable for page in pages] == [(), ()]
            (entry,) = [entry for page in pages for entry in page.entries]
            wanted = [each for each in entry.attachments if not each.empty and "example.org" not in each.url]
            return entry, [await provider.fetch(each) for each in wanted]

    return served


async def test_p00_the_patients_are_read(server: Scripted, nasty: Path) -> None:
    for resource in _resources(nasty, "p00", ""):
        server.on(f"GET /fhir/Patient/{resource['id']}", fhir(resource))
    async with connect(Connection(server.base, networks=LOOPBACK)) as provider:
        names = [(await provider.patient(each)).name for each in ("nasty-patient", "nasty-other")]
    assert names == ["Case Nasty", "Person Other"]


async def test_p01_says_what_it_replaces(read: Read) -> None:
    entry, _ = await read("p01")
    assert [relation.code for relation in entry.relations] == ["transforms", "replaces"]
    assert entry.relations[1] == Relation("replaces", "DocumentReference/p02")
    assert entry.author == "Practitioner/xcda1, Gerald Smitty"
    assert (entry.title, entry.subject, entry.type) == ("Physical", "Patient/nasty-patient", DocumentType.PROGRESS_NOTE)
    assert entry.date == datetime(2005, 12, 23, 22, 43, 41, tzinfo=UTC)


async def test_p02_hands_on_a_declared_hash_and_size_that_do_not_match(read: Read) -> None:
    entry, (file,) = await read("p02")
    attachment = entry.attachments[0]
    assert attachment.declared_sha1 == "2jmj7l5rSw0yVb/vlWAYkK/YBwk="
    assert attachment.declared_size == 3654 != len(file.data)


async def test_p03_inline_data_is_decoded(read: Read) -> None:
    _, (file,) = await read("p03")
    assert file.data == b"This is a test"


async def test_p04_has_no_date(read: Read) -> None:
    entry, (file,) = await read("p04")
    assert (entry.date, entry.title, entry.type) == (None, "Discharge Summary", DocumentType.DISCHARGE_SUMMARY)
    assert file.data.startswith(b"No activity restriction")


@pytest.mark.parametrize(("case", "path"), [("p05", "content.0.attachment"), ("p08", "presentedForm.0")])
async def test_p05_and_p08_inline_pdfs_are_identical(read: Read, nasty: Path, case: str, path: str) -> None:
    _, (file,) = await read(case)
    found: Any = _resources(nasty, case, "")[0]
    for step in path.split("."):
        found = found[int(step) if step.isdecimal() else step]
    assert file.data == base64.b64decode(found["data"])
    assert file.data.startswith(b"%PDF-")


async def test_p06_is_an_imaging_report_with_its_markup_untouched(read: Read) -> None:
    entry, (file,) = await read("p06")
    assert (entry.type, file.content_type) == (DocumentType.IMAGING_REPORT, "application/xhtml")
    assert file.data.startswith(b"<!DOCTYPE")


async def test_p07_is_fetched_from_its_own_host(read: Read, nasty: Path) -> None:
    entry, (file,) = await read("p07")
    assert file.data == (nasty / "files" / "p07.pdf").read_bytes()
    assert (entry.attachments[0].declared_sha1, entry.type) == ("RVFILy4uQWdNRQo=", DocumentType.IMAGING_REPORT)


async def test_p08_the_report_is_picked_out_of_its_observations(read: Read) -> None:
    entry, _ = await read("p08")
    assert (entry.type, entry.title) == (DocumentType.LAB_REPORT, "Complete Blood Count")
    assert entry.author == "Acme Laboratory, Inc"


@pytest.mark.parametrize(("case", "start"), [("p09", b"%PDF-"), ("p10", b"\xff\xd8\xff")])
async def test_p09_and_p10_a_relative_binary_is_found_below_the_base(read: Read, case: str, start: bytes) -> None:
    entry, (file,) = await read(case)
    assert file.data.startswith(start)
    assert file.content_type == entry.attachments[0].content_type


async def test_p11_declares_the_size_that_it_has(read: Read) -> None:
    entry, (file,) = await read("p11")
    assert entry.attachments[0].declared_size == len(file.data)


async def test_p12_is_retracted(read: Read) -> None:
    entry, _ = await read("p12")
    assert entry.status is ResourceStatus.ENTERED_IN_ERROR


async def test_p13_has_an_empty_attachment_and_fails_nothing(read: Read) -> None:
    entry, files = await read("p13")
    assert ([each.empty for each in entry.attachments], files) == ([True], [])
