"""Layers before the sandbox's servers, processes that can be killed, services of a test's own, one judge and one list of
figures."""

import tempfile
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.core.resources import Resources
from app.core.settings import Settings
from sandbox.ehr.app import create_app as create_ehr
from sandbox.platform.app import create_app as create_platform
from sandbox.serve import serving
from tests.conftest import Sandbox
from tests.faults.desk import compared, desk, door, fhir
from tests.faults.figures import Figures
from tests.faults.oracle import Oracle
from tests.faults.own import OwnValkey
from tests.faults.processes import Web
from tests.runs import Books, Layer, Workers, workers

__all__ = ["compared", "desk", "door", "fhir"]


@dataclass
class Fronts:
    """The sandbox's servers once more, each behind a layer."""

    ehr: Layer
    ehr_url: str
    platform: Layer
    platform_url: str

    @property
    def fhir(self) -> str:
        return f"{self.ehr_url}/fhir"


@pytest.fixture
async def fronts(sandbox: Sandbox) -> AsyncGenerator[Fronts]:
    ehr, platform = Layer(create_ehr(sandbox.ehr)), Layer(create_platform(sandbox.platform))
    async with serving(ehr) as ehr_url, serving(platform) as platform_url:
        yield Fronts(ehr, ehr_url, platform, platform_url)


@pytest.fixture
async def processes(settings: Settings, tmp_path: Path) -> AsyncGenerator[Workers]:
    async with workers(settings, tmp_path) as started:
        yield started


@pytest.fixture
def books(resources: Resources) -> Books:
    return Books(resources)


@pytest.fixture
def oracle(books: Books, sandbox: Sandbox) -> Oracle:
    return Oracle(books, sandbox.ehr, sandbox.platform)


@pytest.fixture(scope="session")
def figures() -> Generator[Figures]:
    taken = Figures()
    yield taken
    taken.write()


@pytest.fixture
def own_valkey() -> Generator[OwnValkey]:
    with tempfile.TemporaryDirectory(prefix="hr-") as folder:
        own = OwnValkey(Path(folder))
        yield own
        own.stop()


@pytest.fixture
async def web(processes: Workers, settings: Settings) -> Web:
    """Ends with the other processes of the test."""
    served = Web(processes, settings)
    await served.start()
    return served
