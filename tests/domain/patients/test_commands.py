"""Writes of patients' records, by whom they may be made."""

import asyncio
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.core.errors import ErrorCode, Refusal
from app.core.resources import Resources
from app.domain.identity.policies import Actor
from app.domain.patients import commands, queries
from app.domain.patients.commands import Created, Details
from app.domain.patients.models import Patient
from tests import factories
from tests.conftest import People
from tests.domain.rows import actor, actors, everything, refusal_of, rows


async def create(resources: Resources, caller: Actor, *, allow_duplicate: bool = False, **given: Any) -> Created:
    values: dict[str, Any] = {"name": "Amara Okafor"}
    details = Details(**values | given)
    async with resources.db.transaction() as session:
        return await commands.create(session, caller, details, allow_duplicate=allow_duplicate)


async def update(resources: Resources, caller: Actor, patient_id: UUID, **given: Any) -> Patient:
    async with resources.db.transaction() as session:
        return await commands.update(session, caller, patient_id, Details(**given))


async def made(resources: Resources, caller: Actor, **given: Any) -> Patient:
    found = (await create(resources, caller, **given)).patient
    assert found is not None
    return found


async def count(resources: Resources) -> int:
    (number,) = await rows(resources, "SELECT count(*) FROM patients WHERE deleted_at IS NULL")
    return number


async def test_of_two_clients_who_add_the_same_person_at_once_one_is_told_of_the_other(
    resources: Resources, people: People
) -> None:
    caller = actor(people.dietician)
    found = await asyncio.gather(
        *(create(resources, caller, name=f"Amara  {name}") for name in ("Okafor", "OKAFOR") * 3)
    )
    (first,) = [it.patient for it in found if it.patient]
    assert {it.existing.id for it in found if it.existing} == {first.id}
    assert await count(resources) == 1


async def test_the_same_person_may_be_added_twice_on_purpose_and_by_two_dieticians(
    resources: Resources, people: People
) -> None:
    caller = actor(people.dietician)
    await made(resources, caller, email="amara@example.test")
    assert (await create(resources, caller, allow_duplicate=True, email="amara@example.test")).patient
    assert (await create(resources, actor(people.other_dietician), email="amara@example.test")).patient
    assert await count(resources) == 3


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ({}, {"name": "amara okafor"}, True),
        ({"email": "a@b.test"}, {"email": "A@B.test", "name": "Someone Else"}, True),
        ({"email": "a@b.test"}, {}, True),
        ({}, {"email": "a@b.test"}, True),
        ({"email": "a@b.test"}, {"email": "other@b.test"}, False),
        ({}, {"name": "Amara Okafo"}, False),
        ({"name": "Émile Zola"}, {"name": "Emile Zola"}, True),
    ],
)
async def test_somebody_is_likely_known_already(
    resources: Resources, people: People, first: dict[str, Any], second: dict[str, Any], same: bool
) -> None:
    caller = actor(people.dietician)
    known = await made(resources, caller, **first)
    found = await create(resources, caller, **second)
    assert (found.existing.id == known.id if found.existing else False) is same
    assert (found.patient is None) is same


async def test_an_edit_changes_what_it_names_and_nothing_else(resources: Resources, people: People) -> None:
    caller = actor(people.dietician)
    before = await made(
        resources,
        caller,
        email="a@b.test",
        phone="1",
        address="here",
        allergies=["nuts"],
        notes="n",
        birth_date=date(1990, 1, 2),
    )
    after = await update(resources, caller, before.id, phone="2", restrictions=["vegan"], medical_history="none")
    assert after.contact_details == {"phone": "2", "address": "here"}
    assert after.dietary_preferences == {"allergies": ["nuts"], "restrictions": ["vegan"], "notes": "n"}
    assert (after.name, after.email, after.birth_date) == (before.name, "a@b.test", date(1990, 1, 2))
    emptied = await update(resources, caller, before.id, email="", allergies=[])
    assert (emptied.email, emptied.dietary_preferences["allergies"]) == (None, [])


async def test_two_edits_of_different_fields_at_once_both_hold(resources: Resources, people: People) -> None:
    caller = actor(people.dietician)
    patient = await made(resources, caller)
    await asyncio.gather(
        update(resources, caller, patient.id, phone="1"),
        update(resources, caller, patient.id, address="here"),
        update(resources, caller, patient.id, notes="n"),
    )
    assert await rows(resources, "SELECT contact_details, dietary_preferences FROM patients") == [
        ({"phone": "1", "address": "here"}, {"notes": "n"})
    ]


