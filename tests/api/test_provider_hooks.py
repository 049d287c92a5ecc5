"""Where providers notify us: everything that is not proven, fresh, small and understood is refused, and nothing changes."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.api.kit import ids
from app.core.resources import Resources
from app.domain.updates import rules
from app.rest import hooks
from app.rest.provider_hooks import MAX_BODY
from tests import factories
from tests.conftest import People
from tests.domain.rows import everything, rows, sql
from tests.runs import SignIn
from tests.updating import Feed, notification, turned_on

EVENT = notification((1, "DocumentReference/a"))


@pytest.fixture
async def feed(resources: Resources, people: People, sign_in: SignIn, server: str) -> AsyncGenerator[Feed]:
    """Turned on, with no worker that would do anything about it."""
    async with resources.db.transaction() as session:
        provider = await factories.provider(session, resources.vault, "http://127.0.0.1:9/fhir")
        row = await factories.patient(
            session, people.dietician, primary_provider_id=provider.id, provider_patient_id="amara"
        )
    yield await turned_on(resources, people, sign_in, ids.encode("Patient", row.id), server)
    for table in ("subscription_notifications", "subscriptions"):
        await sql(resources, f"DELETE FROM {table}")


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"secret": "guessed"}, 401),
        ({"timestamp": int(time.time()) - 86_400}, 401),
        ({"timestamp": int(time.time()) + 86_400}, 401),
        ({"headers": {}}, 401),
        ({"headers": {rules.SECRET_HEADER: "guessed"}}, 401),
        ({"subscription_id": uuid4()}, 401),
        ({"body": b"rubbish"}, 400),
        ({"body": b"[1, 2]"}, 400),
        ({"body": b'{"resourceType":"Patient","id":"amara"}'}, 400),
        ({"body": b'{"resourceType":"Bundle","entry":[]}'}, 400),
        ({"body": b" " * (MAX_BODY + 1)}, 413),
        ({"method": "GET"}, 405),
        ({"path": "/Observation/1", "body": b""}, 400),
    ],
    ids=[
        "wrong secret",
        "stale",
        "from the future",
        "no proof",
        "wrong header",
        "unknown subscription",
        "rubbish",
        "no object",
        "another resource",
        "an empty Bundle",
        "too large",
        "GET",
        "another address",
    ],
)
async def test_what_is_refused_changes_nothing(feed: Feed, given: dict[str, Any], status: int) -> None:
    before = await everything(feed.resources)
    body = given.pop("body", EVENT)
    answer = await feed.post(body, **given)
    assert answer.status_code == status, answer.text
    assert "amara" not in answer.text
    assert await everything(feed.resources) == before


async def test_a_body_of_unknown_length_is_cut_off_too(feed: Feed) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b" " * 65536

    row = await feed.row()
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        answer = await client.post(f"{feed.url}/hooks/providers/{row.id}", content=endless())
    assert answer.status_code == 413


async def test_who_sends_slowly_keeps_nobody_waiting_and_is_let_go(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    place, port = f"/hooks/providers/{(await feed.row()).id}", feed.url.rpartition(":")[2]

    async def half() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
        writer.write(f"POST {place} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{{".encode())
        await writer.drain()
        return reader, writer

    monkeypatch.setattr(hooks, "SECONDS", 3600)
    waiting = [await half() for _ in range(hooks.AT_ONCE + 1)]
    assert (await feed.post(EVENT)).status_code == 200
    for _, writer in waiting:
        writer.close()
    monkeypatch.setattr(hooks, "SECONDS", 0.2)
    reader, writer = await half()
    assert (await asyncio.wait_for(reader.read(), 30)).startswith(b"HTTP/1.1 408 ")
    writer.close()


async def test_a_notification_of_another_subscription_is_not_taken_for_ours(feed: Feed) -> None:
    await sql(feed.resources, "UPDATE subscriptions SET remote_id = 'ours'")
    before = await everything(feed.resources)
    foreign = notification((1, "DocumentReference/a"), remote="theirs")
    assert (await feed.post(foreign)).status_code == 404
    assert await everything(feed.resources) == before
    ours = notification((1, "DocumentReference/a"), remote="ours")
    assert (await feed.post(ours)).status_code == 200


async def test_known_and_unknown_patients_get_the_same_answer(feed: Feed) -> None:
    answers = [
        await feed.post(
            f'{{"resourceType":"DocumentReference","id":"{who}","subject":{{"reference":"Patient/{who}"}}}}'.encode()
        )
        for who in ("amara", "nobody")
    ]
    assert {(it.status_code, it.content) for it in answers} == {(200, b"")}


async def test_copies_at_once_leave_one_event_and_one_piece_of_work(feed: Feed) -> None:
    answers = await asyncio.gather(*[feed.post(EVENT) for _ in range(30)])
    assert {it.status_code for it in answers} == {200}
    assert await rows(feed.resources, "SELECT event_number, focus FROM subscription_notifications") == [
        (1, "DocumentReference/a")
    ]
    work = "SELECT count(*) FROM work WHERE kind = 'updates.notified' AND done_at IS NULL AND subject_id = :id"
    assert await rows(feed.resources, work, id=(await feed.row()).id) == [1]


async def test_an_empty_call_and_a_deleted_resource_by_its_address_are_understood(feed: Feed) -> None:
    assert (await feed.post(b"")).status_code == 200
    assert (await feed.post(b"", path="/DocumentReference/gone", method="DELETE")).status_code == 200
    found = await rows(feed.resources, "SELECT focus, removed FROM subscription_notifications ORDER BY focus")
    assert found == [("", False), ("DocumentReference/gone", True)]


async def test_a_handshake_activates_and_one_that_counts_anew_begins_a_generation(feed: Feed) -> None:
    assert (await feed.post(notification(kind="handshake", status="requested", so_far=0))).status_code == 200
    assert (await feed.row()).status == "ACTIVE"
    await feed.post(notification((1, "DocumentReference/a"), (2, "DocumentReference/b")))
    for _ in range(2):
        await feed.post(notification(kind="handshake", status="requested", so_far=0))
    row = await feed.row()
    assert (row.generation, row.last_event) == (2, 0)
    assert (await feed.post(notification((1, "DocumentReference/c")))).status_code == 200
    focuses = await rows(feed.resources, "SELECT focus FROM subscription_notifications ORDER BY focus")
    assert focuses == ["DocumentReference/a", "DocumentReference/b", "DocumentReference/c"]


async def test_a_provider_that_says_it_has_stopped_is_asked_about_it(feed: Feed) -> None:
    await sql(feed.resources, "UPDATE work SET done_at = now()")
    await feed.post(notification(kind="heartbeat", status="error", so_far=0))
    row = await feed.row()
    assert (row.status, row.error_code) == ("ERROR", "SUBSCRIPTION_STOPPED")
    asked = "SELECT kind FROM work WHERE subject_id = :id AND done_at IS NULL"
    assert await rows(feed.resources, asked, id=row.id) == ["updates.reconcile"]


async def test_only_who_proves_it_learns_that_there_is_a_subscription(feed: Feed) -> None:
    row = await feed.row()
    await sql(feed.resources, "UPDATE subscriptions SET status = 'OFF'")
    strangers = [
        await feed.post(EVENT, subscription_id=it, headers={rules.SECRET_HEADER: "guessed"}) for it in (row.id, uuid4())
    ]
    assert {(it.status_code, it.content) for it in strangers} == {(401, strangers[0].content)}
    assert (await feed.post(EVENT)).status_code == 404
