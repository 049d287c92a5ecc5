"""One server process: ends what an earlier run left, starts, waits until it answers, stops."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from app.core.embedded.account import Account, plain_environment
from app.core.embedded.errors import EmbeddedError
from app.core.embedded.launch import command
from app.core.embedded.paths import Lock

READY_WITHIN = 15.0
SURVIVOR_WITHIN = 8.0
SHOWN_LINES = 15


@dataclass(frozen=True)
class Program:
    name: str
    argv: Sequence[str]
    account: Account
    url: str
    log: Path
    pid_file: Path
    """Its first line is the process id."""
    mark: str
    """A path in the command line that no other program has."""
    sockets: Sequence[Path]
    ready: Callable[[int], bool]
    """Whether the server with this process id answers."""
    stop_signal: signal.Signals
    hard_signal: signal.Signals
    passing: str = "\0"
    """Words in the log of a failed start that say: try again in a moment."""
    remedy: str = "The log says why; a data folder that is beyond repair may be removed."


class Running:
    """A server that runs until `stop`, or (on Linux) until this process ends, however it ends."""

    def __init__(self, program: Program, lock: Lock) -> None:
        if threading.current_thread() is not threading.main_thread():
            # The kernel would end the server with that thread.
            raise EmbeddedError(f"{program.name} was started from a passing thread.", "Start it from the main thread.")
        self._program = program
        self._lock = lock
        self._process = _start(program)

    @property
    def url(self) -> str:
        return self._program.url

    @property
    def pid(self) -> int:
        return self._process.pid

    def revive(self) -> bool:
        """Starts the server again if it has died, and says whether it had. From the main thread; `EmbeddedError`."""
        if self._process.poll() is None:
            return False
        self._process = _start(self._program)
        return True

    def stop(self, patience: float = 1.5) -> None:
        """Gone within `patience` seconds plus one. Data is safe even where it has to be forced."""
        _end(self._process, self._program, patience)
        _remove(self._program.sockets)
        with contextlib.suppress(OSError):
            # Shared with the other service, or gone already.
            self._program.sockets[0].parent.rmdir()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _start(program: Program) -> subprocess.Popen[bytes]:
    end_survivor(program)
    _remove(program.sockets)
    if program.log.exists():
        program.log.replace(program.log.with_suffix(".log.1"))
    deadline = time.monotonic() + READY_WITHIN
    while True:
        process = _spawn(program)
        try:
            if _wait(process, program, deadline):
                return process
        except BaseException:
            _end(process, program, 0.5)
            raise
        _end(process, program, 0.5)
        tail = _tail(program.log)
        if program.passing not in tail or time.monotonic() > deadline:
            raise EmbeddedError(f"{program.name} did not start. {program.log} ends with:\n{tail}", program.remedy)
        time.sleep(0.2)


def _spawn(program: Program) -> subprocess.Popen[bytes]:
    descriptor = os.open(program.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        return subprocess.Popen(  # noqa: S603 - our own words, no shell
            command(program.argv, program.stop_signal, program.account.drop),
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            cwd="/",
            env=plain_environment(),
            # Ctrl-C in the terminal is for the supervisor only.
            start_new_session=True,
            umask=0o077,
        )
    finally:
        os.close(descriptor)


def _wait(process: subprocess.Popen[bytes], program: Program, deadline: float) -> bool:
    while process.poll() is None and time.monotonic() < deadline:
        if program.ready(process.pid):
            return True
        time.sleep(0.01)
    return False


def _end(process: subprocess.Popen[bytes], program: Program, patience: float) -> None:
    for sign, seconds in ((program.stop_signal, patience), (program.hard_signal, 0.7), (signal.SIGKILL, 0.3)):
        if process.poll() is not None:
            return
        process.send_signal(sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            # The next signal is harder.
            process.wait(seconds)


def end_survivor(program: Program) -> None:
    """Ends the server that an earlier run left behind. The caller holds the lock, so nobody needs it any more."""
    pid = _first_line(program.pid_file)
    if pid is None:
        return
    deadline = time.monotonic() + SURVIVOR_WITHIN
    sign = program.stop_signal
    while program.mark in _command_line(pid):
        with contextlib.suppress(ProcessLookupError):
            # It ended between the two looks.
            os.kill(pid, sign)
        if _gone(pid, program.mark, deadline):
            break
        if sign == signal.SIGKILL:
            raise EmbeddedError(f"{program.name} of an earlier run (pid {pid}) does not end.", f"End process {pid}.")
        sign, deadline = (signal.SIGKILL if sign == program.hard_signal else program.hard_signal), deadline + 2
    if _exists(pid):
        # Another program has the number now, or nobody collected the dead one: the file would forbid the start.
        program.pid_file.unlink(missing_ok=True)


def _gone(pid: int, mark: str, deadline: float) -> bool:
    while time.monotonic() < deadline:
        if mark not in _command_line(pid):
            return True
        time.sleep(0.02)
    return False


def _first_line(pid_file: Path) -> int | None:
    try:
        return int(pid_file.read_text(errors="replace").split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _command_line(pid: int) -> str:
    """Empty for a process that is gone, or dead and not yet collected."""
    if Path("/proc/self/cmdline").exists():
        try:
            return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes())
        except OSError:
            return ""
    found = subprocess.run(  # noqa: S603 - our own words, no shell
        ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, check=False, cwd="/"
    )
    return os.fsdecode(found.stdout)


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _tail(log: Path) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-SHOWN_LINES:])
    except OSError as error:
        return f"({error.strerror})"
