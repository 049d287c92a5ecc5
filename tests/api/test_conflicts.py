"""Conflicts and the sending of details: who sees and decides them, and what is refused."""

from typing import Any

import pytest

from app.api.kit import ids
from app.core.resources import Resources
from app.domain.conflicts.models import Conflict
from app.domain.patients.models import Patient
from tests import factories
from tests.api.asking import GARBAGE, SignIn, code, nodes, outcome, refusal
from tests.api.scene import CALLERS, NOWHERE, Scene
from tests.conftest import People

HIDDEN = {
    "nobody": "UNAUTHENTICATED",
    "other": "NOT_FOUND",
    "practitioner": "NOT_FOUND",
    "patient": "NOT_FOUND",
    "admin": "NOT_FOUND",
}
REFUSED = HIDDEN | {"patient": "FORBIDDEN"}


async def clash(resources: Resources, person: factories.Person, **given: Any) -> tuple[str, str]:
    """A patient with one conflict: the ids of both."""
    async with resources.db.transaction() as session:
        provider = await factories.provider(session, resources.vault, NOWHERE)
        linked = {"primary_provider_id": provider.id, "provider_patient_id": "p"}
        row = await factories.patient(session, person, contact_details={"phone": "2"}, **linked)
        conflict = await factories.conflict(session, row, **given)
        return ids.encode("Patient", row.id), ids.encode("PatientConflict", conflict.id)


@pytest.mark.parametrize("caller", CALLERS)
async def test_conflicts_are_seen_by_the_responsible_dietician_alone(scene: Scene, caller: str) -> None:
    client = scene.clients[caller]
    listed = await outcome(client, "PatientConflicts", patientId=scene.ids["patient"], first=10)
    by_node = await outcome(client, "AnyNode", id=scene.ids["conflict"])
    if caller == "owner":
        assert [it["id"] for it in nodes(listed)] == [scene.ids["conflict"]] == [by_node["id"]]
        assert (listed["totalCount"], nodes(listed)[0]["theirs"]) == (1, "3")
    else:
        assert listed == REFUSED[caller]
        assert by_node is None or caller == "nobody"


@pytest.mark.parametrize("caller", CALLERS)
async def test_how_the_details_stand_is_shown_to_the_responsible_dietician_alone(scene: Scene, caller: str) -> None:
    found = await outcome(scene.clients[caller], "PatientDetailsGet", id=scene.ids["patient"])
    if caller == "owner":
        assert found["detailsStatus"] == "CONFLICT"
    elif caller == "patient":
        assert (found["detailsStatus"], found["detailsError"], found["detailsComparedAt"]) == (None, None, None)
    else:
        assert found is None or caller == "nobody"


@pytest.mark.parametrize("caller", [it for it in CALLERS if it != "owner"])
async def test_nobody_else_decides_or_sends_and_nothing_changes(scene: Scene, caller: str) -> None:
    client, before = scene.clients[caller], await scene.digest()
    for choice in ("OURS", "THEIRS"):
        assert await code(client, "ConflictResolve", id=scene.ids["conflict"], choice=choice) == HIDDEN[caller]
    assert await code(client, "PatientDetailsRetry", patientId=scene.ids["patient"]) == REFUSED[caller]
    assert await scene.digest() == before


@pytest.mark.parametrize("bad", [*GARBAGE, "of another type", "unknown"], ids=range(len(GARBAGE) + 2))
async def test_an_id_that_names_nothing_changes_nothing(scene: Scene, bad: str) -> None:
    owner = scene.clients["owner"]
    conflict = {"of another type": scene.ids["patient"], "unknown": ids.encode("PatientConflict", factories.uuid4())}
    patient = {"of another type": scene.ids["conflict"], "unknown": ids.encode("Patient", factories.uuid4())}
    before = await scene.digest()
    refused = await refusal(owner, "ConflictResolve", id=conflict.get(bad, bad), choice="OURS")
    assert refused == ("NOT_FOUND", ["id"])
    refused = await refusal(owner, "PatientDetailsRetry", patientId=patient.get(bad, bad))
    assert refused == ("NOT_FOUND", ["patientId"])
    refused = await refusal(owner, "PatientConflicts", patientId=patient.get(bad, bad), first=1)
    assert refused == ("NOT_FOUND", ["patientId"])
    assert await scene.digest() == before


async def test_theirs_takes_the_place_of_ours_once(resources: Resources, people: People, sign_in: SignIn) -> None:
    client = await sign_in(people.dietician)
    patient, conflict = await clash(resources, people.dietician)
    for _ in range(2):
        answer = await client.change("ConflictResolve", "conflictResolve", id=conflict, choice="THEIRS")
        assert (answer["conflict"]["state"], answer["conflict"]["resolution"]) == ("RESOLVED", "THEIRS")
    found = await outcome(client, "PatientDetailsGet", id=patient)
    assert (found["contactDetails"]["phone"], found["detailsStatus"]) == ("3", "NOT_COMPARED")
    assert await refusal(client, "ConflictResolve", id=conflict, choice="OURS") == ("CONFLICT", ["choice"])
    assert await code(client, "ConflictResolve", id=conflict, choice="BOTH") == "BAD_REQUEST"
    listed = await outcome(client, "PatientConflicts", patientId=patient, first=1, state="OPEN")
    assert listed["totalCount"] == 0


async def test_ours_is_sent_in_the_background(resources: Resources, people: People, sign_in: SignIn) -> None:
    client = await sign_in(people.dietician)
    patient, conflict = await clash(resources, people.dietician)
    answer = await client.change("ConflictResolve", "conflictResolve", id=conflict, choice="OURS")
    assert answer["patient"]["detailsStatus"] == "SENDING"
    again = await client.change("PatientDetailsRetry", "patientDetailsRetry", patientId=patient)
    assert again["patient"]["detailsStatus"] == "SENDING"
    async with resources.db.reading() as session:
        row = await session.get(Patient, ids.decode(patient, "Patient"))
        assert row is not None
        assert (row.contact_details, row.edited_details) == ({"phone": "2"}, {"phone": "3"})


async def test_a_value_that_cannot_be_kept_here_is_refused_and_stays_open(
    resources: Resources, people: People, sign_in: SignIn
) -> None:
    client = await sign_in(people.dietician)
    _, conflict = await clash(resources, people.dietician, field="BIRTH_DATE", theirs="1979")
    assert await refusal(client, "ConflictResolve", id=conflict, choice="THEIRS") == ("INVALID", ["choice"])
    async with resources.db.reading() as session:
        row = await session.get(Conflict, ids.decode(conflict, "PatientConflict"))
        assert row is not None
        assert (row.state, row.resolution) == ("OPEN", None)


async def test_with_another_provider_an_open_conflict_is_moot(
    resources: Resources, people: People, sign_in: SignIn
) -> None:
    client = await sign_in(people.dietician)
    patient, conflict = await clash(resources, people.dietician)
    await client.change("PatientUpdate", "patientUpdate", id=patient, input={"providerPatientId": "q"})
    assert (await outcome(client, "PatientConflicts", patientId=patient, first=1))["totalCount"] == 0
    assert await code(client, "ConflictResolve", id=conflict, choice="OURS") == "NOT_FOUND"
    assert (await outcome(client, "PatientDetailsGet", id=patient))["detailsStatus"] == "NOT_COMPARED"
