"""Patients: whose they are, how they are found, added once, changed and hidden."""

import asyncio
from typing import Any

import pytest

from app.api.kit import ids
from app.core.resources import Resources
from app.domain.patients.models import Patient, PatientSyncStatus
from tasks.broker import Worker
from tests import factories
from tests.api.asking import GARBAGE, SignIn, code, create_patient, nodes, outcome, pages, refusal, upload
from tests.api.scene import CALLERS, NOWHERE, Scene
from tests.conftest import People

SEERS = ("owner", "patient")
DETAILS = {
    "email": "case@example.test",
    "birthDate": "1980-02-29",
    "contactDetails": {"phone": "+1 555", "address": "1 High Street"},
    "medicalHistory": "Coeliac disease.",
    "dietaryPreferences": {"allergies": ["Nuts"], "restrictions": ["No gluten"], "notes": "Likes soup."},
}


@pytest.mark.parametrize("caller", CALLERS)
async def test_a_patient_is_seen_by_the_dietician_and_by_the_own_account_only(scene: Scene, caller: str) -> None:
    client = scene.clients[caller]
    by_id = await outcome(client, "PatientGet", id=scene.ids["patient"])
    by_node = await outcome(client, "AnyNode", id=scene.ids["patient"])
    listed = await outcome(client, "PatientList", first=100)
    if caller == "nobody":
        assert by_id == by_node == listed == "UNAUTHENTICATED"
        return
    seen = caller in SEERS
    assert (by_id is not None) == (by_node is not None) == seen
    assert (scene.ids["patient"] in {it["id"] for it in nodes(listed)}) == seen
    if seen:
        assert by_id["documents"]["totalCount"] == 2
        assert by_id["syncRuns"]["edges"][0]["node"]["id"] == scene.ids["run"]
        assert listed["totalCount"] == 1


REFUSED = {"nobody": "UNAUTHENTICATED", "other": "NOT_FOUND", "practitioner": "NOT_FOUND", "admin": "NOT_FOUND"}


@pytest.mark.parametrize("caller", [caller for caller in CALLERS if caller != "owner"])
@pytest.mark.parametrize(
    ("name", "variables"), [("PatientUpdate", {"input": {"name": "Taken over"}}), ("PatientDelete", {})]
)
async def test_only_the_responsible_dietician_changes_a_record(
    scene: Scene, caller: str, name: str, variables: dict[str, Any]
) -> None:
    before = await scene.digest()
    refused = await code(scene.clients[caller], name, id=scene.ids["patient"], **variables)
    assert refused == REFUSED.get(caller, "FORBIDDEN")
    assert await scene.digest() == before


@pytest.mark.parametrize("caller", ["nobody", "practitioner", "patient", "admin"])
async def test_only_a_dietician_adds_a_patient(scene: Scene, caller: str) -> None:
    before = await scene.digest()
    refused = await code(scene.clients[caller], "PatientCreate", input={"name": "Somebody New"})
    assert refused == ("UNAUTHENTICATED" if caller == "nobody" else "FORBIDDEN")
    assert await scene.digest() == before


@pytest.mark.parametrize("bad", [*GARBAGE, "of another type", "unknown"], ids=range(len(GARBAGE) + 2))
async def test_an_id_that_names_no_patient_is_nothing_and_changes_nothing(scene: Scene, bad: str) -> None:
    owner = scene.clients["owner"]
    unknown = ids.encode("Patient", factories.uuid4())
    bad = {"of another type": scene.ids["uploaded"], "unknown": unknown}.get(bad, bad)
    before = await scene.digest()
    assert await outcome(owner, "PatientGet", id=bad) is None
    assert await refusal(owner, "PatientUpdate", id=bad, input={"name": "X"}) == ("NOT_FOUND", ["id"])
    assert await refusal(owner, "PatientDelete", id=bad) == ("NOT_FOUND", ["id"])
    assert await scene.digest() == before


