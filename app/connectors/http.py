"""What every adapter needs of HTTP: a client that follows nothing by itself, a bounded exchange, and a server's wish
to be left alone for a while."""

import asyncio
import re
import ssl
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

LONGEST_WAIT = 86_400.0
"""Seconds. A server that asks for more is taken to have made a slip."""

CONNECTIONS = 8
HIGHEST_PORT = 65535
# Below uvicorn's and many proxies' 5 s, so that we seldom write to a connection that is just being closed.
KEEPALIVE_SECONDS = 4

_SECONDS = re.compile(r"\d+(\.\d+)?", re.ASCII)
_EPOCH_FLOOR = 1_000_000_000


class TooLarge(Exception):
    """The body is larger, once unpacked, than the caller takes."""


class Garbled(Exception):
    """The body does not follow its declared content encoding."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response; `body` is unpacked."""

    status: int
    headers: httpx.Headers
    body: bytes = field(repr=False)

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").strip()

    @property
    def media_type(self) -> str:
        return self.content_type.partition(";")[0].strip().lower()


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    # Reading the certificates takes tens of milliseconds: once a process is enough.
    return httpx.create_ssl_context()


def open_client(*, connect_seconds: float, read_seconds: float, user_agent: str) -> httpx.AsyncClient:
    """A client with no proxy or netrc from the environment, no cookies and no redirects of its own."""
    return httpx.AsyncClient(
        verify=_tls(),
        timeout=httpx.Timeout(read_seconds, connect=connect_seconds, pool=None),
        limits=httpx.Limits(
            max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=KEEPALIVE_SECONDS
        ),
        headers={"User-Agent": user_agent, "Accept-Encoding": "gzip"},
        cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
        trust_env=False,
        follow_redirects=False,
    )


async def exchange(client: httpx.AsyncClient, request: httpx.Request, *, seconds: float, cap: int) -> Answer:
    """Sends a request and reads its answer, at most `cap` bytes of it, within `seconds`.

    Raises `TooLarge`, `Garbled`, `TimeoutError`, and what httpx raises."""
    if (request.url.port or 0) > HIGHEST_PORT:
        # httpx takes it, and the socket beneath raises an ExceptionGroup.
        raise httpx.InvalidURL("a port that does not exist")
    async with asyncio.timeout(seconds):
        response = await client.send(request, stream=True)
        try:
            return Answer(response.status_code, response.headers, await _body(response, cap))
        finally:
            await response.aclose()


async def _body(response: httpx.Response, cap: int) -> bytes:
    # Unpacked here and not by httpx, which unpacks a whole chunk before anybody can count: a few hundred bytes of
    # gzip in gzip would fill the memory.
    unpack = _unpacker(response.headers.get("content-encoding", ""))
    declared = response.headers.get("content-length", "")
    if unpack is None and declared.isdecimal() and int(declared) > cap:
        raise TooLarge
    parts: list[bytes] = []
    size = 0
    try:
        async for chunk in response.aiter_raw():
            part = chunk if unpack is None else unpack.decompress(chunk, cap - size + 1)
            size += len(part)
            if size > cap:
                raise TooLarge
            parts.append(part)
    except zlib.error as error:
        raise Garbled("the body is not what its content encoding says") from error
    if unpack is not None and parts and (not unpack.eof or unpack.unused_data):
        raise Garbled("the packed body ends too early or goes on after its end")
    return b"".join(parts)


def _unpacker(encoding: str) -> "zlib._Decompress | None":
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip" | "deflate":
            return zlib.decompressobj(wbits=47)  # 32 + 15: gzip or zlib, as the header says
        case _:
            raise Garbled("a content encoding that was not asked for")


def http_date(value: str) -> datetime | None:
    """RFC 9110, 5.6.7; None where it is none."""
    try:
        moment = parsedate_to_datetime(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asked us to wait: Retry-After (seconds, or a date by the server's own clock where
    there is one), else X-RateLimit-Reset (epoch seconds, or seconds from now). None where neither can be read."""
    now = http_date(headers.get("date", "")) or datetime.now(UTC)
    asked = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(asked):
        return min(float(asked), LONGEST_WAIT)
    if (moment := http_date(asked)) is not None:
        return min(max((moment - now).total_seconds(), 0.0), LONGEST_WAIT)
    reset = headers.get("x-ratelimit-reset", "").strip()
    if _SECONDS.fullmatch(reset):
        seconds = float(reset)
        return min(max(seconds - now.timestamp(), 0.0) if seconds >= _EPOCH_FLOOR else seconds, LONGEST_WAIT)
    return None


def origin(url: httpx.URL) -> tuple[str, str, int]:
    """Scheme, host and port, the last also where it is the scheme's own."""
    return url.scheme, url.raw_host.decode("ascii").lower(), url.port or {"https": 443}.get(url.scheme, 80)
