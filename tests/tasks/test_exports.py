"""Exports of a whole group, through real servers and a real worker."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from starlette.responses import JSONResponse, Response

from app.core.resources import Resources
from sandbox.ehr.app import create_app as create_ehr
from sandbox.serve import serving
from tasks import updates
from tasks.broker import Worker
from tests import factories
from tests.conftest import People, Sandbox
from tests.domain.rows import sql
from tests.exporting import Practice, practice, set_manner
from tests.faults.charts import chart
from tests.faults.oracle import Oracle
from tests.faulty import faults
from tests.runs import Books, Layer, SignIn

NAMES = [f"patient-{number}" for number in range(6)]
ALL = 4 * len(NAMES)
RUNS = "SELECT status || ' ' || mode || ' ' || trigger FROM sync_runs WHERE export_id IS NOT NULL ORDER BY id"
LEFT = "SELECT count(*) FROM export_resources"


@pytest.fixture
def books(resources: Resources) -> Books:
    return Books(resources)


@pytest.fixture
def oracle(books: Books, sandbox: Sandbox) -> Oracle:
    return Oracle(books, sandbox.ehr, sandbox.platform)


@pytest.fixture
async def found(resources: Resources, people: People, sandbox: Sandbox, sign_in: SignIn, worker: Worker) -> Practice:
    """Patients with documents in the EHR, whom we know."""
    for name in NAMES:
        sandbox.ehr.put_many(chart(name, 3, 1))
    await set_manner(sandbox.ehr_url, lines=7)
    return await practice(resources, people, await sign_in(people.admin), sandbox, NAMES, page_size=2)


@pytest.fixture
async def quick(found: Practice, books: Books) -> AsyncGenerator[Practice]:
    """The same, where nobody waits for the next look."""
    async with books.no_pauses():
        yield found


async def cleared(books: Books) -> None:
    await books.until("SELECT count(*) FROM work WHERE kind = 'updates.export' AND done_at IS NULL", lambda n: n == 0)
    assert await books.one(LEFT) == 0


async def test_a_group_of_patients_is_here_as_it_is_at_the_provider(
    found: Practice, sandbox: Sandbox, books: Books, oracle: Oracle
) -> None:
    await set_manner(sandbox.ehr_url, polls=1, lines=7)
    sandbox.ehr.put_many(chart("stranger", 2))
    members = [{"entity": {"reference": f"Patient/{it}"}} for it in (*NAMES, "stranger")]
    sandbox.ehr.put({"resourceType": "Group", "id": "g", "type": "person", "actual": True, "member": members})

    done = await found.exported()

    assert done["state"] == "SUCCEEDED", done
    assert (done["percent"], done["since"], done["error"], done["problems"]) == (100, None, None, [])
    counts = done["counts"]
    assert (counts["resources"], counts["unknown"], counts["gaps"]) == (ALL, 2, 0)
    assert counts["files"] == counts["filesDone"] > 2
    assert counts["patients"] == counts["patientsDone"] == len(NAMES)
    assert counts["patientsFailed"] == 0
    for reference in ("stranger-note-0", "stranger-note-1"):
        sandbox.ehr.delete("DocumentReference", reference)
    await oracle.assert_all_is_here()
    await oracle.assert_the_books_are_straight()
    assert await books.column(RUNS) == ["SUCCEEDED INCREMENTAL AUTOMATIC"] * len(NAMES)
    await cleared(books)


async def test_the_next_export_brings_what_has_changed_and_withdraws_what_is_named(
    quick: Practice, sandbox: Sandbox, books: Books, oracle: Oracle
) -> None:
    first = await quick.exported()
    sandbox.ehr.put(factories.note("patient-1", 0, "Says something else now."))
    sandbox.ehr.put(factories.note("patient-2", "new", "Was not there before."))
    sandbox.ehr.delete("DocumentReference", "patient-3-note-0")
    before = await books.one("SELECT count(*) FROM document_versions")

    second = await quick.exported()

    assert second["since"] == first["transactionTime"]
    counts = second["counts"]
    assert (counts["resources"], counts["deletions"], counts["patients"]) == (2, 1, 3)
    assert second["state"] == "SUCCEEDED", second
    await oracle.assert_all_is_here()
    assert await books.one("SELECT count(*) FROM document_versions") == before + 2 + 1
    gone = "SELECT count(*) FROM healthcare_documents WHERE status = 'WITHDRAWN'"
    assert await books.one(gone) == 1
    third = await quick.exported(everything=True)
    assert (third["since"], third["counts"]["resources"]) == (None, ALL)
    assert await books.one("SELECT count(*) FROM document_versions") == before + 2 + 1
    await cleared(books)


async def test_an_export_moves_no_cursor_and_verifies_nobody(quick: Practice, books: Books) -> None:
    await quick.exported()
    assert await books.one("SELECT count(*) FROM sync_cursors") == 0
    assert await books.one("SELECT count(*) FROM patients WHERE last_verified_at IS NOT NULL") == 0
    assert await books.one("SELECT bool_and(filtered) FROM sync_pages")


async def test_what_an_export_does_not_show_stays(quick: Practice, sandbox: Sandbox, books: Books) -> None:
    await quick.exported()
    sandbox.ehr.delete("DocumentReference", "patient-3-note-0")
    await quick.exported(everything=True)
    assert await books.column("SELECT DISTINCT status FROM healthcare_documents") == ["CURRENT"]


async def test_a_deletion_that_is_none_is_not_believed(quick: Practice, sandbox: Sandbox, books: Books) -> None:
    await quick.exported()
    sandbox.ehr.delete("DocumentReference", "patient-3-note-0")
    row = chart("patient-3", 1)[1]
    async with faults(
        sandbox.ehr_url, {"fault": "slow", "bytes_per_second": 400, "match": {"path": "/bulk/.*deleted.*"}}
    ):
        await quick.export()
        await quick.until("LOADING", "STORING")
        sandbox.ehr.put(row)
        done = await quick.until("SUCCEEDED")
    assert done["counts"]["deletions"] == 1
    assert await books.column("SELECT DISTINCT status FROM healthcare_documents") == ["CURRENT"]


async def test_asked_for_twice_it_is_one_export(quick: Practice, books: Books) -> None:
    first = await quick.export()
    assert (await quick.export())["id"] == first["id"]
    assert (await quick.export(everything=True))["id"] == first["id"]
    other = await quick.export(groupId=None)
    assert other["id"] != first["id"]
    assert other["groupId"] is None
    await books.until("SELECT count(*) FROM exports WHERE state = 'SUCCEEDED'", lambda n: n == 2, 60)
    assert (await quick.export())["id"] != first["id"]


async def test_whoever_waits_holds_no_worker_and_is_not_asked_too_often(
    found: Practice, sandbox: Sandbox, books: Books
) -> None:
    await set_manner(sandbox.ehr_url, polls=2, retry_after=2)
    await found.export()
    await books.until("SELECT percent FROM exports", lambda percent: percent > 0)
    free = "SELECT lease_until IS NULL AND due_at > now() FROM work WHERE kind = 'updates.export'"
    assert await books.until(free, bool, 5)
    async with httpx.AsyncClient(trust_env=False) as client:
        asked = (await client.get(f"{sandbox.ehr_url}/control/requests")).json()["requests"]
    assert asked["GET /bulk/{job}"] == 1
    done = await found.until("SUCCEEDED")
    assert done["counts"]["gaps"] == 0


async def test_being_throttled_while_waiting_uses_up_no_attempt(
    quick: Practice, sandbox: Sandbox, books: Books
) -> None:
    rule = {"fault": "status", "status": 429, "retry_after": 1, "times": 4, "match": {"path": "/bulk/[^/]+"}}
    async with faults(sandbox.ehr_url, rule), books.no_pauses(attempts=3):
        done = await quick.exported()
    assert done["state"] == "SUCCEEDED", done


async def test_a_file_that_fails_for_a_moment_is_read_on(quick: Practice, sandbox: Sandbox, books: Books) -> None:
    rules = (
        {"fault": "cut", "times": 2, "match": {"path": "/bulk/.*/output/1.*"}},
        {"fault": "status", "status": 503, "times": 1, "match": {"path": "/bulk/.*/output/2.*"}},
    )
    async with faults(sandbox.ehr_url, *rules):
        done = await quick.exported()
    assert (done["state"], done["counts"]["resources"]) == ("SUCCEEDED", ALL)


async def test_a_file_that_is_gone_is_a_named_gap_and_the_next_export_asks_for_everything(
    quick: Practice, sandbox: Sandbox, oracle: Oracle
) -> None:
    rule = {"fault": "status", "status": 404, "match": {"path": "/bulk/.*/output/0.*"}}
    async with faults(sandbox.ehr_url, rule):
        done = await quick.exported()
    assert (done["state"], done["counts"]["gaps"]) == ("SUCCEEDED_WITH_GAPS", 1)
    (problem,) = done["problems"]
    assert (problem["code"], problem["place"]) == ("PROVIDER_NOT_FOUND", "file 1 (output)")
    assert len(problem["steps"]) >= 2
    again = await quick.exported()
    assert (again["state"], again["since"]) == ("SUCCEEDED", None)
    await oracle.assert_all_is_here()


async def test_an_export_that_the_provider_has_forgotten_fails_with_advice(
    quick: Practice, sandbox: Sandbox, books: Books
) -> None:
    await set_manner(sandbox.ehr_url, seconds=0)
    done = await quick.exported()
    assert (done["state"], done["error"]["code"]) == ("FAILED", "EXPORT_EXPIRED")
    await cleared(books)
    await set_manner(sandbox.ehr_url, seconds=60)
    assert (await quick.exported())["state"] == "SUCCEEDED"


async def test_an_unknown_group_fails_at_once(quick: Practice, books: Books) -> None:
    done = await quick.exported(groupId="nobody")
    assert (done["state"], done["error"]["code"]) == ("FAILED", "PROVIDER_NOT_FOUND")
    await cleared(books)


async def test_stopped_it_is_deleted_at_the_provider_and_cleared_away_here(
    quick: Practice, sandbox: Sandbox, books: Books
) -> None:
    await set_manner(sandbox.ehr_url, polls=1000)
    asked = await quick.export()
    await quick.until("PREPARING")
    for _ in range(2):
        stopped = await quick.admin.change("ProviderExportCancel", "providerExportCancel", id=asked["id"])
        assert stopped["export"]["state"] == "CANCELLED"
    await cleared(books)
    async with httpx.AsyncClient(trust_env=False) as client:
        seen = (await client.get(f"{sandbox.ehr_url}/control/requests")).json()["requests"]
    assert seen["DELETE /bulk/{job}"] == 1
    assert await books.one("SELECT count(*) FROM sync_runs") == 0
    assert (await quick.export())["id"] != asked["id"]


async def test_a_patient_whose_run_has_a_gap_is_looked_at_again_by_an_ordinary_one(
    quick: Practice, sandbox: Sandbox, books: Books, resources: Resources
) -> None:
    rule = {"fault": "status", "status": 404, "times": 1, "match": {"path": "/fhir/Binary/patient-4-note-1"}}
    async with faults(sandbox.ehr_url, rule):
        done = await quick.exported()
    assert (done["state"], done["counts"]["patientsFailed"], done["counts"]["gaps"]) == ("SUCCEEDED_WITH_GAPS", 1, 0)
    await updates.one_round(resources)
    again = await books.until(
        "SELECT array_agg(status || ' ' || mode) FROM sync_runs WHERE export_id IS NULL AND finished_at IS NOT NULL",
        bool,
    )
    assert again == ["SUCCEEDED FULL"]


async def test_who_was_connected_since_the_last_export_gets_a_run_of_their_own(
    quick: Practice, sandbox: Sandbox, books: Books, oracle: Oracle, people: People, resources: Resources
) -> None:
    await quick.exported()
    sandbox.ehr.put_many(chart("late", 2))
    await books.until("SELECT count(*) FROM exports WHERE state = 'SUCCEEDED'", lambda n: n == 1)
    async with resources.db.transaction() as session:
        provider = (await session.execute(text("SELECT id FROM providers"))).scalar_one()
        connected = {"primary_provider_id": provider, "provider_patient_id": "late"}
        await factories.patient(session, people.other_dietician, **connected)
    await quick.exported()
    await updates.one_round(resources)
    await books.until(
        "SELECT count(*) FROM sync_runs WHERE export_id IS NULL AND status = 'SUCCEEDED'", lambda n: n == 1
    )
    await oracle.assert_all_is_here()


async def test_two_dieticians_of_one_person_both_receive_it(
    quick: Practice, books: Books, people: People, resources: Resources
) -> None:
    async with resources.db.transaction() as session:
        provider = (await session.execute(text("SELECT id FROM providers"))).scalar_one()
        connected = {"primary_provider_id": provider, "provider_patient_id": "patient-0"}
        await factories.patient(session, people.other_dietician, **connected)
    done = await quick.exported()
    assert (done["state"], done["counts"]["patients"]) == ("SUCCEEDED", len(NAMES) + 1)
    assert await books.one("SELECT count(*) FROM healthcare_documents") == ALL + 4
    await cleared(books)


async def test_a_patient_who_is_being_synchronised_gets_their_share_afterwards(
    quick: Practice, books: Books, resources: Resources
) -> None:
    await sql(
        resources,
        "INSERT INTO sync_runs (patient_id, owner_id, provider_id, provider_patient_id, mode, trigger, status, started_at)"
        " SELECT id, user_id, primary_provider_id, provider_patient_id, 'INCREMENTAL', 'MANUAL', 'RUNNING', now()"
        " FROM patients WHERE provider_patient_id = 'patient-5'",
    )
    await quick.export()
    await books.until("SELECT patients_done FROM exports", lambda done: done == len(NAMES) - 1, 60)
    await sql(resources, "UPDATE sync_runs SET status = 'CANCELLED', finished_at = now() WHERE trigger = 'MANUAL'")
    done = await quick.until("SUCCEEDED")
    assert done["counts"]["patientsDone"] == len(NAMES)
    assert await books.one("SELECT count(*) FROM healthcare_documents") == ALL


async def test_files_without_a_token(
    resources: Resources, people: People, sandbox: Sandbox, sign_in: SignIn, worker: Worker
) -> None:
    sandbox.ehr.put_many(chart("amara", 3))
    await set_manner(sandbox.ehr_url, token=False)
    found = await practice(resources, people, await sign_in(people.admin), sandbox, ["amara"])
    assert (await found.exported())["state"] == "SUCCEEDED"


def garbled(*given: str | dict[str, Any]) -> Response:
    """An export's file with these lines, packed or not."""
    lines = [it if isinstance(it, str) else json.dumps(it) for it in given]
    return Response("\n".join(lines).encode(), media_type="application/fhir+ndjson")


