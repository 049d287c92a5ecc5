"""Fetching attachments: only from where the connection allows, never with our token elsewhere, never too much."""

import base64
import gzip
from collections.abc import Awaitable, Callable

import pytest
from starlette.responses import Response

from app.connectors.provider import connect
from app.connectors.provider.port import (
    Attachment,
    Auth,
    AuthKind,
    Connection,
    Fetched,
    Limits,
    ProviderError,
    ProviderErrorCode,
)
from app.core.settings import LOOPBACK
from tests.connectors.scripted import Cut, Reply, Scripted, fhir, outcome

PDF = b"%PDF-1.7 of some length"
QUICK = Limits(connect_seconds=2, read_seconds=2, total_seconds=5, attachment_bytes=1000)
TOKEN = Auth(AuthKind.BEARER, token="secret")

Fetch = Callable[[Attachment], Awaitable[Fetched]]


@pytest.fixture
def fetch(server: Scripted, elsewhere: Scripted) -> Fetch:
    async def fetched(attachment: Attachment) -> Fetched:
        async with connect(
            Connection(server.base, TOKEN, (elsewhere.place,), limits=QUICK, networks=LOOPBACK)
        ) as provider:
            return await provider.fetch(attachment)

    return fetched


async def _code(fetch: Fetch, url: str, declared: str = "") -> ProviderErrorCode:
    with pytest.raises(ProviderError) as caught:
        await fetch(Attachment(declared, url=url))
    assert "secret" not in str(caught.value)
    return caught.value.code


def _leads(to: str, status: int = 302) -> Response:
    return Response(status_code=status, headers={"Location": to})


async def test_inline_data_needs_no_request(server: Scripted, fetch: Fetch) -> None:
    assert await fetch(Attachment("text/plain", data=b"abc")) == Fetched(b"abc", "text/plain")
    assert server.asked == []


async def test_the_servers_own_files_are_fetched_with_our_token(server: Scripted, fetch: Fetch) -> None:
    server.on("GET /fhir/Binary/1", Response(PDF, media_type="application/pdf"))
    assert await fetch(Attachment(url=f"{server.base}/Binary/1")) == Fetched(PDF, "application/pdf")
    assert server.asked[0].headers["authorization"] == "Bearer secret"
    assert server.asked[0].headers["accept"] == "*/*"


async def test_a_listed_host_gets_no_token(server: Scripted, elsewhere: Scripted, fetch: Fetch) -> None:
    elsewhere.on("GET /1.pdf", Response(PDF))
    assert (await fetch(Attachment(url=f"{elsewhere.origin}/1.pdf?sig=x"))).data == PDF
    assert "authorization" not in elsewhere.asked[0].headers
    assert (elsewhere.asked[0].query, server.asked) == ({"sig": "x"}, [])


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:{port}/1",
        "http://127.0.0.1/1",
        "https://127.0.0.1:{port}x/1",
        "http://127.0.0.1:{other}@evil.example/1",
        "http://u:p@127.0.0.1:{other}/1",
        "http://0x7f.1:{port}/1",
        "http://2130706433:{port}/1",
        "http://[::ffff:127.0.0.1]:{port}/1",
        "http://169.254.169.254/latest/meta-data",
        "http:///1",
        "ftp://127.0.0.1:{other}/1",
        "file:///etc/passwd",
        "data:text/plain,abc",
        "urn:uuid:1",
        "#contained",
    ],
)
async def test_any_other_address_is_refused(server: Scripted, elsewhere: Scripted, fetch: Fetch, url: str) -> None:
    made = url.format(port=server.port, other=elsewhere.port)
    assert await _code(fetch, made) is ProviderErrorCode.HOST_REFUSED
    assert (server.asked, elsewhere.asked) == ([], [])


async def test_an_attachment_without_anything_is_not_found(fetch: Fetch) -> None:
    assert await _code(fetch, "") is ProviderErrorCode.NOT_FOUND


async def test_redirects_are_followed_with_the_token_left_behind(
    server: Scripted, elsewhere: Scripted, fetch: Fetch
) -> None:
    server.on("GET /fhir/Binary/1", _leads("Binary/2"))
    server.on("GET /fhir/Binary/2", _leads("/moved", 307))
    server.on("GET /fhir/Binary/Binary/2", _leads("/moved", 301))
    server.on("GET /moved", _leads(f"{elsewhere.origin}/1.pdf", 308))
    elsewhere.on("GET /1.pdf", Response(PDF))
    assert (await fetch(Attachment(url=f"{server.base}/Binary/1"))).data == PDF
    assert [asked.headers.get("authorization") for asked in server.asked] == ["Bearer secret"] * 3
    assert "authorization" not in elsewhere.asked[0].headers


