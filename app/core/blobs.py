"""Files, content-addressed: the key is the SHA-256 of the bytes, so storing twice is storing once."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from obstore.exceptions import AlreadyExistsError
from obstore.store import LocalStore, ObjectStore, from_url

from app.core.spool import SMALL, Content, Spooled

CHUNK = 128 * 1024
"""Bytes of a large file that are read at once. Below, a buffer of several times as many is kept."""
PART = 5 * 1024 * 1024
"""Bytes that are stored at once: the smallest part that S3 takes."""


class BlobMissingError(Exception):
    """The store does not have what a row points at."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes that are too many for the memory: their number, and how to read them from the beginning, piece by piece."""

    size: int
    chunks: Callable[[], AsyncIterator[bytes]]


class Blobs:
    def __init__(self, url: str) -> None:
        """`file:///folder`, or an URL of S3, GCS or Azure that obstore understands."""
        parts = urlsplit(url)
        self._folder = Path(unquote(parts.path)) if parts.scheme == "file" else None
        self._store: ObjectStore = LocalStore(self._folder, mkdir=True) if self._folder else from_url(url)
        # Each holds two parts in memory.
        self._large = asyncio.Semaphore(2)

    async def put(self, content: Content) -> str:
        """Stores the bytes and returns their SHA-256 in hex."""
        if isinstance(content, Spooled):
            await self._put_large(content)
            return content.sha256
        sha256 = hashlib.sha256(content).hexdigest()
        with suppress(AlreadyExistsError):
            # Equal keys mean equal bytes.
            await self._store.put_async(_path(sha256), content, mode="create", use_multipart=False)
        return sha256

    async def put_all(self, contents: Sequence[Content]) -> None:
        """Stores many. Small ones on this machine's own disk take one turn of a thread together."""
        small = [it for it in contents if isinstance(it, bytes)] if self._folder else []
        await asyncio.to_thread(self._put_small, small)
        done = {id(it) for it in small}
        await asyncio.gather(*(self.put(it) for it in contents if id(it) not in done))

    def _put_small(self, contents: Sequence[bytes]) -> None:
        for content in contents:
            with suppress(AlreadyExistsError):
                # Equal keys mean equal bytes.
                path = _path(hashlib.sha256(content).hexdigest())
                self._store.put(path, content, mode="create", use_multipart=False)

    async def _put_large(self, file: Spooled) -> None:
        path = _path(file.sha256)
        if self._folder is not None and await asyncio.to_thread(_link, file.path, self._folder / path):
            return
        async with self._large:
            with suppress(FileNotFoundError):
                # Parts know no «only if it is not there».
                await self._store.head_async(path)
                return
            await self._store.put_async(path, file.path, use_multipart=True, chunk_size=PART, max_concurrency=1)

    async def get(self, sha256: str) -> bytes:
        """The bytes; BlobMissingError where there are none."""
        try:
            result = await self._store.get_async(_path(sha256))
            return bytes(await result.bytes_async())
        except FileNotFoundError:
            raise BlobMissingError(sha256) from None

    async def open(self, sha256: str) -> bytes | Stored:
        """The bytes where they are few, else the way to them; BlobMissingError where there are none."""
        try:
            result = await self._store.get_async(_path(sha256))
            size = result.meta["size"]
            return bytes(await result.bytes_async()) if size <= SMALL else Stored(size, lambda: self._chunks(sha256))
        except FileNotFoundError:
            raise BlobMissingError(sha256) from None

    async def _chunks(self, sha256: str) -> AsyncIterator[bytes]:
        try:
            result = await self._store.get_async(_path(sha256))
            async for chunk in result.stream(min_chunk_size=CHUNK):
                yield bytes(chunk)
        except FileNotFoundError:
            raise BlobMissingError(sha256) from None


def _link(source: Path, target: Path) -> bool:
    """Gives a file its second name, at once and whole. False where the file system cannot."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except FileExistsError:
        return True
    except FileNotFoundError:
        raise
    except OSError:
        return False
    return True


def _path(sha256: str) -> str:
    # One level of 256 folders: with two, nearly every new file would make a folder first.
    return f"{sha256[:2]}/{sha256}"
