"""Runs: who starts, stops and follows them, and what is refused."""

import asyncio
from typing import Any

import pytest

from app.api.kit import ids
from app.cli.client import ApiError, Client
from app.core.resources import Resources
from app.domain.patients.models import Patient
from app.domain.sync.models import RunStatus, SyncRun
from tests import factories
from tests.api.asking import GARBAGE, SignIn, code, create_patient, nodes, outcome, refusal
from tests.api.scene import CALLERS, NOWHERE, Scene
from tests.conftest import People

SEERS = ("owner", "patient")
REFUSED = {"nobody": "UNAUTHENTICATED", "other": "NOT_FOUND", "practitioner": "NOT_FOUND", "admin": "NOT_FOUND"}


async def connected(resources: Resources, person: factories.Person, **given: Any) -> str:
    """A patient whose provider is nowhere to be reached: runs stay queued where no worker is."""
    async with resources.db.transaction() as session:
        provider = await factories.provider(session, resources.vault, NOWHERE)
        wanted = {"primary_provider_id": provider.id, "provider_patient_id": "p"} | given
        return ids.encode("Patient", (await factories.patient(session, person, **wanted)).id)


async def started(client: Client, patient: str, **variables: Any) -> dict[str, Any]:
    return (await client.change("PatientSync", "patientSync", patientId=patient, **variables))["syncRun"]


async def followed(client: Client, name: str, limit: int, **variables: Any) -> list[int] | str:
    """The `seq`s of a stream, or the code that it was refused with."""
    seen: list[int] = []
    try:
        async with asyncio.timeout(20):
            stream = client.follow(name, **variables)
            async for data in stream:
                seen.append(next(iter(data.values()))["seq"])
                if len(seen) == limit:
                    await stream.aclose()
                    break
    except ApiError as refused:
        return refused.code
    return seen


@pytest.mark.parametrize("caller", CALLERS)
async def test_a_run_is_seen_by_who_sees_its_patient(scene: Scene, caller: str) -> None:
    client, run = scene.clients[caller], scene.ids["run"]
    by_id = await outcome(client, "SyncRunGet", id=run)
    by_node = await outcome(client, "AnyNode", id=run)
    if caller == "nobody":
        assert by_id == by_node == "UNAUTHENTICATED"
        return
    assert (by_id is not None) == (by_node is not None) == (caller in SEERS)
    if caller in SEERS:
        assert (by_id["status"], by_id["patient"]["id"]) == ("CANCELLED", scene.ids["patient"])
        assert [it["reference"] for it in nodes(by_id["failures"])] == ["DocumentReference/1"]
        assert all(2 <= len(it["steps"]) <= 4 for it in nodes(by_id["failures"]))


@pytest.mark.parametrize("caller", CALLERS)
async def test_a_run_is_followed_by_who_sees_its_patient(scene: Scene, caller: str) -> None:
    seen = await followed(scene.clients[caller], "SyncProgress", 99, runId=scene.ids["run"])
    assert seen == ([1, 2] if caller in SEERS else REFUSED[caller])


@pytest.mark.parametrize("caller", [caller for caller in CALLERS if caller != "owner"])
@pytest.mark.parametrize("name", ["PatientSync", "SyncCancel", "SyncRetry"])
async def test_only_the_responsible_dietician_starts_stops_and_retries(scene: Scene, caller: str, name: str) -> None:
    variables = {"patientId": scene.ids["patient"]} if name == "PatientSync" else {"runId": scene.ids["run"]}
    before = await scene.digest()
    assert await code(scene.clients[caller], name, **variables) == REFUSED.get(caller, "FORBIDDEN")
    assert await scene.digest() == before


@pytest.mark.parametrize("bad", [*GARBAGE, "of another type", "unknown"], ids=range(len(GARBAGE) + 2))
async def test_an_id_that_names_no_run_is_nothing_and_changes_nothing(scene: Scene, bad: str) -> None:
    owner, given = scene.clients["owner"], bad
    bad = {"of another type": scene.ids["patient"], "unknown": ids.encode("SyncRun", factories.uuid4())}.get(bad, bad)
    before = await scene.digest()
    assert await outcome(owner, "SyncRunGet", id=bad) is None
    assert await outcome(owner, "AnyNode", id=bad) is None or given == "of another type"
    assert await refusal(owner, "SyncCancel", runId=bad) == ("NOT_FOUND", ["runId"])
    assert await refusal(owner, "SyncRetry", runId=bad) == ("NOT_FOUND", ["runId"])
    assert await followed(owner, "SyncProgress", 1, runId=bad) == "NOT_FOUND"
    if given != "of another type":
        assert await refusal(owner, "PatientSync", patientId=bad) == ("NOT_FOUND", ["patientId"])
    assert await scene.digest() == before


