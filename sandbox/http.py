"""What both servers share: counting, bodies with a limit, and the control endpoints.

`GET /control/requests` answers `{"requests": {"GET /fhir/Binary/{id}": 3}, "downloads": {"<id>": 3}, "files": {}}`:
requests by method and path template since the last reset, refused ones included; `downloads` counts deliveries of
bytes by Binary id, `files` by file name. `POST /control/reset` sets all counters to zero (204).
"""

from base64 import b64decode
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class TooLarge(Exception):
    """The request's body is longer than this server takes."""


@dataclass(slots=True)
class Counts:
    requests: Counter[str] = field(default_factory=Counter[str])
    downloads: Counter[str] = field(default_factory=Counter[str])
    files: Counter[str] = field(default_factory=Counter[str])

    def reset(self) -> None:
        self.requests.clear()
        self.downloads.clear()
        self.files.clear()


class Counted:
    """Counts a request when it arrives, so that one which is never answered counts too."""

    def __init__(self, app: ASGIApp, counts: Counts, template: Callable[[str], str]) -> None:
        self.app = app
        self.counts = counts
        self.template = template

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] == "http" and not path.startswith("/control"):
            self.counts.requests[f"{scope['method']} {self.template(path)}"] += 1
        await self.app(scope, receive, send)


def control_routes(counts: Counts) -> list[BaseRoute]:
    def requests(_: Request) -> JSONResponse:
        return JSONResponse(
            {
                "requests": dict(sorted(counts.requests.items())),
                "downloads": dict(counts.downloads),
                "files": dict(counts.files),
            }
        )

    def reset(_: Request) -> Response:
        counts.reset()
        return Response(status_code=204)

    return [
        Route("/control/requests", on_loop(requests), methods=["GET"]),
        Route("/control/reset", on_loop(reset), methods=["POST"]),
    ]


def on_loop(handle: Callable[[Request], Response]) -> Callable[..., object]:
    """Starlette sends plain functions to a thread; ours take microseconds and stay on the loop."""

    async def endpoint(request: Request) -> Response:
        return handle(request)

    return endpoint


def capped(request: Request, limit: int) -> Request:
    """The same request; reading more than `limit` bytes of its body raises `TooLarge`."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise TooLarge
    read = 0

    async def receive() -> Message:
        nonlocal read
        message = await request.receive()
        read += len(message.get("body", b""))
        if read > limit:
            raise TooLarge
        return message

    return Request(request.scope, receive)


def origin(request: Request) -> str:
    """`http://127.0.0.1:18110`, as the client addressed us."""
    return str(request.base_url).rstrip("/")


def basic_credentials(value: str) -> tuple[str, str] | None:
    """The user and password of an Authorization header's value, if it is a well-formed Basic one."""
    scheme, _, encoded = value.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:
        return None
    return (user, password) if colon else None
