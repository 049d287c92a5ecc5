"""Programs of the product, each in a process of its own, for as long as a block lasts."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from app.core.embedded.launch import command

ROOT = Path(__file__).parent.parent
UP_WITHIN = 30.0
DOWN_WITHIN = 10.0


@dataclass(frozen=True, slots=True)
class Process:
    name: str
    pid: int
    log: Path

    def cpu(self) -> float | None:
        """Seconds of processor time so far, its helper processes included; None where the kernel does not tell."""
        found = _ticks()
        if self.pid not in found:
            return None
        family = {self.pid}
        while more := {pid for pid, (parent, _) in found.items() if parent in family} - family:
            family |= more
        return sum(found[pid][1] for pid in family) / os.sysconf("SC_CLK_TCK")


def _ticks() -> dict[int, tuple[int, int]]:
    """Each process with its parent and its clock ticks so far; empty on systems without /proc."""
    found: dict[int, tuple[int, int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # It has ended since. After the name in parentheses: state, parent, …, utime and stime as 12th and 13th.
            fields = path.read_text().rpartition(")")[2].split()
            found[int(path.parent.name)] = (int(fields[1]), int(fields[11]) + int(fields[12]))
    return found


@contextmanager
def running(
    folder: Path, name: str, words: Sequence[str], env: Mapping[str, str], ready: Callable[[str], bool]
) -> Generator[Process]:
    """`python -m` these words. Yields once `ready`, which is shown what the program has said, agrees.

    Raises:
        RuntimeError: it does not come up.
    """
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        # Not read: it ends a worker that outlives us.
        started = subprocess.Popen(
            command([sys.executable, "-m", *words], signal.SIGTERM),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={**os.environ, **env},
        )
    try:
        deadline = time.monotonic() + UP_WITHIN
        while not ready(log.read_text(errors="replace")):
            if started.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} did not come up:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)
        yield Process(name, started.pid, log)
    finally:
        started.terminate()
        try:
            started.wait(DOWN_WITHIN)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()
