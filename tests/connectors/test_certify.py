"""Certifying a server: the sandbox as it is, and with each fault that has a line of its own."""

import contextlib
from collections.abc import AsyncGenerator, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from app.connectors.provider.certify import Card, Line, Verdict, Wanted, certify
from app.connectors.provider.port import Auth, AuthKind, Connection, Limits
from sandbox.ehr.app import create_app
from sandbox.ehr.store import Store
from sandbox.serve import serving
from tests import factories
from tests.faulty import faults

LOOPBACK = ("127.0.0.0/8",)
NOTES = 7
DOCUMENTS = "/fhir/DocumentReference"


@pytest.fixture
def store(tmp_path: Path) -> Generator[Store]:
    """A chart that grew over time: files inline and at the server, and one document that was deleted."""
    with contextlib.closing(Store(tmp_path / "ehr.sqlite")) as store:
        store.set_open(True)
        store.put_many([factories.fhir_patient("amara"), factories.fhir_patient("bela")])
        for number in range(NOTES):
            store.put(factories.note("amara", number))
        data = factories.attachment("A scanned letter.")
        store.put({"resourceType": "Binary", "id": "b1", "contentType": "text/plain", "data": data["data"]})
        at_server = {**data, "url": "Binary/b1"}
        del at_server["data"]
        store.put(factories.note("amara", "scanned", content=[{"attachment": at_server}]))
        for number in range(3):
            store.put(factories.report("amara", number))
        store.put(factories.note("amara", "gone"))
        store.delete("DocumentReference", "amara-note-gone")
        yield store


@pytest.fixture
async def fhir(store: Store) -> AsyncGenerator[str]:
    async with serving(create_app(store)) as url:
        yield f"{url}/fhir"


def wanted(fhir: str, **more: Any) -> Wanted:
    connection = Connection(fhir, page_size=3, limits=Limits(read_seconds=2), networks=LOOPBACK)
    return replace(Wanted(connection, "amara", "DocumentReference/amara-note-gone"), **more)


def line(card: Card, name: str, group: str = "") -> Line:
    return next(it for it in card.lines if it.name == name and (not group or it.group == group))


def refused(card: Card) -> dict[str, str]:
    """What is needed and does not work, with its reason."""
    return {f"{it.group}: {it.name}": it.detail for it in card.lines if it.verdict is Verdict.NO and it.needed}


async def test_the_sandbox_can_everything_that_a_synchronisation_needs(fhir: str) -> None:
    card = await certify(wanted(fhir, write=True))

    assert refused(card) == {}
    assert card.passed()
    told = {f"{it.group}: {it.name}" for it in card.lines if it.verdict is Verdict.YES}
    assert told >= {
        "Server: Reachable",
        "Capabilities: FHIR R4",
        "Patient: Read",
        "DocumentReference: Listed to the end",
        "DocumentReference: Next links",
        "DocumentReference: Bundle.total",
        "DocumentReference: _lastUpdated tells the truth",
        "DiagnosticReport: _lastUpdated tells the truth",
        "Files: Inline data",
        "Files: Files at the server",
        "Files: Declared sizes and hashes",
        "Versions: Read of a version",
        "Errors: Unknown patient: 404",
        "Errors: Unknown patient: nothing is listed",
        "Errors: Bad parameter: 400",
        "Errors: Deleted resource: 410",
        "Writing: Patient update",
        "Writing: lastUpdated advances",
        "Writing: Stale If-Match: 409 or 412",
        "Writing: Restored afterwards",
    }
    assert line(card, "Listed to the end").detail == "8 resources on 3 pages"


async def test_nothing_is_changed_without_write_and_all_is_put_back_with_it(fhir: str, store: Store) -> None:
    before = store.history("Patient", "amara")
    await certify(wanted(fhir))
    assert store.history("Patient", "amara") == before

    await certify(wanted(fhir, write=True))
    after = store.history("Patient", "amara")
    assert len(after) == len(before) + 2
    assert _content(after[0].json) == _content(before[0].json)
    assert "555 0100" in after[1].json


async def test_a_patient_is_found_where_none_is_named(fhir: str) -> None:
    card = await certify(wanted(fhir, patient_id=""))
    assert (card.patient_id, card.passed()) == ("amara", True)


async def test_a_server_without_a_patient_cannot_be_certified(tmp_path: Path) -> None:
    with contextlib.closing(Store(tmp_path / "empty.sqlite")) as store:
        store.set_open(True)
        async with serving(create_app(store)) as url:
            card = await certify(wanted(f"{url}/fhir", patient_id=""))
    assert list(refused(card)) == ["Patient: A patient"]


