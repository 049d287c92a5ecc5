"""How much memory a process has needed."""

import re
from pathlib import Path

import pytest

from tests.runs import WorkerProcess


def peak(worker: WorkerProcess) -> int:
    """The most memory, in kilobytes, that the process has ever held."""
    status = Path(f"/proc/{worker.process.pid}/status")
    if not status.exists():
        pytest.skip("the memory of a process is looked up in /proc")
    found = re.search(r"VmHWM:\s+(\d+)", status.read_text())
    assert found
    return int(found[1])
