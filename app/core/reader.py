"""Reading files that come from outside, in a process of its own: it may crash, hang or eat memory, and only it suffers."""

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path

import msgspec
import structlog

from app.core.reader_process import INLINE, NAMED
from app.core.reading import Reading, has_words, read, sniff
from app.core.spool import Content, Spooled, measure

log = structlog.get_logger(__name__)

SECONDS = 20
"""How long reading one file may take."""
SIMPLE = 64 * 1024
"""Plain text up to this size is read on the spot: sending it elsewhere would take longer."""
HEAD = 4096
"""Bytes that tell what kind of file it is."""
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

    async def read(self, content: Content, declared: str) -> Reading:
        """What kind of file it is, and its text; none where reading it crashed twice or took too long."""
        kind = sniff(content.head(HEAD) if isinstance(content, Spooled) else content, declared)
        if not has_words(kind):
            return Reading(kind, "", _digest(content))
        if kind == "text/plain" and isinstance(content, bytes) and len(content) <= SIMPLE:
            return read(content, declared)
        async with self._turn:
            for _ in range(2):
                try:
                    async with asyncio.timeout(SECONDS):
                        return await self._ask(content, declared)
                except (asyncio.IncompleteReadError, ConnectionError, TimeoutError, asyncio.CancelledError) as error:
                    # Whatever it was at, its answer would be taken for the next file's: it has to go.
                    await self.close()
                    if isinstance(error, asyncio.CancelledError):
                        raise
                    size = measure(content).size
                    log.warning("reader.failed", kind=kind, size=size, error=type(error).__name__)
        return Reading(kind, "", _digest(content))

    async def _ask(self, content: Content, declared: str) -> Reading:
        process = await self._opened()
        assert process.stdin is not None
        assert process.stdout is not None
        words = declared.encode()
        # A large file is opened there, by its name.
        mark, data = (NAMED, os.fsencode(content.path)) if isinstance(content, Spooled) else (INLINE, content)
        process.stdin.writelines([mark, len(words).to_bytes(4), len(data).to_bytes(8), words, data])
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


def _digest(content: Content) -> bytes:
    return bytes.fromhex(measure(content).sha256)
