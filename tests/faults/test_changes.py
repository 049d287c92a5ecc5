"""What changes at the provider between two runs: versions, withdrawals, retractions, and notes that stand in two resources."""

import hashlib
from typing import Any

import pytest

from app.core.resources import Resources
from tasks.broker import Worker
from tests import factories
from tests.conftest import People, Sandbox
from tests.runs import Books, SignIn, connected_to, run_to_end

AMARA = factories.fhir_patient("amara")
BY_REFERENCE = """
    SELECT s.reference, d.id, d.status, d.version, d.title, d.type, s.leading
    FROM document_sources s JOIN healthcare_documents d ON d.id = s.document_id
"""


class Journey:
    """A patient, a provider whose content changes, and runs that notice it."""

    def __init__(self, books: Books, sandbox: Sandbox, client: Any, patient: str) -> None:
        self.books = books
        self.sandbox = sandbox
        self.client = client
        self.patient = patient

    async def run(self, mode: str = "FULL") -> dict[str, Any]:
        run = await run_to_end(self.client, self.patient, mode=mode)
        assert run["status"] == "SUCCEEDED", run
        return run["counts"]

    async def by_reference(self) -> dict[str, Any]:
        return {row.reference: row for row in await self.books.all(BY_REFERENCE)}

    async def statuses(self) -> dict[str, str]:
        return {reference: row.status for reference, row in (await self.by_reference()).items()}

    def at_platform(self) -> list[str]:
        return [it["sha256"] for it in self.sandbox.platform.stored(None)]


@pytest.fixture
async def journey(
    resources: Resources, sandbox: Sandbox, people: People, books: Books, worker: Worker, sign_in: SignIn
) -> Journey:
    sandbox.ehr.put_many([AMARA])
    patient = await connected_to(resources, people, sandbox, "amara")
    return Journey(books, sandbox, await sign_in(people.dietician), patient)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def test_a_deleted_document_is_withdrawn_and_kept(journey: Journey) -> None:
    ehr = journey.sandbox.ehr
    ehr.put_many(factories.resources("amara", notes=3))
    await journey.run()
    ehr.delete("DocumentReference", "amara-note-1")

    unnoticed = await journey.run("INCREMENTAL")
    noticed = await journey.run()

    assert (unnoticed["withdrawn"], noticed["withdrawn"], noticed["unchanged"]) == (0, 1, 2)
    assert (await journey.statuses())["DocumentReference/amara-note-1"] == "WITHDRAWN"
    assert await journey.books.one("SELECT count(*) FROM healthcare_documents WHERE deleted_at IS NULL") == 3
    logged = await journey.books.column("SELECT action FROM synchronization_log WHERE action = 'document_withdrawn'")
    assert len(logged) == 1
    assert (await journey.run())["withdrawn"] == 0
    ehr.put(factories.note("amara", 1))
    await journey.run()
    assert (await journey.statuses())["DocumentReference/amara-note-1"] == "CURRENT"
    assert len(journey.at_platform()) == 3


async def test_a_document_entered_in_error_is_retracted(journey: Journey) -> None:
    ehr = journey.sandbox.ehr
    ehr.put_many(factories.resources("amara", notes=2))
    ehr.put(factories.note("amara", "never", "of somebody else", status="entered-in-error"))
    await journey.run()
    ehr.put(factories.note("amara", 0, status="entered-in-error"))

    counts = await journey.run("INCREMENTAL")

    assert counts["withdrawn"] == 1
    assert await journey.statuses() == {
        "DocumentReference/amara-note-0": "RETRACTED",
        "DocumentReference/amara-note-1": "CURRENT",
    }
    listed = await journey.client.ask("DocumentList", first=10)
    assert [edge["node"]["title"] for edge in listed["documents"]["edges"]] == ["Progress note 1"]
    assert (await journey.run())["withdrawn"] == 0


@pytest.mark.parametrize("mode", ["FULL", "INCREMENTAL"])
async def test_a_changed_document_gets_a_second_version_which_is_published(mode: str, journey: Journey) -> None:
    ehr = journey.sandbox.ehr
    ehr.put_many(factories.resources("amara", notes=3))
    await journey.run()
    ehr.put(factories.note("amara", 2, "Now eats fish.", description="Better"))

    counts = await journey.run(mode)

    assert (counts["updated"], counts["created"], counts["published"]) == (1, 0, 1)
    rows = await journey.by_reference()
    changed = rows["DocumentReference/amara-note-2"]
    assert (changed.version, changed.title) == (2, "Better")
    assert [rows[f"DocumentReference/amara-note-{number}"].version for number in (0, 1)] == [1, 1]
    changes = await journey.books.one("SELECT changes FROM document_versions WHERE number = 2")
    assert {line["field"]: line["significant"] for line in changes} == {"content": True, "title": False}
    # The platform shows what holds: the older version has left.
    assert len(journey.at_platform()) == 3
    assert sha256("Now eats fish.") in journey.at_platform()


async def test_changed_details_alone_send_nothing_to_the_platform_again(journey: Journey) -> None:
    journey.sandbox.ehr.put_many(factories.resources("amara", notes=1))
    await journey.run()
    journey.sandbox.ehr.put(factories.note("amara", 0, description="Another title"))

    counts = await journey.run()

    assert (counts["updated"], counts["published"], len(journey.at_platform())) == (1, 0, 1)


TWINS = (
    factories.note("amara", "twin", "The same words.", description="As the note says"),
    factories.report("amara", "twin", "The same words."),
)


