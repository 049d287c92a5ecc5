"""One note in two resources; what is retracted, withdrawn or replaced."""

from datetime import UTC, datetime

import pytest

from app.connectors.provider.port import ResourceStatus
from app.core.resources import Resources
from app.domain.documents.rules import Outcome
from tests.domain.documents.arrivals import NOTE, REPORT, Stream, incoming, retracted
from tests.domain.rows import rows

ONE, TWO, LAB = f"{NOTE}/1", f"{NOTE}/2", f"{REPORT}/1"
WORDS = "HbA1c 42 mmol/mol"


async def test_a_report_with_the_same_bytes_joins_the_note(arriving: Stream) -> None:
    await arriving.receive(incoming(ONE, WORDS, title="The note's title"))
    assert await arriving.receive(incoming(LAB, WORDS, title="The report's title")) == [Outcome.JOINED]
    assert await arriving.shown("title", "version") == [("The note's title", 1)]
    (document_id,) = {document for document, _ in (await arriving.sources()).values()}
    assert await arriving.sources() == {ONE: (document_id, True), LAB: (document_id, False)}


async def test_a_note_that_comes_after_its_report_takes_over_the_words(resources: Resources, arriving: Stream) -> None:
    await arriving.receive(incoming(LAB, WORDS, title="The report's title"))
    assert await arriving.receive(incoming(ONE, WORDS, title="The note's title")) == [Outcome.JOINED]
    assert await arriving.shown("title", "content") == [("The note's title", WORDS)]
    assert {reference: leads for reference, (_, leads) in (await arriving.sources()).items()} == {ONE: True, LAB: False}
    assert await rows(resources, "SELECT count(*) FROM files") == [1]
    found = "SELECT count(*) FROM healthcare_documents WHERE tsv @@ websearch_to_tsquery('english', 'note title')"
    assert await rows(resources, found) == [1]


async def test_an_address_joins_too_whatever_is_signed_behind_it(arriving: Stream) -> None:
    await arriving.receive(incoming(ONE, "one rendering", urls=("https://f.example.test/b/1?sig=1",)))
    joined = await arriving.receive(incoming(LAB, "another rendering", urls=("https://f.example.test/b/1?sig=2",)))
    assert joined == [Outcome.JOINED]
    assert len(await arriving.shown("id")) == 1


async def test_two_notes_with_the_same_bytes_stay_two(arriving: Stream) -> None:
    assert await arriving.receive(incoming(ONE, WORDS), incoming(TWO, WORDS)) == [Outcome.CREATED] * 2
    assert await arriving.receive(incoming(f"{NOTE}/3", WORDS)) == [Outcome.CREATED]
    assert await arriving.receive(incoming(LAB, WORDS)) == [Outcome.JOINED]
    assert len(await arriving.shown("id")) == 3


async def test_a_joined_report_that_changes_its_words_about_itself_changes_nothing(arriving: Stream) -> None:
    await arriving.receive(incoming(ONE, WORDS))
    await arriving.receive(incoming(LAB, WORDS))
    assert await arriving.receive(incoming(LAB, WORDS, title="Another title")) == [Outcome.UNCHANGED]
    assert await arriving.shown("title", "version") == [("Progress note", 1)]


async def test_a_joined_report_with_other_bytes_becomes_a_document_of_its_own(arriving: Stream) -> None:
    await arriving.receive(incoming(ONE, WORDS))
    await arriving.receive(incoming(LAB, WORDS))
    assert await arriving.receive(incoming(LAB, "Something else entirely")) == [Outcome.CREATED]
    assert await arriving.shown("content", "status") == [(WORDS, "CURRENT"), ("Something else entirely", "CURRENT")]
    sources = await arriving.sources()
    assert sources[ONE][0] != sources[LAB][0]
    assert sources[LAB][1]
    assert await arriving.receive(incoming(LAB, "Something else again")) == [Outcome.UPDATED]
    assert await arriving.receive(incoming(LAB, "Something else again")) == [Outcome.UNCHANGED]


async def test_what_was_entered_in_error_is_retracted_at_once_and_once(arriving: Stream) -> None:
    await arriving.receive(incoming(ONE, WORDS))
    assert await arriving.receive(retracted(ONE)) == [Outcome.WITHDRAWN]
    assert await arriving.shown("status", "content", "significant_at IS NOT NULL") == [("RETRACTED", WORDS, True)]
    assert await arriving.receive(retracted(ONE)) == [Outcome.UNCHANGED]
    assert await arriving.receive(incoming(ONE, WORDS)) == [Outcome.UPDATED]
    assert await arriving.statuses() == {ONE: "CURRENT"}


