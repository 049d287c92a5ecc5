"""HTTP and Server-Sent Events: what comes in is refused in words or answered, and never breaks anything."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from app.core.settings import Settings
from app.operations import operation
from tests.api.asking import SignIn, post, send
from tests.api.scene import Scene
from tests.conftest import People, free_port, serve_app

ME = "{ viewer { id } }"
DEEP = b"[" * 100_000


def problem(answer: httpx.Response) -> tuple[int, str]:
    error = answer.json()["errors"][0]
    assert error["message"]
    return answer.status_code, error["extensions"]["code"]


async def test_a_query_is_answered_over_post_and_over_get(people: People, sign_in: SignIn) -> None:
    client = await sign_in(people.dietician)
    posted = await send(client, ME)
    got = await client._http.get("/graphql", params={"query": ME})
    assert posted.json() == got.json() == {"data": {"viewer": {"id": people.dietician.gid}}}
    assert posted.headers["cache-control"] == "no-store"
    query = "query($id: ID!) { node(id: $id) { id } }"
    variables = json.dumps({"id": people.dietician.gid})
    got = await client._http.get("/graphql", params={"query": query, "variables": variables})
    assert got.json()["data"]["node"]["id"] == people.dietician.gid


async def test_who_accepts_event_streams_too_is_answered_in_json(people: People, sign_in: SignIn) -> None:
    client = await sign_in(people.dietician)
    accept = "application/graphql-response+json, application/json, text/event-stream, multipart/mixed"
    answer = await post(client, {"query": ME}, accept=accept)
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json()["data"]["viewer"]["id"] == people.dietician.gid


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"5",
        b"null",
        b'"text"',
        b"\xff\xfe{",
        b'{"query": "\xff"}',
        DEEP,
        b'{"a":' * 50_000,
        b'[{"query":"{ viewer { id } }"}]',
        b"{}",
        b'{"query":null}',
        b'{"query":""}',
        b'{"query":5}',
        b'{"query":"{ viewer { id } }","variables":[]}',
        b'{"query":"{ viewer { id } }","variables":"x"}',
        b'{"query":"{ viewer { id } }","extensions":5}',
        b'{"query":"{ viewer { id } }","operationName":"Nope"}',
        b'{"query":"{ viewer { id } }","operationName":["Nope"]}',
        b'{"query":"{ viewer { id } }","variables":{"a":"\\u0000"}}',
        b'{"query":"{ viewer { id } }","variables":{"\\ud800":1}}',
        b'{"query":"fragment F on User { id }"}',
        b'{"query":"subscription { syncActivity { seq } }"}',
    ],
    ids=range(24),
)
async def test_a_body_that_is_no_request_is_refused_with_400(people: People, sign_in: SignIn, body: bytes) -> None:
    client = await sign_in(people.dietician)
    assert problem(await post(client, body)) == (400, "BAD_REQUEST")
    assert (await send(client, ME)).status_code == 200


async def test_a_subscription_over_post_is_told_that_it_cannot_be(sign_in: SignIn) -> None:
    answer = await send(await sign_in(None), "subscription { syncActivity { seq } }")
    assert answer.status_code == 400
    assert "subscriptions are not allowed" in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    "query",
    [
        "{",
        "{ viewer { nope } }",
        "{ nope }",
        "{ patients { totalCount } }",
        '{ node(id: "a\\u0000") { id } }',
        "{ " + "a{" * 900,
        "{ " + "viewer { id } " * 1000 + "}",
        "query($a: Nope) { viewer { id } }",
        "{ viewer { ...F } } fragment F on User { ...F }",
        "query($first: Int!) { patients(first: $first) { totalCount } }",
        "{ patients(first: 99999999999) { totalCount } }",
    ],
    ids=range(11),
)
async def test_a_wrong_document_is_refused_with_a_code_and_without_data(
    people: People, sign_in: SignIn, query: str
) -> None:
    answer = await send(await sign_in(people.dietician), query)
    assert problem(answer) == (200, "BAD_REQUEST")
    assert answer.json()["data"] is None


@pytest.mark.parametrize(
    ("method", "options", "expected"),
    [
        ("GET", {"params": {"query": "mutation { sessionDelete { deleted } }"}}, (400, "BAD_REQUEST")),
        ("GET", {"params": {"query": ME, "variables": "[]"}}, (400, "BAD_REQUEST")),
        ("GET", {"params": {"query": ME, "variables": "{"}}, (400, "BAD_REQUEST")),
        ("GET", {"headers": {"accept": "application/json"}}, (400, "BAD_REQUEST")),
        ("POST", {"content": ME, "headers": {"content-type": "text/plain"}}, (400, "BAD_REQUEST")),
        ("POST", {"files": {"a": b"b"}}, (400, "BAD_REQUEST")),
        ("PUT", {"json": {"query": ME}}, (405, "METHOD_NOT_ALLOWED")),
        ("DELETE", {}, (405, "METHOD_NOT_ALLOWED")),
    ],
    ids=range(8),
)
async def test_another_way_of_asking_is_refused(
    people: People, sign_in: SignIn, method: str, options: dict[str, Any], expected: tuple[int, str]
) -> None:
    client = await sign_in(people.dietician)
    assert problem(await client._http.request(method, "/graphql", **options)) == expected
    assert (await send(client, ME)).json()["data"]["viewer"]["id"] == people.dietician.gid


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_over_the_limit_is_refused_announced_or_not(sign_in: SignIn, announced: bool) -> None:
    client = await sign_in(None)

    async def chunks() -> AsyncGenerator[bytes]:
        for _ in range(17):
            yield b" " * 1024 * 1024

    body = b" " * (17 * 1024 * 1024) if announced else chunks()
    answer = await client._http.post("/graphql", content=body, headers={"content-type": "application/json"})
    assert problem(answer) == (413, "TOO_LARGE")


@pytest.mark.parametrize("environment", ["development", "production"])
async def test_the_ide_is_there_in_development_only(settings: Settings, environment: str) -> None:
    wanted = settings.model_copy(update={"environment": environment, "port": free_port()})
    async with serve_app(wanted) as url, httpx.AsyncClient(base_url=url, trust_env=False) as http:
        answer = await http.get("/graphql", headers={"accept": "text/html"})
        assert ("GraphiQL" in answer.text) == (environment == "development")
        assert answer.status_code == (200 if environment == "development" else 404)
        assert (await http.get("/healthz")).status_code == 200


async def test_no_path_answers_with_a_traceback(sign_in: SignIn) -> None:
    client = await sign_in(None)
    for path in ("/nope", "/files/x", "/graphql/", "/graphql/stream/x", "/../etc/passwd", "/%00", "/files/%ff"):
        answer = await client._http.get(path)
        assert answer.status_code in (307, 404), path
        assert "Traceback" not in answer.text


def events(answer: httpx.Response) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for block in answer.text.replace("\r\n", "\n").strip().split("\n\n"):
        lines: dict[str, str] = {}
        for line in block.split("\n"):
            name, _, value = line.partition(": ")
            if name:
                lines[name] = value
        if lines:
            data = lines.get("data", "")
            found.append((lines["event"], json.loads(data) if data else None))
    return found


async def test_a_stream_tells_a_runs_events_and_its_end(scene: Scene) -> None:
    body = {"query": operation("SyncProgress"), "variables": {"runId": scene.ids["run"]}}
    answer = await post(scene.clients["owner"], body, "/graphql/stream", accept="text/event-stream")
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = events(answer)
    assert [name for name, _ in told] == ["next", "next", "complete"]
    assert [data["data"]["syncProgress"]["kind"] for _, data in told[:-1]] == ["RUN_QUEUED", "RUN_FINISHED"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"query": "{"}, "BAD_REQUEST"),
        ({"query": "subscription { nope }"}, "BAD_REQUEST"),
        ({"query": "subscription { syncActivity { seq } }", "operationName": "Nope"}, "BAD_REQUEST"),
        ({"query": "subscription($a: Int!) { syncActivity(after: $a) { seq } }"}, "BAD_REQUEST"),
        ({"query": 'subscription { syncProgress(runId: "x") { seq } }'}, "NOT_FOUND"),
        ({"query": 'subscription { syncProgress(runId: "x", after: -1) { seq } }'}, "NOT_FOUND"),
    ],
    ids=range(6),
)
async def test_a_wrong_stream_is_refused_in_the_stream_and_ends(scene: Scene, body: Any, code: str) -> None:
    told = events(await post(scene.clients["owner"], body, "/graphql/stream"))
    assert [name for name, _ in told] == ["next", "complete"]
    assert [error["extensions"]["code"] for error in told[0][1]["errors"]] == [code]


@pytest.mark.parametrize("body", [b"[]", b"{", DEEP, b'{"query":5}', b'[{"query":"{ viewer { id } }"}]'], ids=range(5))
async def test_a_stream_that_is_no_request_is_refused_with_400(scene: Scene, body: bytes) -> None:
    assert problem(await post(scene.clients["owner"], body, "/graphql/stream")) == (400, "BAD_REQUEST")
