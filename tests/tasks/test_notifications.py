"""What happens is told to whom it concerns: once until it works again, with what to do, and without health data."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from app.connectors.provider.port import Capability, Probed, Strategy
from app.core import work
from app.core.resources import Resources
from app.domain.connections import recording as connections
from app.domain.patients.models import Patient
from app.domain.sync import commands, recording
from app.domain.sync.events import RUN, RUN_ENDED
from app.domain.sync.models import RunStatus, RunTrigger, SyncRun
from app.domain.sync.recording import Problem
from tasks import notifications
from tasks.broker import Worker
from tests import factories
from tests.conftest import People
from tests.domain.rows import actor, rows, sql
from tests.runs import Books

TOLD = "SELECT kind, code, times, settled_at IS NOT NULL FROM notifications WHERE user_id = :user ORDER BY id"
IDLE = "SELECT count(*) FROM work WHERE done_at IS NULL AND kind <> 'connections.probe'"


@pytest.fixture
async def patient(resources: Resources, people: People) -> Patient:
    async with resources.db.transaction() as session:
        provider = await factories.provider(session, resources.vault, "http://127.0.0.1:9/fhir")
        linked = {"primary_provider_id": provider.id, "provider_patient_id": "p", "name": "Ana Silva"}
        return await factories.patient(session, people.dietician, account_id=people.patient.id, **linked)


async def run(resources: Resources, people: People, patient: Patient, **given: Any) -> SyncRun:
    """A run whose work nobody takes up, so that the test ends it."""
    async with resources.db.transaction() as session:
        made = await commands.request(session, actor(people.dietician), patient.id)
        await work.close_subject(session, RUN, made.id)
        for name, value in given.items():
            setattr(made, name, value)
        return made


async def failed(resources: Resources, people: People, patient: Patient, code: str, trigger: RunTrigger) -> UUID:
    made = await run(resources, people, patient, trigger=trigger)
    async with resources.db.transaction() as session:
        await recording.fail(session, made.id, code, "")
    await Books(resources).until(IDLE, lambda n: n == 0)
    return made.id


async def succeeded(resources: Resources, people: People, patient: Patient, problems: Sequence[Problem] = ()) -> None:
    made = await run(resources, people, patient)
    async with resources.db.transaction() as session:
        recording.note_problems(session, made, problems)
        ended = await recording.finish(session, made.id, ())
        assert ended.status is (RunStatus.SUCCEEDED_WITH_GAPS if problems else RunStatus.SUCCEEDED)
    await Books(resources).until(IDLE, lambda n: n == 0)


async def told(resources: Resources, user_id: UUID) -> list[Any]:
    return await rows(resources, TOLD, user=user_id)


async def test_automatic_failures_are_one_until_it_works_again(
    resources: Resources, people: People, patient: Patient, worker: Worker
) -> None:
    for code in ("PROVIDER_TIMEOUT", "PROVIDER_TIMEOUT", "PROVIDER_UNAVAILABLE"):
        last = await failed(resources, people, patient, code, RunTrigger.AUTOMATIC)
    assert await told(resources, people.dietician.id) == [("SYNC_FAILED", "PROVIDER_UNAVAILABLE", 3, False)]
    assert await rows(resources, "SELECT subject_type, subject_id FROM notifications") == [("RUN", last)]
    assert await rows(resources, "SELECT count(*) FROM event WHERE stream LIKE 'notifications/%'") == [1]
    await succeeded(resources, people, patient)
    await failed(resources, people, patient, "PROVIDER_TIMEOUT", RunTrigger.AUTOMATIC)
    assert await told(resources, people.dietician.id) == [
        ("SYNC_FAILED", "PROVIDER_UNAVAILABLE", 3, True),
        ("SYNC_FAILED", "PROVIDER_TIMEOUT", 1, False),
    ]


async def test_who_pressed_a_button_is_told_how_it_ended(
    resources: Resources, people: People, patient: Patient, worker: Worker
) -> None:
    for _ in range(2):
        await failed(resources, people, patient, "PROVIDER_TIMEOUT", RunTrigger.MANUAL)
    assert [it[2:] for it in await told(resources, people.dietician.id)] == [(1, True), (1, False)]
    assert await rows(resources, "SELECT count(*) FROM event WHERE stream LIKE 'notifications/%'") == [2]


@pytest.mark.parametrize("late", ["failure", "success"])
async def test_of_two_runs_the_later_is_told_of_though_its_job_came_first(
    resources: Resources, people: People, patient: Patient, late: str
) -> None:
    for failing in (late == "failure", late != "failure"):
        made = await run(resources, people, patient)
        async with resources.db.transaction() as session:
            if failing:
                await recording.fail(session, made.id, "PROVIDER_TIMEOUT", "")
            else:
                await recording.finish(session, made.id, ())
    jobs = await rows(resources, "SELECT id FROM work WHERE kind = :kind ORDER BY id DESC", kind=RUN_ENDED)
    for job in jobs:
        async with resources.db.transaction() as session:
            claim = await work.claim(session, job)
        assert claim is not None
        await notifications.run_ended(resources, claim)
    expected = [] if late == "failure" else [("SYNC_FAILED", "PROVIDER_TIMEOUT", 1, False)]
    assert (len(jobs), await told(resources, people.dietician.id)) == (2, expected)


async def test_gaps_are_told_with_the_most_frequent_reason(
    resources: Resources, people: People, patient: Patient, worker: Worker
) -> None:
    codes = ("PROVIDER_NOT_FOUND", "PROVIDER_TOO_LARGE", "PROVIDER_TOO_LARGE")
    problems = [Problem(f"DocumentReference/secret-{n}", code, "HbA1c") for n, code in enumerate(codes)]
    await succeeded(resources, people, patient, problems)
    assert await told(resources, people.dietician.id) == [("SYNC_INCOMPLETE", "PROVIDER_TOO_LARGE", 1, False)]
    ((title, body, hint),) = await rows(resources, "SELECT title, body, hint FROM notifications")
    assert title.startswith("Ana Silva: ")
    assert not {"HbA1c", "secret"} & {*body.split(), *hint.split()}


async def test_a_cancelled_run_and_a_deleted_patient_tell_nobody(
    resources: Resources, people: People, patient: Patient, worker: Worker
) -> None:
    made = await run(resources, people, patient)
    async with resources.db.transaction() as session:
        await commands.cancel(session, actor(people.dietician), made.id)
    made = await run(resources, people, patient)
    await sql(resources, "UPDATE patients SET deleted_at = now()")
    async with resources.db.transaction() as session:
        await recording.fail(session, made.id, "PROVIDER_TIMEOUT", "")
    await Books(resources).until(IDLE, lambda n: n == 0)
    assert await rows(resources, "SELECT count(*) FROM notifications") == [0]


@pytest.mark.parametrize("code", ["PROVIDER_UNREACHABLE", "PROVIDER_UNAUTHORIZED"])
async def test_a_lost_connection_is_told_to_every_administrator_once(
    resources: Resources, people: People, patient: Patient, worker: Worker, code: str
) -> None:
    async with resources.db.transaction() as session:
        second = await factories.person(session, "ADMIN")
        other = await factories.patient(
            session, people.dietician, primary_provider_id=patient.primary_provider_id, provider_patient_id="q"
        )
    for each in (patient, other):
        await failed(resources, people, each, code, RunTrigger.AUTOMATIC)
    for admin in (people.admin, second):
        assert await told(resources, admin.id) == [("CONNECTION_LOST", code, 1, False)]
    assert await rows(resources, "SELECT count(*) FROM notifications WHERE kind = 'CONNECTION_LOST'") == [2]
    assert not await rows(
        resources, "SELECT id FROM notifications WHERE kind = 'CONNECTION_LOST' AND title LIKE '%Ana%'"
    )
    await succeeded(resources, people, patient)
    assert await told(resources, people.admin.id) == [("CONNECTION_LOST", code, 1, True)]


async def test_a_probe_tells_when_a_connection_is_lost_and_when_it_is_back(
    resources: Resources, people: People, patient: Patient, worker: Worker
) -> None:
    assert patient.primary_provider_id
    card = tuple(
        Capability(f"{it} search", supported=True, detail="") for it in ("DocumentReference", "DiagnosticReport")
    )
    for detail in ("PROVIDER_UNAUTHORIZED: 401", "PROVIDER_TIMEOUT: slow"):
        async with resources.db.transaction() as session:
            await connections.record_unreachable(session, patient.primary_provider_id, detail)
        await Books(resources).until(IDLE, lambda n: n == 0)
    assert await told(resources, people.admin.id) == [("CONNECTION_LOST", "PROVIDER_UNAUTHORIZED", 1, False)]
    async with resources.db.transaction() as session:
        await connections.record_probe(session, patient.primary_provider_id, Probed(card, Strategy()))
    await Books(resources).until(IDLE, lambda n: n == 0)
    assert await told(resources, people.admin.id) == [("CONNECTION_LOST", "PROVIDER_UNAUTHORIZED", 1, True)]
    assert await told(resources, people.dietician.id) == []
