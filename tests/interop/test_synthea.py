"""Thirty-eight synthetic patients of other people's making: every note once, with both its provenances, byte for byte."""

import os
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import pytest

from app.api.kit import ids
from app.core.resources import Resources
from tasks.broker import Worker
from tests import factories
from tests.conftest import People, Sandbox
from tests.interop.conftest import Resource, attachments, inline_sha256, memfhir, read, reference, subject
from tests.runs import Books, SignIn, start_run

SAMPLE = 8
FULL = os.environ.get("INTEROP") == "full"
OPEN_RUNS = "SELECT count(*) FROM sync_runs WHERE finished_at IS NULL"
SOURCES = """
    SELECT s.reference, s.document_id, d.status,
           array(SELECT f.sha256 FROM files f WHERE f.document_id = d.id ORDER BY f.position) AS hashes
    FROM document_sources s JOIN healthcare_documents d ON d.id = s.document_id WHERE s.patient_id = :patient
"""
STATUSES = {"current": "CURRENT", "superseded": "SUPERSEDED"}


async def registered(resources: Resources, people: People, fhir: str, patients: Sequence[str]) -> dict[str, UUID]:
    """One provider, and a patient of ours for each of its patients."""
    rows: dict[str, UUID] = {}
    async with resources.db.transaction() as session:
        provider = await factories.provider(session, resources.vault, fhir, page_size=200)
        for patient_id in patients:
            row = await factories.patient(
                session, people.dietician, primary_provider_id=provider.id, provider_patient_id=patient_id
            )
            rows[patient_id] = row.id
    return rows


async def assert_every_note_is_here_once(books: Books, patient: UUID, expected: Sequence[Resource]) -> None:
    """Documents are the DocumentReferences, and the reports without a twin; the other reports are joined to theirs."""
    found = {row.reference: row for row in await books.all(SOURCES, patient=patient)}
    assert found.keys() == {reference(resource) for resource in expected}
    twins: defaultdict[str, set[UUID]] = defaultdict(set)
    for resource in expected:
        row, wanted = found[reference(resource)], [inline_sha256(it) for it in attachments(resource)]
        assert row.hashes == wanted, row.reference
        twins["".join(wanted)].add(row.document_id)
        if resource["resourceType"] == "DocumentReference":
            assert row.status == STATUSES[resource["status"]], row.reference
    assert all(len(documents) == 1 for documents in twins.values())
    kept = await books.one("SELECT count(*) FROM healthcare_documents WHERE patient_id = :it", it=patient)
    assert kept == len(twins)


async def synchronise_all(
    resources: Resources, people: People, sign_in: SignIn, fhir: str, charts: dict[str, list[Resource]], seconds: float
) -> None:
    books = Books(resources)
    rows = await registered(resources, people, fhir, list(charts))
    client = await sign_in(people.dietician)
    for row in rows.values():
        await start_run(client, ids.encode("Patient", row))
    await books.until(OPEN_RUNS, lambda open_runs: open_runs == 0, seconds)
    ends = Counter(await books.column("SELECT status FROM sync_runs"))
    assert ends == {"SUCCEEDED": len(charts)}, await books.all("SELECT reference, code, detail FROM sync_failures")
    for patient_id, expected in charts.items():
        await assert_every_note_is_here_once(books, rows[patient_id], expected)
    await books.assert_streams_are_contiguous()


@pytest.fixture(scope="module")
def charts(synthea: Path) -> dict[str, list[Resource]]:
    found: dict[str, list[Resource]] = defaultdict(list)
    for resource in read(synthea, "DocumentReference", "DiagnosticReport"):
        found[subject(resource)].append(resource)
    return dict(found)


async def test_all_patients_arrive_from_the_sandbox(
    resources: Resources,
    people: People,
    sandbox: Sandbox,
    worker: Worker,
    sign_in: SignIn,
    synthea: Path,
    charts: dict[str, list[Resource]],
) -> None:
    sandbox.ehr.put_many(read(synthea, "Patient", "DocumentReference", "DiagnosticReport"))
    assert len(charts) == 38
    await synchronise_all(resources, people, sign_in, sandbox.fhir, charts, 60)


async def test_patients_arrive_from_an_independent_server(
    resources: Resources,
    people: People,
    worker: Worker,
    sign_in: SignIn,
    synthea: Path,
    packages: Path,
    charts: dict[str, list[Resource]],
) -> None:
    """A seeded sample of them; all with INTEROP=full."""
    chosen = charts if FULL else {it: charts[it] for it in random.Random(1).sample(sorted(charts), SAMPLE)}
    async with memfhir(packages, synthea) as fhir:
        await synchronise_all(resources, people, sign_in, fhir, chosen, 600)