@pytest.mark.parametrize("first", [0, 1], ids=["note first", "report first"])
async def test_the_same_note_in_two_resources_is_one_document(first: int, journey: Journey) -> None:
    """DocumentReference names it, whichever came first."""
    ehr = journey.sandbox.ehr
    ehr.put(TWINS[first])
    assert (await journey.run())["created"] == 1
    ehr.put(TWINS[1 - first])

    counts = await journey.run()

    assert (counts["created"], counts["unchanged"]) == (0, 1)
    rows = await journey.by_reference()
    note, report = rows["DocumentReference/amara-note-twin"], rows["DiagnosticReport/amara-report-twin"]
    assert note.id == report.id
    assert (note.title, note.leading, report.leading) == ("As the note says", True, False)
    assert journey.at_platform() == [sha256("The same words.")]
    assert await journey.books.column("SELECT joined FROM sync_runs ORDER BY id") == [0, 1]


async def test_twins_that_drift_apart_become_two_documents(journey: Journey) -> None:
    journey.sandbox.ehr.put_many(TWINS)
    await journey.run()
    journey.sandbox.ehr.put(factories.report("amara", "twin", "Other words by now."))

    counts = await journey.run()

    assert counts["created"] == 1
    rows = await journey.by_reference()
    note, report = rows["DocumentReference/amara-note-twin"], rows["DiagnosticReport/amara-report-twin"]
    assert note.id != report.id
    assert (note.status, note.version, report.status) == ("CURRENT", 1, "CURRENT")
    assert (note.leading, report.leading) == (True, True)
    assert sorted(journey.at_platform()) == sorted([sha256("The same words."), sha256("Other words by now.")])
    assert (await journey.run())["unchanged"] == 2


async def test_twins_that_change_together_stay_one_document(journey: Journey) -> None:
    journey.sandbox.ehr.put_many(TWINS)
    await journey.run()
    journey.sandbox.ehr.put_many(
        [factories.note("amara", "twin", "Both say this."), factories.report("amara", "twin", "Both say this.")]
    )

    await journey.run()

    rows = await journey.by_reference()
    note, report = rows["DocumentReference/amara-note-twin"], rows["DiagnosticReport/amara-report-twin"]
    assert note.id == report.id
    assert note.version == 2
    assert await journey.books.one("SELECT count(*) FROM healthcare_documents") == 1
    assert journey.at_platform() == [sha256("Both say this.")]


async def test_a_twin_that_is_deleted_leaves_the_document_until_the_other_is_gone_too(journey: Journey) -> None:
    journey.sandbox.ehr.put_many(TWINS)
    await journey.run()
    journey.sandbox.ehr.delete("DocumentReference", "amara-note-twin")
    assert (await journey.run())["withdrawn"] == 0
    assert set((await journey.statuses()).values()) == {"CURRENT"}

    journey.sandbox.ehr.delete("DiagnosticReport", "amara-report-twin")

    assert (await journey.run())["withdrawn"] == 1
    assert set((await journey.statuses()).values()) == {"WITHDRAWN"}


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_document_that_replaces_another_supersedes_it(at_once: bool, journey: Journey) -> None:
    older = factories.note("amara", "older")
    target = {"reference": "DocumentReference/amara-note-older"}
    newer = factories.note("amara", "newer", relatesTo=[{"code": "replaces", "target": target}])
    if at_once:
        journey.sandbox.ehr.put_many([newer, older])
    else:
        journey.sandbox.ehr.put(older)
        await journey.run()
        journey.sandbox.ehr.put(newer)

    await journey.run()

    expected = {"DocumentReference/amara-note-older": "SUPERSEDED", "DocumentReference/amara-note-newer": "CURRENT"}
    assert await journey.statuses() == expected
    await journey.run()
    assert await journey.statuses() == expected


async def test_documents_that_replace_each_other_do_not_hang_the_run(journey: Journey) -> None:
    names = ("one", "two")
    for name, other in zip(names, reversed(names), strict=True):
        target = {"reference": f"DocumentReference/amara-note-{other}"}
        journey.sandbox.ehr.put(factories.note("amara", name, relatesTo=[{"code": "replaces", "target": target}]))
    counts = await journey.run()
    assert counts["created"] == 2
    # The one that changed last holds.
    assert sorted((await journey.statuses()).values()) == ["CURRENT", "SUPERSEDED"]


async def test_a_superseded_document_whose_details_change_gets_no_change_of_status(journey: Journey) -> None:
    target = {"reference": "DocumentReference/amara-note-older"}
    journey.sandbox.ehr.put_many(
        [
            factories.note("amara", "older"),
            factories.note("amara", "newer", relatesTo=[{"code": "replaces", "target": target}]),
        ]
    )
    await journey.run()
    journey.sandbox.ehr.put(factories.note("amara", "older", description="Corrected title"))

    counts = await journey.run()

    older = (await journey.by_reference())["DocumentReference/amara-note-older"]
    assert (counts["updated"], older.status, older.version) == (1, "SUPERSEDED", 3)
    changes = await journey.books.one("SELECT changes FROM document_versions WHERE number = 3")
    assert [line["field"] for line in changes] == ["title"]


async def test_a_document_that_comes_back_after_a_withdrawal_has_a_history_that_says_so(journey: Journey) -> None:
    ehr = journey.sandbox.ehr
    ehr.put_many(factories.resources("amara", notes=2))
    await journey.run()
    ehr.delete("DocumentReference", "amara-note-1")
    await journey.run()
    ehr.put(factories.note("amara", 1))

    counts = await journey.run()

    assert (counts["created"], counts["updated"], counts["unchanged"], counts["published"]) == (0, 1, 1, 1)
    changes = await journey.books.column("SELECT changes FROM document_versions WHERE number > 1 ORDER BY number")
    lines = [(line["field"], line["before"], line["after"]) for version in changes for line in version]
    assert lines == [("status", "CURRENT", "WITHDRAWN"), ("status", "WITHDRAWN", "CURRENT")]
