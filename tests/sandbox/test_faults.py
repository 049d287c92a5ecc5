"""Every fault of the table, as a raw client sees it."""

from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

from sandbox.ehr.app import create_app as create_ehr
from sandbox.ehr.store import Store as EhrStore
from sandbox.faults.table import FAULTS
from sandbox.platform.app import create_app as create_platform
from sandbox.platform.store import Store as PlatformStore
from sandbox.serve import serving

from . import seen_connection, seen_listing, seen_platform
from .conftest import AGENT, document
from .fault_house import SEEN, House

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "sandbox.md"
assert all((seen_connection, seen_listing, seen_platform)), "importing them fills SEEN"


@pytest.fixture
async def house(ehr_store: EhrStore, platform_store: PlatformStore) -> AsyncGenerator[House]:
    ehr_store.put_many(document(number) for number in range(1, 6))
    ehr_store.put({"resourceType": "Binary", "id": "b1", "contentType": "text/plain", "data": "cGVhcnMgYW5kIHBsdW1z"})
    async with (
        serving(create_ehr(ehr_store)) as ehr,
        serving(create_platform(platform_store)) as platform,
        httpx.AsyncClient(base_url=ehr) as ehr_client,
        httpx.AsyncClient(base_url=platform, auth=("key", "secret"), headers=AGENT) as platform_client,
    ):
        yield House(ehr_client, ehr_store, platform_client)


@pytest.mark.parametrize("name", sorted(FAULTS))
async def test_a_raw_client_sees_the_fault_and_nothing_of_it_afterwards(house: House, name: str) -> None:
    before = (await house.ehr.get("/fhir/Binary/b1")).content
    await SEEN[name](house)
    after = await house.ehr.get("/fhir/Binary/b1")
    assert (after.status_code, after.content) == (200, before) == (200, b"pears and plums")


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_the_guide_has_a_row_for_the_fault_and_names_its_options(name: str) -> None:
    row = next((line for line in GUIDE.read_text().splitlines() if line.startswith(f"| `{name}` |")), "")
    assert row
    assert [option for option in FAULTS[name].options if f"`{option}`" not in row] == []
