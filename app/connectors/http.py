"""What every adapter needs of HTTP: a client that follows nothing by itself and goes only where it may, a bounded
exchange, and a server's wish to be left alone for a while."""

import asyncio
import re
import ssl
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from io import BytesIO

import httpx

from app.connectors.guard import GuardedBackend, GuardedTransport, Resolver, look_up, networks
from app.core.gate import Outcome, Passage
from app.core.spool import SMALL, Spool, Spooled

LONGEST_WAIT = 3_600.0
"""Seconds. A server that asks for more is taken to have made a slip."""

CONNECTIONS = 8
HIGHEST_PORT = 65535
# Below uvicorn's and many proxies' 5 s, so that we seldom write to a connection that is just being closed.
KEEPALIVE_SECONDS = 4

MOST_RATIO = 500
"""How many times larger than it came a body may get by unpacking, once it is more than small."""
PIECE = 64 * 1024

_SECONDS = re.compile(r"\d+(\.\d+)?", re.ASCII)
_EPOCH_FLOOR = 1_000_000_000


class TooLarge(Exception):
    """The body is larger, once unpacked, than the caller takes."""


class Garbled(Exception):
    """The body does not follow its declared content encoding."""


@dataclass(frozen=True, slots=True)
class Room:
    """How much of an answer is taken. What is large goes to a file of `spool`; JSON, which has to be decoded whole, has
    a limit of its own. Of an answer other than 200 only the beginning is kept."""

    most: int
    most_json: int
    spool: Spool


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response, unpacked. A large body lies in `file` (only where the asker has given `Room`), and is then the
    asker's to close; `body` is empty then."""

    status: int
    headers: httpx.Headers
    body: bytes = field(repr=False)
    file: Spooled | None = None

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").strip()

    @property
    def media_type(self) -> str:
        return self.content_type.partition(";")[0].strip().lower()

    @property
    def size(self) -> int:
        return len(self.body) if self.file is None else self.file.size

    def head(self, size: int) -> bytes:
        return self.body[:size] if self.file is None else self.file.head(size)


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    # Reading the certificates takes tens of milliseconds: once a process is enough.
    return httpx.create_ssl_context()


def open_client(
    *,
    connect_seconds: float,
    read_seconds: float,
    user_agent: str,
    allow: Iterable[str] = (),
    resolver: Resolver = look_up,
) -> httpx.AsyncClient:
    """A client with no proxy or netrc from the environment, no cookies and no redirects of its own. It connects to public
    addresses and to the networks in `allow` (CIDR); anything else raises `AddressRefused`."""
    limits = httpx.Limits(
        max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=KEEPALIVE_SECONDS
    )
    return httpx.AsyncClient(
        transport=GuardedTransport(GuardedBackend(networks(allow), resolver), _tls(), limits),
        timeout=httpx.Timeout(read_seconds, connect=connect_seconds, pool=None),
        headers={"User-Agent": user_agent, "Accept-Encoding": "gzip"},
        cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
        trust_env=False,
        follow_redirects=False,
    )


async def exchange(client: httpx.AsyncClient, request: httpx.Request, *, seconds: float, cap: int | Room) -> Answer:
    """Sends a request and reads its answer, at most `cap` of it, within `seconds`; waiting until there is room for a large
    body does not count.

    Raises `TooLarge`, `Garbled`, `AddressRefused`, `TimeoutError`, `SpoolError`, and what httpx raises."""
    if (request.url.port or 0) > HIGHEST_PORT:
        # httpx takes it, and the socket beneath raises an ExceptionGroup.
        raise httpx.InvalidURL("a port that does not exist")
    async with asyncio.timeout(seconds) as limit:
        response = await client.send(request, stream=True)
        try:
            body = await _body(response, cap, limit)
        finally:
            await response.aclose()
    if isinstance(body, Spooled):
        return Answer(response.status_code, response.headers, b"", body)
    return Answer(response.status_code, response.headers, body)


