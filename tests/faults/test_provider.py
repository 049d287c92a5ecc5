"""The provider fails: what can be mended is tried again, what cannot is said at once, what is here stays untouched."""

import base64
import hashlib
from collections import Counter
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from app.core.resources import Resources
from sandbox.ehr.app import create_app as create_ehr
from sandbox.serve import serving
from tasks.broker import Worker
from tests import factories
from tests.conftest import People, Sandbox, free_port
from tests.faults.conftest import Fronts
from tests.faults.figures import Figures
from tests.faults.oracle import Oracle
from tests.runs import Books, SignIn, connected, connected_to, ended, run_to_end

DOCUMENTS = "SELECT id, status, version, changed_at FROM healthcare_documents ORDER BY id"


def outcome(status: int, code: str) -> Response:
    issue = {"severity": "error", "code": code}
    return JSONResponse({"resourceType": "OperationOutcome", "issue": [issue]}, status)


def note_at(patient_id: str, number: int, text: str) -> list[dict[str, Any]]:
    """A note whose text lies in a Binary."""
    note = factories.note(patient_id, number)
    pointer = {"contentType": "text/plain", "url": f"Binary/{note['id']}"}
    data = base64.b64encode(text.encode()).decode()
    return [
        note | {"content": [{"attachment": pointer}]},
        {"resourceType": "Binary", "id": note["id"], "contentType": "text/plain", "data": data},
    ]


async def test_a_provider_that_cannot_be_reached_fails_the_run_and_touches_nothing(
    resources: Resources, sandbox: Sandbox, people: People, books: Books, worker: Worker, sign_in: SignIn
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=3))
    port = free_port()
    patient = await connected(resources, people, "amara", fhir=f"http://127.0.0.1:{port}/fhir")
    client = await sign_in(people.dietician)
    async with serving(create_ehr(sandbox.ehr), port):
        await run_to_end(client, patient)
    before = await books.all(DOCUMENTS)
    record = (await client.ask("PatientGet", id=patient))["patient"]

    async with books.no_pauses():
        run = await run_to_end(client, patient, mode="FULL")

    assert (run["status"], run["error"]["code"]) == ("FAILED", "PROVIDER_UNREACHABLE")
    assert run["error"]["retryable"]
    assert 2 <= len(run["error"]["steps"]) <= 4
    assert Counter(event["kind"] for event in run["events"])["RETRY_SCHEDULED"] >= 3
    assert await books.all(DOCUMENTS) == before
    after = (await client.ask("PatientGet", id=patient))["patient"]
    assert {key: value for key, value in record.items() if "sync" not in key.lower()}.items() <= after.items()

    async with serving(create_ehr(sandbox.ehr), port):
        payload = await client.change("SyncRetry", "syncRetry", runId=run["id"])
        mended = await ended(client, payload["syncRun"]["id"])
    assert (mended["status"], mended["counts"]["unchanged"], mended["id"] != run["id"]) == ("SUCCEEDED", 3, True)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (outcome(401, "login"), "PROVIDER_UNAUTHORIZED"),
        (outcome(410, "deleted"), "PATIENT_UNKNOWN"),
    ],
)
async def test_what_no_retry_can_mend_fails_at_once(
    answer: Response,
    code: str,
    resources: Resources,
    fronts: Fronts,
    people: People,
    worker: Worker,
    sign_in: SignIn,
) -> None:
    fronts.ehr.rule = lambda _: answer
    patient = await connected(resources, people, "amara", fhir=fronts.fhir)

    run = await run_to_end(await sign_in(people.dietician), patient, 10)

    assert (run["status"], run["error"]["code"]) == ("FAILED", code)
    kinds = [event["kind"] for event in run["events"]]
    assert kinds == ["RUN_QUEUED", "RUN_STARTED", "RUN_FINISHED"]


async def test_a_patient_whom_the_provider_does_not_know_is_named_as_such(
    resources: Resources, sandbox: Sandbox, people: People, worker: Worker, sign_in: SignIn
) -> None:
    patient = await connected_to(resources, people, sandbox, "nobody")
    run = await run_to_end(await sign_in(people.dietician), patient, 10)
    assert (run["status"], run["error"]["code"]) == ("FAILED", "PATIENT_UNKNOWN")


