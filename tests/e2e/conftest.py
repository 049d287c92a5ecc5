"""One running installation for the tests that only look at it."""

import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.embedded import postgres
from tests.e2e.house import House


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """Not started yet. The folder's path has a space in it."""
    if not sys.platform.startswith("linux"):
        pytest.skip("what is left of a process group is looked up in /proc")
    folder = Path(tempfile.mkdtemp(prefix="hr e2e "))
    folder.chmod(0o755)
    made = House(folder)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.end(signal.SIGKILL)
    postgres.erase(made.data)
    shutil.rmtree(folder)
