"""A patient's details, here and at the provider: what was edited goes there, what was changed there comes here, and where both
were changed a person decides."""

import json

import pytest
from sqlalchemy import select, text
from starlette.responses import JSONResponse

from app.connectors.provider.port import PATIENT_UPDATE, Auth, AuthKind
from app.core.resources import Resources
from app.domain.connections.commands import connection, save_provider
from app.domain.connections.models import Provider
from app.domain.connections.rules import public_jwk
from tasks.broker import Worker
from tests.api.asking import code as refused_with
from tests.faults.desk import CHART, Desk, but
from tests.runs import row_id, run_to_end


async def test_an_edit_arrives_in_one_new_version_that_keeps_everything_else(compared: Desk) -> None:
    await compared.edit(phone="020 7946 0002", email="Amara.New@example.test")
    await compared.edit(phone="020 7946 0003")
    found = await compared.until("IN_STEP", "DIFFERENT", "FAILED", "CONFLICT")

    assert (found["detailsStatus"], compared.versions(), compared.door.puts) == ("DIFFERENT", 2, 1)
    telecom = [
        CHART["telecom"][0] | {"value": "020 7946 0003"},
        CHART["telecom"][1] | {"value": "amara.new@example.test"},
    ]
    assert but(compared.chart()) == but(CHART, telecom=telecom)
    assert await compared.logged("details_sent") == [("SUCCESS", "e-mail address, telephone number")]
    (told, *others) = await compared.told("DETAILS_SENT")
    assert (told["kind"], told["subject"], others) == (
        "DETAILS_SENT",
        {"__typename": "Patient", "id": compared.patient},
        [],
    )

    await compared.edit(name="Amara Okafor")
    assert (await compared.until("IN_STEP"))["detailsError"] is None
    assert compared.versions() == 2, "the provider says so already: nothing is written"


async def test_what_was_changed_at_the_provider_alone_is_taken_over_by_the_next_run(compared: Desk) -> None:
    compared.provider_edits(phone="020 7946 0009", birthDate="1979")
    assert (await run_to_end(compared.client, compared.patient))["status"] == "SUCCEEDED"
    found = await compared.shown()
    assert (found["phone"], found["birthDate"]) == ("020 7946 0009", "1979-02-01")
    assert ("SUCCESS", "telephone number") in await compared.logged("details_received")
    assert (compared.door.puts, await compared.conflicts()) == (0, [])


@pytest.mark.parametrize("choice", ["OURS", "THEIRS"])
async def test_a_clash_is_kept_field_by_field_and_a_person_decides(compared: Desk, choice: str) -> None:
    compared.provider_edits(phone="020 1111", birthDate="1979-02-02")
    await compared.edit(phone="020 2222", email="new@example.test")
    await compared.until("CONFLICT")
    await compared.quiet()

    found = await compared.shown()
    assert (found["phone"], found["email"], found["birthDate"]) == ("020 2222", "new@example.test", "1979-02-02")
    (conflict,) = await compared.conflicts()
    assert {key: conflict[key] for key in ("field", "base", "ours", "theirs", "state")} == {
        "field": "PHONE",
        "base": "020 7946 0001",
        "ours": "020 2222",
        "theirs": "020 1111",
        "state": "OPEN",
    }
    await compared.quiet()
    telecom = {it["system"]: it["value"] for it in compared.chart()["telecom"]}
    assert telecom == {"phone": "020 1111", "email": "new@example.test"}, "what does not clash goes through"
    told = next(it for it in await compared.told("DETAILS_CONFLICT") if it["kind"] == "DETAILS_CONFLICT")
    assert told["subject"] == {"__typename": "PatientConflict", "id": conflict["id"]}
    assert "020" not in told["title"] + told["body"]

    answer = await compared.client.change("ConflictResolve", "conflictResolve", id=conflict["id"], choice=choice)
    assert answer["conflict"]["resolution"] == choice
    await compared.until("DIFFERENT")
    value = "020 2222" if choice == "OURS" else "020 1111"
    assert (await compared.shown())["phone"] == compared.chart()["telecom"][0]["value"] == value
    again = await compared.client.change("ConflictResolve", "conflictResolve", id=conflict["id"], choice=choice)
    assert again["conflict"]["state"] == "RESOLVED"
    other = "THEIRS" if choice == "OURS" else "OURS"
    assert await refused_with(compared.client, "ConflictResolve", id=conflict["id"], choice=other) == "CONFLICT"
    await compared.books.until(
        "SELECT count(*) FROM notifications WHERE kind = 'DETAILS_CONFLICT' AND settled_at IS NULL", lambda n: n == 0
    )
    assert compared.versions() == (4 if choice == "OURS" else 3)


async def test_a_decision_for_ours_meets_another_change_as_another_conflict(compared: Desk) -> None:
    compared.provider_edits(phone="020 1111")
    await compared.edit(phone="020 2222")
    await compared.until("CONFLICT")
    (conflict,) = await compared.conflicts()
    compared.provider_edits(phone="020 3333")
    await compared.client.change("ConflictResolve", "conflictResolve", id=conflict["id"], choice="OURS")
    await compared.until("CONFLICT")
    (fresh,) = await compared.conflicts("OPEN")
    assert (fresh["base"], fresh["ours"], fresh["theirs"]) == ("020 1111", "020 2222", "020 3333")
    assert compared.chart()["telecom"][0]["value"] == "020 3333"