async def test_a_page_that_fails_for_good_is_a_named_gap_and_withdraws_nothing(
    resources: Resources,
    sandbox: Sandbox,
    fronts: Fronts,
    people: People,
    books: Books,
    oracle: Oracle,
    figures: Figures,
    worker: Worker,
    sign_in: SignIn,
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=25, reports=2))
    patient = await connected(resources, people, "amara", fhir=fronts.fhir, page_size=5)
    client = await sign_in(people.dietician)
    first = await run_to_end(client, patient)
    fronts.ehr.asked.clear()
    pages: list[str] = []

    def third_page_fails(asked: str) -> Response | None:
        if "/DocumentReference?" in asked and asked not in pages:
            pages.append(asked)
        return outcome(500, "exception") if pages[2:3] == [asked] else None

    fronts.ehr.rule = third_page_fails
    async with books.no_pauses(attempts=2):
        run = await run_to_end(client, patient, mode="FULL")

    assert (first["status"], run["status"]) == ("SUCCEEDED", "SUCCEEDED_WITH_GAPS"), run
    assert [(it["reference"], it["code"]) for it in run["failures"]] == [("DocumentReference", "PROVIDER_UNAVAILABLE")]
    notes, reports = run["coverage"]
    assert (notes["complete"], notes["pagesFetched"], notes["seen"], notes["expected"]) == (False, 2, 10, 25)
    assert (reports["complete"], reports["seen"]) == (True, 2)
    assert run["counts"]["withdrawn"] == 0
    assert await books.column("SELECT DISTINCT status FROM healthcare_documents") == ["CURRENT"]
    fronts.ehr.rule = lambda _: None
    mended = await run_to_end(client, patient, mode="FULL")
    assert (mended["status"], mended["counts"]["unchanged"]) == ("SUCCEEDED", 27)
    await oracle.assert_all_is_here()
    await oracle.assert_the_books_are_straight()
    figures.note("failing-page", pages=5, failed_for_good="the third", run=run["status"], withdrawn=0)


async def test_a_listing_that_never_works_ends_after_the_retries(
    resources: Resources,
    sandbox: Sandbox,
    fronts: Fronts,
    people: People,
    books: Books,
    worker: Worker,
    sign_in: SignIn,
) -> None:
    """The patient can be read all the time: that alone is no progress."""
    sandbox.ehr.put_many(factories.resources("amara", notes=2))
    fronts.ehr.rule = lambda asked: outcome(500, "exception") if "?" in asked else None
    patient = await connected(resources, people, "amara", fhir=fronts.fhir)

    async with books.no_pauses(attempts=2):
        run = await run_to_end(await sign_in(people.dietician), patient)

    assert (run["status"], run["error"]["code"]) == ("FAILED", "PROVIDER_UNAVAILABLE")
    assert Counter(event["kind"] for event in run["events"])["RETRY_SCHEDULED"] >= 1


async def test_an_attachment_that_is_briefly_unavailable_leaves_no_gap(
    resources: Resources, sandbox: Sandbox, fronts: Fronts, people: People, worker: Worker, sign_in: SignIn
) -> None:
    sandbox.ehr.put_many(
        [factories.fhir_patient("amara"), *note_at("amara", 1, "Porridge."), *note_at("amara", 2, "Rice.")]
    )
    patient = await connected(resources, people, "amara", fhir=fronts.fhir)

    def twice(asked: str) -> Response | None:
        return Response("try later", 503) if "/Binary/" in asked and fronts.ehr.asked[asked] <= 2 else None

    fronts.ehr.rule = twice
    run = await run_to_end(await sign_in(people.dietician), patient)

    assert (run["status"], run["counts"]["created"], run["failures"]) == ("SUCCEEDED", 2, [])
    assert {asked: n for asked, n in fronts.ehr.asked.items() if "/Binary/" in asked} == {
        "GET /fhir/Binary/amara-note-1": 3,
        "GET /fhir/Binary/amara-note-2": 3,
    }


async def test_an_attachment_that_is_missing_is_a_gap_until_the_next_run_completes_it(
    resources: Resources,
    sandbox: Sandbox,
    fronts: Fronts,
    people: People,
    books: Books,
    worker: Worker,
    sign_in: SignIn,
) -> None:
    sandbox.ehr.put_many(
        [factories.fhir_patient("amara"), *note_at("amara", 1, "Porridge."), *note_at("amara", 2, "Rice.")]
    )
    patient = await connected(resources, people, "amara", fhir=fronts.fhir, platform=fronts.platform_url)
    client = await sign_in(people.dietician)
    fronts.ehr.rule = lambda asked: outcome(404, "not-found") if asked.endswith("/Binary/amara-note-1") else None

    run = await run_to_end(client, patient)

    assert run["status"] == "SUCCEEDED_WITH_GAPS"
    assert [(it["reference"], it["code"]) for it in run["failures"]] == [
        ("DocumentReference/amara-note-1", "PROVIDER_NOT_FOUND")
    ]
    files = "SELECT version, sha256, missing, integrity FROM files WHERE document_id = (SELECT document_id FROM document_sources WHERE reference = 'DocumentReference/amara-note-1') ORDER BY version"
    assert [tuple(row) for row in await books.all(files)] == [(1, None, "PROVIDER_NOT_FOUND", "MISSING")]
    assert run["counts"]["published"] == 1

    fronts.ehr.rule = lambda _: None
    mended = await run_to_end(client, patient)

    sha256 = hashlib.sha256(b"Porridge.").hexdigest()
    assert (mended["status"], mended["counts"]["updated"], mended["counts"]["published"]) == ("SUCCEEDED", 1, 1)
    assert [row.sha256 for row in await books.all(files)] == [None, sha256]
    assert {it["sha256"] for it in sandbox.platform.stored(None)} == {sha256, hashlib.sha256(b"Rice.").hexdigest()}
    changes = await books.one("SELECT changes FROM document_versions WHERE number = 2")
    assert [line["field"] for line in changes] == ["content"]
