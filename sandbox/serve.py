"""Both servers in one process and on one event loop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from sandbox.ehr.app import create_app as create_ehr
from sandbox.ehr.store import Store as EhrStore
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
        server = Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", ws="none"))
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
) -> None:
    """Serves until it is cancelled, and then ends within a second. Stores lie in `data` as `ehr.sqlite` and
    `platform.sqlite`. `ready` is called with the FHIR base and the platform's base.

    Raises:
        OSError: a port is taken.
    """
    with (
        contextlib.closing(EhrStore(data / EHR_FILE)) as ehr_store,
        contextlib.closing(PlatformStore(data / PLATFORM_FILE)) as platform_store,
    ):
        async with (
            serving(create_ehr(ehr_store), ehr_port, host) as ehr,
            serving(create_platform(platform_store), platform_port, host) as platform,
        ):
            if ready:
                ready(f"{ehr}/fhir", platform)
            await asyncio.Event().wait()
