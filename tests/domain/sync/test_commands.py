"""What a person asks of synchronisation: start, stop, try again."""

import asyncio
from uuid import UUID, uuid4

import pytest

from app.core import work
from app.core.errors import ErrorCode, Refusal
from app.core.resources import Resources
from app.core.work import LeaseLost
from app.domain.identity.policies import Actor
from app.domain.patients.models import Patient
from app.domain.sync import commands, queries
from app.domain.sync.events import RUN, activity_stream, run_stream
from app.domain.sync.models import RunMode, RunStatus, SyncRun
from tests.conftest import People
from tests.domain.rows import actor, actors, everything, refusal_of, rows, sql
from tests.domain.sync.conftest import Connect


@pytest.fixture
def dietician(people: People) -> Actor:
    return actor(people.dietician)


async def request(
    resources: Resources, caller: Actor, patient_id: UUID, *, key: str | None = None, mode: RunMode = RunMode.FULL
) -> SyncRun:
    async with resources.db.transaction() as session:
        return await commands.request(session, caller, patient_id, mode=mode, idempotency_key=key)


async def cancel(resources: Resources, caller: Actor, run_id: UUID) -> SyncRun:
    async with resources.db.transaction() as session:
        return await commands.cancel(session, caller, run_id)


async def retry(resources: Resources, caller: Actor, run_id: UUID) -> SyncRun:
    async with resources.db.transaction() as session:
        return await commands.retry(session, caller, run_id)


async def end(resources: Resources, run: SyncRun, status: str) -> None:
    await sql(
        resources, "UPDATE sync_runs SET status = :status, stage = 'DONE' WHERE id = :id", status=status, id=run.id
    )
    await sql(resources, "UPDATE work SET done_at = now() WHERE subject_id = :id", id=run.id)


async def kinds(resources: Resources, stream: str) -> list[str]:
    return await rows(resources, "SELECT kind FROM event WHERE stream = :stream ORDER BY seq", stream=stream)


async def test_a_run_is_asked_for_with_its_work_its_log_and_its_event(
    resources: Resources, dietician: Actor, patient: Patient
) -> None:
    run = await request(resources, dietician, patient.id, key="k", mode=RunMode.INCREMENTAL)
    assert (run.status, run.percent, run.owner_id, run.requested_by) == (
        RunStatus.QUEUED,
        0,
        dietician.id,
        dietician.id,
    )
    assert await rows(resources, "SELECT kind, subject_id, attempts FROM work") == [(RUN, run.id, 0)]
    logged = "SELECT action, status, patient_id, document_id, run_id FROM synchronization_log"
    assert await rows(resources, logged) == [("manual_sync", "STARTED", patient.id, None, run.id)]
    assert await rows(resources, "SELECT sync_status FROM patients") == ["QUEUED"]
    for stream in (run_stream(run.id), activity_stream(dietician.id)):
        assert await kinds(resources, stream) == ["RUN_QUEUED"]


async def test_a_second_request_joins_the_run_under_way(
    resources: Resources, dietician: Actor, patient: Patient
) -> None:
    run = await request(resources, dietician, patient.id)
    before = await everything(resources)
    for key in (None, "another"):
        assert (await request(resources, dietician, patient.id, key=key)).id == run.id
    assert {name: it for name, it in (await everything(resources)).items() if it != before[name]}.keys() == {
        "sync_keys"
    }
    await end(resources, run, "SUCCEEDED")
    assert (await request(resources, dietician, patient.id, key="another")).id == run.id
    assert (await request(resources, dietician, patient.id)).id != run.id


async def test_of_many_who_ask_at_once_all_get_the_one_run(
    resources: Resources, dietician: Actor, patient: Patient
) -> None:
    found = await asyncio.gather(*(request(resources, dietician, patient.id) for _ in range(6)))
    assert len({run.id for run in found}) == 1
    assert await rows(resources, "SELECT count(*) FROM work") == [1]
    assert await kinds(resources, activity_stream(dietician.id)) == ["RUN_QUEUED"]


async def test_a_key_leads_to_its_run_also_when_that_has_ended(
    resources: Resources, dietician: Actor, patient: Patient
) -> None:
    run = await request(resources, dietician, patient.id, key="k")
    await end(resources, run, "FAILED")
    before = await everything(resources)
    assert (await request(resources, dietician, patient.id, key="k")).id == run.id
    assert await everything(resources) == before


