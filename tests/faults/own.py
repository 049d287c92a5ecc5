"""Services of one test's own, so that stopping them harms nobody else. They start and stop in the main thread: the kernel
ends them with the thread that started them."""

import asyncio
import os
import signal
from pathlib import Path

from app.core.embedded import Running, postgres, valkey


class OwnValkey:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: Running | None = valkey.start(folder)
        self.url = self.running.url

    def stop(self) -> None:
        if self.running:
            self.running.stop()
        self.running = None

    def start(self) -> None:
        self.running = valkey.start(self.folder)


FAST, IMMEDIATE = signal.SIGINT, signal.SIGQUIT


class OwnPostgres:
    """With fsync, as installations have it: what was committed must survive."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running = postgres.start(folder)
        self.url = self.running.url

    async def restart(self, how: signal.Signals, away: float) -> None:
        """As `pg_ctl stop` in a mode, and up again after some seconds."""
        os.kill(self.running.pid, how)
        while self.running._process.poll() is None:  # noqa: ASYNC110 - nobody tells us when it is gone
            await asyncio.sleep(0.01)
        await asyncio.sleep(away)
        assert self.running.revive()

    def stop(self) -> None:
        self.running.stop()
        postgres.erase(self.folder)
