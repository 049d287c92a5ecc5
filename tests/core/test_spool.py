"""Large bodies lie in files: whole, hashed, and gone when nobody needs them, whatever happens in between."""

import asyncio
import base64
import gc
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.core.spool import AT_ONCE, BLOCK, OF_ONE, Spool, SpoolError, measure

ROOT = Path(__file__).parent.parent.parent
DATA = os.urandom(3 * BLOCK + 17)
HOLDER = """
import sys, time
from pathlib import Path
from app.core.spool import Spool
sink = Spool(Path(sys.argv[1])).sink()
sink.write(b"half a body")
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "tmp"


def left(folder: Path) -> list[Path]:
    return [*folder.iterdir()] if folder.is_dir() else []


def modes(folder: Path) -> int:
    return folder.stat().st_mode


async def pieces(data: bytes = DATA, size: int = 50_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def test_a_body_is_kept_whole_and_measured_while_it_arrives(folder: Path) -> None:
    with await Spool(folder).fill(pieces()) as spooled:
        assert spooled.path.read_bytes() == DATA
        assert (spooled.size, spooled.sha256) == (len(DATA), hashlib.sha256(DATA).hexdigest())
        assert spooled.head(5) == DATA[:5]
        assert measure(spooled) == measure(DATA)
    assert left(folder) == []


async def test_nobody_else_may_look_into_the_folder(folder: Path) -> None:
    with await Spool(folder).fill(pieces()):
        assert modes(folder) & 0o077 == 0


async def test_a_body_that_is_forgotten_goes_too(folder: Path) -> None:
    spooled = await Spool(folder).fill(pieces())
    assert len(left(folder)) == 1
    del spooled
    gc.collect()
    assert left(folder) == []


async def test_a_body_that_breaks_off_leaves_nothing(folder: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        async for piece in pieces():
            yield piece
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await Spool(folder).fill(broken())
    assert left(folder) == []


async def test_a_body_that_nobody_waits_for_any_more_leaves_nothing(folder: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield DATA
            await asyncio.sleep(0)

    filling = asyncio.create_task(Spool(folder).fill(endless()))
    async with asyncio.timeout(20):
        while not any(it.stat().st_size for it in left(folder)):  # noqa: ASYNC110 - a thread writes it
            await asyncio.sleep(0.001)
    filling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await filling
    assert left(folder) == []


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_holds_is_not(folder: Path) -> None:
    words = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        ours = Spool(folder).sink()
        Spool(folder).sweep()
        assert len(left(folder)) == 2
        process.send_signal(signal.SIGKILL)
        process.wait()
    Spool(folder).sweep()
    assert len(left(folder)) == 1
    ours.discard()
    assert left(folder) == []


def test_there_is_nothing_to_sweep_before_anything_was_spooled(folder: Path) -> None:
    Spool(folder).sweep()
    assert not folder.exists()


async def test_a_folder_that_cannot_be_written_to_is_not_the_senders_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SpoolError):
        await Spool(tmp_path / "file" / "tmp").fill(pieces())
    sink = Spool(tmp_path).sink()
    os.close(sink._descriptor)
    sink._descriptor = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(SpoolError):
        sink.write(DATA)
    sink.discard()


async def test_one_slow_place_leaves_room_for_the_others(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    held = asyncio.Event()
    here = 0

    async def hold(place: str) -> None:
        nonlocal here
        async with spool.turn(place):
            here += 1
            await held.wait()

    slow = [asyncio.create_task(hold("slow")) for _ in range(AT_ONCE * 2)]
    for _ in range(10):
        await asyncio.sleep(0)
    assert here == OF_ONE
    async with asyncio.timeout(20):
        async with spool.turn("another"):
            assert here == OF_ONE
    held.set()
    await asyncio.gather(*slow)
    assert here == AT_ONCE * 2


def test_small_bodies_are_measured_too() -> None:
    sha1 = base64.b64encode(measure(b"abc").sha1).decode()
    assert (measure(b"abc").size, sha1) == (3, "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=")
