"""A retry after gaps takes up what failed, and nothing else: the provider's own counters say so."""

from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.core.resources import Resources
from tasks.broker import Worker
from tests.conftest import People, Sandbox
from tests.faults.charts import chart
from tests.faults.conftest import Fronts
from tests.faults.figures import Figures
from tests.faults.oracle import Oracle
from tests.faults.scale import scaled
from tests.faulty import faults
from tests.runs import Books, SignIn, connected, ended, run_to_end

NOTES, REPORTS = scaled((30, 10), (500, 200))
FAILED = scaled(3, 25)
PAGE = 5


class Gaps:
    """A patient whose first run leaves gaps, and what a retry of it asks the provider for."""

    def __init__(self, client: Any, patient: str, fronts: Fronts, books: Books) -> None:
        self.client = client
        self.patient = patient
        self.fronts = fronts
        self.books = books

    @asynccontextmanager
    async def left_by(self, *rules: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        async with faults(self.fronts.fhir, *rules), self.books.no_pauses(attempts=2):
            run = await run_to_end(self.client, self.patient, mode="FULL")
        assert run["status"] == "SUCCEEDED_WITH_GAPS", run
        self.fronts.ehr.asked.clear()
        yield run

    async def retried(self, run: dict[str, Any]) -> tuple[dict[str, Any], Counter[str]]:
        """The retry, and what it asked for."""
        payload = await self.client.change("SyncRetry", "syncRetry", runId=run["id"])
        mended = await ended(self.client, payload["syncRun"]["id"])
        return mended, self.fronts.ehr.asked

    def asked(self, wanted: Callable[[str], bool]) -> dict[str, int]:
        return {words: n for words, n in self.fronts.ehr.asked.items() if wanted(words)}


@pytest.fixture
async def gaps(
    resources: Resources,
    sandbox: Sandbox,
    fronts: Fronts,
    people: People,
    books: Books,
    worker: Worker,
    sign_in: SignIn,
) -> Gaps:
    sandbox.ehr.put_many(chart("amara", NOTES, REPORTS))
    patient = await connected(
        resources, people, "amara", fhir=fronts.fhir, platform=fronts.platform_url, page_size=PAGE
    )
    return Gaps(await sign_in(people.dietician), patient, fronts, books)


async def test_a_retry_fetches_only_what_failed(gaps: Gaps, oracle: Oracle, figures: Figures) -> None:
    failed = [f"amara-note-{number}" for number in range(FAILED)]
    path = f"/fhir/Binary/({'|'.join(failed)})"
    async with gaps.left_by({"fault": "status", "status": 404, "match": {"path": path}}) as run:
        mended, asked = await gaps.retried(run)

    assert (mended["status"], mended["counts"]["published"]) == ("SUCCEEDED", FAILED), mended
    files = gaps.asked(lambda words: "/Binary/" in words)
    assert files == {f"GET /fhir/Binary/{it}": 1 for it in failed}
    assert gaps.fronts.ehr.listed().total() == 0
    read = gaps.asked(lambda words: words.startswith(("GET /fhir/DocumentReference/", "GET /fhir/DiagnosticReport/")))
    assert set(read) == {f"GET /fhir/DocumentReference/{it}" for it in failed}
    await oracle.assert_nothing_is_lost_or_doubled()
    figures.note(
        "retry", documents=NOTES + REPORTS, failed=FAILED, fetched_again=len(files), requests_of_the_retry=asked.total()
    )


async def test_a_retry_of_a_listing_that_broke_off_goes_on_where_it_broke_off(gaps: Gaps, oracle: Oracle) -> None:
    """Two pages had been read; the other listing was complete, and is left alone."""
    broken = {"fault": "status", "status": 500, "match": {"path": "/fhir/DocumentReference"}, "after": 2}
    async with gaps.left_by(broken) as run:
        mended, _ = await gaps.retried(run)

    assert mended["status"] == "SUCCEEDED", (mended["failures"], mended["coverage"], mended["counts"])
    assert not gaps.asked(lambda words: "/DiagnosticReport" in words)
    fetched = gaps.asked(lambda words: "/Binary/" in words)
    assert len(fetched) == sum(fetched.values()) == NOTES - 2 * PAGE
    await oracle.assert_nothing_is_lost_or_doubled()
