"""Runs child processes beside each other: restarts what dies, shows what they say, takes them along when it ends."""

import os
import queue
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType

from app.core.embedded.launch import command, die_with_parent

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 10.0
SHORT_LIFE = 10.0
"""Seconds. A child that dies sooner after its start has not come up."""
SHORT_LIVES = 5
GRACE = 3.0
"""Seconds between SIGTERM and SIGKILL."""
TICK = 0.1
LAST_LINES = 20
LONGEST_LINE = 64 * 1024
WAITING_LINES = 5000
COLOURS = (36, 35, 33, 32, 34)


@dataclass(frozen=True)
class Child:
    """A program that is to run all the time. It should end on SIGTERM, and when its standard input closes."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] | None = None
    """Added to our own environment."""
    ready: Callable[[], bool] | None = None
    """A quick look whether it is up; asked until it says yes once."""


def run(
    children: Sequence[Child],
    on_ready: Callable[[], None] | None = None,
    each_second: Callable[[], None] | None = None,
) -> int:
    """Runs the children until SIGINT, SIGTERM, SIGHUP or the end of our parent: 0. A child that cannot live: 1.

    From the main thread. `on_ready` is called once, when every `ready` has said yes; `each_second` for whatever else
    must be kept alive. An exception of theirs ends everything and is raised.
    """
    return Supervisor(children, on_ready, each_second).run()


def follow_parent() -> None:
    """SIGTERM to this process when its parent ends. The earlier it is called, the fewer parents it misses."""
    parent = os.getppid()
    die_with_parent(signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


class Supervisor:
    def __init__(
        self,
        children: Sequence[Child],
        on_ready: Callable[[], None] | None = None,
        each_second: Callable[[], None] | None = None,
    ) -> None:
        self._screen = Screen()
        self._selector = selectors.DefaultSelector()
        width = max((len(child.name) for child in children), default=0)
        self._runs = [
            Run(child, self._selector, self._screen, _prefix(child.name, width, index))
            for index, child in enumerate(children)
        ]
        self._on_ready = on_ready
        self._each_second = each_second
        self._next_second = time.monotonic()
        self._asked = 0

    def run(self) -> int:
        handlers = {sign: signal.signal(sign, self._ask) for sign in _ending_signals()}
        follow_parent()
        try:
            return self._watch()
        finally:
            self._end_all()
            self._screen.close()
            for sign, handler in handlers.items():
                signal.signal(sign, handler or signal.SIG_DFL)

    def _ask(self, sign: int, frame: FrameType | None) -> None:
        del sign, frame
        self._asked += 1

    def _watch(self) -> int:
        while not self._asked:
            for run in self._runs:
                run.tend()
                if run.hopeless:
                    self._screen.write(run.epitaph())
                    return 1
            if self._on_ready and all(run.ready() for run in self._runs):
                self._on_ready()
                self._on_ready = None
            if self._each_second and time.monotonic() >= self._next_second:
                self._each_second()
                self._next_second = time.monotonic() + 1
            self._listen(TICK)
        return 0

    def _listen(self, seconds: float) -> None:
        if not self._selector.get_map():
            time.sleep(seconds)
        for key, _ in self._selector.select(seconds):
            key.data()

    def _end_all(self) -> None:
        asked = self._asked
        for run in self._runs:
            run.terminate()
        deadline = time.monotonic() + GRACE
        while any(run.alive() for run in self._runs) and time.monotonic() < deadline:
            if self._asked > asked:
                # Asked twice: at once.
                break
            self._listen(0.02)
        for run in self._runs:
            run.kill()
        self._selector.close()


class Run:
    """The present life of a child, and what is known of the earlier ones."""

    def __init__(self, child: Child, selector: selectors.BaseSelector, screen: "Screen", prefix: bytes) -> None:
        self._child = child
        self._selector = selector
        self._screen = screen
        self._prefix = prefix
        self._process: subprocess.Popen[bytes] | None = None
        self._partial = b""
        self._last: deque[bytes] = deque(maxlen=LAST_LINES)
        self._ready = child.ready is None
        self._born = self._not_before = 0.0
        self._pause = FIRST_PAUSE
        self._short_lives = 0

    @property
    def hopeless(self) -> bool:
        return self._short_lives >= SHORT_LIVES

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def ready(self) -> bool:
        if not self._ready and self.alive() and self._child.ready:
            self._ready = self._child.ready()
        return self._ready

    def tend(self) -> None:
        """Notices a death, and starts the next life when its time has come."""
        if self._process is not None and self._process.poll() is not None:
            self._bury(self._process)
        if self._process is None and not self.hopeless and time.monotonic() >= self._not_before:
            self._start()

    def _start(self) -> None:
        self._born = time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603 - our own words, no shell
            command(self._child.argv, signal.SIGTERM),
            # Never written to: it closes when we end, on every system.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(self._child.env or {})},
            start_new_session=True,
        )
        output = self._process.stdout
        if output is not None:
            os.set_blocking(output.fileno(), False)
            self._selector.register(output, selectors.EVENT_READ, self._read)

    def _bury(self, process: subprocess.Popen[bytes]) -> None:
        self._close(process)
        lived = time.monotonic() - self._born
        if lived < SHORT_LIFE:
            self._short_lives += 1
        else:
            self._short_lives, self._pause = 0, FIRST_PAUSE
        self._not_before = time.monotonic() + self._pause
        if not self.hopeless:
            note = f"ended {_manner(process.returncode)} after {lived:.1f} s; again in {self._pause:.1f} s\n"
            self._screen.write(self._prefix + note.encode())
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        self._process = None

    def _close(self, process: subprocess.Popen[bytes]) -> None:
        """What it left behind in its session goes with it; what it said last is shown."""
        with suppress(ProcessLookupError, PermissionError):
            # Nobody left; macOS answers «not permitted» for dead ones.
            os.killpg(process.pid, signal.SIGKILL)
        if process.stdout is not None and not process.stdout.closed:
            while self._read():
                continue
            with suppress(KeyError):
                # It was unregistered when it closed its output.
                self._selector.unregister(process.stdout)
            process.stdout.close()
        if process.stdin is not None:
            process.stdin.close()
        if self._partial:
            self._show(self._partial)
            self._partial = b""

    def _read(self) -> bool:
        """One piece of its output; False when there is none now."""
        output = self._process.stdout if self._process else None
        if output is None:
            return False
        with suppress(BlockingIOError):
            # All is read.
            if chunk := os.read(output.fileno(), LONGEST_LINE):
                *lines, self._partial = (self._partial + chunk).split(b"\n")
                if len(self._partial) > LONGEST_LINE:
                    lines, self._partial = [*lines, self._partial], b""
                for line in lines:
                    self._show(line)
                return True
            with suppress(KeyError):
                # It closed its output and lives on.
                self._selector.unregister(output)
        return False

    def _show(self, line: bytes) -> None:
        self._last.append(line.rstrip(b"\r"))
        self._screen.write(self._prefix + line.rstrip(b"\r") + b"\n")

    def epitaph(self) -> bytes:
        said = b"".join(b"    " + line + b"\n" for line in self._last)
        return f"{self._child.name} died {SHORT_LIVES} times right after its start. Its last words:\n".encode() + said

    def terminate(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def kill(self) -> None:
        if self._process is not None:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            self._close(self._process)
            self._process = None


class Screen:
    """Standard output behind a thread: a reader that stands still must hold up neither the children nor the end."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[bytes | None] = queue.Queue(WAITING_LINES)
        self._lost = 0
        self._thread = threading.Thread(target=self._work, name="screen", daemon=True)
        self._thread.start()

    def write(self, text: bytes) -> None:
        try:
            if self._lost:
                self._waiting.put_nowait(f"({self._lost} lines were not shown: nobody read them)\n".encode())
                self._lost = 0
            self._waiting.put_nowait(text)
        except queue.Full:
            self._lost += 1

    def close(self) -> None:
        with suppress(queue.Full):
            # Nobody reads; nothing to wait for.
            self._waiting.put_nowait(None)
            self._thread.join(0.5)

    def _work(self) -> None:
        gone = False
        while (text := self._waiting.get()) is not None:
            while text and not gone:
                try:
                    text = text[os.write(1, text) :]
                except OSError:
                    # The reader or the terminal is gone for good; the children go on.
                    gone = True


def _ending_signals() -> list[signal.Signals]:
    """SIGHUP only where it is not ignored: `nohup` means it."""
    hangup = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
    return [signal.SIGINT, signal.SIGTERM, *hangup]


def _manner(code: int) -> str:
    return f"by {signal.Signals(-code).name}" if code < 0 else f"with code {code}"


def _prefix(name: str, width: int, index: int) -> bytes:
    label = f"{name:<{width}} | "
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        label = f"\033[{COLOURS[index % len(COLOURS)]}m{label}\033[0m"
    return label.encode()
