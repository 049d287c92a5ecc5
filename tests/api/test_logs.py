"""The history of a patient's documents."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.api.kit import ids
from app.core.resources import Resources
from app.domain.sync.models import LogAction, LogStatus, SynchronizationLog
from tests import factories
from tests.api.asking import GARBAGE, SignIn, nodes, outcome, pages, refusal, send, upload
from tests.api.scene import CALLERS, Scene
from tests.api.test_sync import connected, started
from tests.conftest import People

SEERS = ("owner", "patient")


async def logged(resources: Resources, person: factories.Person, patient: str, **given: Any) -> str:
    wanted = {"action": LogAction.PUBLISHED, "status": LogStatus.SUCCESS, "details": ""} | given
    async with resources.db.transaction() as session:
        row = SynchronizationLog(patient_id=ids.decode(patient, "Patient"), owner_id=person.id, **wanted)
        session.add(row)
        await session.flush()
        return ids.encode("Log", row.id)


@pytest.mark.parametrize("caller", CALLERS)
async def test_an_entry_is_seen_by_who_sees_its_patient(scene: Scene, caller: str) -> None:
    client, entry = scene.clients[caller], scene.ids["log"]
    by_id = await outcome(client, "LogGet", id=entry)
    by_node = await outcome(client, "AnyNode", id=entry)
    listed = await outcome(client, "LogList", first=100)
    if caller == "nobody":
        assert by_id == by_node == listed == "UNAUTHENTICATED"
        return
    seen = caller in SEERS
    assert (by_id is not None) == (by_node is not None) == seen
    assert (entry in {it["id"] for it in nodes(listed)}) == seen
    assert seen or listed["totalCount"] == 0


@pytest.mark.parametrize("bad", [*GARBAGE, "of another type"], ids=range(len(GARBAGE) + 1))
async def test_an_id_that_names_no_entry_is_nothing(scene: Scene, bad: str) -> None:
    wanted = scene.ids["run"] if bad == "of another type" else bad
    assert await outcome(scene.clients["owner"], "LogGet", id=wanted) is None


async def test_asking_and_stopping_are_in_the_history_the_latest_first(
    resources: Resources, people: People, sign_in: SignIn
) -> None:
    client = await sign_in(people.dietician)
    patient = await connected(resources, people.dietician)
    run = await started(client, patient)
    await client.change("SyncCancel", "syncCancel", runId=run["id"])
    entries = nodes((await client.ask("LogList", first=10))["logs"])
    assert [(it["action"], it["status"]) for it in entries] == [("manual_sync", "WARNING"), ("manual_sync", "STARTED")]
    assert all(it["patient"]["id"] == patient and it["document"] is None for it in entries)
    query = "query($id: ID!) { log(id: $id) { run { id } } }"
    answer = (await send(client, query, {"id": entries[0]["id"]})).json()
    assert answer["data"]["log"]["run"]["id"] == run["id"]


async def test_each_filter_and_the_search_keep_and_drop(resources: Resources, people: People, sign_in: SignIn) -> None:
    client = await sign_in(people.dietician)
    patient, other = [await connected(resources, people.dietician) for _ in range(2)]
    document = await upload(client, patient)
    run = await started(client, other)
    then = datetime(2025, 6, 1, tzinfo=UTC)
    wanted = await logged(
        resources,
        people.dietician,
        patient,
        timestamp=then,
        details="100% of It_arrived",
        document_id=ids.decode(document, "Document"),
    )

    async def seen(**variables: Any) -> list[str]:
        return [it["id"] for it in nodes((await client.ask("LogList", first=10, **variables))["logs"])]

    started_entry = (await seen(filter={"runId": run["id"]}))[0]
    cases: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"patientId": patient}, {"patientId": other}),
        ({"actions": ["published", "nonsense"]}, {"actions": ["manual_sync"]}),
        ({"statuses": ["SUCCESS", "ERROR"]}, {"statuses": ["STARTED"]}),
        ({"to": then.isoformat()}, {"from": (then + timedelta(seconds=1)).isoformat()}),
        ({"documentId": document}, {"runId": run["id"]}),
    ]
    for kept, dropped in cases:
        assert await seen(filter=kept) == [wanted], kept
        assert await seen(filter=dropped) == [started_entry], dropped
    for search in ("IT_ARRIVED", "100%", "published"):
        assert await seen(search=search) == [wanted]
    assert await seen(search="%%") == await seen(search="nowhere") == []
    for field, bad in (("patientId", document), ("documentId", "garbage"), ("runId", patient)):
        refused = await refusal(client, "LogList", first=1, filter={field: bad})
        assert refused == ("NOT_FOUND", ["filter", field])


async def test_entries_of_one_moment_are_paged_each_once(resources: Resources, people: People, sign_in: SignIn) -> None:
    client = await sign_in(people.dietician)
    patient = await connected(resources, people.dietician)
    moment = datetime(2025, 6, 1, tzinfo=UTC)
    made = {await logged(resources, people.dietician, patient, timestamp=moment, details=str(n)) for n in range(7)}
    found = [it["id"] for it in await pages(client, "LogList", "logs", 3)]
    assert set(found) == made
    assert len(found) == 7


@pytest.mark.parametrize("first", [0, 101])
async def test_a_bad_page_of_the_history_is_refused(scene: Scene, first: int) -> None:
    assert await refusal(scene.clients["owner"], "LogList", first=first) == ("BAD_PAGE_SIZE", ["first"])
    assert await refusal(scene.clients["owner"], "LogList", first=1, after="x") == ("BAD_CURSOR", ["after"])


async def test_an_account_of_a_patient_reads_names_through_its_history(scene: Scene) -> None:
    query = (
        "{ logs(first: 5) { edges { node { patient { name dietician { name email } } run { provider { name } } } } } }"
    )
    answer = (await send(scene.clients["patient"], query)).json()
    assert "errors" not in answer
    assert answer["data"]["logs"]["edges"][0]["node"]["patient"]["dietician"]["name"] == scene.people["owner"].name