async def test_what_was_entered_is_read_back_and_an_edit_keeps_what_it_does_not_name(
    people: People, sign_in: SignIn
) -> None:
    client = await sign_in(people.dietician)
    patient = await create_patient(client, "  Ana   Silva ", **DETAILS)
    read = (await client.ask("PatientGet", id=patient))["patient"]
    assert read["name"] == "Ana Silva"
    assert {key: read[key] for key in DETAILS if key in read} == {k: v for k, v in DETAILS.items() if k != "birthDate"}

    await client.change("PatientUpdate", "patientUpdate", id=patient, input={"contactDetails": {"phone": "+1 556"}})
    edited = (await client.ask("PatientGet", id=patient))["patient"]
    assert edited == read | {"contactDetails": {"phone": "+1 556", "address": "1 High Street"}}
    assert edited["id"] == patient


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"name": ""}, ("INVALID", ["name"])),
        ({"name": " \n "}, ("INVALID", ["name"])),
        ({"name": "n" * 201}, ("INVALID", ["name"])),
        ({"name": "a\x00b"}, ("BAD_REQUEST", None)),
        ({"name": "a\ud800b"}, ("BAD_REQUEST", None)),
        ({"email": "nobody"}, ("INVALID", ["email"])),
        ({"email": "a" * 250 + "@b.test"}, ("INVALID", ["email"])),
        ({"birthDate": "9999-12-31"}, ("INVALID", ["birthDate"])),
        ({"birthDate": "1700-01-01"}, ("INVALID", ["birthDate"])),
        ({"birthDate": "2024-02-30"}, ("BAD_REQUEST", None)),
        ({"medicalHistory": "x" * 20_001}, ("INVALID", ["medicalHistory"])),
        ({"contactDetails": {"phone": "x" * 20_001}}, ("INVALID", ["phone"])),
        ({"dietaryPreferences": {"allergies": ["x"] * 101}}, ("INVALID", ["dietaryPreferences", "allergies"])),
        ({"primaryProviderId": "garbage", "providerPatientId": "p"}, ("NOT_FOUND", ["primaryProviderId"])),
        (
            {"primaryProviderId": ids.encode("Provider", factories.uuid4()), "providerPatientId": "p"},
            ("NOT_FOUND", ["primaryProviderId"]),
        ),
        ({"unknownField": 1}, ("BAD_REQUEST", None)),
    ],
    ids=range(16),
)
async def test_bad_details_are_refused_with_their_field(
    scene: Scene, given: dict[str, Any], expected: tuple[str, list[str] | None]
) -> None:
    before = await scene.digest()
    owner = scene.clients["owner"]
    assert await refusal(owner, "PatientCreate", input={"name": "Somebody Else"} | given) == expected
    assert await refusal(owner, "PatientUpdate", id=scene.ids["patient"], input=given) == expected
    assert await scene.digest() == before


async def test_a_provider_without_the_patients_id_there_is_refused(scene: Scene) -> None:
    wanted = {"name": "Half Connected", "primaryProviderId": scene.ids["provider"]}
    refused = await refusal(scene.clients["owner"], "PatientCreate", input=wanted)
    assert refused == ("INVALID", ["providerPatientId"])


async def test_somebody_who_is_there_already_is_returned_and_not_doubled(people: People, sign_in: SignIn) -> None:
    client = await sign_in(people.dietician)
    patient = await create_patient(client, "José Álvarez", email="jose@example.test")

    async def existing(**given: Any) -> Any:
        payload = await client.change("PatientCreate", "patientCreate", input=given)
        return payload["existing"] and payload["existing"]["id"]

    assert await existing(name="Quite Another", email=" JOSE@Example.Test ") == patient
    assert await existing(name="jose  ALVAREZ") == patient
    assert await existing(name="José Álvarez", email="jose@example.test") == patient
    assert (await client.ask("PatientList", first=10))["patients"]["totalCount"] == 1
    assert await existing(name="José Álvarez", email="another@example.test") is None
    assert await existing(name="José Álvarez", email="jose@example.test", allowDuplicate=True) is None
    assert (await client.ask("PatientList", first=10))["patients"]["totalCount"] == 3


async def test_another_dieticians_patient_is_never_the_existing_one(people: People, sign_in: SignIn) -> None:
    mine, theirs = await sign_in(people.dietician), await sign_in(people.other_dietician)
    await create_patient(mine, "Only Mine", email="mine@example.test")
    payload = await theirs.change(
        "PatientCreate", "patientCreate", input={"name": "Only Mine", "email": "mine@example.test"}
    )
    assert payload["existing"] is None
    assert payload["patient"] is not None


async def test_two_who_add_the_same_person_at_once_make_one(people: People, sign_in: SignIn) -> None:
    clients = [await sign_in(people.dietician) for _ in range(4)]
    wanted = {"name": "Rush Hour", "email": "rush@example.test"}
    payloads = await asyncio.gather(*[it.change("PatientCreate", "patientCreate", input=wanted) for it in clients])
    assert sum(payload["patient"] is not None for payload in payloads) == 1
    assert sum(payload["existing"] is not None for payload in payloads) == 3
    assert (await clients[0].ask("PatientList", first=10))["patients"]["totalCount"] == 1