async def _body(response: httpx.Response, cap: int | Room, limit: asyncio.Timeout) -> bytes | Spooled:
    if isinstance(cap, int):
        return await _held(response, cap)
    if response.status_code != HTTPStatus.OK:
        return await _beginning(response)
    is_json = response.headers.get("content-type", "").partition(";")[0].strip().lower().endswith("json")
    async with aclosing(_pieces(response, cap.most_json if is_json else cap.most)) as pieces:
        # Copied and not kept in pieces: a socket's piece may hold four times its length of memory.
        first = BytesIO()
        async for piece in pieces:
            first.write(piece)
            if first.tell() > SMALL:
                return await _spooled(cap.spool, response.url, first.getvalue(), pieces, limit)
    return first.getvalue()


async def _held(response: httpx.Response, cap: int) -> bytes:
    body = BytesIO()
    async with aclosing(_pieces(response, cap)) as pieces:
        async for piece in pieces:
            body.write(piece)
    return body.getvalue()


async def _beginning(response: httpx.Response) -> bytes:
    body = BytesIO()
    async with aclosing(_pieces(response, None)) as pieces:
        async for piece in pieces:
            body.write(piece)
            if body.tell() > SMALL:
                break
    return body.getvalue()


async def _spooled(
    spool: Spool, url: httpx.URL, first: bytes, rest: AsyncIterator[bytes], limit: asyncio.Timeout
) -> Spooled:
    async def pieces() -> AsyncGenerator[bytes]:
        yield first
        async for piece in rest:
            yield piece

    loop = asyncio.get_running_loop()
    end = limit.when()
    left = None if end is None else end - loop.time()
    limit.reschedule(None)
    async with spool.turn(url.netloc.decode("ascii")):
        limit.reschedule(None if left is None else loop.time() + left)
        return await spool.fill(pieces())


async def _pieces(response: httpx.Response, cap: int | None) -> AsyncGenerator[bytes]:
    """The body, unpacked and counted. Unpacked here and not by httpx, which unpacks a whole chunk before anybody can
    count: a few hundred bytes of gzip in gzip would fill the memory."""
    unpack = _unpacker(response.headers.get("content-encoding", ""))
    declared = response.headers.get("content-length", "")
    if cap is not None and unpack is None and declared.isdecimal() and int(declared) > cap:
        raise TooLarge(f"the answer is larger than {cap} bytes")
    packed = size = 0
    try:
        async for chunk in response.aiter_raw():
            packed += len(chunk)
            for piece in _unpacked(unpack, chunk):
                size += len(piece)
                if cap is not None and size > cap:
                    raise TooLarge(f"the answer is larger than {cap} bytes")
                if size > max(packed * MOST_RATIO, SMALL):
                    raise TooLarge(f"the answer is packed more than {MOST_RATIO} times")
                yield piece
    except zlib.error as error:
        raise Garbled("the body is not what its content encoding says") from error
    if unpack is not None and packed and (not unpack.eof or unpack.unused_data):
        raise Garbled("the packed body ends too early or goes on after its end")


def _unpacked(unpack: "zlib._Decompress | None", chunk: bytes) -> Iterator[bytes]:
    if unpack is None:
        yield chunk
        return
    while True:
        piece = unpack.decompress(chunk, PIECE)
        yield piece
        chunk = unpack.unconsumed_tail
        # A full piece may leave more behind in zlib's own buffer, although all the input is gone.
        if not chunk and len(piece) < PIECE:
            return


def _unpacker(encoding: str) -> "zlib._Decompress | None":
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip" | "deflate":
            return zlib.decompressobj(wbits=47)  # 32 + 15: gzip or zlib, as the header says
        case _:
            raise Garbled("a content encoding that was not asked for")


def judge(passage: Passage, answer: Answer, *, failed: bool) -> None:
    """Tells the gate what an answer says about the connection; `failed` where the server could not do its part."""
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        passage.note(Outcome.THROTTLED, retry_after(answer.headers))
    elif answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
        passage.note(Outcome.OVERLOADED, retry_after(answer.headers))
    else:
        passage.note(Outcome.FAILED if failed else Outcome.WELL)


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
