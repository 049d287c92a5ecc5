"""graphql-transport-ws: sessions, operations side by side, and frames of all kinds."""

import asyncio
import json
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from app.core.resources import Resources
from tests.api.asking import SignIn, send
from tests.api.scene import Scene
from tests.api.sockets import Wire, bearer, wire
from tests.api.test_sync import connected, started
from tests.conftest import People

ME = "{ viewer { id } }"


async def works(socket: Wire, key: str = "still") -> bool:
    await socket.subscribe(key, ME)
    return (await socket.until(key))[0]["payload"]["data"]["viewer"]["id"] != ""


async def test_queries_mutations_and_subscriptions_go_over_one_socket(scene: Scene, server: str) -> None:
    async with wire(server) as socket:
        assert await socket.begin(bearer(scene.clients["owner"])) == {"type": "connection_ack"}
        await socket.subscribe("q", ME)
        answer = await socket.until("q")
        assert answer[0]["payload"]["data"]["viewer"]["id"] == scene.people["owner"].gid
        assert answer[1] == {"type": "complete", "id": "q"}
        await socket.ask("m", "DocumentDelete", id="garbage")
        assert (await socket.until("m"))[0]["payload"]["data"]["documentDelete"]["userErrors"][0]["code"] == "NOT_FOUND"
        await socket.ask("s", "SyncProgress", runId=scene.ids["run"])
        seen = await socket.until("s")
        assert [it["payload"]["data"]["syncProgress"]["seq"] for it in seen[:-1]] == [1, 2]
        await socket.send({"type": "ping"})
        assert await socket.receive() == {"type": "pong"}


async def test_the_header_of_the_handshake_is_a_session_too(scene: Scene, server: str) -> None:
    async with wire(server, additional_headers=bearer(scene.clients["owner"])) as socket:
        assert await socket.begin() == {"type": "connection_ack"}
        assert await works(socket)


@pytest.mark.parametrize(
    "token", ["Bearer nonsense", "Bearer \ud800", "Bearer é", "nonsense", 5, ["Bearer"], {"a": 1}], ids=range(7)
)
async def test_a_bad_token_is_turned_away(server: str, token: Any) -> None:
    async with wire(server) as socket:
        await socket.send({"type": "connection_init", "payload": {"Authorization": token}})
        assert await socket.closed() == 4403


async def test_without_a_token_only_what_is_open_can_be_asked(people: People, server: str) -> None:
    async with wire(server) as socket:
        assert await socket.begin({}) == {"type": "connection_ack"}
        await socket.subscribe("q", ME)
        answer = await socket.until("q")
        assert answer[0]["payload"]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        await socket.ask("s", "SyncActivity")
        answer = await socket.until("s")
        assert [it["type"] for it in answer] == ["error"]
        assert answer[0]["payload"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        await socket.ask("m", "SessionCreate", input={"email": people.admin.email, "password": "x"})
        assert (await socket.until("m"))[0]["payload"]["data"]["sessionCreate"]["session"] is None


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"query": "{"}, "BAD_REQUEST"),
        ({"query": ""}, "BAD_REQUEST"),
        ({"query": "subscription {"}, "BAD_REQUEST"),
        ({"query": "{ nope }"}, "BAD_REQUEST"),
        ({"query": ME, "operationName": "Nope"}, "BAD_REQUEST"),
        ({"query": "fragment F on User { id }"}, "BAD_REQUEST"),
        ({"query": "query($a: Int!) { patients(first: $a) { totalCount } }"}, "BAD_REQUEST"),
        ({"query": ME, "variables": {"a": "\x00"}}, "BAD_REQUEST"),
        ({"query": 'subscription { syncProgress(runId: "x") { seq } }'}, "NOT_FOUND"),
    ],
    ids=range(9),
)
async def test_a_wrong_operation_ends_itself_and_not_the_socket(
    scene: Scene, server: str, payload: dict[str, Any], code: str
) -> None:
    async with wire(server) as socket:
        await socket.begin(bearer(scene.clients["owner"]))
        await socket.ask("open", "SyncActivity")
        await socket.send({"type": "subscribe", "id": "bad", "payload": payload})
        answer = await socket.until("bad")
        errors = answer[0]["payload"] if answer[0]["type"] == "error" else answer[0]["payload"]["errors"]
        assert errors[0]["extensions"]["code"] == code
        assert errors[0]["message"]
        assert await works(socket)


