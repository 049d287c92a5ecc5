"""Layers before the sandbox's servers, and workers that can be killed."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.core.resources import Resources
from app.core.settings import Settings
from sandbox.ehr.app import create_app as create_ehr
from sandbox.platform.app import create_app as create_platform
from sandbox.serve import serving
from tests.conftest import Sandbox
from tests.runs import Books, Layer, Workers, workers


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
