"""Reading files that come from outside, in a process of its own: it may crash, hang or eat memory, and only it suffers."""

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path

import msgspec
import structlog

from app.core.reading import Reading, read, sniff, unread

log = structlog.get_logger(__name__)

SECONDS = 20
"""How long reading one file may take."""
SIMPLE = 64 * 1024
"""Plain text up to this size is read on the spot: sending it elsewhere would take longer."""
KEPT = ("PATH", "HEALTHRECORDS_DATA_DIR")
"""What the process sees of our environment: none of our secrets, only whose it is."""
ROOT = Path(__file__).parent.parent.parent
LONGEST_ANSWER = 16 * 1024 * 1024


class Reader:
    """One process, started ahead or with the first file that needs it. It ends when its standard input closes: with us."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def start(self) -> None:
        """Starts the process, so that the first file does not wait for it."""
        async with self._turn:
            await self._opened()

    async def read(self, data: bytes, declared: str) -> Reading:
        """What kind of file it is, and its text; none where reading it crashed twice or took too long."""
        kind = sniff(data, declared)
        if kind.startswith("image/") or (kind == "text/plain" and len(data) <= SIMPLE):
            return read(data, declared)
        async with self._turn:
            for _ in range(2):
                try:
                    async with asyncio.timeout(SECONDS):
                        return await self._ask(data, declared)
                except (asyncio.IncompleteReadError, ConnectionError, TimeoutError, asyncio.CancelledError) as error:
                    # Whatever it was at, its answer would be taken for the next file's: it has to go.
                    await self.close()
                    if isinstance(error, asyncio.CancelledError):
                        raise
                    log.warning("reader.failed", kind=kind, size=len(data), error=type(error).__name__)
        return unread(data, declared)

    async def _ask(self, data: bytes, declared: str) -> Reading:
        process = await self._opened()
        assert process.stdin is not None
        assert process.stdout is not None
        words = declared.encode()
        process.stdin.writelines([len(words).to_bytes(4), len(data).to_bytes(8), words, data])
        await process.stdin.drain()
        size = int.from_bytes(await process.stdout.readexactly(4))
        return msgspec.msgpack.decode(await process.stdout.readexactly(size), type=Reading)

    async def _opened(self) -> asyncio.subprocess.Process:
        if self._process is None:
            pipe = asyncio.subprocess.PIPE
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "app.core.reader_process",
                cwd=ROOT,
                env={name: os.environ[name] for name in KEPT if name in os.environ},
                stdin=pipe,
                stdout=pipe,
                limit=LONGEST_ANSWER,
            )
        return self._process

    async def close(self) -> None:
        """Ends the process, whatever it is doing."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
