import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from sandbox.ehr.store import Store
from sandbox.serve import EHR_FILE, serve

from .conftest import SHARED, document

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def sandbox(data: Path, *more: str) -> Generator[tuple[subprocess.Popen[str], str, str]]:
    """A sandbox in a process of its own, its FHIR base and its platform's base."""
    command = [sys.executable, "-m", "sandbox", "--ehr-port", "0", "--platform-port", "0", "--data", str(data), *more]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout
            ehr, platform = (process.stdout.readline().split()[1] for _ in range(2))
            yield process, ehr, platform
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_cleanly_and_the_data_stay(tmp_path: Path, number: signal.Signals) -> None:
    with sandbox(tmp_path, "--open") as (process, ehr, platform):
        with httpx.Client() as client:
            assert client.put(f"{ehr}/DocumentReference/p1-d0001", json=document(1)).status_code == 201
            assert client.get(f"{platform}/control/requests").json()["requests"] == {}
            process.send_signal(number)
            assert process.wait(10) == 0
        assert process.stdout
        assert process.stdout.read() == ""
    with sandbox(tmp_path) as (_, ehr, _):
        assert httpx.get(f"{ehr}/DocumentReference/p1-d0001").json()["meta"]["versionId"] == "1"


async def test_a_taken_port_is_an_error(tmp_path: Path) -> None:
    taken = asyncio.Event()
    ports: list[int] = []

    def ready(ehr: str, platform: str) -> None:
        ports.append(int(ehr.removesuffix("/fhir").rsplit(":", 1)[1]))
        taken.set()

    first = asyncio.create_task(serve(tmp_path / "a", 0, 0, ready=ready))
    await asyncio.wait_for(taken.wait(), 10)
    with pytest.raises(OSError, match="in use"):
        await serve(tmp_path / "b", ports[0], 0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_writer_that_holds_the_store_too_long_is_a_conflict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.sqlite.BUSY_SECONDS", 0.05)
    with closing(Store(tmp_path / EHR_FILE)) as store:
        store.set_open(True)
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(tmp_path, 0, 0, ready=lambda ehr, _: ready.set_result(ehr)))
    ehr = await asyncio.wait_for(ready, 10)
    with closing(sqlite3.connect(tmp_path / EHR_FILE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with httpx.AsyncClient() as client:
            refused = await client.put(f"{ehr}/DocumentReference/p1-d0001", json=document(1))
            other.execute("ROLLBACK")
            fine = await client.put(f"{ehr}/DocumentReference/p1-d0001", json=document(1))
    assert (refused.status_code, refused.json()["issue"][0]["code"]) == (409, "lock-error")
    assert fine.status_code == 201
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.skipif(not (SHARED / "data/fhir/synthea").is_dir(), reason="the shared FHIR data are not on this machine")
def test_the_synthetic_patients_load_completely(tmp_path: Path) -> None:
    with sandbox(tmp_path, "--open") as (_, ehr, _):
        loaded = subprocess.run(
            [sys.executable, SHARED / "tools/load_fhir.py", ehr, SHARED / "data/fhir/synthea"],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )
        assert "ERR" not in loaded.stdout
        totals = {
            name: httpx.get(f"{ehr}/{name}?_summary=count").json()["total"]
            for name in ("Patient", "DocumentReference", "DiagnosticReport", "Encounter", "Practitioner")
        }
    expected = {
        "Patient": 38,
        "DocumentReference": 1894,
        "DiagnosticReport": 1573,
        "Encounter": 1894,
        "Practitioner": 77,
    }
    assert totals == expected
