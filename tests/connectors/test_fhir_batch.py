"""Many small files in one exchange, and what happens where a server does not play along."""

import base64
from collections import Counter
from typing import Any

import httpx
import msgspec
import pytest
from starlette.responses import Response

from app.connectors.provider import connect
from app.connectors.provider.port import (
    Attachment,
    Connection,
    Fetched,
    Limits,
    Provider,
    ProviderError,
    ProviderErrorCode,
    Strategy,
)
from app.core.settings import LOOPBACK
from tests.conftest import Sandbox
from tests.connectors.scripted import Asked, Scripted, outcome
from tests.connectors.scripted import fhir as reply

BATCH = "POST /fhir"
LIMITS = Limits(connect_seconds=2, read_seconds=2, total_seconds=5, attachment_bytes=1000)
Outcome = Fetched | ProviderError


def _connection(base: str, *, batch: bool | None = True, **given: Any) -> Connection:
    return Connection(base, strategy=Strategy(batch=batch), limits=LIMITS, networks=LOOPBACK, **given)


def _files(server: Scripted, count: int, size: int | None = 10) -> list[Attachment]:
    return [Attachment("text/plain", url=f"{server.base}/Binary/{n}", declared_size=size) for n in range(count)]


def _entry(name: str, **more: Any) -> dict[str, Any]:
    data = base64.b64encode(f"bytes of {name}".encode()).decode()
    resource = {"resourceType": "Binary", "id": name.removeprefix("Binary/"), "contentType": "text/plain", "data": data}
    return {"resource": resource, "response": {"status": "200 OK"}} | more


def _wanted(asked: Asked) -> list[str]:
    return [entry["request"]["url"] for entry in msgspec.json.decode(asked.body)["entry"]]


def _bundle(entries: list[dict[str, Any]]) -> Response:
    return reply({"resourceType": "Bundle", "type": "batch-response", "entry": entries})


def _serve(server: Scripted, **odd: dict[str, Any]) -> None:
    """A server that answers batches; `odd` entries by the id of their Binary. Single reads work too."""
    server.on(BATCH, lambda asked: _bundle([odd.get(f"b{it[7:]}", _entry(it)) for it in _wanted(asked)]))
    for number in range(60):
        server.on(f"GET /fhir/Binary/{number}", Response(f"bytes of Binary/{number}", media_type="text/plain"))


async def _fetched(provider: Provider, files: list[Attachment]) -> list[Outcome]:
    found = await provider.fetch_many(files)
    assert len(found) == len(files)
    return found


def _texts(found: list[Outcome]) -> list[str]:
    return [it.data.decode() if isinstance(it, Fetched) else it.code for it in found]


async def test_small_files_come_25_at_once_in_their_order(server: Scripted) -> None:
    _serve(server)
    async with connect(_connection(server.base)) as provider:
        found = await _fetched(provider, _files(server, 60))
    assert _texts(found) == [f"bytes of Binary/{n}" for n in range(60)]
    assert Counter(server.paths()) == {BATCH: 3}
    assert sorted(len(_wanted(asked)) for asked in server.asked) == [10, 25, 25]
    assert all(isinstance(it, Fetched) and it.content_type == "text/plain" for it in found)


@pytest.mark.parametrize("batch", [None, False])
async def test_where_batches_are_not_known_to_work_files_come_one_by_one(server: Scripted, batch: bool | None) -> None:
    _serve(server)
    async with connect(_connection(server.base, batch=batch)) as provider:
        found = await _fetched(provider, _files(server, 3))
    assert _texts(found) == [f"bytes of Binary/{n}" for n in range(3)]
    assert BATCH not in server.paths()


async def test_only_small_files_of_the_servers_own_go_into_a_batch(server: Scripted, elsewhere: Scripted) -> None:
    _serve(server)
    elsewhere.on("GET /fhir/Binary/3", Response("from elsewhere"))
    server.on("GET /fhir/files/a.txt", Response("no Binary"))
    odd = [
        Attachment(data=b"inline"),
        Attachment(url=f"{server.base}/Binary/1"),
        Attachment(url=f"{server.base}/Binary/2", declared_size=65_537),
        Attachment(url=f"{elsewhere.base}/Binary/3", declared_size=1),
        Attachment(url=f"{server.base}/files/a.txt", declared_size=1),
        Attachment(url=f"{server.base}/Binary/4?sig=1", declared_size=1),
        Attachment(url="http://[", declared_size=1),
        Attachment(),
    ]
    async with connect(_connection(server.base, file_hosts=(elsewhere.place,))) as provider:
        found = await _fetched(provider, [*odd, *_files(server, 2)])
    assert [_wanted(asked) for asked in server.asked if asked.method == "POST"] == [["Binary/0", "Binary/1"]]
    texts = _texts(found)
    assert texts[:5] == ["inline", "bytes of Binary/1", "bytes of Binary/2", "from elsewhere", "no Binary"]
    assert texts[5:8] == ["bytes of Binary/4", ProviderErrorCode.HOST_REFUSED, ProviderErrorCode.NOT_FOUND]