async def test_a_second_request_joins_the_run_under_way_however_many_ask_at_once(
    resources: Resources, people: People, sign_in: SignIn
) -> None:
    client = await sign_in(people.dietician)
    patient = await connected(resources, people.dietician)
    runs = await asyncio.gather(*[started(client, patient, mode=mode) for mode in ("FULL", "INCREMENTAL") * 3])
    assert len({run["id"] for run in runs}) == 1
    assert runs[0]["status"] == "QUEUED"
    assert (await client.ask("PatientGet", id=patient))["patient"]["syncRuns"]["edges"][0]["node"]["id"] == runs[0][
        "id"
    ]


async def test_an_idempotency_key_brings_its_run_back_and_is_no_other_patients(
    resources: Resources, people: People, sign_in: SignIn
) -> None:
    client = await sign_in(people.dietician)
    patient, other = [await connected(resources, people.dietician) for _ in range(2)]
    run = await started(client, patient, idempotencyKey="k")
    await client.change("SyncCancel", "syncCancel", runId=run["id"])
    assert (await started(client, patient, idempotencyKey="k"))["id"] == run["id"]
    assert (await started(client, patient, idempotencyKey="l"))["id"] != run["id"]
    refused = await refusal(client, "PatientSync", patientId=other, idempotencyKey="k")
    assert refused == ("INVALID", ["idempotencyKey"])
    assert (await client.ask("PatientGet", id=other))["patient"]["syncRuns"]["edges"] == []
    for key in ("", "k" * 201):
        refused = await refusal(client, "PatientSync", patientId=other, idempotencyKey=key)
        assert refused == ("INVALID", ["idempotencyKey"])
    theirs = await sign_in(people.other_dietician)
    own = await connected(resources, people.other_dietician)
    assert (await started(theirs, own, idempotencyKey="k"))["id"] != run["id"]


async def test_a_patient_without_a_provider_is_not_synchronised(people: People, sign_in: SignIn) -> None:
    client = await sign_in(people.dietician)
    patient = await create_patient(client, "Unconnected")
    assert await refusal(client, "PatientSync", patientId=patient) == ("INVALID", ["patientId"])
    assert await code(client, "PatientSync", patientId=patient, mode="SIDEWAYS") == "BAD_REQUEST"


async def test_a_run_is_stopped_once_and_what_has_ended_well_is_not_retried(
    resources: Resources, people: People, sign_in: SignIn
) -> None:
    client = await sign_in(people.dietician)
    patient = await connected(resources, people.dietician)
    run = await started(client, patient)
    assert (await client.change("SyncRetry", "syncRetry", runId=run["id"]))["syncRun"]["id"] == run["id"]
    for _ in range(2):
        stopped = (await client.change("SyncCancel", "syncCancel", runId=run["id"]))["syncRun"]
        assert (stopped["status"], stopped["stage"]) == ("CANCELLED", "DONE")
        assert stopped["finishedAt"]
    again = (await client.change("SyncRetry", "syncRetry", runId=run["id"]))["syncRun"]
    assert again["id"] != run["id"]
    assert again["mode"] == "INCREMENTAL"
    async with resources.db.transaction() as session:
        row = await session.get(SyncRun, ids.decode(again["id"], "SyncRun"))
        assert row is not None
        row.status = RunStatus.SUCCEEDED
    assert await refusal(client, "SyncRetry", runId=again["id"]) == ("CONFLICT", ["runId"])
    assert await refusal(client, "SyncCancel", runId=again["id"]) == ("CONFLICT", ["runId"])


