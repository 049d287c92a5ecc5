"""Bulk exports: at the sandbox, and at servers that answer what they like."""

import asyncio
import gzip
import json
from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import pytest
from starlette.responses import Response

from app.connectors.provider import connect_bulk
from app.connectors.provider.bulk import BulkProvider, Line, Manifest, Waiting
from app.connectors.provider.fhir import bulk
from app.connectors.provider.port import (
    Auth,
    AuthKind,
    Connection,
    Limits,
    ProviderError,
    ProviderErrorCode,
    Unreadable,
)
from tests import factories
from tests.conftest import Sandbox
from tests.connectors.scripted import Scripted, fhir, outcome
from tests.sandbox.test_ehr_bulk import group

LOCAL = ("127.0.0.0/8",)
TOKEN = Auth(AuthKind.BEARER, token="secret")
START = "GET /fhir/Group/g/$export"
STATUS = "GET /status/1"
BASE = "http://here/fhir"


def manifest(*urls: str, **more: object) -> Response:
    output = [{"type": "DocumentReference", "url": url} for url in urls]
    return fhir({"transactionTime": "2026-11-20T10:00:00Z", "requiresAccessToken": True, "output": output, **more})


def ndjson(text: str | bytes, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(text, headers=named, media_type="application/fhir+ndjson")


@pytest.fixture
async def opened(server: Scripted) -> AsyncGenerator[BulkProvider]:
    server.on(START, Response(status_code=202, headers={"Content-Location": f"{server.origin}/status/1"}))
    limits = Limits(page_bytes=1000)
    async with connect_bulk(Connection(server.base, TOKEN, networks=LOCAL, limits=limits)) as found:
        yield found


async def lines(opened: BulkProvider, url: str, *, token: bool = True) -> list[Line]:
    return [line async for line in opened.export_lines(url, token=token)]


async def refused(opened: BulkProvider, url: str) -> ProviderErrorCode:
    with pytest.raises(ProviderError) as error:
        await lines(opened, url)
    return error.value.code


async def test_an_export_of_the_sandbox_from_beginning_to_end(sandbox: Sandbox) -> None:
    for name in ("amara", "bela"):
        sandbox.ehr.put_many(factories.resources(name, notes=2, reports=1))
    sandbox.ehr.put(group("amara", "bela"))
    sandbox.ehr.set_open(False)
    sandbox.ehr.register_client("us", "bearer", secret="secret", scopes="system/*.rs")
    async with connect_bulk(Connection(sandbox.fhir, TOKEN, networks=LOCAL)) as opened:
        status = await opened.export_start("g", None)
        waiting = await opened.export_status(status)
        assert waiting == Waiting(1, "50%")
        with pytest.raises(ProviderError) as hasty:
            await opened.export_status(status)
        assert hasty.value.code is ProviderErrorCode.THROTTLED
        assert hasty.value.retry_after
        sandbox.ehr.clients.expire_tokens()
        await asyncio.sleep(hasty.value.retry_after)
        found = await opened.export_status(status)
        assert isinstance(found, Manifest)
        read = [
            bulk.about(line.data or b"", sandbox.fhir)
            for file in found.output
            for line in await lines(opened, file.url, token=found.requires_token)
        ]
        assert sorted(read) == sorted(
            (f"{kind}/{name}-{short}-{n}", f"Patient/{name}")
            for name in ("amara", "bela")
            for kind, short, count in (("DocumentReference", "note", 2), ("DiagnosticReport", "report", 1))
            for n in range(count)
        )
        assert [file.count for file in found.output] == [4, 2]
        await opened.export_cancel(status)
        await opened.export_cancel(status)
        with pytest.raises(ProviderError) as gone:
            await opened.export_status(status)
        assert gone.value.code is ProviderErrorCode.NOT_FOUND


async def test_what_is_asked_for_is_what_the_guide_says(opened: BulkProvider, server: Scripted) -> None:
    await opened.export_start("g", datetime(2026, 11, 1, 8, tzinfo=UTC))
    asked = server.asked[0]
    assert asked.headers["prefer"] == "respond-async"
    assert asked.headers["accept"] == "application/fhir+json"
    assert asked.query == {
        "_outputFormat": "application/fhir+ndjson",
        "_type": "DocumentReference,DiagnosticReport",
        "_since": "2026-11-01T08:00:00.000Z",
    }
    server.on("GET /fhir/Patient/$export", Response(status_code=202, headers={"Content-Location": "../status/2"}))
    assert await opened.export_start("", None) == f"{server.origin}/status/2"
    assert "_since" not in server.asked[1].query


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Response(status_code=202), "PROVIDER_BAD_RESPONSE"),
        (fhir({"resourceType": "Bundle"}), "PROVIDER_BAD_RESPONSE"),
        (outcome("not-supported", 400), "PROVIDER_NOT_SUPPORTED"),
        (outcome("throttled", 429, Retry_After="7"), "PROVIDER_THROTTLED"),
        (Response(status_code=202, headers={"Content-Location": "https://evil.example/s"}), "ATTACHMENT_HOST_REFUSED"),
        (Response(status_code=202, headers={"Content-Location": "http://[x"}), "ATTACHMENT_HOST_REFUSED"),
    ],
)
async def test_an_export_that_does_not_begin(
    opened: BulkProvider, server: Scripted, answer: Response, code: str
) -> None:
    server.on(START, answer)
    with pytest.raises(ProviderError) as error:
        await opened.export_start("g", None)
    assert error.value.code == code
    assert error.value.retry_after == (7 if code == "PROVIDER_THROTTLED" else None)