async def test_each_entry_has_its_own_error(server: Scripted) -> None:
    def failed(status: str, code: str = "") -> dict[str, Any]:
        issue = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code}]}
        return {"response": {"status": status} | ({"outcome": issue} if code else {})}

    _serve(
        server,
        b0=failed("404 Not Found"),
        b1=failed("410", "deleted"),
        b2=failed("403", "forbidden"),
        b3=failed("500", "lock-error"),
        b4=failed("429 Too Many Requests"),
    )
    async with connect(_connection(server.base)) as provider:
        found = await _fetched(provider, _files(server, 6))
        assert provider.learnt.batch
    codes = ProviderErrorCode
    expected = [codes.NOT_FOUND, codes.GONE, codes.FORBIDDEN, codes.UNAVAILABLE, codes.THROTTLED, "bytes of Binary/5"]
    assert _texts(found) == expected
    assert server.paths() == [BATCH]


@pytest.mark.parametrize(
    "entry",
    [
        _entry("Binary/7"),
        {},
        {"response": {"status": "200"}},
        {"response": {"status": "soon"}},
        {"response": {"status": "401"}},
        {"resource": {"resourceType": "Patient", "id": "1"}, "response": {"status": "200"}},
        {"resource": {"resourceType": "Binary", "id": "1"}, "response": {"status": "200"}},
    ],
)
async def test_an_entry_that_says_nothing_usable_is_fetched_by_itself(server: Scripted, entry: dict[str, Any]) -> None:
    _serve(server, b1=entry)
    async with connect(_connection(server.base)) as provider:
        found = await _fetched(provider, _files(server, 3))
        assert provider.learnt.batch
    assert _texts(found) == [f"bytes of Binary/{n}" for n in range(3)]
    assert server.paths() == [BATCH, "GET /fhir/Binary/1"]


@pytest.mark.parametrize(
    ("refusal", "kept"),
    [
        (outcome("not-supported", 405), False),
        (outcome("forbidden", 403), False),
        (Response("<html>", media_type="text/html"), False),
        (_bundle([_entry("Binary/0")]), False),
        (reply({"resourceType": "Bundle", "type": "searchset", "entry": [{}, {}, {}]}), False),
        (reply({"resourceType": "Bundle", "type": "batch-response", "entry": [{"resource": {"data": "?"}}]}), False),
        (Response("", 500), True),
        (Response('"' + "x" * 9_000_000 + '"', media_type="application/json"), True),
    ],
)
async def test_after_a_refusal_every_file_is_still_had(server: Scripted, refusal: Response, kept: bool) -> None:
    _serve(server)
    server.on(BATCH, refusal)
    async with connect(_connection(server.base)) as provider:
        for _ in range(2):
            assert _texts(await _fetched(provider, _files(server, 3))) == [f"bytes of Binary/{n}" for n in range(3)]
        assert provider.learnt.batch is kept
    assert server.paths().count(BATCH) <= 2
    assert kept or server.paths().count(BATCH) == 1


async def test_an_entry_that_is_not_supported_turns_batches_off(server: Scripted) -> None:
    _serve(server, b1={"response": {"status": "405"}})
    async with connect(_connection(server.base)) as provider:
        assert _texts(await _fetched(provider, _files(server, 2))) == ["bytes of Binary/0", "bytes of Binary/1"]
        assert provider.learnt.batch is False


async def test_a_server_that_asks_us_to_slow_down_is_not_asked_for_each_file(server: Scripted) -> None:
    _serve(server)
    server.on(BATCH, outcome("throttled", 429, Retry_After="7"))
    async with connect(_connection(server.base)) as provider:
        found = await _fetched(provider, _files(server, 3))
    assert [(it.code, it.retry_after) for it in found if isinstance(it, ProviderError)] == [
        ("PROVIDER_THROTTLED", 7)
    ] * 3
    assert server.paths() == [BATCH]


async def test_a_file_over_the_limit_is_too_large_also_in_a_batch(server: Scripted) -> None:
    large = base64.b64encode(b"x" * 1001).decode()
    resource = {"resourceType": "Binary", "id": "0", "data": large}
    _serve(server, b0={"resource": resource, "response": {"status": "200"}})
    async with connect(_connection(server.base)) as provider:
        found = await _fetched(provider, _files(server, 2))
    assert _texts(found) == [ProviderErrorCode.TOO_LARGE, "bytes of Binary/1"]


async def test_the_sandbox_answers_batches_and_counts_what_it_gave(sandbox: Sandbox) -> None:
    for number in range(30):
        data = base64.b64encode(f"note {number}".encode()).decode()
        binary = {"resourceType": "Binary", "id": f"b{number}", "contentType": "text/plain", "data": data}
        sandbox.ehr.put(binary)
    files = [Attachment(url=f"{sandbox.fhir}/Binary/b{n}", declared_size=9) for n in range(31)]
    async with connect(_connection(sandbox.fhir, batch=None)) as provider:
        assert (await provider.probe()).strategy.batch
    async with connect(_connection(sandbox.fhir)) as provider, httpx.AsyncClient(base_url=sandbox.ehr_url) as client:
        await client.post("/control/reset")
        found = await _fetched(provider, files)
        told = (await client.get("/control/requests")).json()
    assert _texts(found) == [*(f"note {n}" for n in range(30)), ProviderErrorCode.NOT_FOUND]
    assert told["downloads"] == {f"b{n}": 1 for n in range(30)}
    assert told["requests"] == {"POST /fhir": 2}
