"""A patient who is connected to a provider."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.core.resources import Resources
from app.domain.patients.models import Patient
from tests import factories
from tests.conftest import People

Connect = Callable[..., Awaitable[Patient]]


@pytest.fixture
async def connect(resources: Resources, people: People) -> Connect:
    async def connected(dietician: factories.Person | None = None, **given: Any) -> Patient:
        async with resources.db.transaction() as session:
            provider = await factories.provider(session, resources.vault, "https://ehr.example.test/fhir")
            linked = {"primary_provider_id": provider.id, "provider_patient_id": "amara"}
            return await factories.patient(session, dietician or people.dietician, **linked | given)

    return connected


@pytest.fixture
async def patient(connect: Connect, people: People) -> Patient:
    return await connect(account_id=people.patient.id)