async def test_a_list_shows_each_patients_latest_run(resources: Resources, people: People, sign_in: SignIn) -> None:
    client = await sign_in(people.dietician)
    one, two = [await connected(resources, people.dietician) for _ in range(2)]
    first = await started(client, one)
    await client.change("SyncCancel", "syncCancel", runId=first["id"])
    second = await started(client, one)
    listed = {it["id"]: it["lastSync"] for it in nodes((await client.ask("PatientList", first=10))["patients"])}
    assert listed[one]["id"] == second["id"]
    assert listed[two] is None
    found = (await client.ask("PatientList", first=10, filter={"syncStatuses": ["QUEUED"]}))["patients"]
    assert [it["id"] for it in nodes(found)] == [one]


@pytest.mark.parametrize(
    ("after", "expected"),
    [(None, [1, 2]), (0, [1, 2]), (1, [2]), (2, []), (2**31 - 1, []), (-1, "INVALID"), (2**31, "BAD_REQUEST")],
)
async def test_a_stream_begins_after_the_seq_that_was_seen(
    scene: Scene, after: int | None, expected: list[int] | str
) -> None:
    seen = await followed(scene.clients["owner"], "SyncProgress", 99, runId=scene.ids["run"], after=after)
    assert seen == expected


async def test_two_subscribers_and_a_late_one_see_the_same_and_one_who_comes_back_misses_nothing(
    resources: Resources, people: People, sign_in: SignIn
) -> None:
    client = await sign_in(people.dietician)
    run = await started(client, await connected(resources, people.dietician))
    early = [asyncio.create_task(followed(client, "SyncProgress", 99, runId=run["id"])) for _ in range(2)]
    first = await followed(client, "SyncProgress", 1, runId=run["id"])
    await asyncio.sleep(0.2)
    assert not any(task.done() for task in early)
    await client.change("SyncCancel", "syncCancel", runId=run["id"])
    seen = await asyncio.gather(*early)
    assert first == [1]
    assert seen == [[1, 2], [1, 2]]
    assert await followed(client, "SyncProgress", 99, runId=run["id"]) == [1, 2]
    assert await followed(client, "SyncProgress", 99, runId=run["id"], after=1) == [2]


async def test_the_activity_of_a_dietician_shows_the_own_patients_runs_from_now_on(
    resources: Resources, people: People, sign_in: SignIn
) -> None:
    mine, theirs = await sign_in(people.dietician), await sign_in(people.other_dietician)
    patient, other = [await connected(resources, it) for it in (people.dietician, people.other_dietician)]
    await started(mine, patient)
    following = {
        name: asyncio.create_task(followed(client, "SyncActivity", 1))
        for name, client in (("me", mine), ("they", theirs))
    }
    await asyncio.sleep(0.5)
    latest = await started(theirs, other)
    assert await following["they"] == [1]
    assert not following["me"].done()
    assert latest["patient"]["id"] == other
    run = (await mine.ask("PatientGet", id=patient))["patient"]["syncRuns"]["edges"][0]["node"]
    await mine.change("SyncCancel", "syncCancel", runId=run["id"])
    assert await following["me"] == [2]


async def test_nobody_follows_without_a_session(sign_in: SignIn) -> None:
    assert await followed(await sign_in(None), "SyncActivity", 1) == "UNAUTHENTICATED"


async def test_whose_patient_it_is_no_more_sees_no_more_of_the_stream(
    resources: Resources, people: People, sign_in: SignIn
) -> None:
    client, theirs = await sign_in(people.dietician), await sign_in(people.other_dietician)
    patient = await connected(resources, people.dietician)
    run = await started(client, patient)
    following = asyncio.create_task(followed(client, "SyncProgress", 99, runId=run["id"]))
    await asyncio.sleep(0.3)
    async with resources.db.transaction() as session:
        row, run_row = (
            await session.get(Patient, ids.decode(patient, "Patient")),
            await session.get(SyncRun, ids.decode(run["id"], "SyncRun")),
        )
        assert row is not None
        assert run_row is not None
        row.user_id = run_row.owner_id = people.other_dietician.id
    await theirs.change("SyncCancel", "syncCancel", runId=run["id"])
    assert await following == [1]
    assert await outcome(client, "SyncRunGet", id=run["id"]) is None
    assert await followed(theirs, "SyncProgress", 99, runId=run["id"]) == [1, 2]