async def test_what_was_retracted_before_it_was_here_never_comes_in(resources: Resources, arriving: Stream) -> None:
    assert await arriving.receive(retracted(ONE)) == [Outcome.SKIPPED]
    assert await arriving.shown("id") == []
    assert await rows(resources, "SELECT id FROM document_sources") == []


async def test_a_retracted_report_does_not_take_the_note_with_it(arriving: Stream) -> None:
    await arriving.receive(incoming(ONE, WORDS))
    await arriving.receive(incoming(LAB, WORDS))
    assert await arriving.receive(retracted(LAB)) == [Outcome.UNCHANGED]
    assert await arriving.statuses() == {ONE: "CURRENT"}


async def test_what_a_complete_listing_does_not_show_is_withdrawn_and_kept(arriving: Stream) -> None:
    await arriving.receive(incoming(ONE, WORDS), incoming(TWO, "Another"))
    arriving.next_run()
    arriving.unchanged(ONE)
    assert len(await arriving.withdraw_unseen()) == 1
    assert await arriving.statuses() == {ONE: "CURRENT", TWO: "WITHDRAWN"}
    assert await arriving.shown("content", "deleted_at") == [("Another", None), (WORDS, None)]
    arriving.next_run()
    arriving.unchanged(ONE)
    assert await arriving.withdraw_unseen() == []
    assert await arriving.receive(incoming(TWO, "Another")) == [Outcome.UPDATED]
    assert await arriving.statuses() == {ONE: "CURRENT", TWO: "CURRENT"}


async def test_a_note_that_one_resource_still_shows_is_not_withdrawn(arriving: Stream) -> None:
    await arriving.receive(incoming(ONE, WORDS))
    await arriving.receive(incoming(LAB, WORDS))
    arriving.next_run()
    arriving.unchanged(LAB)
    assert await arriving.withdraw_unseen() == []
    assert await arriving.shown("status") == ["CURRENT"]


async def test_the_resource_that_is_left_leads_from_then_on(arriving: Stream) -> None:
    await arriving.receive(incoming(ONE, WORDS))
    await arriving.receive(incoming(LAB, WORDS))
    arriving.next_run()
    arriving.unchanged(LAB)
    await arriving.withdraw_unseen()
    assert await arriving.receive(incoming(LAB, "HbA1c 43 mmol/mol")) == [Outcome.UPDATED]
    assert await arriving.shown("content", "status", "version") == [("HbA1c 43 mmol/mol", "CURRENT", 2)]


async def test_what_was_retracted_stays_retracted_when_it_is_gone_too(arriving: Stream) -> None:
    await arriving.receive(incoming(ONE, WORDS))
    await arriving.receive(retracted(ONE))
    arriving.next_run()
    assert await arriving.withdraw_unseen() == []
    assert await arriving.statuses() == {ONE: "RETRACTED"}


async def test_a_successor_supersedes_what_it_replaces(arriving: Stream) -> None:
    await arriving.receive(incoming(ONE, WORDS))
    await arriving.receive(incoming(TWO, "Corrected", replaces=ONE))
    assert await arriving.statuses() == {ONE: "SUPERSEDED", TWO: "CURRENT"}


@pytest.mark.parametrize("together", [True, False])
async def test_a_successor_may_arrive_before_its_target(arriving: Stream, together: bool) -> None:
    successor, target = incoming(TWO, "Corrected", replaces=ONE), incoming(ONE, WORDS)
    if together:
        await arriving.receive(successor, target)
    else:
        await arriving.receive(successor)
        await arriving.receive(target)
    assert await arriving.statuses() == {ONE: "SUPERSEDED", TWO: "CURRENT"}


async def test_a_superseded_document_that_is_read_again_gets_no_new_version(arriving: Stream) -> None:
    await arriving.receive(incoming(TWO, "Corrected", replaces=ONE), incoming(ONE, WORDS, None))
    for _ in range(2):
        arriving.next_run()
        assert await arriving.receive(incoming(ONE, WORDS, None)) == [Outcome.UNCHANGED]
    assert await arriving.receive(incoming(ONE, WORDS, None, status=ResourceStatus.SUPERSEDED)) == [Outcome.UNCHANGED]
    assert await arriving.statuses() == {ONE: "SUPERSEDED", TWO: "CURRENT"}
    assert sorted(await arriving.shown("version")) == [1, 2]