async def test_a_key_is_one_persons_and_for_one_patient(
    resources: Resources, people: People, dietician: Actor, patient: Patient, connect: Connect
) -> None:
    await request(resources, dietician, patient.id, key="k")
    mine, theirs = await connect(), await connect(people.other_dietician)
    with pytest.raises(Refusal) as refused:
        await request(resources, dietician, mine.id, key="k")
    assert refusal_of(refused) == (ErrorCode.INVALID, ("idempotencyKey",))
    found = await request(resources, actor(people.other_dietician), theirs.id, key="k")
    assert found.patient_id == theirs.id


@pytest.mark.parametrize("key", ["", "k" * 201])
async def test_a_key_that_is_none_is_refused(
    resources: Resources, dietician: Actor, patient: Patient, key: str
) -> None:
    with pytest.raises(Refusal) as refused:
        await request(resources, dietician, patient.id, key=key)
    assert refusal_of(refused) == (ErrorCode.INVALID, ("idempotencyKey",))


@pytest.mark.parametrize("missing", ["primary_provider_id", "provider_patient_id"])
async def test_a_patient_without_a_provider_cannot_be_synchronised(
    resources: Resources, dietician: Actor, connect: Connect, missing: str
) -> None:
    patient = await connect(**{missing: None})
    before = await everything(resources)
    with pytest.raises(Refusal) as refused:
        await request(resources, dietician, patient.id)
    assert refusal_of(refused) == (ErrorCode.INVALID, ("patientId",))
    assert await everything(resources) == before


async def test_cancelling_ends_the_run_and_takes_the_work_from_whoever_does_it(
    resources: Resources, dietician: Actor, patient: Patient
) -> None:
    run = await request(resources, dietician, patient.id)
    (work_id,) = await rows(resources, "SELECT id FROM work")
    async with resources.db.transaction() as session:
        claim = await work.claim(session, work_id)
    assert claim is not None

    cancelled = await cancel(resources, dietician, run.id)
    assert cancelled.status is RunStatus.CANCELLED
    assert cancelled.finished_at is not None
    with pytest.raises(LeaseLost):
        async with resources.db.transaction() as session:
            await work.hold(session, claim)
    assert await rows(resources, "SELECT sync_status FROM patients") == ["CANCELLED"]
    assert await kinds(resources, run_stream(run.id)) == ["RUN_QUEUED", "RUN_FINISHED"]
    before = await everything(resources)
    assert (await cancel(resources, dietician, run.id)).id == run.id
    assert await everything(resources) == before


async def test_cancelling_from_two_places_at_once_is_told_once(
    resources: Resources, dietician: Actor, patient: Patient
) -> None:
    run = await request(resources, dietician, patient.id)
    found = await asyncio.gather(*(cancel(resources, dietician, run.id) for _ in range(4)))
    assert {it.status for it in found} == {RunStatus.CANCELLED}
    assert await kinds(resources, run_stream(run.id)) == ["RUN_QUEUED", "RUN_FINISHED"]


@pytest.mark.parametrize("status", ["SUCCEEDED", "SUCCEEDED_WITH_GAPS", "FAILED"])
async def test_what_has_ended_cannot_be_cancelled(
    resources: Resources, dietician: Actor, patient: Patient, status: str
) -> None:
    run = await request(resources, dietician, patient.id)
    await end(resources, run, status)
    before = await everything(resources)
    with pytest.raises(Refusal) as refused:
        await cancel(resources, dietician, run.id)
    assert refusal_of(refused) == (ErrorCode.CONFLICT, ("runId",))
    assert await everything(resources) == before


