"""One request that a fault strikes: what was asked, the server behind it, and the ways to answer or not to."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.ehr.store import Store
from sandbox.faults.options import Option

Pairs = list[tuple[str, str]]
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    method: str
    path: str
    query: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.path}{'?' if self.query else ''}{self.query}"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer of the server behind."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: bytes) -> str:
        return next((value.decode("latin-1") for key, value in self.headers if key.lower() == name), "")

    def json(self) -> Json | None:
        """The JSON object that it carries, if it is a success that carries one."""
        if self.status >= 300 or "json" not in self.header(b"content-type"):
            return None
        found: Any = json.loads(self.body)
        return cast("Json", found) if isinstance(found, dict) else None

    def with_json(self, content: Json) -> "Answer":
        return self.but(body=json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode())

    def but(self, *, status: int | None = None, body: bytes | None = None, **headers: str) -> "Answer":
        """A copy with other headers (`content_type="…"`), and with a length that fits the body."""
        kept = self.body if body is None else body
        told = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
        told[b"content-length"] = str(len(kept)).encode()
        others = [(key, value) for key, value in self.headers if key.lower() not in told]
        return Answer(self.status if status is None else status, [*others, *told.items()], kept)

    async def send(self, send: Send) -> None:
        await send(self.start())
        await send({"type": "http.response.body", "body": self.body})

    def start(self) -> Message:
        return {"type": "http.response.start", "status": self.status, "headers": list(self.headers)}


def answer(status: int, body: bytes | str, content_type: str, headers: Mapping[str, str] | None = None) -> Answer:
    raw = body.encode() if isinstance(body, str) else body
    told = {"content-type": content_type, "content-length": str(len(raw)), **(headers or {})}
    return Answer(status, [(name.lower().encode(), value.encode()) for name, value in told.items()], raw)


@dataclass(slots=True)
class Call:
    """`body` is the request's, read already: `receive` only tells that the client has gone."""

    app: ASGIApp
    scope: Scope
    receive: Receive
    send: Send
    asked: Asked
    body: bytes
    options: dict[str, Any]
    off: asyncio.Event
    on_since: Any
    spare: Callable[[], None]
    server: str
    store: Store | None = None

    async def answered(self) -> Answer:
        """What the server behind answers to the request as it is now."""
        start: Message = {}
        parts: list[bytes] = []

        async def collect(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
            else:
                parts.append(message.get("body", b""))

        await self.app(self.scope, replayed(self.body, self.receive), collect)
        return Answer(start["status"], list(start["headers"]), b"".join(parts))

    async def forward(self) -> None:
        await self.app(self.scope, replayed(self.body, self.receive), self.send)

    @property
    def params(self) -> Pairs:
        """The query's parameters, and those of a search by POST."""
        pairs = parse_qsl(self.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if self._posted_search:
            pairs += parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)
        return pairs

    def ask_with(self, params: Iterable[tuple[str, str]]) -> None:
        """Changes what the server behind is asked."""
        encoded = urlencode(list(params))
        if self._posted_search:
            self.body, encoded = encoded.encode(), ""
        headers = [(k, v) for k, v in self.scope["headers"] if k != b"content-length"]
        headers.append((b"content-length", str(len(self.body)).encode()))
        self.scope = {**self.scope, "query_string": encoded.encode(), "headers": headers}

    @property
    def _posted_search(self) -> bool:
        return self.asked.method == "POST" and self.asked.path.endswith("/_search")

    async def held(self, seconds: float) -> bool:
        """Waits so long, or until the rule is off; false where the client has gone meanwhile."""
        gone, off = asyncio.ensure_future(self.receive()), asyncio.ensure_future(self.off.wait())
        try:
            done, _ = await asyncio.wait({gone, off}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            off.cancel()
        return gone not in done

    async def break_off(self, last_words: bytes = b"") -> None:
        """Closes the connection, after raw bytes where there are some."""
        transport = self.scope["state"]["transport"]
        if last_words:
            transport.write(last_words)
        transport.close()
        # Until it is closed: a server that is left with half an answer logs that as an error of ours.
        while (await self.receive())["type"] != "http.disconnect":
            continue


def replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives a body which was read already, and then what comes next."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def read(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


Strike = Callable[[Call], Awaitable[None]]
BOTH = ("ehr", "platform")


def anything(_: Asked) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Fault:
    """`strike` answers in the server's place, or spoils what it answers; None for one that is not done to a request."""

    strike: Strike | None
    options: dict[str, Option] = field(default_factory=dict[str, Option])
    servers: tuple[str, ...] = BOTH
    fits: Callable[[Asked], bool] = anything
