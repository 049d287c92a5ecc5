"""Notifications: everybody's own, in pages, read, and live with nothing missed."""

import asyncio
from typing import Any

import pytest

from app.api.kit import ids
from app.core.resources import Resources
from app.domain.conflicts.models import ProviderDetails
from app.domain.notifications import recording
from app.domain.notifications.rules import connection_fold, of_connection, of_failed_details, of_sent_details
from app.domain.patients.models import Patient
from tests import factories
from tests.api.asking import GARBAGE, SignIn, code, nodes, outcome, pages, refusal, send
from tests.api.scene import CALLERS, NOWHERE, Scene
from tests.api.test_sync import followed
from tests.conftest import People

MORE = "{ notifications(first: 9) { edges { node { steps supportEmail times settledAt retry { kind id } subject { id } } } } }"


async def sent(resources: Resources, person: factories.Person, patient: Patient) -> str:
    async with resources.db.transaction() as session:
        return ids.encode("Notification", await factories.notification(session, person, of_sent_details(patient)))


async def own_patient(resources: Resources, person: factories.Person) -> Patient:
    async with resources.db.transaction() as session:
        return await factories.patient(session, person)


@pytest.mark.parametrize("caller", CALLERS)
async def test_a_notification_is_its_readers_alone(scene: Scene, caller: str) -> None:
    client = scene.clients[caller]
    listed = await outcome(client, "NotificationList", first=10)
    by_node = await outcome(client, "AnyNode", id=scene.ids["notification"])
    if caller == "nobody":
        assert listed == by_node == "UNAUTHENTICATED"
        return
    mine = [scene.ids["notification"]] if caller == "owner" else []
    assert [it["id"] for it in nodes(listed)] == mine
    assert (listed["totalCount"], listed["unreadCount"], by_node is not None) == (len(mine), len(mine), bool(mine))
    if mine:
        assert nodes(listed)[0]["subject"] == {"__typename": "PatientConflict", "id": scene.ids["conflict"]}


@pytest.mark.parametrize("caller", [it for it in CALLERS if it != "owner"])
async def test_nobody_reads_another_persons_and_nothing_changes(scene: Scene, caller: str) -> None:
    before = await scene.digest()
    refused = await code(scene.clients[caller], "NotificationsRead", ids=[scene.ids["notification"]])
    assert refused == ("UNAUTHENTICATED" if caller == "nobody" else "NOT_FOUND")
    assert await scene.digest() == before


@pytest.mark.parametrize("bad", [*GARBAGE, "of another type", "unknown"], ids=range(len(GARBAGE) + 2))
async def test_one_bad_id_among_good_ones_marks_none(scene: Scene, bad: str) -> None:
    named = {"of another type": scene.ids["patient"], "unknown": ids.encode("Notification", factories.uuid4())}
    before = await scene.digest()
    refused = await refusal(
        scene.clients["owner"], "NotificationsRead", ids=[scene.ids["notification"], named.get(bad, bad)]
    )
    assert refused == ("NOT_FOUND", ["ids"])
    assert await scene.digest() == before


async def test_what_is_read_stays_read_and_is_counted(resources: Resources, people: People, sign_in: SignIn) -> None:
    client, patient = await sign_in(people.dietician), await own_patient(resources, people.dietician)
    told = [await sent(resources, people.dietician, patient) for _ in range(5)]
    assert [it["id"] for it in await pages(client, "NotificationList", "notifications", 2)] == told[::-1]
    first = await client.change("NotificationsRead", "notificationsRead", ids=[told[1], told[3], told[1]])
    assert [it["id"] for it in first["notifications"]] == [told[1], told[3]]
    again = await client.change("NotificationsRead", "notificationsRead", ids=[told[3]])
    assert again["notifications"][0] == first["notifications"][1]
    unread = (await client.ask("NotificationList", first=9, unread=True))["notifications"]
    read = (await client.ask("NotificationList", first=9, unread=False))["notifications"]
    assert ([it["id"] for it in nodes(unread)], unread["unreadCount"]) == ([told[4], told[2], told[0]], 3)
    assert ([it["id"] for it in nodes(read)], read["unreadCount"], read["totalCount"]) == ([told[3], told[1]], 3, 2)
    empty = await client.change("NotificationsRead", "notificationsRead", ids=[])
    assert empty["notifications"] == []
    many = [ids.encode("Notification", factories.uuid4()) for _ in range(101)]
    assert await refusal(client, "NotificationsRead", ids=many) == ("INVALID", ["ids"])
    assert await refusal(client, "NotificationsRead", ids=["no id"] * 101) == ("INVALID", ["ids"])


