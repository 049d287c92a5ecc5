"""Two scripted servers at two origins, emptied for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.connectors.scripted import Running, Scripted

NASTY = Path(__file__).parents[3] / "shared" / "data" / "fhir" / "nasty"


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Running, Running]]:
    pair = (Running(), Running())
    yield pair
    for each in pair:
        each.stop()


def _emptied(scripted: Scripted) -> Scripted:
    scripted.replies.clear()
    scripted.asked.clear()
    return scripted


@pytest.fixture
def server(running: tuple[Running, Running]) -> Scripted:
    return _emptied(running[0].scripted)


@pytest.fixture
def elsewhere(running: tuple[Running, Running]) -> Scripted:
    return _emptied(running[1].scripted)


@pytest.fixture
def nasty() -> Path:
    if not NASTY.is_dir():
        pytest.skip("the shared FHIR data does not lie beside the project")
    return NASTY
