"""A page of resources becomes rows: new ones, new versions, nothing twice."""

from datetime import UTC, datetime

import pytest

from app.connectors.provider.port import DocumentType, ResourceStatus
from app.core.resources import Resources
from app.domain.documents import queries
from app.domain.documents.queries import Filter
from app.domain.documents.rules import Outcome
from tests.conftest import People
from tests.domain.documents.arrivals import NOTE, REPORT, Stream, incoming, stream
from tests.domain.rows import actor, actors, rows

ONE = f"{NOTE}/1"
FILES = "SELECT version, position, filename FROM files ORDER BY version, position"
VERSIONS = "SELECT number, changes FROM document_versions ORDER BY number"


async def fields_of_changes(resources: Resources) -> list[list[str]]:
    return [[line["field"] for line in lines] for _, lines in await rows(resources, VERSIONS)]


async def test_a_new_resource_becomes_a_document_with_version_file_text_and_source(
    resources: Resources, people: People, arriving: Stream
) -> None:
    assert await arriving.receive(incoming(ONE, "Eats well, sleeps badly.", author="Dr. Okafor")) == [Outcome.CREATED]
    assert await arriving.shown("title", "author", "content", "source", "source_name", "status", "version") == [
        ("Progress note", "Dr. Okafor", "Eats well, sleeps badly.", "PROVIDER", "The EHR", "CURRENT", 1)
    ]
    assert await rows(resources, FILES) == [(1, 0, "Progress note.txt")]
    assert await rows(resources, VERSIONS) == [(1, [])]
    assert await arriving.new_files() == ["Progress note.txt"]
    assert await arriving.sources() == {ONE: (arriving.document.id, True)}
    async with resources.db.reading() as session:
        for words in ("sleeping", "okafor", '"progress note"'):
            found = await session.scalars(queries.listed(actor(people.dietician), Filter(), words))
            assert [row.id for row in found] == [arriving.document.id], words


async def test_receiving_the_same_again_changes_nothing(resources: Resources, arriving: Stream) -> None:
    await arriving.receive(incoming(ONE, "Eats well."))
    before = await arriving.shown("id", "version", "changed_at", "significant_at", "updated_at")
    arriving.next_run()
    assert await arriving.receive(incoming(ONE, "Eats well.", version_id="2")) == [Outcome.UNCHANGED]
    after = await arriving.shown("id", "version", "changed_at", "significant_at", "updated_at")
    assert after == before
    assert len(await rows(resources, FILES)) == 1
    assert await rows(resources, "SELECT version_id FROM document_sources") == ["2"]


async def test_new_content_is_a_new_version_with_its_files_and_is_significant(
    resources: Resources, people: People, arriving: Stream
) -> None:
    await arriving.receive(incoming(ONE, "Eats well."))
    assert await arriving.receive(incoming(ONE, "Eats fish.")) == [Outcome.UPDATED]
    assert await arriving.shown("content", "version", "significant_at IS NOT NULL") == [("Eats fish.", 2, True)]
    assert await fields_of_changes(resources) == [[], ["content"]]
    assert [row[0] for row in await rows(resources, FILES)] == [1, 2]
    assert len(await arriving.new_files()) == 1
    async with resources.db.reading() as session:
        found = {
            words: len((await session.scalars(queries.listed(actor(people.dietician), Filter(), words))).all())
            for words in ("well", "fish")
        }
    assert found == {"well": 0, "fish": 1}


async def test_a_change_of_words_about_it_adds_a_version_but_no_file(
    resources: Resources, people: People, arriving: Stream
) -> None:
    await arriving.receive(incoming(ONE, "Eats well."))
    day = datetime(2025, 3, 1, tzinfo=UTC)
    assert await arriving.receive(incoming(ONE, "Eats well.", title="A better title", date=day)) == [Outcome.UPDATED]
    assert await arriving.shown("title", "date", "version", "significant_at") == [("A better title", day, 2, None)]
    assert await fields_of_changes(resources) == [[], ["title", "date"]]
    assert [row[0] for row in await rows(resources, FILES)] == [1]
    assert await arriving.new_files() == []
    async with resources.db.reading() as session:
        files = await queries.files(session, actor(people.dietician), [arriving.document.id])
    assert [file.version for file in files[arriving.document.id]] == [1]