async def test_a_failure_is_told_with_steps_support_and_a_way_to_try_again(
    resources: Resources, people: People, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, patient = await sign_in(people.dietician), await own_patient(resources, people.dietician)
    held = ProviderDetails(id=factories.uuid4())
    note = of_failed_details(patient, held, "DETAILS_REFUSED")
    async with resources.db.transaction() as session:
        await factories.notification(session, people.dietician, note)
        await recording.tell(session, people.dietician.id, note, again=True)

    async def shown() -> dict[str, Any]:
        return nodes((await send(client, MORE)).json()["data"]["notifications"])[0]

    found = await shown()
    gid = ids.encode("Patient", patient.id)
    assert (found["retry"], found["times"], found["subject"]) == (
        {"kind": "PATIENT_DETAILS_RETRY", "id": gid},
        2,
        {"id": gid},
    )
    assert (2 <= len(found["steps"]) <= 4, found["supportEmail"]) == (True, None)
    async with resources.db.transaction() as session:
        assert note.fold
        await recording.settle(session, note.fold)
    assert ((await shown())["retry"], (await shown())["settledAt"] is not None) == (None, True)


async def test_whose_patient_it_is_no_more_sees_no_more_of_the_name(
    resources: Resources, people: People, sign_in: SignIn
) -> None:
    client, patient = await sign_in(people.dietician), await own_patient(resources, people.dietician)
    told = await sent(resources, people.dietician, patient)
    async with resources.db.transaction() as session:
        row = await session.get(Patient, patient.id)
        assert row is not None
        row.user_id = people.other_dietician.id
    listed = (await client.ask("NotificationList", first=9))["notifications"]
    assert (nodes(listed), listed["unreadCount"]) == ([], 0)
    assert await code(client, "NotificationsRead", ids=[told]) == "NOT_FOUND"


async def test_a_deleted_patient_is_named_nowhere(resources: Resources, people: People, sign_in: SignIn) -> None:
    client, patient = await sign_in(people.dietician), await own_patient(resources, people.dietician)
    await sent(resources, people.dietician, patient)
    await client.change("PatientDelete", "patientDelete", id=ids.encode("Patient", patient.id))
    assert (await client.ask("NotificationList", first=9))["notifications"]["totalCount"] == 0


async def test_the_stream_is_the_readers_own_and_replays(resources: Resources, people: People, sign_in: SignIn) -> None:
    mine, theirs = await sign_in(people.dietician), await sign_in(people.other_dietician)
    patient, other = [await own_patient(resources, it) for it in (people.dietician, people.other_dietician)]
    await sent(resources, people.dietician, patient)
    query = "subscription($after: Int) { notificationAdded(after: $after) { seq notification { id } } }"
    following = {
        name: asyncio.create_task(followed(client, "NotificationAdded", 1))
        for name, client in (("me", mine), ("they", theirs))
    }
    await asyncio.sleep(0.5)
    await sent(resources, people.other_dietician, other)
    assert await following["they"] == [1]
    assert not following["me"].done()
    await sent(resources, people.dietician, patient)
    assert await following["me"] == [2]
    for after, expected in ((0, [1, 2]), (1, [2])):
        seen: list[int] = []
        body = {"query": query, "variables": {"after": after}}
        async with mine._http.stream("POST", "/graphql/stream", json=body) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: {"):
                    seen.append(int(line.split('"seq":')[1].split(",")[0]))
                if len(seen) == len(expected):
                    break
        assert seen == expected
    assert await followed(await sign_in(None), "NotificationAdded", 1) == "UNAUTHENTICATED"


async def test_an_administrator_is_told_of_a_connection_and_where_it_leads(
    resources: Resources, people: People, sign_in: SignIn
) -> None:
    client = await sign_in(people.admin)
    async with resources.db.transaction() as session:
        provider = await factories.provider(session, resources.vault, NOWHERE)
        note = of_connection(provider, "PROVIDER_UNAUTHORIZED")
        await factories.notification(session, people.admin, note)
        assert note.fold == connection_fold(provider.id)
    (found,) = nodes((await client.ask("NotificationList", first=9))["notifications"])
    assert found["subject"] == {"__typename": "Provider", "id": ids.encode("Provider", provider.id)}
    assert provider.name in found["title"]