async def test_what_a_document_replaced_holds_again_when_that_one_is_retracted_or_gone(arriving: Stream) -> None:
    await arriving.receive(incoming(ONE, WORDS), incoming(TWO, "Corrected", replaces=ONE))
    assert await arriving.statuses() == {ONE: "SUPERSEDED", TWO: "CURRENT"}
    await arriving.receive(incoming(TWO, replaces=ONE, status=ResourceStatus.ENTERED_IN_ERROR))
    assert await arriving.statuses() == {ONE: "CURRENT", TWO: "RETRACTED"}
    await arriving.receive(incoming(TWO, "Corrected", replaces=ONE))
    assert await arriving.statuses() == {ONE: "SUPERSEDED", TWO: "CURRENT"}
    arriving.next_run()
    await arriving.receive(incoming(ONE, WORDS))
    assert len(await arriving.withdraw_unseen()) == 1
    assert await arriving.statuses() == {ONE: "CURRENT", TWO: "WITHDRAWN"}


async def test_of_two_that_replace_each_other_the_later_one_holds(arriving: Stream) -> None:
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    await arriving.receive(
        incoming(ONE, WORDS, replaces=TWO, last_updated=late),
        incoming(TWO, "Corrected", replaces=ONE, last_updated=early),
    )
    assert await arriving.statuses() == {ONE: "CURRENT", TWO: "SUPERSEDED"}


@pytest.mark.parametrize("replaces", [ONE, f"{NOTE}/unknown"])
async def test_a_document_that_replaces_itself_or_nothing_stays_current(arriving: Stream, replaces: str) -> None:
    await arriving.receive(incoming(ONE, WORDS, replaces=replaces))
    assert await arriving.statuses() == {ONE: "CURRENT"}


async def test_documents_that_replace_each_other_do_not_hang(arriving: Stream) -> None:
    await arriving.receive(incoming(ONE, WORDS, replaces=TWO), incoming(TWO, "Another", replaces=ONE))
    first = await arriving.statuses()
    await arriving.receive(incoming(ONE, WORDS, replaces=TWO))
    assert await arriving.statuses() == first


async def test_what_was_retracted_is_not_shown_as_merely_superseded(arriving: Stream) -> None:
    await arriving.receive(incoming(ONE, WORDS))
    await arriving.receive(retracted(ONE))
    await arriving.receive(incoming(TWO, "Corrected", replaces=ONE))
    assert await arriving.statuses() == {ONE: "RETRACTED", TWO: "CURRENT"}


async def test_a_report_that_carries_more_than_the_note_keeps_a_document_of_its_own(arriving: Stream) -> None:
    await arriving.receive(incoming(ONE, WORDS))
    assert await arriving.receive(incoming(LAB, WORDS, "a second form")) == [Outcome.CREATED]
    assert len(await arriving.shown("id")) == 2


async def test_a_note_that_joins_its_report_brings_the_files_that_it_has_more(
    resources: Resources, arriving: Stream
) -> None:
    await arriving.receive(incoming(LAB, WORDS))
    assert await arriving.receive(incoming(ONE, WORDS, "the same as C-CDA, and longer")) == [Outcome.JOINED]
    assert await arriving.shown("version", "content") == [(2, "the same as C-CDA, and longer")]
    assert await rows(resources, "SELECT count(*) FROM files WHERE version = 2") == [2]


async def test_a_file_that_cannot_be_had_again_does_not_replace_the_one_that_is_here(
    resources: Resources, arriving: Stream
) -> None:
    await arriving.receive(incoming(ONE, WORDS, title="Before"))
    await arriving.receive(incoming(LAB, WORDS))
    assert await arriving.receive(incoming(ONE, None, title="Renamed")) == [Outcome.UPDATED]
    assert await arriving.shown("title", "content", "version") == [("Renamed", WORDS, 2)]
    assert await rows(resources, "SELECT count(*) FROM files") == [1]
    assert await arriving.receive(incoming(LAB, WORDS, title="The report again")) == [Outcome.UNCHANGED]
    assert await arriving.receive(incoming(ONE, WORDS, title="Renamed")) == [Outcome.UNCHANGED]
    found = "SELECT count(*) FROM healthcare_documents WHERE tsv @@ websearch_to_tsquery('english', 'renamed HbA1c')"
    assert await rows(resources, found) == [1]