@pytest.mark.parametrize("target", ["http://localhost:1/x", "http://169.254.169.254/", "file:///etc/passwd"])
async def test_a_redirect_to_another_host_is_refused(server: Scripted, fetch: Fetch, target: str) -> None:
    server.on("GET /fhir/Binary/1", _leads(target))
    assert await _code(fetch, f"{server.base}/Binary/1") is ProviderErrorCode.HOST_REFUSED


async def test_redirects_end(server: Scripted, fetch: Fetch) -> None:
    server.on("GET /fhir/Binary/1", _leads("/fhir/Binary/1"))
    assert await _code(fetch, f"{server.base}/Binary/1") is ProviderErrorCode.BAD_RESPONSE
    assert len(server.asked) == 6


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Response("", 404), ProviderErrorCode.NOT_FOUND),
        (Response("", 410), ProviderErrorCode.GONE),
        (Response("", 503, {"Retry-After": "5"}), ProviderErrorCode.UNAVAILABLE),
        (Response("", 302), ProviderErrorCode.BAD_RESPONSE),
        (Response("", 206), ProviderErrorCode.BAD_RESPONSE),
        (outcome("throttled", 200), ProviderErrorCode.THROTTLED),
        (Response(b"x" * 100_000), ProviderErrorCode.TOO_LARGE),
        (Response(b"x" * 1001), ProviderErrorCode.TOO_LARGE),
        (Response(gzip.compress(b"x" * 1_000_000), headers={"Content-Encoding": "gzip"}), ProviderErrorCode.TOO_LARGE),
        (Cut(), ProviderErrorCode.UNREACHABLE),
        (fhir({"resourceType": "Binary", "data": "!"}), ProviderErrorCode.BAD_RESPONSE),
    ],
)
async def test_a_file_that_cannot_be_had_says_why(
    server: Scripted, fetch: Fetch, reply: Reply, code: ProviderErrorCode
) -> None:
    server.on("GET /fhir/Binary/1", reply)
    assert await _code(fetch, f"{server.base}/Binary/1") is code


async def test_a_foreign_401_does_not_put_our_credentials_in_question(elsewhere: Scripted, fetch: Fetch) -> None:
    elsewhere.on("GET /1.pdf", Response("expired", 401))
    assert await _code(fetch, f"{elsewhere.origin}/1.pdf") is ProviderErrorCode.FORBIDDEN


async def test_a_login_page_is_not_a_pdf(server: Scripted, fetch: Fetch) -> None:
    page = Response("<!DOCTYPE html><title>Sign in</title>", media_type="text/html")
    server.on("GET /fhir/Binary/1", page)
    assert await _code(fetch, f"{server.base}/Binary/1", "application/pdf") is ProviderErrorCode.BAD_RESPONSE
    told = await fetch(Attachment("application/xhtml", url=f"{server.base}/Binary/1"))
    assert told.data.startswith(b"<!DOCTYPE")


async def test_a_binary_resource_is_unpacked(server: Scripted, fetch: Fetch) -> None:
    packed = base64.b64encode(PDF).decode()
    server.on("GET /fhir/Binary/1", fhir({"resourceType": "Binary", "contentType": "application/pdf", "data": packed}))
    assert await fetch(Attachment(url=f"{server.base}/Binary/1")) == Fetched(PDF, "application/pdf")


async def test_json_that_is_no_binary_is_the_document_itself(server: Scripted, fetch: Fetch) -> None:
    server.on("GET /fhir/Binary/1", fhir({"resourceType": "Bundle", "type": "document"}))
    fetched = await fetch(Attachment("application/fhir+json", url=f"{server.base}/Binary/1"))
    assert b'"document"' in fetched.data


async def test_a_packed_file_is_unpacked_and_one_of_the_largest_size_is_taken(server: Scripted, fetch: Fetch) -> None:
    largest = b"x" * QUICK.attachment_bytes
    server.on("GET /fhir/Binary/1", Response(gzip.compress(largest), headers={"Content-Encoding": "gzip"}))
    assert (await fetch(Attachment(url=f"{server.base}/Binary/1"))).data == largest
    assert await _is_too_large(fetch)


async def _is_too_large(fetch: Fetch) -> bool:
    with pytest.raises(ProviderError) as caught:
        await fetch(Attachment(data=b"x" * (QUICK.attachment_bytes + 1)))
    return caught.value.code is ProviderErrorCode.TOO_LARGE