async def test_every_line_is_told_as_it_comes(fhir: str) -> None:
    told: list[Line] = []
    card = await certify(wanted(fhir), told.append)
    assert tuple(told) == card.lines
    assert card.requests > 20


BINARY = {"path": "/fhir/Binary/.*"}
NOBODY = {"path": "/fhir/Patient/healthrecords-certify-nobody"}
RECENT = {"path": DOCUMENTS, "query": "_lastUpdated=ge20"}
OF_DOCUMENTS = {"path": DOCUMENTS}

NEEDED = [
    ({"fault": "close"}, "Server: Reachable", "the connection broke"),
    ({"fault": "hang"}, "Server: Reachable", "took too long"),
    ({"fault": "html"}, "Capabilities: FHIR R4", "markup instead of CapabilityStatement"),
    ({"fault": "status", "status": 401}, "Capabilities: Authentication", "answered 401"),
    ({"fault": "status", "status": 403, "match": OF_DOCUMENTS}, "Capabilities: DocumentReference search", "403"),
    ({"fault": "status", "status": 404, "match": {"path": "/fhir/Patient/amara"}}, "Patient: Read", "404"),
    ({"fault": "missing-next"}, "DocumentReference: Bundle.total", "8 were announced, 3 came"),
    ({"fault": "looping-next"}, "DocumentReference: Next links", "leads back to a page"),
    ({"fault": "foreign-next"}, "DocumentReference: Listed to the end", "another origin"),
    ({"fault": "wrong-total"}, "DocumentReference: Bundle.total", "15 were announced, 8 came"),
    ({"fault": "outcome-entry"}, "DocumentReference: Readable entries", "OperationOutcome processing"),
    (
        {"fault": "cross-patient", "patient": "bela"},
        "DocumentReference: About the patient only",
        "amara-note-0 is about Patient/bela",
    ),
    ({"fault": "dangling-binary"}, "Files: Files at the server", "amara-note-scanned: the server answered 404"),
    ({"fault": "cut", "match": BINARY}, "Files: Files at the server", "the connection broke"),
    ({"fault": "wrong-length", "match": BINARY}, "Files: Files at the server", "the connection broke"),
    ({"fault": "html", "match": BINARY}, "Files: Files at the server", "a web page"),
    ({"fault": "gzip-bomb", "mb": 40, "match": BINARY}, "Files: Files at the server", "packed more than"),
    (
        {"fault": "equal-last-updated", "instant": "2000-01-01", "match": RECENT},
        "DocumentReference: _lastUpdated tells the truth",
        "it does not find 4 of 4",
    ),
]


@pytest.mark.parametrize(("fault", "name", "words"), NEEDED, ids=[f"{it[0]['fault']}: {it[1]}" for it in NEEDED])
async def test_a_fault_that_makes_gaps_is_a_no_to_what_is_needed(
    fhir: str, fault: dict[str, Any], name: str, words: str
) -> None:
    async with faults(fhir, fault) as on:
        card = await certify(_hurried(wanted(fhir)))
        assert (await on.struck())[0] > 0
    found = refused(card)
    assert name in found, found
    assert words in found[name]
    assert not card.passed()


BESIDES = [
    ({"fault": "clock", "seconds": 7200}, "Clock", "ahead of ours"),
    ({"fault": "duplicate-pages"}, "Each resource once", "listed more than once"),
    ({"fault": "duplicate-entries"}, "Each resource once", "listed more than once"),
    ({"fault": "wrong-total", "by": -3}, "Bundle.total", "only 5 were announced, 8 came"),
    ({"fault": "ignore-last-updated"}, "_lastUpdated tells the truth", "it is ignored"),
    ({"fault": "ignore-last-updated", "match": RECENT}, "_lastUpdated tells the truth", "older ones came too, 4"),
    ({"fault": "refuse-batch"}, "Batch of reads", "405"),
    ({"fault": "demand-status"}, "Search without status", "every search names all statuses"),
    ({"fault": "status", "status": 410, "match": NOBODY}, "Unknown patient: 404", "as if it had been deleted"),
    (
        {"fault": "status", "status": 404, "body": "no", "match": NOBODY},
        "Refusals carry an OperationOutcome",
        "nothing",
    ),
    ({"fault": "status", "status": 429, "retry_after": "soon", "times": 1}, "Retry-After", "'soon'"),
    ({"fault": "equal-last-updated", "instant": "2020-01-01"}, "lastUpdated advances", "changes will be missed"),
]