FRAMES = (
    "[]",
    "5",
    "null",
    '"text"',
    "{}",
    "{",
    "",
    b"\x00\x01",
    "[" * 50_000,
    {"type": "nonsense"},
    {"type": 5},
    {"type": ["subscribe"]},
    {"type": "connection_init", "payload": 5},
    {"type": "connection_init"},
    {"type": "subscribe"},
    {"type": "subscribe", "id": "1"},
    {"type": "subscribe", "id": "1", "payload": 5},
    {"type": "subscribe", "id": "1", "payload": {}},
    {"type": "subscribe", "id": "1", "payload": {"query": 5}},
    {"type": "subscribe", "id": "1", "payload": {"query": ME, "variables": []}},
    {"type": "subscribe", "id": "1", "payload": {"query": ME, "operationName": []}},
    {"type": "subscribe", "id": 5, "payload": {"query": ME}},
    {"type": "subscribe", "id": ["1"], "payload": {"query": ME}},
    {"type": "subscribe", "id": "", "payload": {"query": ME}},
    {"type": "complete"},
    {"type": "complete", "id": {}},
)


@pytest.mark.parametrize("frame", FRAMES, ids=range(len(FRAMES)))
async def test_a_frame_that_is_none_ends_that_socket_in_words_and_no_other(
    scene: Scene, server: str, frame: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with wire(server) as other, wire(server) as socket:
        for it in (other, socket):
            await it.begin(bearer(scene.clients["owner"]))
        await socket.send(frame)
        assert await socket.closed() in (4400, 4429)
        assert await works(other)
    assert "Traceback" not in caplog.text


async def test_an_operation_before_the_session_ends_the_socket(server: str) -> None:
    async with wire(server) as socket:
        await socket.subscribe("1", ME)
        assert await socket.closed() == 4401


async def test_one_id_is_one_operation_until_it_ends(scene: Scene, server: str) -> None:
    async with wire(server) as socket:
        await socket.begin(bearer(scene.clients["owner"]))
        await socket.ask("same", "SyncActivity")
        await socket.send({"type": "complete", "id": "same"})
        await socket.send({"type": "complete", "id": "never was"})
        assert await works(socket, "same")
        await socket.ask("twice", "SyncActivity")
        await socket.ask("twice", "SyncActivity")
        assert await socket.closed() == 4409


async def test_another_protocol_and_another_origin_are_turned_away(server: str) -> None:
    async with wire(server, subprotocols=["graphql-ws"]) as socket:
        assert await socket.closed() == 4406
    with pytest.raises(InvalidStatus):
        async with wire(server, origin="https://evil.example.test"):
            pass
    async with wire(server, origin=server) as socket:
        assert (await socket.begin())["type"] == "connection_ack"


async def test_two_sockets_and_a_late_one_see_the_same_run(
    resources: Resources, people: People, sign_in: SignIn, server: str
) -> None:
    client = await sign_in(people.dietician)
    run = await started(client, await connected(resources, people.dietician))
    async with wire(server) as one, wire(server) as two, wire(server) as late:
        for it in (one, two):
            await it.begin(bearer(client))
            await it.ask("s", "SyncProgress", runId=run["id"])
            assert (await it.receive())["payload"]["data"]["syncProgress"]["seq"] == 1
        await client.change("SyncCancel", "syncCancel", runId=run["id"])
        assert [len(await it.until("s")) for it in (one, two)] == [2, 2]
        await late.begin(bearer(client))
        await late.ask("s", "SyncProgress", runId=run["id"])
        assert len(await late.until("s")) == 3
        await late.ask("again", "SyncProgress", runId=run["id"], after=1)
        assert [it["type"] for it in await late.until("again")] == ["next", "complete"]


async def test_signing_out_ends_the_subscriptions_and_the_rights_of_a_socket(
    people: People, sign_in: SignIn, server: str
) -> None:
    client = await sign_in(people.dietician)
    async with wire(server) as socket:
        await socket.begin(bearer(client))
        await socket.ask("s", "SyncActivity")
        await socket.subscribe("q", ME)
        await socket.until("q")
        await send(client, "mutation { sessionDelete { deleted } }")
        ended = await asyncio.wait_for(socket.until("s"), 15)
        assert json.dumps(ended).count("UNAUTHENTICATED") == 1
        await socket.subscribe("q", ME)
        assert (await socket.until("q"))[0]["payload"]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
