"""The web server in a process of its own, to be killed, and clients of it."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncGenerator

import httpx

from app.cli.client import Client
from app.core.settings import Settings
from tests import factories
from tests.runs import START_SECONDS, WorkerProcess, Workers


class Web:
    """`healthrecords serve`, at an address that stays the same over restarts."""

    def __init__(self, processes: Workers, settings: Settings, *options: str) -> None:
        self.url = f"http://127.0.0.1:{settings.port}"
        self._processes = processes
        self._options = options
        self.running: WorkerProcess | None = None

    async def start(self) -> None:
        self.running = await self._processes.start("app.cli", "serve", *self._options, wait=False)
        async with asyncio.timeout(START_SECONDS), httpx.AsyncClient(trust_env=False) as client:
            while not await self._answers(client):
                assert self.running.process.returncode is None, self.running.log.read_text()
                await asyncio.sleep(0.02)

    async def _answers(self, client: httpx.AsyncClient) -> bool:
        with contextlib.suppress(httpx.TransportError):
            # It does not listen yet.
            return (await client.get(f"{self.url}/healthz")).is_success
        return False

    def defects(self) -> list[str]:
        """What the server itself calls a mistake of ours."""
        assert self.running is not None
        return [line[-1500:] for line in self.running.log.read_text().splitlines() if "graphql.defect" in line][:2]

    async def end(self, how: signal.Signals = signal.SIGKILL) -> int:
        assert self.running is not None
        return await self.running.end(how)


@contextlib.asynccontextmanager
async def signed_in(url: str, person: factories.Person) -> AsyncGenerator[Client]:
    async with Client(url) as client:
        await client.sign_in(person.email, factories.PASSWORD)
        yield client
