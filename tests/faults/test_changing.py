"""What a provider has changes while it is read, its pages lead astray, and its `_lastUpdated` and its clock cannot be trusted."""

import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.responses import Response

from app.core.resources import Resources
from sandbox.ehr.store import Store
from tasks.broker import Worker
from tests import factories
from tests.conftest import People, Sandbox
from tests.faults.conftest import Fronts
from tests.faults.figures import Figures
from tests.faults.oracle import Oracle
from tests.faults.scale import SEED, scaled
from tests.faulty import faults
from tests.runs import Books, SignIn, connected, run_to_end

NOTES = scaled(20, 200)
PAGE = 5
ROUNDS = scaled(2, 20)
HOUR = 3600


@dataclass
class Journal:
    """Runs of one patient at a provider that changes, and the judge of what they leave."""

    client: Any
    patient: str
    sandbox: Sandbox
    fronts: Fronts
    books: Books
    oracle: Oracle

    async def run(self, mode: str = "FULL", status: str = "SUCCEEDED") -> dict[str, Any]:
        run = await run_to_end(self.client, self.patient, mode=mode)
        assert run["status"] == status, (run["failures"], run["coverage"])
        return run["counts"]


@pytest.fixture
async def journal(
    resources: Resources,
    sandbox: Sandbox,
    fronts: Fronts,
    people: People,
    books: Books,
    oracle: Oracle,
    worker: Worker,
    sign_in: SignIn,
) -> Journal:
    sandbox.ehr.put_many(factories.resources("amara", NOTES))
    patient = await connected(
        resources, people, "amara", fhir=fronts.fhir, platform=sandbox.platform_url, page_size=PAGE
    )
    return Journal(await sign_in(people.dietician), patient, sandbox, fronts, books, oracle)


@dataclass
class Meddler:
    """Adds, changes and removes notes while a listing is under way, before each of its pages."""

    ehr: Store
    dice: random.Random = field(default_factory=lambda: random.Random(SEED))
    there: list[int] = field(default_factory=lambda: list(range(NOTES)))
    made: int = NOTES
    done: int = 0

    def meddle(self, asked: str) -> Response | None:
        if "/DocumentReference?" in asked and self.dice.random() < 0.7:
            self.done += 1
            self.dice.choice([self.add, self.change, self.remove])()
        return None

    def add(self) -> None:
        self.there.append(self.made)
        self.ehr.put(factories.note("amara", self.made))
        self.made += 1

    def change(self) -> None:
        number = self.dice.choice(self.there)
        self.ehr.put(factories.note("amara", number, f"Change {self.done} of note {number}."))

    def remove(self) -> None:
        number = self.there.pop(self.dice.randrange(len(self.there)))
        self.ehr.delete("DocumentReference", f"amara-note-{number}")


async def test_what_changes_while_it_is_paged_is_here_after_the_next_run(journal: Journal, figures: Figures) -> None:
    meddler = Meddler(journal.sandbox.ehr)
    for number in range(ROUNDS):
        journal.fronts.ehr.rule = meddler.meddle
        run = await run_to_end(journal.client, journal.patient, mode="FULL" if number % 2 else "INCREMENTAL")
        assert run["status"] in ("SUCCEEDED", "SUCCEEDED_WITH_GAPS")
    journal.fronts.ehr.rule = lambda _: None
    await journal.run()

    assert meddler.done >= ROUNDS
    await journal.oracle.assert_all_is_here()
    await journal.oracle.assert_the_books_are_straight()
    figures.note("changing", changes_while_paged=meddler.done, missed_after_the_next_sweep=0)


async def test_a_listing_that_loops_stops_within_two_pages(journal: Journal, figures: Figures) -> None:
    async with faults(journal.fronts.fhir, {"fault": "looping-next"}):
        run = await run_to_end(journal.client, journal.patient, mode="FULL")
        asked = {words: n for words, n in journal.fronts.ehr.listed().items() if "/DocumentReference?" in words}

    assert (run["status"], run["counts"]["withdrawn"]) == ("SUCCEEDED_WITH_GAPS", 0)
    assert "LISTING_LOOPED" in {it["code"] for it in run["failures"]}
    again = sum(asked.values()) - len(asked)
    assert again <= 2
    await journal.run()
    await journal.oracle.assert_nothing_is_lost_or_doubled()
    figures.note("changing", pages_asked_for_again_in_a_loop=again)


def changed(number: int) -> list[dict[str, Any]]:
    return [factories.note("amara", 0, f"Changed, round {number}."), factories.note("amara", f"new-{number}")]


UNTRUE: dict[str, tuple[dict[str, Any], str]] = {
    "stale": ({"fault": "stale-last-updated"}, "FULL"),
    "equal": ({"fault": "equal-last-updated"}, "FULL"),
    "ignored": ({"fault": "ignore-last-updated"}, "INCREMENTAL"),
    "ignored and claimed": ({"fault": "ignore-last-updated", "claims": True}, "INCREMENTAL"),
}


@pytest.mark.parametrize("how", UNTRUE)
async def test_a_provider_whose_last_updated_is_not_true_is_read_completely(
    how: str, journal: Journal, figures: Figures
) -> None:
    """By the next incremental run where that can see it, else by the next sweep."""
    rule, mode = UNTRUE[how]
    await journal.run()
    async with faults(journal.fronts.fhir, rule):
        journal.sandbox.ehr.put_many(changed(1))
        await run_to_end(journal.client, journal.patient, mode="INCREMENTAL")
        if mode == "FULL":
            await journal.run("FULL")
        assert await journal.books.one("SELECT count(*) FROM document_sources") == NOTES + 1
        texts = await journal.books.column("SELECT content FROM healthcare_documents")
        assert "Changed, round 1." in texts
    await journal.oracle.assert_the_books_are_straight()
    figures.note("changing", **{f"missed_with_last_updated_{how.replace(' ', '_')}": 0})


@pytest.mark.parametrize("hours", [1, -1])
async def test_a_provider_whose_clock_is_off_is_read_completely(hours: int, journal: Journal, figures: Figures) -> None:
    """An hour ahead or behind: each incremental run finds what was changed since the last one, and a lease lasts as ever."""
    async with faults(journal.fronts.fhir, {"fault": "clock", "seconds": hours * HOUR}):
        await journal.run()
        for number in range(scaled(2, 10)):
            journal.sandbox.ehr.put_many(changed(number))
            counts = await journal.run("INCREMENTAL")
            assert (counts["created"], counts["updated"]) == (1, 1)
    assert await journal.books.one("SELECT max(fence) FROM work WHERE kind = 'sync.run'") == 1
    await journal.oracle.assert_nothing_is_lost_or_doubled()
    figures.note("clocks", **{"missed_an_hour_ahead" if hours > 0 else "missed_an_hour_behind": 0})
