"""`healthrecords up` in a process group of its own, and a look at what it leaves behind."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import free_port
from tests.runs import ROOT, processes_that_know

UP_SECONDS = 60
COMMAND = (sys.executable, "-m", "app.cli")


def three_ports() -> int:
    """The first of three neighbouring free ports: the web server's, the EHR's, the platform's."""
    while True:
        port = free_port()
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            # A neighbour is taken, or there is none: look elsewhere.
            for number in (port, port + 1, port + 2):
                listening = stack.enter_context(socket.socket())
                listening.bind(("127.0.0.1", number))
            return port


class House:
    """An installation in a folder, started and ended by a test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "the data"
        self.port = three_ports()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def platform_url(self) -> str:
        return f"http://127.0.0.1:{self.port + 2}"

    @property
    def said(self) -> str:
        return (self.folder / "up.log").read_text(errors="replace")

    @property
    def environment(self) -> dict[str, str]:
        own = {"PORT": str(self.port), "HEALTHRECORDS_DATA_DIR": str(self.data)}
        kept = {k: v for k, v in os.environ.items() if not k.startswith("HEALTHRECORDS_")}
        return {k: v for k, v in kept.items() if k not in ("DATABASE_URL", "REDIS_URL")} | own

    def start(self) -> float:
        """Starts it and waits until it is ready; seconds that took."""
        began = time.monotonic()
        with (self.folder / "up.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "up"], cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        while not self.ready():
            assert self.process.poll() is None, self.said
            assert time.monotonic() - began < UP_SECONDS, self.said
            time.sleep(0.05)
        return time.monotonic() - began

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=2, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def end(self, number: signal.Signals) -> float:
        """Sends a signal; seconds until nothing of it was left."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(15)
        while self.left() and time.monotonic() - began < 15:
            time.sleep(0.05)
        return time.monotonic() - began

    def left(self) -> list[str]:
        """The command lines of processes that know of the folder."""
        return processes_that_know(self.data)

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *words], cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=90, check=False
        )

    def expected_documents(self) -> dict[str, int]:
        """How many documents the sandbox's EHR holds, by the patient's name."""
        cohort = json.loads((self.data / "sandbox" / "cohort.json").read_text())
        return {patient["name"]: patient["document_count"] for patient in cohort["patients"]}

    def at_platform(self) -> list[dict[str, Any]]:
        return httpx.get(f"{self.platform_url}/control/attachments", trust_env=False).json()["attachments"]
