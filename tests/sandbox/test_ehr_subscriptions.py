"""The sandbox as one that notifies: handshake, numbers, signatures, retries, and errors."""

import asyncio
import contextlib
import hashlib
import hmac
import json
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.ehr.store import Store
from sandbox.ehr.subscriptions import BACKPORT, FEED
from sandbox.serve import serving
from tests.sandbox.conftest import document


@dataclass
class Listener:
    """A subscriber that takes what `status` says."""

    url: str = ""
    status: int = 200
    heard: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list[Any])

    async def hear(self, request: Request) -> Response:
        self.heard.append((request.method, request.url.path, dict(request.headers), await request.body()))
        return Response(status_code=self.status)

    async def until(self, wanted: Callable[[list[Any]], bool], seconds: float = 10) -> None:
        async with asyncio.timeout(seconds):
            while not wanted(self.heard):  # noqa: ASYNC110 - another task appends
                await asyncio.sleep(0.01)

    def bundles(self) -> list[dict[str, Any]]:
        return [told(json.loads(body)) for *_, body in self.heard]


@pytest.fixture
async def listener() -> AsyncGenerator[Listener]:
    found = Listener()
    methods = ["POST", "PUT"]
    app = Starlette(routes=[Route("/{path:path}", found.hear, methods=methods)])
    async with serving(app) as url:
        found.url = f"{url}/hook/me"
        yield found


def told(bundle: dict[str, Any]) -> dict[str, Any]:
    """A notification in short."""
    parameters = bundle["entry"][0]["resource"]["parameter"]
    single = {it["name"]: it for it in parameters}
    events = [{part["name"]: part for part in it["part"]} for it in parameters if it["name"] == "notification-event"]
    return {
        "type": single["type"]["valueCode"],
        "status": single["status"]["valueCode"],
        "so_far": single["events-since-subscription-start"]["valueString"],
        "events": [
            (it["event-number"]["valueString"], it.get("focus", {}).get("valueReference", {}).get("reference", ""))
            for it in events
        ],
        "methods": [entry["request"]["method"] for entry in bundle["entry"][1:]],
        "resources": [entry.get("resource", {}).get("id") for entry in bundle["entry"][1:]],
    }


def wanted(listener: Listener, content: str | None = "id-only", **given: Any) -> dict[str, Any]:
    channel: dict[str, Any] = {
        "type": "rest-hook",
        "endpoint": listener.url,
        "payload": "application/fhir+json",
        "header": ["X-Healthrecords-Secret: hush", "X-Other: as it is"],
    }
    if content:
        channel["_payload"] = {"extension": [{"url": f"{BACKPORT}backport-payload-content", "valueCode": content}]}
    filters = {
        "extension": [
            {"url": f"{BACKPORT}backport-filter-criteria", "valueString": "DocumentReference?trigger=feed-event"}
        ]
    }
    return {
        "resourceType": "Subscription",
        "status": "active",
        "reason": "test",
        "criteria": FEED,
        "_criteria": filters,
        "channel": channel,
    } | given


async def subscribed(ehr: httpx.AsyncClient, resource: dict[str, Any], status: str = "active") -> str:
    made = await ehr.post("/Subscription", json=resource)
    assert (made.status_code, made.json()["status"]) == (201, "requested"), made.text
    return await settled(ehr, made.json()["id"], status)


async def settled(ehr: httpx.AsyncClient, subscription_id: str, status: str) -> str:
    async with asyncio.timeout(15):
        while (await ehr.get(f"/Subscription/{subscription_id}")).json()["status"] != status:  # noqa: ASYNC110 - the server sees to it
            await asyncio.sleep(0.02)
    return subscription_id


async def test_a_handshake_comes_first_and_activates(ehr: httpx.AsyncClient, listener: Listener) -> None:
    await subscribed(ehr, wanted(listener))
    assert listener.bundles() == [
        {"type": "handshake", "status": "requested", "so_far": "0", "events": [], "methods": [], "resources": []}
    ]


async def test_changes_are_numbered_signed_and_named_without_their_content(
    ehr: httpx.AsyncClient, ehr_store: Store, listener: Listener
) -> None:
    await subscribed(ehr, wanted(listener))
    ehr_store.put_many([document(1), document(2), {"resourceType": "Patient", "id": "p1"}])
    await listener.until(lambda heard: len(heard) == 2)
    ehr_store.put(document(2))
    ehr_store.delete("DocumentReference", "p1-d0001")
    await listener.until(lambda heard: len(heard) == 3)

    first, second = listener.bundles()[1:]
    assert [number for number, _ in first["events"]] == ["1", "2"]
    assert first["events"][0][1].endswith("/fhir/DocumentReference/p1-d0001")
    assert (first["methods"], first["resources"], first["so_far"]) == (["POST", "POST"], [None, None], "2")
    assert (second["so_far"], second["methods"]) == ("3", ["DELETE"])
    for _, _, headers, body in listener.heard:
        assert "x-healthrecords-secret" not in headers
        assert headers["x-other"] == "as it is"
        text = f"me.{headers['x-healthrecords-timestamp']}.".encode() + body
        assert headers["x-healthrecords-signature"] == f"v1={hmac.new(b'hush', text, hashlib.sha256).hexdigest()}"


