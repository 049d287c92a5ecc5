"""The promises of the supervisor, kept by real processes."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.embedded import postgres

ROOT = Path(__file__).parents[2]
PREAMBLE = """
import sys
from pathlib import Path
from app.core.supervisor import Child, run

def child(name, script, **more):
    return Child(name, [sys.executable, "-u", "-c", script], **more)

QUIET = "import os, signal; print('pid', os.getpid()); signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\\n" + QUIET
"""
TWO = PREAMBLE + "sys.exit(run([child('web', QUIET), child('worker', QUIET)]))"
WITH_SERVICES = (
    PREAMBLE
    + """
from app.core.embedded import postgres, valkey
with postgres.start(Path(sys.argv[1]), fsync=False) as one, valkey.start(Path(sys.argv[1])) as two:
    print("services |", "pid", one.pid, flush=True)
    print("services |", "pid", two.pid, flush=True)
    code = run([child("web", QUIET), child("worker", STUBBORN if sys.argv[2:] else QUIET)])
sys.exit(code)
"""
)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    base = Path(tempfile.mkdtemp(prefix="hr-test-"))
    base.chmod(0o755)
    yield base / "data"
    postgres.erase(base / "data")
    shutil.rmtree(base)


WATCHED_SECONDS = 60


class Started:
    """A script in a process of its own, with what it has said so far."""

    def __init__(self, script: str, *words: str, shell: str = "") -> None:
        argv = [sys.executable, "-c", script, *words]
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", shell, "sh", *argv] if shell else argv,
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )
        self.said = ""
        # A line that never comes must not hold up everything else: reading ends with the process.
        self._watch = threading.Timer(WATCHED_SECONDS, self.process.kill)
        self._watch.daemon = True
        self._watch.start()

    def has_said(self, pattern: str) -> None:
        """Two children speak in any order: the line may have come already."""
        if not re.search(pattern, self.said, re.MULTILINE):
            self.line(pattern)

    def line(self, pattern: str) -> re.Match[str]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line
            if found := re.search(pattern, line):
                return found
        pytest.fail(f"it never said {pattern!r}, but:\n{self.said}")

    def pids(self, count: int) -> list[int]:
        return [int(self.line(r"\| +pid (\d+)").group(1)) for _ in range(count)]

    def end(self) -> None:
        self._watch.cancel()
        self.process.kill()
        self.process.wait()
        if self.process.stdout and not self.process.stdout.closed:
            self.said += self.process.stdout.read()
            self.process.stdout.close()


@pytest.fixture
def started() -> Iterator[list[Started]]:
    all_of_them: list[Started] = []
    yield all_of_them
    for one in all_of_them:
        one.end()


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone_within(seconds: float, pids: list[int]) -> bool:
    deadline = time.monotonic() + seconds
    while any(running(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_a_killed_supervisor_takes_children_and_services_along(data_dir: Path, started: list[Started]) -> None:
    started.append(one := Started(WITH_SERVICES, str(data_dir)))
    pids = one.pids(4)
    assert all(running(pid) for pid in pids)
    one.process.kill()
    assert gone_within(5, pids)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything(data_dir: Path, started: list[Started], sign: signal.Signals) -> None:
    started.append(one := Started(WITH_SERVICES, str(data_dir)))
    pids = one.pids(4)
    # As the terminal does it: to the whole group.
    os.killpg(one.process.pid, sign)
    assert one.process.wait(5) == 0
    assert not any(running(pid) for pid in pids)


def test_a_child_that_ignores_the_signal_is_gone_in_time_too(data_dir: Path, started: list[Started]) -> None:
    started.append(one := Started(WITH_SERVICES, str(data_dir), "stubborn"))
    pids = one.pids(4)
    one.process.send_signal(signal.SIGTERM)
    assert one.process.wait(5) == 0
    assert not any(running(pid) for pid in pids)


def test_the_end_of_the_parent_ends_everything(data_dir: Path, started: list[Started]) -> None:
    started.append(one := Started(WITH_SERVICES, str(data_dir), shell='"$@" & wait'))
    pids = one.pids(4)
    one.process.kill()
    assert gone_within(5, pids)


def test_a_killed_child_comes_back(started: list[Started]) -> None:
    started.append(one := Started(TWO))
    first, other = one.pids(2)
    os.kill(first, signal.SIGKILL)
    one.line("ended by SIGKILL")
    (again,) = one.pids(1)
    assert again != first
    assert running(again)
    assert running(other)


def test_what_a_child_left_behind_goes_with_it(started: list[Started]) -> None:
    script = """import subprocess, sys
    grandchild = subprocess.Popen(["/bin/sleep", "60"])
    print("pid", grandchild.pid)
    sys.stdin.read()"""
    script = "\n".join(line.strip() for line in script.splitlines())
    started.append(one := Started(PREAMBLE + f"sys.exit(run([child('web', {script!r})]))"))
    pids = one.pids(1)
    one.process.send_signal(signal.SIGTERM)
    assert one.process.wait(5) == 0
    assert gone_within(5, pids)


def test_a_child_that_cannot_live_ends_the_whole_with_its_last_words(started: list[Started]) -> None:
    broken = "print('the port is taken'); raise SystemExit(3)"
    script = f"run([child('web', QUIET), child('worker', {broken!r})])"
    hasty = "import app.core.supervisor as s; s.FIRST_PAUSE = s.LONGEST_PAUSE = 0.05"
    started.append(one := Started(f"{PREAMBLE}\n{hasty}\nsys.exit({script})"))
    pids = one.pids(1)
    assert one.process.wait(20) == 1
    assert not any(running(pid) for pid in pids)
    one.end()
    assert one.said.count("ended with code 3") == 4
    assert "died 5 times" in one.said
    assert one.said.rstrip().endswith("    the port is taken")


def test_ready_is_said_once_when_all_children_are(started: list[Started], tmp_path: Path) -> None:
    script = """
