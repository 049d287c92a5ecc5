"""Files by the SHA-256 of their bytes."""

import asyncio
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.core.blobs import BlobMissingError, Blobs, Stored
from app.core.settings import Settings
from app.core.spool import SMALL, Spool, Spooled


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs((tmp_path / "blobs").as_uri())


def stored(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("data", [b"", b"a note", bytes(range(256)) * 5000])
async def test_what_was_stored_is_had_again_by_its_hash(blobs: Blobs, data: bytes) -> None:
    key = await blobs.put(data)
    assert key == hashlib.sha256(data).hexdigest()
    assert await blobs.get(key) == data


async def test_storing_twice_is_storing_once(blobs: Blobs, tmp_path: Path) -> None:
    assert await blobs.put(b"the same") == await blobs.put(b"the same")
    keys = await asyncio.gather(*(blobs.put(b"at once") for _ in range(10)))
    assert len(set(keys)) == 1
    assert len(stored(tmp_path / "blobs")) == 2
    assert await blobs.get(keys[0]) == b"at once"


async def test_what_was_never_stored_is_not_found(blobs: Blobs) -> None:
    with pytest.raises(BlobMissingError):
        await blobs.get("0" * 64)


@pytest.mark.parametrize("name", ["a folder", "100% sure", "%20", "ünïcode", "a+b&c#d?e"])
async def test_the_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    wanted = Settings(data_dir=tmp_path / name, blob_url="")
    key = await Blobs(wanted.blobs).put(b"bytes")
    assert await Blobs(wanted.blobs).get(key) == b"bytes"
    assert stored(tmp_path / name / "blobs") == [tmp_path / name / "blobs" / key[:2] / key]


LARGE = os.urandom(SMALL) * 7


async def spooled(folder: Path, data: bytes = LARGE) -> Spooled:
    async def pieces() -> AsyncIterator[bytes]:
        yield data

    return await Spool(folder).fill(pieces())


def inode(path: Path) -> int:
    return path.stat().st_ino


async def read(found: bytes | Stored) -> tuple[int, bytes]:
    assert isinstance(found, Stored)
    chunks = [chunk async for chunk in found.chunks()]
    assert max(map(len, chunks)) < len(LARGE) // 2
    return found.size, b"".join(chunks)


async def test_a_spooled_file_gets_a_second_name_and_is_not_copied(blobs: Blobs, tmp_path: Path) -> None:
    with await spooled(tmp_path / "tmp") as file:
        key = await blobs.put(file)
        assert key == hashlib.sha256(LARGE).hexdigest()
        assert await blobs.put(file) == key
        assert inode(file.path) == inode(tmp_path / "blobs" / key[:2] / key)
    assert await read(await blobs.open(key)) == (len(LARGE), LARGE)
    assert len(stored(tmp_path / "blobs")) == 1
    assert stored(tmp_path / "tmp") == []


@pytest.mark.parametrize("at_once", [1, 6])
async def test_a_store_elsewhere_takes_it_in_parts(tmp_path: Path, at_once: int) -> None:
    blobs = Blobs("memory:///")
    files = [await spooled(tmp_path, LARGE + bytes([number % 3])) for number in range(at_once)]
    keys = await asyncio.gather(*(blobs.put(file) for file in files))
    assert keys == [file.sha256 for file in files]
    for number, key in enumerate(keys):
        assert await blobs.get(key) == LARGE + bytes([number % 3])


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="there is no second file system here")
async def test_a_file_of_another_volume_is_copied(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        blobs = Blobs(Path(other).as_uri())
        with await spooled(tmp_path) as file:
            key = await blobs.put(file)
        assert await blobs.get(key) == LARGE
        assert len(stored(Path(other))) == 1


async def test_a_small_file_is_opened_as_its_bytes(blobs: Blobs) -> None:
    assert await blobs.open(await blobs.put(b"a note")) == b"a note"
    assert await blobs.open(await blobs.put(LARGE[:SMALL])) == LARGE[:SMALL]
    with pytest.raises(BlobMissingError):
        await blobs.open("0" * 64)


async def test_a_file_that_goes_between_opening_and_reading_is_missed(blobs: Blobs, tmp_path: Path) -> None:
    found = await blobs.open(await blobs.put(LARGE))
    for path in stored(tmp_path / "blobs"):
        path.unlink()
    with pytest.raises(BlobMissingError):
        await read(found)