async def test_a_patient_is_connected_with_a_provider_and_an_id_there(resources: Resources, people: People) -> None:
    caller = actor(people.dietician)
    async with resources.db.transaction() as session:
        provider_id = (await factories.provider(session, resources.vault, "https://ehr.example.test")).id
        platform_id = await factories.platform(session, resources.vault, "https://care.example.test")
    with pytest.raises(Refusal) as refused:
        await create(resources, caller, primary_provider_id=provider_id)
    assert refusal_of(refused) == (ErrorCode.INVALID, ("providerPatientId",))
    with pytest.raises(Refusal) as refused:
        await create(resources, caller, primary_provider_id=uuid4(), provider_patient_id="amara")
    assert refusal_of(refused) == (ErrorCode.NOT_FOUND, ("primaryProviderId",))
    assert await count(resources) == 0
    patient = await made(resources, caller, primary_provider_id=provider_id, provider_patient_id=" amara ")
    assert (patient.primary_provider_id, patient.provider_patient_id) == (provider_id, "amara")
    assert patient.platform_id == platform_id


async def test_an_id_elsewhere_does_not_outlive_the_connection_that_it_belongs_to(
    resources: Resources, people: People
) -> None:
    caller = actor(people.dietician)
    async with resources.db.transaction() as session:
        one, two = [
            (await factories.provider(session, resources.vault, f"https://{name}.example.test")).id for name in "ab"
        ]
        here, there = [
            await factories.platform(session, resources.vault, f"https://{name}.example.test") for name in "cd"
        ]
    patient = await made(resources, caller, primary_provider_id=one, provider_patient_id="7", platform_id=here)
    async with resources.db.transaction() as session:
        await commands.note_platform_patient(session, patient.id, there, "99")
        await commands.note_platform_patient(session, patient.id, here, "101")
    with pytest.raises(Refusal) as refused:
        async with resources.db.transaction() as session:
            await commands.update(session, caller, patient.id, Details(primary_provider_id=two))
    assert refusal_of(refused) == (ErrorCode.INVALID, ("providerPatientId",))
    async with resources.db.transaction() as session:
        moved = await commands.update(session, caller, patient.id, Details(platform_id=there))
    assert (moved.primary_provider_id, moved.provider_patient_id) == (one, "7")
    assert (moved.platform_id, moved.carepatron_patient_id) == (there, None)


async def test_a_deleted_record_is_gone_at_once_and_what_hangs_on_it_follows(
    resources: Resources, people: People
) -> None:
    caller = actor(people.dietician)
    patient = await made(resources, caller)
    async with resources.db.transaction() as session:
        await commands.delete(session, caller, patient.id)
    async with resources.db.reading() as session:
        assert await queries.get(session, caller, patient.id) is None
    assert await rows(resources, "SELECT kind, subject_id FROM work") == [("patients.deleted", patient.id)]
    with pytest.raises(Refusal) as refused:
        await update(resources, caller, patient.id, name="Back")
    assert refused.value.code is ErrorCode.NOT_FOUND
    assert (await create(resources, caller)).patient is not None


@pytest.mark.parametrize("who", ["other dietician", "practitioner", "patient", "admin"])
async def test_nobody_but_the_dietician_writes_and_nothing_is_changed(
    resources: Resources, people: People, who: str
) -> None:
    async with resources.db.transaction() as session:
        patient = await factories.patient(session, people.dietician, account_id=people.patient.id)
    caller, before = actors(people)[who], await everything(resources)
    expected = ErrorCode.FORBIDDEN if who == "patient" else ErrorCode.NOT_FOUND

    with pytest.raises(Refusal) as refused:
        await update(resources, caller, patient.id, name="Mine")
    assert refused.value.code is expected
    with pytest.raises(Refusal) as refused:
        async with resources.db.transaction() as session:
            await commands.delete(session, caller, patient.id)
    assert refused.value.code is expected
    if who != "other dietician":
        with pytest.raises(Refusal) as refused:
            await create(resources, caller)
        assert refused.value.code is ErrorCode.FORBIDDEN
    assert await everything(resources) == before


async def test_a_record_is_seen_by_its_dietician_and_its_patient(resources: Resources, people: People) -> None:
    async with resources.db.transaction() as session:
        patient = await factories.patient(session, people.dietician, account_id=people.patient.id)
        await factories.patient(session, people.other_dietician)
    async with resources.db.reading() as session:
        seen = {name for name, caller in actors(people).items() if await queries.get(session, caller, patient.id)}
        listed = {name: (await session.scalars(queries.listed(it))).all() for name, it in actors(people).items()}
    assert seen == {"dietician", "patient"}
    assert {name: len(found) for name, found in listed.items()} == {
        "dietician": 1,
        "other dietician": 1,
        "practitioner": 0,
        "patient": 1,
        "admin": 0,
    }
