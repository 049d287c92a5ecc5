"""One patient's stream of documents."""

import pytest

from app.core.resources import Resources
from tests.conftest import People
from tests.domain.documents.arrivals import Stream, stream


@pytest.fixture
async def arriving(resources: Resources, people: People) -> Stream:
    return await stream(resources, people.dietician)