async def test_bad_lines_are_named_and_cost_nothing_else(
    resources: Resources, people: People, sandbox: Sandbox, sign_in: SignIn, worker: Worker, books: Books
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", 2))
    note = factories.note("amara", "good")
    nobody = {**factories.note("amara", "nobody"), "subject": {"display": "Amara"}}
    broken = factories.note("amara", "broken", content=[{"attachment": {"data": "no base64!"}}])
    file = garbled(
        "{", "", note, json.dumps(note), nobody, broken, factories.note("bela", 1), factories.fhir_patient("amara")
    )
    layer = Layer(create_ehr(sandbox.ehr), rule=lambda words: file if "/output/" in words else None)
    async with serving(layer) as origin:
        await set_manner(origin)
        admin = await sign_in(people.admin)
        found = await practice(resources, people, admin, sandbox, ["amara"], fhir=f"{origin}/fhir")
        done = await found.exported()

    assert done["state"] == "SUCCEEDED_WITH_GAPS"
    assert [(it["place"], it["code"]) for it in done["problems"]] == [
        ("file 1 (output), line 1", "ENTRY_UNREADABLE"),
        ("file 1 (output), line 5", "ENTRY_UNREADABLE"),
    ]
    counts = done["counts"]
    assert (counts["resources"], counts["unknown"], counts["patientsFailed"]) == (2, 2, 1)
    assert await books.column("SELECT title FROM healthcare_documents") == ["Progress note good"]
    assert await books.column("SELECT code FROM sync_failures") == ["ENTRY_UNREADABLE"]


async def test_what_the_provider_could_not_export_is_a_gap(
    resources: Resources, people: People, sandbox: Sandbox, sign_in: SignIn, worker: Worker
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", 1))
    issues = [{"severity": severity, "code": "processing"} for severity in ("error", "information")]
    complaint = garbled({"resourceType": "OperationOutcome", "issue": issues})
    manifest = {
        "transactionTime": "2026-11-20T10:00:00Z",
        "requiresAccessToken": True,
        "output": [{"type": "DocumentReference", "url": "/files/1", "count": 3}],
        "error": [{"type": "OperationOutcome", "url": "/files/2"}],
    }
    replies = {"/files/1": garbled(factories.note("amara", 0)), "/files/2": complaint}

    def rule(words: str) -> Response | None:
        method, _, path = words.partition(" ")
        return replies.get(path) or (JSONResponse(manifest) if method == "GET" and path.startswith("/bulk/") else None)

    async with serving(Layer(create_ehr(sandbox.ehr), rule=rule)) as origin:
        admin = await sign_in(people.admin)
        found = await practice(resources, people, admin, sandbox, ["amara"], fhir=f"{origin}/fhir")
        done = await found.exported()
    assert done["state"] == "SUCCEEDED_WITH_GAPS"
    assert [(it["place"], it["code"], it["detail"]) for it in done["problems"]] == [
        ("file 1 (output)", "LISTING_SHORT", "announced 3, listed 1"),
        ("file 2 (errors), line 1", "EXPORT_PARTIAL", "OperationOutcome processing"),
    ]