@pytest.mark.parametrize(("fault", "name", "words"), BESIDES, ids=[f"{it[0]['fault']}: {it[1]}" for it in BESIDES])
async def test_a_fault_that_a_run_can_live_with_is_a_no_and_no_failure(
    fhir: str, fault: dict[str, Any], name: str, words: str
) -> None:
    async with faults(fhir, fault) as on:
        card = await certify(wanted(fhir, write=True))
        assert (await on.struck())[0] > 0
    found = next(it for it in card.lines if it.name == name and it.verdict is Verdict.NO)
    assert words in found.detail
    assert refused(card) == {}
    assert (card.passed(), card.passed(strict=True)) == (True, False)


async def test_a_server_that_refuses_get_is_searched_by_post(fhir: str) -> None:
    async with faults(fhir, {"fault": "refuse-get-search"}):
        # Its own next links are for GET: one page.
        card = await certify(wanted(fhir, connection=replace(wanted(fhir).connection, page_size=20)))
    assert line(card, "POST _search").detail == "demanded: GET is refused"
    assert line(card, "Listed to the end").detail == "8 resources on 1 page"


async def test_a_server_that_asks_for_a_pause_gets_it(fhir: str) -> None:
    async with faults(fhir, {"fault": "status", "status": 429, "retry_after": 0, "each": True, "times": 1}):
        card = await certify(wanted(fhir))
    assert card.passed()
    assert line(card, "Retry-After").verdict is Verdict.YES


async def test_files_elsewhere_need_to_be_allowed(fhir: str, store: Store, tmp_path: Path) -> None:
    with contextlib.closing(Store(tmp_path / "files.sqlite")) as other:
        other.set_open(True)
        other.put_file("scan.txt", b"A scan.", "text/plain")
        async with serving(create_app(other)) as url:
            attachment = {"contentType": "text/plain", "url": f"{url}/files/scan.txt", "size": 8}
            store.put(factories.note("amara", "elsewhere", content=[{"attachment": attachment}]))
            card = await certify(wanted(fhir))
            assert "allow it with --file-host" in refused(card)["Files: Files at other hosts"]

            connection = replace(wanted(fhir).connection, file_hosts=(url.removeprefix("http://"),))
            card = await certify(wanted(fhir, connection=connection))
    assert card.passed()
    assert "8 bytes were declared, 7 came" in line(card, "Declared sizes and hashes").detail


async def test_smart_backend_services_and_the_scopes_that_were_granted(fhir: str, store: Store) -> None:
    store.set_open(False)
    key = ec.generate_private_key(ec.SECP384R1())
    jwks = {"keys": [ECAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": "k1"}]}
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    connection = replace(
        wanted(fhir).connection, auth=Auth(AuthKind.SMART_BACKEND, client_id="us", private_key=pem, key_id="k1")
    )

    store.register_client("us", "smart", jwks=jwks, scopes="system/*.cruds")
    async with faults(fhir, {"fault": "expired-token", "times": 1, "after": 5}):
        card = await certify(wanted(fhir, connection=connection, write=True))
    assert refused(card) == {}
    assert line(card, "Patient update").verdict is Verdict.YES
    assert line(card, "Strangers are refused").detail == "401 without credentials"

    store.register_client("us", "smart", jwks=jwks, scopes="system/Patient.rs system/DocumentReference.rs")
    card = await certify(wanted(fhir, connection=connection))
    assert "not granted" in line(card, "Scopes").detail
    assert "Capabilities: DiagnosticReport search" in refused(card)

    card = await certify(wanted(fhir, connection=replace(connection, auth=replace(connection.auth, client_id="them"))))
    assert "invalid_client" in refused(card)["Capabilities: Authentication"]


async def test_a_wrong_token_and_a_server_that_is_not_there_are_said(fhir: str, store: Store) -> None:
    auth = Auth(AuthKind.BEARER, token="wrong")
    card = await certify(wanted(fhir, connection=replace(wanted(fhir).connection, auth=auth)))
    assert list(refused(card)) == ["Capabilities: Authentication"]
    card = await certify(wanted("http://127.0.0.1:1/fhir"))
    assert list(refused(card)) == ["Server: Reachable"]


def _hurried(it: Wanted) -> Wanted:
    return replace(it, connection=replace(it.connection, limits=Limits(read_seconds=0.5, total_seconds=5)))


def _content(text: str) -> str:
    return text.partition('"lastUpdated"')[2].partition("}")[2]