@pytest.mark.parametrize(
    ("content", "focus", "resource"), [("empty", "", []), ("full-resource", "p1-d0001", ["p1-d0001"])]
)
async def test_how_much_is_told_is_as_asked(
    ehr: httpx.AsyncClient, ehr_store: Store, listener: Listener, content: str, focus: str, resource: list[str]
) -> None:
    await subscribed(ehr, wanted(listener, content))
    ehr_store.put(document(1))
    await listener.until(lambda heard: len(heard) == 2)
    found = listener.bundles()[1]
    assert found["events"][0][1].rpartition("/")[2] == focus
    assert found["resources"] == resource


async def test_without_signing_the_header_is_sent_as_it_stands(
    ehr: httpx.AsyncClient, ehr_store: Store, listener: Listener
) -> None:
    ehr_store.db.set("subscriptions.unsigned", "1")
    await subscribed(ehr, wanted(listener))
    headers = listener.heard[0][2]
    assert headers["x-healthrecords-secret"] == "hush"
    assert "x-healthrecords-signature" not in headers


async def test_an_endpoint_that_goes_on_to_fail_ends_in_error_and_its_events_are_counted(
    ehr: httpx.AsyncClient, ehr_store: Store, listener: Listener
) -> None:
    subscription_id = await subscribed(ehr, wanted(listener))
    listener.status = 503
    ehr_store.put(document(1))
    await settled(ehr, subscription_id, "error")
    assert len(listener.heard) == 4, "a handshake and three tries"
    assert "503" in (await ehr.get(f"/Subscription/{subscription_id}")).json()["error"]
    listener.status = 200
    ehr_store.put(document(2))
    stored = (await ehr.get(f"/Subscription/{subscription_id}")).json()
    await ehr.put(f"/Subscription/{subscription_id}", json={**stored, "status": "requested"})
    await settled(ehr, subscription_id, "active")
    assert listener.bundles()[-1]["type"] == "handshake"
    assert listener.bundles()[-1]["so_far"] == "2"


async def test_a_handshake_that_fails_is_an_error(ehr: httpx.AsyncClient, listener: Listener) -> None:
    listener.status = 401
    await subscribed(ehr, wanted(listener), "error")


async def test_r4s_own_way_sends_the_resource_or_an_empty_body(
    ehr: httpx.AsyncClient, ehr_store: Store, listener: Listener
) -> None:
    plain = wanted(listener, None, criteria="DocumentReference?patient=p1")
    del plain["_criteria"]
    with_body = await subscribed(ehr, plain)
    ehr_store.put(document(1))
    ehr_store.put(document(1, patient="p2"))
    await listener.until(lambda heard: len(heard) == 1)
    method, path, _, body = listener.heard[0]
    assert (method, path) == ("PUT", "/hook/me/DocumentReference/p1-d0001")
    assert json.loads(body)["id"] == "p1-d0001"
    await ehr.delete(f"/Subscription/{with_body}")
    del plain["channel"]["payload"]
    await subscribed(ehr, plain)
    ehr_store.put(document(2))
    await listener.until(lambda heard: len(heard) == 2)
    assert (listener.heard[1][0], listener.heard[1][3]) == ("POST", b"")


async def test_a_deleted_or_ended_subscription_hears_nothing(
    ehr: httpx.AsyncClient, ehr_store: Store, listener: Listener
) -> None:
    gone = await subscribed(ehr, wanted(listener))
    ended = await subscribed(ehr, wanted(listener))
    await ehr.delete(f"/Subscription/{gone}")
    stored = (await ehr.get(f"/Subscription/{ended}")).json()
    await ehr.put(f"/Subscription/{ended}", json={**stored, "status": "off"})
    before = len(listener.heard)
    ehr_store.put(document(1))
    with contextlib.suppress(TimeoutError):
        # That nothing comes is seen by waiting a little.
        await listener.until(lambda heard: len(heard) > before, seconds=0.3)
    assert len(listener.heard) == before


async def test_a_heartbeat_counts_what_was_not_sent(ehr: httpx.AsyncClient, listener: Listener) -> None:
    await subscribed(ehr, wanted(listener))
    sent = await ehr.post(str(ehr.base_url).replace("/fhir/", "/control/heartbeat"))
    assert sent.json() == {"sent": 1}
    await listener.until(lambda heard: len(heard) == 2)
    assert listener.bundles()[1]["type"] == "heartbeat"


@pytest.mark.parametrize(
    "given",
    [
        {"criteria": "Nonsense?a=b"},
        {"criteria": None},
        {"criteria": "http://example.test/another-topic"},
        {"channel": {"type": "email", "endpoint": "mailto:a@b.c"}},
        {"channel": {"type": "rest-hook", "endpoint": "file:///etc"}},
        {"channel": {"type": "rest-hook", "endpoint": "http://x", "header": "no list"}},
        {"channel": "none"},
    ],
    ids=range(7),
)
async def test_a_subscription_that_cannot_be_served_is_refused(
    ehr: httpx.AsyncClient, listener: Listener, given: dict[str, Any]
) -> None:
    answer = await ehr.post("/Subscription", json=wanted(listener, **given))
    assert answer.status_code == 422
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert (await ehr.get("/Subscription")).json()["total"] == 0


async def test_the_capability_statement_offers_the_topic(ehr: httpx.AsyncClient, ehr_store: Store) -> None:
    async def offered() -> list[str]:
        resources = (await ehr.get("/metadata")).json()["rest"][0]["resource"]
        found = next(it for it in resources if it["type"] == "Subscription")
        return [it["valueCanonical"] for it in found.get("extension", [])]

    assert await offered() == [FEED]
    ehr_store.db.set("subscriptions.plain", "1")
    assert await offered() == []