async def test_another_type_is_something_to_look_at(arriving: Stream) -> None:
    await arriving.receive(incoming(ONE, "Eats well."))
    await arriving.receive(incoming(ONE, "Eats well.", type=DocumentType.DISCHARGE_SUMMARY))
    assert await arriving.shown("type", "significant_at IS NOT NULL") == [("DISCHARGE_SUMMARY", True)]


async def test_a_missing_file_is_kept_by_name_and_not_published_until_it_comes(
    resources: Resources, arriving: Stream
) -> None:
    await arriving.receive(incoming(ONE, "Eats well.", None))
    assert len(await arriving.new_files()) == 1
    assert await rows(resources, "SELECT incomplete FROM document_sources") == [True]
    missing = "SELECT version, position, missing FROM files WHERE sha256 IS NULL"
    assert await rows(resources, missing) == [(1, 1, "PROVIDER_TIMEOUT")]
    assert await arriving.receive(incoming(ONE, "Eats well.", None)) == [Outcome.UNCHANGED]
    assert await arriving.receive(incoming(ONE, "Eats well.", "At last.")) == [Outcome.UPDATED]
    assert await rows(resources, "SELECT incomplete FROM document_sources") == [False]
    assert len(await arriving.new_files()) == 2


async def test_a_page_of_many_is_stored_in_one_go(resources: Resources, arriving: Stream) -> None:
    await arriving.receive(incoming(f"{NOTE}/0", "Note 0"), incoming(f"{NOTE}/1", "Note 1"))
    outcomes = await arriving.receive(
        incoming(f"{NOTE}/0", "Note 0"),
        incoming(f"{NOTE}/1", "Note 1, changed"),
        *(incoming(f"{NOTE}/{n}", f"Note {n}") for n in range(2, 30)),
    )
    assert sorted(outcomes) == sorted([Outcome.UNCHANGED, Outcome.UPDATED, *[Outcome.CREATED] * 28])
    assert len(await arriving.shown("id")) == 30
    assert await rows(resources, "SELECT count(*) FROM document_texts") == [30]


async def test_what_the_provider_calls_superseded_is_so_here(arriving: Stream) -> None:
    await arriving.receive(incoming(ONE, "Eats well.", status=ResourceStatus.SUPERSEDED))
    assert await arriving.statuses() == {ONE: "SUPERSEDED"}


async def test_two_dieticians_with_one_provider_patient_keep_their_own_documents(
    resources: Resources, people: People, arriving: Stream
) -> None:
    other = await stream(resources, people.other_dietician, arriving.origin.provider_id)
    for one in (arriving, other):
        assert await one.receive(incoming(ONE, "Eats well."), incoming(f"{REPORT}/1", "HbA1c 42")) == [
            Outcome.CREATED,
            Outcome.CREATED,
        ]
    await arriving.receive(incoming(ONE, "Eats fish."))
    assert await arriving.shown("content") == ["Eats fish.", "HbA1c 42"]
    assert await other.shown("content") == ["Eats well.", "HbA1c 42"]
    arriving.next_run()
    assert len(await arriving.withdraw_unseen()) == 2
    assert set((await other.statuses()).values()) == {"CURRENT"}


async def test_a_document_is_seen_by_who_sees_its_patient(
    resources: Resources, people: People, arriving: Stream
) -> None:
    await arriving.receive(incoming(ONE, "Eats well."))
    async with resources.db.reading() as session:
        seen = {
            name for name, caller in actors(people).items() if await queries.get(session, caller, arriving.document.id)
        }
    assert seen == {"dietician"}


@pytest.mark.parametrize("words", ["a & b | c", "'", '"', "\x00", "\\", ":*", "(((", "-", "or or", "ünïcode ☃"])
async def test_any_words_can_be_searched_for(
    resources: Resources, people: People, arriving: Stream, words: str
) -> None:
    await arriving.receive(incoming(ONE, "Eats well."))
    async with resources.db.reading() as session:
        found = (await session.scalars(queries.listed(actor(people.dietician), Filter(), words))).all()
        passages = await queries.highlights(session, [arriving.document.id], words)
    assert len(found) <= 1
    assert "<script" not in passages[arriving.document.id]


async def test_a_passage_is_escaped_text_with_marks(resources: Resources, arriving: Stream) -> None:
    await arriving.receive(incoming(ONE, "Ate <script>alert(1)</script> & fish & chips"))
    async with resources.db.reading() as session:
        passage = (await queries.highlights(session, [arriving.document.id], "fish"))[arriving.document.id]
    assert "<mark>fish</mark>" in passage
    assert "<script>" not in passage
    assert "&amp;" in passage
