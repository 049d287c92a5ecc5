"""Edits of details that a provider holds too: noted with what was there before, in the edit's own transaction."""

from datetime import date
from typing import Any
from uuid import UUID

import pytest

from app.connectors.provider.port import PatientField, ProviderPatient
from app.core.errors import ErrorCode, Refusal
from app.core.resources import Resources
from app.domain.conflicts import queries, recording
from app.domain.patients import commands
from app.domain.patients import queries as patients
from app.domain.patients.commands import Details
from app.domain.patients.events import EDITED
from app.domain.patients.models import Patient
from tests import factories
from tests.conftest import People
from tests.domain.rows import actor, actors, everything, refusal_of, rows

WORK = "SELECT kind, count(*) FROM work GROUP BY kind"


async def connected(resources: Resources, people: People, **given: Any) -> Patient:
    async with resources.db.transaction() as session:
        provider = await factories.provider(session, resources.vault, "https://ehr.example.test/fhir")
        linked = {"primary_provider_id": provider.id, "provider_patient_id": "p", "name": "Ana"}
        wanted = linked | {"account_id": people.patient.id, "contact_details": {"phone": "1"}}
        return await factories.patient(session, people.dietician, **wanted | given)


async def edit(resources: Resources, people: People, patient_id: UUID, **given: Any) -> Patient:
    async with resources.db.transaction() as session:
        return await commands.update(session, actor(people.dietician), patient_id, Details(**given))


def held(version: str = "1", **details: str) -> ProviderPatient:
    values = dict.fromkeys(PatientField, "") | {PatientField(name): value for name, value in details.items()}
    return ProviderPatient("Patient/p", values[PatientField.NAME], "", version, values, b"{}")


async def compare(resources: Resources, patient_id: UUID, found: ProviderPatient, revision: int = 0) -> Any:
    async with resources.db.transaction() as session:
        row = await patients.patient_locked(session, patient_id)
        assert row is not None
        return await recording.compare(session, row, found, revision)


async def test_an_edit_keeps_what_the_provider_knows_and_asks_once(resources: Resources, people: People) -> None:
    patient = await connected(resources, people)
    for phone in ("2", "3"):
        await edit(resources, people, patient.id, phone=phone, email="Ana@b.test")
    row = await edit(resources, people, patient.id, birth_date=date(1980, 5, 3))
    assert row.edited_details == {"phone": "1", "email": "", "birth_date": ""}
    assert await rows(resources, WORK) == [(EDITED, 1)]
    (waits,) = await rows(resources, "SELECT due_at > created_at FROM work")
    assert waits, "a second edit that follows at once goes with the first"


@pytest.mark.parametrize(
    "given", [{}, {"medical_history": "x"}, {"allergies": ["nuts"]}, {"phone": "1"}, {"name": " Ana "}], ids=range(5)
)
async def test_what_a_provider_does_not_hold_or_what_stays_is_no_edit(
    resources: Resources, people: People, given: dict[str, Any]
) -> None:
    patient = await connected(resources, people)
    assert (await edit(resources, people, patient.id, **given)).edited_details == {}
    assert await rows(resources, WORK) == []


async def test_without_a_provider_there_is_nobody_to_tell(resources: Resources, people: People) -> None:
    patient = await connected(resources, people, primary_provider_id=None, provider_patient_id=None)
    assert (await edit(resources, people, patient.id, phone="2")).edited_details == {}
    assert await rows(resources, WORK) == []


async def test_another_id_at_the_provider_begins_anew(resources: Resources, people: People) -> None:
    patient = await connected(resources, people)
    await edit(resources, people, patient.id, phone="2")
    row = await edit(resources, people, patient.id, phone="3", provider_patient_id="q")
    assert (row.edited_details, row.contact_details["phone"]) == ({}, "3")


async def test_a_refused_edit_asks_for_nothing(resources: Resources, people: People) -> None:
    patient = await connected(resources, people)
    before = await everything(resources)
    for name, caller in actors(people).items():
        if name != "dietician":
            with pytest.raises(Refusal) as refused:
                async with resources.db.transaction() as session:
                    await commands.update(session, caller, patient.id, Details(phone="2"))
            assert refusal_of(refused)[0] is (ErrorCode.FORBIDDEN if name == "patient" else ErrorCode.NOT_FOUND)
    with pytest.raises(Refusal):
        await edit(resources, people, patient.id, phone="2", email="nonsense")
    assert await everything(resources) == before


async def test_who_has_read_before_another_comparison_was_recorded_changes_nothing(
    resources: Resources, people: People
) -> None:
    patient = await connected(resources, people)
    assert await compare(resources, patient.id, held("2", name="Ana", phone="1")) == {}
    before = await everything(resources)
    assert await compare(resources, patient.id, held("1", name="Older", phone="0")) is None
    assert await everything(resources) == before
    assert await compare(resources, patient.id, held("3", name="Ana", phone="9"), revision=1) == {}
    assert await rows(resources, "SELECT contact_details ->> 'phone' FROM patients") == ["9"]


async def test_an_edit_while_one_is_sent_is_still_to_be_sent(resources: Resources, people: People) -> None:
    patient = await connected(resources, people)
    await compare(resources, patient.id, held(name="Ana", phone="1"))
    await edit(resources, people, patient.id, phone="2")
    before, after = held("1", name="Ana", phone="1"), held("2", name="Ana", phone="2")
    wanted = await compare(resources, patient.id, before, revision=1)
    assert wanted == {PatientField.PHONE: "2"}
    await edit(resources, people, patient.id, phone="3")
    async with resources.db.transaction() as session:
        row = await patients.patient_locked(session, patient.id)
        assert row is not None
        assert await recording.sent(session, row, wanted, before, after, 2)
    assert await compare(resources, patient.id, after, revision=3) == {PatientField.PHONE: "3"}


async def test_a_conflict_is_one_row_a_field_and_follows_both_sides(resources: Resources, people: People) -> None:
    patient = await connected(resources, people)
    await compare(resources, patient.id, held(name="Ana", phone="1"))
    await edit(resources, people, patient.id, phone="2")
    for revision, theirs in enumerate(("7", "8"), start=1):
        assert await compare(resources, patient.id, held(str(revision), name="Ana", phone=theirs), revision) == {}
    await edit(resources, people, patient.id, phone="4")
    assert await compare(resources, patient.id, held("3", name="Ana", phone="8"), 3) == {}
    found = await rows(resources, "SELECT base, ours, theirs, provider_version, state FROM conflicts")
    assert found == [("1", "4", "8", "3", "OPEN")]
    async with resources.db.reading() as session:
        standing = (await queries.standings(session, actor(people.dietician), [patient.id]))[patient.id]
        assert standing.status == "CONFLICT"
        for name, caller in actors(people).items():
            assert bool(await queries.standings(session, caller, [patient.id])) is (name == "dietician")
