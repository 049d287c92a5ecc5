"""A process that wants too much memory is refused it; one that cannot end is ended."""

import subprocess
import sys

import pytest

from tests.runs import ROOT

GREEDY = """
import sys
from app.core.process import limit_memory
limit_memory(int(sys.argv[1]))
try:
    bytearray(4 << 30)
    print("given")
except MemoryError:
    print("refused")
"""
HANGING = """
import threading
from app.core.process import exit_within
exit_within(0.5)
threading.Event().wait()
"""


def said(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *words], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts what a process writes to")
def test_more_memory_than_the_limit_is_an_error_of_whoever_wants_it() -> None:
    assert said(GREEDY, "1024").stdout.splitlines()[-1] == "refused"


def test_without_a_limit_there_is_none() -> None:
    # Reserved, not written to: that costs the machine nothing.
    assert said(GREEDY, "0").stdout.splitlines()[-1] == "given"


def test_a_process_that_hangs_is_gone_all_the_same() -> None:
    found = said(HANGING)
    assert found.returncode == 1
    assert "process.cut_off" in found.stdout + found.stderr
