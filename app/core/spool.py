"""Bodies too large for the memory: each in a file of its own, hashed while it arrives, gone when nobody needs it.

A file is locked for as long as its process lives. What a killed one left behind is not, and goes with the next `sweep`."""

import asyncio
import fcntl
import hashlib
import os
import threading
import weakref
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from uuid import uuid4

SMALL = 256 * 1024
"""Bytes. What is no larger stays in memory, where a worker may hold some hundreds of bodies at a time."""
BLOCK = 256 * 1024
"""Bytes that are hashed and written at once."""
AT_ONCE = 16
OF_ONE = 4
"""How many large bodies may arrive at once in this process, and from one place: a slow one leaves room for the others."""


class SpoolError(Exception):
    """The folder cannot be written to: full, or not ours. No fault of whoever sent the body."""


class Spooled:
    """A body in a file. It is removed by `close`, or with the last reference to it."""

    def __init__(self, path: Path, descriptor: int, size: int, sha256: str, sha1: bytes) -> None:
        self.path = path
        self.size = size
        self.sha256 = sha256
        self.sha1 = sha1
        self._removal = weakref.finalize(self, _remove, path, descriptor)

    def head(self, size: int) -> bytes:
        with self.path.open("rb") as file:
            return file.read(size)

    def close(self) -> None:
        self._removal()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


Content = bytes | Spooled


@dataclass(frozen=True, slots=True)
class Measured:
    """What is said of bytes without having them; `sha256` in hex."""

    size: int
    sha256: str
    sha1: bytes


def measure(content: Content) -> Measured:
    if isinstance(content, Spooled):
        return Measured(content.size, content.sha256, content.sha1)
    sha1 = hashlib.sha1(content, usedforsecurity=False).digest()
    return Measured(len(content), hashlib.sha256(content).hexdigest(), sha1)


class Sink:
    """A file that is being written. Whoever made it ends it with `done` or `discard`. Raises `SpoolError`."""

    def __init__(self, folder: Path) -> None:
        try:
            self._path, self._descriptor = _create(folder)
        except OSError as error:
            raise SpoolError(str(error)) from error
        self._size = 0
        self._sha256 = hashlib.sha256()
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self._ended = False
        # A thread may still be writing when the loop discards the file.
        self._turn = threading.Lock()

    def write(self, data: bytes | memoryview) -> None:
        with self._turn:
            if self._ended:
                return
            self._sha256.update(data)
            self._sha1.update(data)
            self._size += len(data)
            rest = memoryview(data)
            try:
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
            except OSError as error:
                raise SpoolError(str(error)) from error

    def done(self) -> Spooled:
        self._ended = True
        return Spooled(self._path, self._descriptor, self._size, self._sha256.hexdigest(), self._sha1.digest())

    def discard(self) -> None:
        with self._turn:
            if not self._ended:
                self._ended = True
                _remove(self._path, self._descriptor)


class Spool:
    """Where the large bodies of this process lie. Belongs to one event loop."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._all = asyncio.Semaphore(AT_ONCE)
        self._of_one: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(OF_ONE))
        self.in_memory = asyncio.Lock()
        """Held by who needs a large body whole in memory after all: one at a time."""

    @asynccontextmanager
    async def turn(self, place: str) -> AsyncGenerator[None]:
        """Waits until another large body may arrive, here and from this place."""
        async with self._of_one[place], self._all:
            yield

    def sink(self) -> Sink:
        return Sink(self._folder)

    async def fill(self, pieces: AsyncIterator[bytes]) -> Spooled:
        """A file of all the pieces; none where they end in an error."""
        sink = await asyncio.to_thread(self.sink)
        try:
            block, used = memoryview(bytearray(BLOCK)), 0
            async for piece in pieces:
                rest = memoryview(piece)
                while rest:
                    taken = min(len(rest), BLOCK - used)
                    block[used : used + taken] = rest[:taken]
                    used, rest = used + taken, rest[taken:]
                    if used == BLOCK:
                        await asyncio.to_thread(sink.write, block)
                        used = 0
            await asyncio.to_thread(sink.write, block[:used])
            return sink.done()
        except BaseException:
            sink.discard()
            raise

    def sweep(self) -> None:
        """Removes what killed processes have left behind; what living ones hold is locked."""
        with suppress(FileNotFoundError):
            for path in self._folder.iterdir():
                _sweep(path)


def _create(folder: Path) -> tuple[Path, int]:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        path = folder / uuid4().hex
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        with suppress(BlockingIOError):
            # A sweep came between the two steps, and has taken the file for a dead one's.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink:
                return path, descriptor
        os.close(descriptor)


def _sweep(path: Path) -> None:
    with suppress(FileNotFoundError, IsADirectoryError, PermissionError):
        # Its process has just removed it, or it is none of ours.
        descriptor = os.open(path, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
        except BlockingIOError:
            return
        finally:
            os.close(descriptor)


def _remove(path: Path, descriptor: int) -> None:
    path.unlink(missing_ok=True)
    os.close(descriptor)