async def test_a_conflict_that_both_sides_settle_by_themselves_is_closed(compared: Desk) -> None:
    compared.provider_edits(phone="020 1111")
    await compared.edit(phone="020 2222")
    await compared.until("CONFLICT")
    await compared.edit(phone="020 1111")
    await compared.until("DIFFERENT")
    (conflict,) = await compared.conflicts()
    assert (conflict["state"], conflict["resolution"], compared.door.puts) == ("RESOLVED", "THEIRS", 0)


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (403, "forbidden", "DETAILS_REFUSED"),
        (405, "not-supported", "DETAILS_REFUSED"),
        (422, "business-rule", "PROVIDER_INVALID"),
        (401, "login", "PROVIDER_UNAUTHORIZED"),
        (404, "not-found", "PATIENT_UNKNOWN"),
    ],
)
async def test_a_refusal_for_good_is_told_once_and_the_edit_stays_ours_until_a_retry(
    compared: Desk, status: int, code: str, told: str
) -> None:
    compared.door.answer(status, code, times=3)
    await compared.edit(phone="020 2222")
    found = await compared.until("FAILED")
    assert (found["phone"], found["detailsError"]["code"]) == ("020 2222", told)
    assert 2 <= len(found["detailsError"]["steps"]) <= 4
    (first,) = [it for it in await compared.told("DETAILS_FAILED") if it["kind"] == "DETAILS_FAILED"]
    await compared.edit(phone="020 3333")
    await compared.books.until(
        "SELECT count(*) FROM synchronization_log WHERE action = 'details_failed'", lambda n: n == 2
    )
    await compared.quiet()
    assert [it["id"] for it in await compared.told() if it["kind"] == "DETAILS_FAILED"] == [first["id"]]
    assert compared.versions() == 1

    compared.door.plans.clear()
    await compared.client.change("PatientDetailsRetry", "patientDetailsRetry", patientId=compared.patient)
    assert (await compared.until("DIFFERENT"))["detailsError"] is None
    assert (compared.versions(), compared.chart()["telecom"][0]["value"]) == (2, "020 3333")
    assert await refused_with(compared.client, "PatientDetailsRetry", patientId=compared.patient) == "CONFLICT"


async def test_a_server_that_says_yes_and_does_no_is_found_out(compared: Desk) -> None:
    compared.door.plans.append(JSONResponse(compared.chart(), 200, {"etag": 'W/"1"'}))
    await compared.edit(phone="020 2222")
    found = await compared.until("FAILED")
    assert (found["phone"], found["detailsError"]["code"], compared.versions()) == ("020 2222", "DETAILS_REFUSED", 1)


async def test_a_capability_card_that_says_no_is_believed_until_a_person_insists(
    compared: Desk, resources: Resources
) -> None:
    card = [{"name": PATIENT_UPDATE, "supported": False, "detail": "not advertised"}]
    async with resources.db.transaction() as session:
        await session.execute(
            text("UPDATE providers SET capabilities = CAST(:card AS jsonb)"), {"card": json.dumps(card)}
        )
    await compared.edit(phone="020 2222")
    assert (await compared.until("FAILED"))["detailsError"]["code"] == "DETAILS_REFUSED"
    assert compared.door.puts == 0
    await compared.client.change("PatientDetailsRetry", "patientDetailsRetry", patientId=compared.patient)
    await compared.until("DIFFERENT")
    assert (compared.door.puts, compared.versions()) == (1, 2)


async def test_an_edit_for_a_former_provider_is_not_told_to_a_new_one(compared: Desk) -> None:
    compared.door.answer(403, "forbidden")
    await compared.edit(phone="020 2222")
    await compared.until("FAILED")
    compared.ehr.put(CHART | {"id": "other"})
    await compared.edit(providerPatientId="other")
    assert (await compared.shown())["detailsStatus"] == "NOT_COMPARED"
    await run_to_end(compared.client, compared.patient)
    assert (await compared.shown())["detailsStatus"] == "DIFFERENT"
    assert (len(compared.ehr.history("Patient", "other")), compared.versions()) == (1, 1)


async def test_the_log_and_the_notifications_hold_no_values(compared: Desk) -> None:
    compared.provider_edits(phone="020 1111")
    await compared.edit(phone="020 2222", email="new@example.test")
    await compared.until("CONFLICT")
    await compared.told("DETAILS_CONFLICT", "DETAILS_SENT")
    words = await compared.books.column(
        "SELECT details FROM synchronization_log UNION ALL SELECT title || body || hint FROM notifications"
    )
    assert not [it for it in words if "020" in it or "@" in it]
    stored = await compared.books.all("SELECT patient_id FROM notifications")
    assert {row.patient_id for row in stored} == {row_id(compared.patient)}


@pytest.mark.parametrize(
    ("scopes", "status"), [("system/*.rs system/Patient.u", "DIFFERENT"), ("system/*.rs", "FAILED")]
)
async def test_the_right_to_update_is_asked_for_where_it_is_needed_and_missed_in_words(
    desk: Desk, worker: Worker, resources: Resources, scopes: str, status: str
) -> None:
    async with resources.db.transaction() as session:
        (provider,) = (await session.scalars(select(Provider))).all()
        auth = Auth(AuthKind.SMART_BACKEND, client_id="clinic")
        saved = await save_provider(session, resources.vault, name=provider.name, base_url=provider.base_url, auth=auth)
        key = public_jwk(connection(saved, resources.vault, 0).auth)
    desk.ehr.register_client("clinic", "smart", jwks={"keys": [key]}, scopes=scopes)
    desk.ehr.set_open(False)
    assert (await run_to_end(desk.client, desk.patient))["status"] == "SUCCEEDED"
    await desk.edit(phone="020 2222")
    found = await desk.until("DIFFERENT", "FAILED")
    error = found["detailsError"]["code"] if found["detailsError"] else None
    assert (found["detailsStatus"], error) == (status, None if status == "DIFFERENT" else "DETAILS_REFUSED")
    assert desk.versions() == (2 if status == "DIFFERENT" else 1)
