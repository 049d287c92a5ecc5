"""Documents that a person brings: by whom they may be changed."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from app.connectors.provider.port import Attachment, DocumentType
from app.core.errors import ErrorCode, Refusal
from app.core.reading import read
from app.core.resources import Resources
from app.domain.documents import commands, queries, rules
from app.domain.documents.commands import Upload
from app.domain.documents.models import HealthcareDocument
from app.domain.identity.policies import Actor
from app.domain.patients.models import Patient
from tests import factories
from tests.conftest import People
from tests.domain.documents.arrivals import NOTE, Stream, incoming
from tests.domain.rows import actor, actors, everything, refusal_of, rows


def file(text: str) -> rules.IncomingFile:
    return rules.arrived(Attachment("text/plain"), text.encode(), read(text.encode(), "text/plain"), "Plan", 0)


@pytest.fixture
async def patient(resources: Resources, people: People) -> Patient:
    async with resources.db.transaction() as session:
        return await factories.patient(session, people.dietician, account_id=people.patient.id)


async def upload(resources: Resources, caller: Actor, patient_id: UUID, **given: object) -> HealthcareDocument:
    wanted = Upload(**{"title": "Plan", "file": file("More fish.")} | given)  # pyright: ignore[reportArgumentType]
    async with resources.db.transaction() as session:
        return await commands.upload(session, caller, patient_id, wanted)


async def edit(resources: Resources, caller: Actor, document_id: UUID, **given: object) -> HealthcareDocument:
    async with resources.db.transaction() as session:
        return await commands.edit(session, caller, document_id, Upload(**given))  # pyright: ignore[reportArgumentType]


async def delete(resources: Resources, caller: Actor, document_id: UUID) -> None:
    async with resources.db.transaction() as session:
        await commands.delete(session, caller, document_id)


async def test_an_upload_carries_its_authors_name(resources: Resources, people: People, patient: Patient) -> None:
    made = await upload(resources, actor(people.dietician), patient.id, type=DocumentType.NUTRITION_NOTE)
    assert (made.source, made.source_name, made.author) == ("USER", people.dietician.name, people.dietician.name)
    assert (made.uploaded_by, made.owner_id, made.version, made.content) == (
        people.dietician.id,
        people.dietician.id,
        1,
        "More fish.",
    )
    assert made.date is not None
    assert await rows(resources, "SELECT version, filename, integrity FROM files") == [(1, "Plan.txt", "UNDECLARED")]


async def test_whoever_writes_of_a_document_does_not_wait_for_who_edits_it(
    resources: Resources, people: People, patient: Patient
) -> None:
    """They hold the work row that the edit asks for next: they would wait for each other."""
    caller = actor(people.dietician)
    made = await upload(resources, caller, patient.id)
    async with resources.db.transaction() as editing, resources.db.transaction() as writing:
        assert await queries.get_locked(editing, caller, made.id) is not None
        await writing.execute(text("SET LOCAL lock_timeout = '500ms'"))
        line = "INSERT INTO synchronization_log (patient_id, owner_id, document_id, action, status) VALUES (:p, :o, :d, 'published', 'SUCCESS')"
        await writing.execute(text(line), {"p": patient.id, "o": people.dietician.id, "d": made.id})
    assert await rows(resources, "SELECT document_id FROM synchronization_log") == [made.id]


async def test_an_edit_is_a_version_that_says_what_changed(
    resources: Resources, people: People, patient: Patient
) -> None:
    caller = actor(people.dietician)
    made = await upload(resources, caller, patient.id)
    edited = await edit(resources, caller, made.id, title=" A  better plan ", date=datetime(2026, 1, 1, tzinfo=UTC))
    assert (edited.title, edited.version, edited.content) == ("A better plan", 2, "More fish.")
    again = await edit(resources, caller, made.id, file=file("Less salt."))
    assert (again.version, again.content) == (3, "Less salt.")
    versions = await rows(resources, "SELECT number, changes FROM document_versions ORDER BY number")
    assert [[line["field"] for line in lines] for _, lines in versions] == [[], ["title", "date"], ["content"]]
    async with resources.db.reading() as session:
        for words, number in (("better", 1), ("salt", 1), ("fish", 0)):
            found = (await session.scalars(queries.listed(caller, queries.Filter(), words))).all()
            assert len(found) == number, words


async def test_an_edit_that_changes_nothing_is_no_version(
    resources: Resources, people: People, patient: Patient
) -> None:
    caller = actor(people.dietician)
    made = await upload(resources, caller, patient.id)
    before = await everything(resources)
    assert (await edit(resources, caller, made.id, title="Plan", file=file("More fish."))).version == 1
    assert await everything(resources) == before


async def test_two_edits_at_once_are_two_versions(resources: Resources, people: People, patient: Patient) -> None:
    caller = actor(people.dietician)
    made = await upload(resources, caller, patient.id)
    await asyncio.gather(*(edit(resources, caller, made.id, file=file(f"Draft {n}")) for n in range(4)))
    assert await rows(resources, "SELECT number FROM document_versions ORDER BY number") == [1, 2, 3, 4, 5]


async def test_a_deleted_document_is_gone_for_everybody(resources: Resources, people: People, patient: Patient) -> None:
    caller = actor(people.dietician)
    made = await upload(resources, caller, patient.id)
    await delete(resources, caller, made.id)
    async with resources.db.reading() as session:
        assert await queries.get(session, caller, made.id) is None
    with pytest.raises(Refusal) as refused:
        await delete(resources, caller, made.id)
    assert refused.value.code is ErrorCode.NOT_FOUND


@pytest.mark.parametrize(
    ("given", "field"), [({"title": " "}, ("title",)), ({"title": "t" * 301}, ("title",)), ({"file": None}, ("text",))]
)
async def test_half_an_upload_is_refused(
    resources: Resources, people: People, patient: Patient, given: dict[str, object], field: tuple[str, ...]
) -> None:
    before = await everything(resources)
    with pytest.raises(Refusal) as refused:
        await upload(resources, actor(people.dietician), patient.id, **given)
    assert refusal_of(refused) == (ErrorCode.INVALID, field)
    assert await everything(resources) == before


async def test_what_a_provider_sent_is_changed_by_nobody_here(
    resources: Resources, people: People, arriving: Stream
) -> None:
    await arriving.receive(incoming(f"{NOTE}/1", "Eats well."))
    before = await everything(resources)
    for attempt in (
        edit(resources, actor(people.dietician), arriving.document.id, title="Mine"),
        delete(resources, actor(people.dietician), arriving.document.id),
    ):
        with pytest.raises(Refusal) as refused:
            await attempt
        assert refused.value.code is ErrorCode.FORBIDDEN
    assert await everything(resources) == before


@pytest.mark.parametrize("who", ["other dietician", "practitioner", "patient", "admin"])
async def test_nobody_else_writes_and_nothing_is_changed(
    resources: Resources, people: People, patient: Patient, who: str
) -> None:
    made = await upload(resources, actor(people.dietician), patient.id)
    caller, before = actors(people)[who], await everything(resources)
    expected = ErrorCode.FORBIDDEN if who == "patient" else ErrorCode.NOT_FOUND
    for attempt in (
        upload(resources, caller, patient.id),
        edit(resources, caller, made.id, title="Mine"),
        delete(resources, caller, made.id),
    ):
        with pytest.raises(Refusal) as refused:
            await attempt
        assert refused.value.code is expected
    assert await everything(resources) == before
    with pytest.raises(Refusal) as refused:
        await upload(resources, caller, uuid4())
    assert refused.value.code is ErrorCode.NOT_FOUND
