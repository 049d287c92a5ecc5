"""A real HTTP server that answers what a test has told it to, and remembers what it was asked."""

import socket
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

DATE = "Fri, 20 Nov 2026 10:00:00 GMT"


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}


Reply = Response | Callable[[Asked], Response | Awaitable[Response]]


class Cut(Response):
    """Announces a longer body than it sends."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"application/octet-stream"), (b"content-length", b"1000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"half"})


def fhir(content: object, status: int = 200, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = msgspec.json.encode(content)
    return Response(body, status, {"Date": DATE, **named}, media_type="application/fhir+json")


def outcome(code: str, status: int, diagnostics: str = "", **headers: str) -> Response:
    issue = {"severity": "error", "code": code, "diagnostics": diagnostics}
    return fhir({"resourceType": "OperationOutcome", "issue": [issue]}, status, **headers)


def bundle(*resources: object, self_link: str = "", next_link: str = "", total: object = None) -> Response:
    links = [{"relation": name, "url": url} for name, url in (("self", self_link), ("next", next_link)) if url]
    entries = [{"resource": resource} for resource in resources]
    return fhir({"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries, "total": total})


def document(identity: str, **more: object) -> dict[str, object]:
    subject = {"reference": "Patient/p"}
    return {"resourceType": "DocumentReference", "id": identity, "status": "current", "subject": subject, **more}


@dataclass
class Scripted:
    port: int
    replies: dict[str, list[Reply]] = field(default_factory=dict[str, list[Reply]])
    asked: list[Asked] = field(default_factory=list[Asked])

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base(self) -> str:
        return f"{self.origin}/fhir"

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    def on(self, what: str, *replies: Reply) -> None:
        """`what` is a method and a path. Replies are given in their order; the last one stays."""
        self.replies[what] = list(replies)

    def paths(self) -> list[str]:
        return [f"{asked.method} {asked.path}" for asked in self.asked]

    async def answer(self, request: Request) -> Response:
        query = {name: values[0] for name, values in parse_qs(urlsplit(str(request.url)).query).items()}
        asked = Asked(request.method, request.url.path, query, request.headers, await request.body())
        self.asked.append(asked)
        replies = self.replies.get(f"{asked.method} {asked.path}")
        if not replies:
            return Response("no such script", 404, media_type="text/plain")
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if isinstance(reply, Response):
            return reply
        made = reply(asked)
        return made if isinstance(made, Response) else await made


class Running:
    """Serves one `Scripted` in a thread of its own, on a port that was free."""

    def __init__(self) -> None:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        self.scripted = Scripted(listener.getsockname()[1])
        methods = ["GET", "POST", "PUT", "DELETE"]
        app = Starlette(routes=[Route("/{path:path}", self.scripted.answer, methods=methods)])
        config = uvicorn.Config(
            app, log_config=None, lifespan="off", ws="none", date_header=False, timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._listener = listener
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]}, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 20
        while not self._server.started and time.monotonic() < deadline:
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        with suppress(OSError):  # uvicorn closes it too, in its own time
            self._listener.close()
