"""Both servers in one process and on one event loop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sandbox.ehr.app import create_app as create_ehr
from sandbox.ehr.store import Store as EhrStore
from sandbox.faults.layer import Faults
from sandbox.platform.app import create_app as create_platform
from sandbox.platform.store import Store as PlatformStore

EHR_FILE = "ehr.sqlite"
PLATFORM_FILE = "platform.sqlite"
GRACE_SECONDS = 0.25


class Server(uvicorn.Server):
    """Leaves signals alone: two servers share the process, and who started them decides when they end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


class Protocol(HttpToolsProtocol):
    """Hands each connection to the application, as `scope["state"]["transport"]`: some faults break it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - as uvicorn's own
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class Dated:
    """Says what time it is (RFC 9110, 6.6.1), unless the application has said it: uvicorn would say it twice."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", []))
                if not any(name.lower() == b"date" for name, _ in headers):
                    headers.append((b"date", format_datetime(datetime.now(UTC), usegmt=True).encode()))
                message = {**message, "headers": headers}
            await send(message)

        await self.app(scope, receive, dated)


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, port: int = 0, host: str = "127.0.0.1") -> AsyncGenerator[str]:
    """Serves inside the block, and yields the server's address. Port 0 takes a free one. Requests that are under way
    when the block ends get a moment to finish.

    Raises:
        OSError: the port is taken.
    """
    with socket.create_server((host, port)) as sock:
        # asyncio leaves Nagle's algorithm on for a socket that it did not make: 40 ms an answer.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = uvicorn.Config(
            Dated(app),
            http=Protocol,
            date_header=False,
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
        )
        server = Server(config)
        task = asyncio.create_task(server.serve([sock]))
        while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)
        try:
            yield f"http://{host}:{sock.getsockname()[1]}"
        finally:
            server.should_exit = True
            await asyncio.wait([task], timeout=GRACE_SECONDS)
            server.force_exit = True
            await task


async def serve(
    data: Path,
    ehr_port: int,
    platform_port: int,
    *,
    host: str = "127.0.0.1",
    ready: Callable[[str, str], None] | None = None,
    ehr_faults: Sequence[dict[str, Any]] = (),
    platform_faults: Sequence[dict[str, Any]] = (),
) -> None:
    """Serves until it is cancelled, and then ends within a second. Stores lie in `data` as `ehr.sqlite` and
    `platform.sqlite`. `ready` is called with the FHIR base and the platform's base.

    Raises:
        OSError: a port is taken.
        WrongRules: the faults cannot be switched on.
    """
    with (
        contextlib.closing(EhrStore(data / EHR_FILE)) as ehr_store,
        contextlib.closing(PlatformStore(data / PLATFORM_FILE)) as platform_store,
    ):
        at_ehr, at_platform = Faults("ehr", ehr_store), Faults("platform")
        at_ehr.switch_on(list(ehr_faults))
        at_platform.switch_on(list(platform_faults))
        async with (
            serving(create_ehr(ehr_store, at_ehr), ehr_port, host) as ehr,
            serving(create_platform(platform_store, at_platform), platform_port, host) as platform,
        ):
            if ready:
                ready(f"{ehr}/fhir", platform)
            await asyncio.Event().wait()