@pytest.mark.parametrize("group_id", ["../Patient", "a/b", "a?b", ".."])
async def test_a_groups_id_cannot_change_the_address(opened: BulkProvider, server: Scripted, group_id: str) -> None:
    with pytest.raises(ProviderError):
        await opened.export_start(group_id, None)
    assert server.asked == []


async def test_polling_tells_how_far_it_is_and_when_to_come_back(opened: BulkProvider, server: Scripted) -> None:
    server.on(
        STATUS,
        Response(status_code=202, headers={"X-Progress": "Built 7 of 9\t files", "Retry-After": "120"}),
        Response(status_code=202),
        outcome("transient", 500),
        outcome("not-found", 404),
    )
    status = f"{server.origin}/status/1"
    assert await opened.export_status(status) == Waiting(120, "Built 7 of 9 files")
    assert await opened.export_status(status) == Waiting(None, "")
    for code, again in (("PROVIDER_UNAVAILABLE", True), ("PROVIDER_NOT_FOUND", False)):
        with pytest.raises(ProviderError) as error:
            await opened.export_status(status)
        assert (error.value.code, error.value.retryable) == (code, again)


async def test_a_manifest_of_a_later_edition_is_understood(opened: BulkProvider, server: Scripted) -> None:
    server.on(
        STATUS,
        fhir(
            {
                "transactionTime": "2026-11-20T10:00:00.5+01:00",
                "requiresAccessToken": False,
                "output": [{"url": "/files/1", "continuesInFile": "/files/2"}, {"url": "/files/2", "count": "many"}],
                "deleted": [{"url": "/files/3", "type": "Bundle", "count": 2}],
                "outcome": [{"url": "/files/4"}],
                "link": [{"relation": "next", "url": "/manifest/2"}],
            }
        ),
    )
    found = await opened.export_status(f"{server.origin}/status/1")
    assert isinstance(found, Manifest)
    assert found.transaction_time == datetime(2026, 11, 20, 9, 0, 0, 500_000, tzinfo=UTC)
    assert (found.requires_token, found.partial) == (False, True)
    assert [(it.url, it.resource_type, it.count) for it in found.output] == [
        (f"{server.origin}/files/{n}", "", None) for n in (1, 2)
    ]
    assert [it.count for it in found.deleted] == [2]
    assert [it.url for it in found.errors] == [f"{server.origin}/files/4"]


@pytest.mark.parametrize(
    "body", [b"<html>login", b"{", b"[]", b'{"output": []}', b'{"transactionTime": "2026-11-20T10:00:00Z"}', b""]
)
async def test_garbage_instead_of_a_manifest_is_refused(opened: BulkProvider, server: Scripted, body: bytes) -> None:
    server.on(STATUS, Response(body, media_type="application/json"))
    with pytest.raises(ProviderError) as error:
        await opened.export_status(f"{server.origin}/status/1")
    assert error.value.code is ProviderErrorCode.BAD_RESPONSE


async def test_a_huge_line_costs_itself_and_nothing_else(opened: BulkProvider, server: Scripted) -> None:
    server.on("GET /f", ndjson('{"a": 1}\n\n' + "x" * 5000 + "\r\n" + '{"b": 2}\r\n' + "y" * 1001))
    found = await lines(opened, f"{server.origin}/f")
    assert [(it.number, it.data) for it in found] == [(1, b'{"a": 1}'), (3, None), (4, b'{"b": 2}'), (5, None)]


async def test_a_large_file_comes_through_the_disk_packed_or_not(opened: BulkProvider, server: Scripted) -> None:
    text = "".join(f'{{"n": {n}, "pad": "{n * 7919:0200d}"}}\n' for n in range(20_000)).encode()
    server.on("GET /f", ndjson(text), ndjson(gzip.compress(text), Content_Encoding="gzip"))
    server.on("GET /g", Response(gzip.compress(text), headers={"Content-Encoding": "gzip"}, media_type="text/plain"))
    for name in "ffg":
        found = await lines(opened, f"{server.origin}/{name}")
        assert len(found) == 20_000
        assert json.loads(found[-1].data or b"")["n"] == 19_999


async def test_a_file_may_be_left_before_its_end(opened: BulkProvider, server: Scripted) -> None:
    server.on("GET /f", ndjson("{}\n" * 400_000))
    async for line in opened.export_lines(f"{server.origin}/f", token=True):
        assert line.number == 1
        break


async def test_too_many_lines_are_refused(
    opened: BulkProvider, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "MOST_LINES", 10)
    server.on("GET /f", ndjson("{}\n" * 11))
    assert await refused(opened, f"{server.origin}/f") is ProviderErrorCode.TOO_LARGE


