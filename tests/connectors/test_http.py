"""What every adapter needs of HTTP."""

import gzip
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from starlette.responses import Response

from app.connectors.http import LONGEST_WAIT, Garbled, TooLarge, exchange, open_client, retry_after
from app.core.settings import LOOPBACK
from tests.connectors.scripted import DATE, Scripted

SERVER_NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": " 0 "}, 0),
        ({"retry-after": "9" * 4000}, LONGEST_WAIT),
        ({"retry-after": format_datetime(SERVER_NOW + timedelta(seconds=30), usegmt=True), "date": DATE}, 30),
        ({"retry-after": format_datetime(SERVER_NOW - timedelta(seconds=30), usegmt=True), "date": DATE}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": "Fri, 99 Nov 2026 10:00:00 GMT"}, None),
        ({"x-ratelimit-reset": str(int(SERVER_NOW.timestamp()) + 12), "date": DATE}, 12),
        ({"x-ratelimit-reset": "5"}, 5),
        ({"retry-after": "never", "x-ratelimit-reset": "5"}, 5),
        ({}, None),
    ],
)
def test_a_server_is_left_alone_for_as_long_as_it_asks_in_any_form(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after(httpx.Headers(headers, encoding="utf-8")) == seconds


async def _get(server: Scripted, cap: int) -> bytes:
    async with open_client(connect_seconds=3, read_seconds=5, user_agent="t/1", allow=LOOPBACK) as client:
        request = client.build_request("GET", f"{server.origin}/x")
        return (await exchange(client, request, seconds=10, cap=cap)).body


async def test_a_packed_body_is_unpacked(server: Scripted) -> None:
    server.on("GET /x", Response(gzip.compress(b"abc" * 100), headers={"Content-Encoding": "gzip"}))
    assert await _get(server, 300) == b"abc" * 100
    server.on("GET /x", Response(zlib.compress(b"abc"), headers={"Content-Encoding": "deflate"}))
    assert await _get(server, 300) == b"abc"


async def test_a_bomb_is_dropped_when_it_passes_the_limit(server: Scripted) -> None:
    server.on("GET /x", Response(gzip.compress(b"\0" * 50_000_000), headers={"Content-Encoding": "gzip"}))
    with pytest.raises(TooLarge):
        await _get(server, 1000)


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "x-unheard-of"])
async def test_an_encoding_that_was_not_asked_for_is_garbled(server: Scripted, encoding: str) -> None:
    server.on("GET /x", Response(b"abc", headers={"Content-Encoding": encoding}))
    with pytest.raises(Garbled):
        await _get(server, 1000)


@pytest.mark.parametrize(
    "body", [gzip.compress(b"abc" * 100, mtime=0)[:-4], b"not packed", gzip.compress(b"a", mtime=0) + b"tail"]
)
async def test_a_packed_body_that_is_cut_or_none_is_garbled(server: Scripted, body: bytes) -> None:
    server.on("GET /x", Response(body, headers={"Content-Encoding": "gzip"}))
    with pytest.raises(Garbled):
        await _get(server, 1000)


async def test_cookies_are_not_kept(server: Scripted) -> None:
    server.on("GET /x", Response(b"", headers={"Set-Cookie": "a=b"}))
    async with open_client(connect_seconds=3, read_seconds=5, user_agent="t/1", allow=LOOPBACK) as client:
        for _ in range(2):
            await exchange(client, client.build_request("GET", f"{server.origin}/x"), seconds=10, cap=10)
    assert [asked.headers.get("cookie") for asked in server.asked] == [None, None]