async def test_pages_show_each_patient_once_while_others_are_added(
    resources: Resources, people: People, sign_in: SignIn
) -> None:
    client = await sign_in(people.dietician)
    async with resources.db.transaction() as session:
        rows = [await factories.patient(session, people.dietician, name=f"Case {n:02}") for n in range(25)]
    first = (await client.ask("PatientList", first=10))["patients"]
    assert (first["totalCount"], first["pageInfo"]["hasPreviousPage"]) == (25, False)
    async with resources.db.transaction() as session:
        before = await factories.patient(session, people.dietician, name="Aaron Early")
        after = await factories.patient(session, people.dietician, name="Zoe Late")
    seen, listed = nodes(first), first
    while listed["pageInfo"]["hasNextPage"]:
        cursor = listed["pageInfo"]["endCursor"]
        listed = (await client.ask("PatientList", first=10, after=cursor))["patients"]
        assert listed["pageInfo"]["hasPreviousPage"]
        seen += nodes(listed)
    found = [it["id"] for it in seen]
    assert len(found) == len(set(found))
    assert set(found) == {ids.encode("Patient", row.id) for row in [*rows, after]}
    assert ids.encode("Patient", before.id) not in found


@pytest.mark.parametrize("order", ["NAME", "NEWEST"])
async def test_both_orders_page_through_everybody_and_refuse_each_others_cursor(
    resources: Resources, people: People, sign_in: SignIn, order: str
) -> None:
    client = await sign_in(people.dietician)
    async with resources.db.transaction() as session:
        rows = [await factories.patient(session, people.dietician, name=name) for name in ("b", "A", "a", "C", "B")]
    found = [it["id"] for it in await pages(client, "PatientList", "patients", 2, orderBy=order)]
    by_name = sorted(rows, key=lambda row: (row.name.lower(), row.id))
    expected = by_name if order == "NAME" else sorted(rows, key=lambda row: row.id, reverse=True)
    assert found == [ids.encode("Patient", row.id) for row in expected]
    listed = (await client.ask("PatientList", first=2, orderBy=order))["patients"]
    other = "NEWEST" if order == "NAME" else "NAME"
    refused = await refusal(client, "PatientList", first=2, orderBy=other, after=listed["pageInfo"]["endCursor"])
    assert refused == ("BAD_CURSOR", ["after"])


async def test_each_filter_and_the_search_keep_and_drop(resources: Resources, people: People, sign_in: SignIn) -> None:
    client = await sign_in(people.dietician)
    async with resources.db.transaction() as session:
        provider = await factories.provider(session, resources.vault, NOWHERE)
        connected = await factories.patient(
            session,
            people.dietician,
            name="100% Connected_Case",
            email="connected@example.test",
            primary_provider_id=provider.id,
            provider_patient_id="p",
            sync_status=PatientSyncStatus.FAILED,
        )
        await factories.patient(session, people.dietician, name="Plain Person")
    wanted = {ids.encode("Patient", connected.id)}

    async def seen(**variables: Any) -> set[str]:
        return {it["id"] for it in nodes((await client.ask("PatientList", first=10, **variables))["patients"])}

    provider_id = ids.encode("Provider", provider.id)
    for kept in ({"providerId": provider_id}, {"syncStatuses": ["FAILED", "QUEUED"]}):
        assert await seen(filter=kept) == wanted
    for dropped in (
        {"providerId": ids.encode("Provider", factories.uuid4())},
        {"syncStatuses": ["SUCCEEDED"]},
        {"dieticianId": people.other_dietician.gid},
    ):
        assert await seen(filter=dropped) == set()
    assert len(await seen(filter={"dieticianId": people.dietician.gid})) == 2
    for search in ("connected_case", "CONNECTED@EXAMPLE", "100%"):
        assert await seen(search=search) == wanted
    assert await seen(search="%%") == await seen(search="absent") == set()
    assert await refusal(client, "PatientList", first=1, filter={"providerId": "garbage"}) == (
        "NOT_FOUND",
        ["filter", "providerId"],
    )


async def test_a_deleted_patient_is_gone_at_once_and_the_documents_and_runs_follow(
    resources: Resources, people: People, worker: Worker, sign_in: SignIn
) -> None:
    client = await sign_in(people.dietician)
    patient, kept = await create_patient(client, "To Go"), await create_patient(client, "To Stay")
    document, other = await upload(client, patient), await upload(client, kept)

    payload = await client.change("PatientDelete", "patientDelete", id=patient)

    assert payload["deletedId"] == patient
    assert await outcome(client, "PatientGet", id=patient) is None
    assert await code(client, "PatientDelete", id=patient) == "NOT_FOUND"
    async with asyncio.timeout(20):
        while await outcome(client, "DocumentGet", id=document):
            await outcome(client, "DocumentList", first=10)
            await asyncio.sleep(0.05)
    assert [it["id"] for it in nodes((await client.ask("DocumentList", first=10))["documents"])] == [other]
    assert [it["id"] for it in nodes((await client.ask("PatientList", first=10))["patients"])] == [kept]
    async with resources.db.reading() as session:
        row = await session.get(Patient, ids.decode(patient, "Patient"))
        assert row is not None
        assert row.deleted_at is not None