async def test_the_token_goes_only_where_it_is_wanted_and_never_elsewhere(
    server: Scripted, elsewhere: Scripted
) -> None:
    for each in (server, elsewhere):
        each.on("GET /f", ndjson("{}\n"))
    server.on("GET /r", Response(status_code=307, headers={"Location": f"{elsewhere.origin}/f"}))
    wanted = Connection(server.base, TOKEN, networks=LOCAL, file_hosts=(elsewhere.place,))
    async with connect_bulk(wanted) as opened:
        for url, token in (
            (f"{server.origin}/f", True),
            (f"{server.origin}/f", False),
            (f"{elsewhere.origin}/f", True),
        ):
            assert len(await lines(opened, url, token=token)) == 1
        assert len(await lines(opened, f"{server.origin}/r")) == 1
        await_status = f"{elsewhere.origin}/status/1"
        elsewhere.on(STATUS, Response(status_code=202))
        assert isinstance(await opened.export_status(await_status), Waiting)
    assert [it.headers.get("authorization") for it in server.asked] == ["Bearer secret", None, "Bearer secret"]
    assert [it.headers.get("authorization") for it in elsewhere.asked] == [None, None, None]


async def test_a_file_at_a_host_that_is_not_allowed_is_not_asked_for(
    opened: BulkProvider, server: Scripted, elsewhere: Scripted
) -> None:
    elsewhere.on("GET /f", ndjson("{}\n"))
    server.on("GET /r", Response(status_code=302, headers={"Location": f"{elsewhere.origin}/f"}))
    server.on("GET /loop", Response(status_code=302, headers={"Location": "/loop"}))
    for url in (f"{elsewhere.origin}/f", f"{server.origin}/r", "http://169.254.169.254/latest", "file:///etc/passwd"):
        assert await refused(opened, url) is ProviderErrorCode.HOST_REFUSED, url
    assert await refused(opened, f"{server.origin}/loop") is ProviderErrorCode.BAD_RESPONSE
    assert elsewhere.asked == []


async def test_a_private_network_is_refused_whatever_the_list_of_hosts_says(
    server: Scripted, elsewhere: Scripted
) -> None:
    async with connect_bulk(Connection("https://fhir.example", file_hosts=(elsewhere.place,))) as opened:
        with pytest.raises(ProviderError) as error:
            await lines(opened, f"{elsewhere.origin}/f")
    assert error.value.code is ProviderErrorCode.ADDRESS_REFUSED
    assert elsewhere.asked == []


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (outcome("not-found", 404), "PROVIDER_NOT_FOUND"),
        (outcome("expired", 403), "PROVIDER_UNAUTHORIZED"),
        (outcome("processing", 410), "PROVIDER_GONE"),
        (Response("<html>", media_type="text/html"), "PROVIDER_BAD_RESPONSE"),
        (ndjson(b"no gzip", Content_Encoding="gzip"), "PROVIDER_BAD_RESPONSE"),
        (Response("no", 503, headers={"Retry-After": "3"}), "PROVIDER_UNAVAILABLE"),
    ],
)
async def test_a_file_that_cannot_be_had(opened: BulkProvider, server: Scripted, answer: Response, code: str) -> None:
    server.on("GET /f", answer)
    assert await refused(opened, f"{server.origin}/f") == code


def test_what_a_line_is_about() -> None:
    line = {"resourceType": "DocumentReference", "id": "1", "subject": {"reference": f"{BASE}/Patient/p/_history/2"}}
    assert bulk.about(json.dumps(line).encode(), BASE) == ("DocumentReference/1", "Patient/p")
    foreign = {**line, "subject": {"reference": "https://elsewhere.example/Patient/p"}}
    assert bulk.about(json.dumps(foreign).encode(), BASE)[1] == "https://elsewhere.example/Patient/p"
    assert bulk.about(b'{"resourceType": "DiagnosticReport", "id": "2"}', BASE) == ("DiagnosticReport/2", "")


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b"null", b'{"id": "1"}', b'{"resourceType": "X", "id": "a/../b"}', b"\xff", b"[" * 5000]
)
def test_a_line_that_is_no_resource_says_why_without_its_data(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"^(?!.*\.\.)"):
        bulk.about(line, BASE)
    assert isinstance(bulk.entry(line, "DocumentReference/1", BASE), Unreadable)


def test_what_deletions_and_complaints_say() -> None:
    entries = [{"request": {"method": method, "url": "DocumentReference/1"}} for method in ("DELETE", "PUT")]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [*entries, {}, {"request": None}]}
    assert bulk.deletions(json.dumps(bundle).encode(), BASE) == ["DocumentReference/1"]
    with pytest.raises(ValueError, match="Bundle"):
        bulk.deletions(b'{"resourceType": "OperationOutcome"}', BASE)
    issues = [{"severity": "error", "code": "forbidden"}, {"severity": "information", "code": "informational"}]
    told = {"resourceType": "OperationOutcome", "issue": issues}
    assert bulk.complaints(json.dumps(told).encode()) == ["forbidden"]
    assert len(bulk.complaints(b"{")) == 1