sign = Path(sys.argv[1])
run(
    [child("web", QUIET, ready=sign.exists), child("worker", QUIET)],
    on_ready=lambda: print("all ready", flush=True),
    each_second=lambda: print("a second", sign.exists(), flush=True),
)"""
    started.append(one := Started(PREAMBLE + script, str(tmp_path / "sign")))
    one.line("a second False")
    assert "all ready" not in one.said
    (tmp_path / "sign").touch()
    one.line("all ready")
    one.line("a second True")
    one.process.send_signal(signal.SIGINT)
    assert one.process.wait(5) == 0
    one.end()
    assert one.said.count("all ready") == 1


def test_children_get_their_environment_and_their_lines_carry_their_name(started: list[Started]) -> None:
    say = "import os, sys; sys.stderr.write(os.environ['GREETING'] + '\\n'); print('no newline', end=''); sys.stdin.read()"
    script = f"sys.exit(run([child('a', {say!r}, env={{'GREETING': 'hello'}}), child('longer', QUIET)]))"
    started.append(one := Started(PREAMBLE + script))
    one.has_said(r"^a      \| hello$")
    one.has_said(r"^longer \| pid \d+$")
    one.process.send_signal(signal.SIGTERM)
    assert one.process.wait(5) == 0
    one.end()
    assert "a      | no newline\n" in one.said


def test_output_that_nobody_reads_holds_up_nothing(started: list[Started]) -> None:
    flood = "print('pid', __import__('os').getpid())\nwhile True: print('x' * 1000)"
    started.append(one := Started(PREAMBLE + f"sys.exit(run([child('web', {flood!r})]))"))
    pids = one.pids(1)
    time.sleep(0.5)
    one.process.send_signal(signal.SIGTERM)
    assert one.process.wait(5) == 0
    assert gone_within(5, pids)
