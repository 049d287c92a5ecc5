"""Files by the SHA-256 of their bytes."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from app.core.blobs import BlobMissingError, Blobs
from app.core.settings import Settings


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