@pytest.mark.parametrize("status", ["SUCCEEDED_WITH_GAPS", "FAILED", "CANCELLED"])
@pytest.mark.parametrize("begun", [True, False])
async def test_a_retry_is_another_run_that_takes_up_what_is_left_to_do(
    resources: Resources, dietician: Actor, patient: Patient, status: str, *, begun: bool
) -> None:
    first = await request(resources, dietician, patient.id, mode=RunMode.FULL)
    if begun:
        page = (
            "INSERT INTO sync_pages (run_id, resource_type, number, seen, failed, filtered)"
            " VALUES (:run, 'DocumentReference', 1, 1, 0, false)"
        )
        await sql(resources, page, run=first.id)
    await end(resources, first, status)
    again = await retry(resources, dietician, first.id)
    assert again.id != first.id
    mode = RunMode.RETRY if begun else RunMode.FULL
    assert (again.mode, again.retry_of_id, again.status) == (mode, first.id, RunStatus.QUEUED)
    assert (await retry(resources, dietician, first.id)).id == again.id


async def test_a_retry_of_what_another_provider_left_undone_compares_everything(
    resources: Resources, dietician: Actor, patient: Patient
) -> None:
    first = await request(resources, dietician, patient.id)
    await end(resources, first, "FAILED")
    await sql(resources, "UPDATE patients SET provider_patient_id = 'another' WHERE id = :id", id=patient.id)
    assert (await retry(resources, dietician, first.id)).mode is RunMode.FULL


async def test_a_retry_of_nothing_is_refused(resources: Resources, dietician: Actor, patient: Patient) -> None:
    before = await everything(resources)
    with pytest.raises(Refusal) as refused:
        await request(resources, dietician, patient.id, mode=RunMode.RETRY)
    assert refusal_of(refused) == (ErrorCode.INVALID, ("mode",))
    assert await everything(resources) == before


async def test_a_run_under_way_is_its_own_retry_and_a_success_has_none(
    resources: Resources, dietician: Actor, patient: Patient
) -> None:
    run = await request(resources, dietician, patient.id)
    assert (await retry(resources, dietician, run.id)).id == run.id
    await end(resources, run, "SUCCEEDED")
    with pytest.raises(Refusal) as refused:
        await retry(resources, dietician, run.id)
    assert refusal_of(refused) == (ErrorCode.CONFLICT, ("runId",))


@pytest.mark.parametrize("who", ["other dietician", "practitioner", "patient", "admin"])
async def test_nobody_but_the_dietician_steers_and_nothing_is_changed(
    resources: Resources, people: People, dietician: Actor, patient: Patient, who: str
) -> None:
    run = await request(resources, dietician, patient.id)
    caller, before = actors(people)[who], await everything(resources)
    expected = ErrorCode.FORBIDDEN if who == "patient" else ErrorCode.NOT_FOUND
    for attempt in (
        request(resources, caller, patient.id),
        cancel(resources, caller, run.id),
        retry(resources, caller, run.id),
    ):
        with pytest.raises(Refusal) as refused:
            await attempt
        assert refused.value.code is expected
    assert await everything(resources) == before


async def test_a_run_or_patient_that_does_not_exist_is_not_found(resources: Resources, dietician: Actor) -> None:
    for attempt in (request, cancel, retry):
        with pytest.raises(Refusal) as refused:
            await attempt(resources, dietician, uuid4())
        assert refused.value.code is ErrorCode.NOT_FOUND


async def test_runs_and_logs_are_seen_by_who_sees_the_patient(
    resources: Resources, people: People, dietician: Actor, patient: Patient
) -> None:
    run = await request(resources, dietician, patient.id)
    async with resources.db.reading() as session:
        for name, caller in actors(people).items():
            expected = name in ("dietician", "patient")
            assert (await queries.get(session, caller, run.id) is not None) is expected, name
            logs = (await session.scalars(queries.listed_logs(caller, queries.LogFilter()))).all()
            assert bool(logs) is expected, name


async def test_a_deleted_patients_run_is_stopped_and_its_history_hidden(
    resources: Resources, dietician: Actor, patient: Patient
) -> None:
    run = await request(resources, dietician, patient.id)
    for _ in range(2):
        async with resources.db.transaction() as session:
            await commands.hide_patient(session, patient.id)
    assert await rows(resources, "SELECT status FROM sync_runs") == ["CANCELLED"]
    assert await kinds(resources, run_stream(run.id)) == ["RUN_QUEUED", "RUN_FINISHED"]
    async with resources.db.transaction() as session:
        assert await work.due(session) == {}
        assert await queries.get(session, dietician, run.id) is None
        assert not (await session.scalars(queries.listed_logs(dietician, queries.LogFilter()))).all()
