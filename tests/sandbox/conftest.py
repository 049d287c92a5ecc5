import contextlib
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.ehr.app import create_app as create_ehr
from sandbox.ehr.store import Store as EhrStore
from sandbox.platform.app import create_app as create_platform
from sandbox.platform.store import Store as PlatformStore
from sandbox.serve import serving

SHARED = Path(__file__).resolve().parents[3] / "shared"

AGENT = {"User-Agent": "healthrecords (dev@example.org)"}


@pytest.fixture
def ehr_store(tmp_path: Path) -> Generator[EhrStore]:
    with contextlib.closing(EhrStore(tmp_path / "ehr.sqlite")) as store:
        store.set_open(True)
        yield store


@pytest.fixture
async def ehr(ehr_store: EhrStore) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of an open EHR; its base is the FHIR base."""
    async with serving(create_ehr(ehr_store)) as url, httpx.AsyncClient(base_url=url + "/fhir") as client:
        yield client


@pytest.fixture
def platform_store(tmp_path: Path) -> Generator[PlatformStore]:
    with contextlib.closing(PlatformStore(tmp_path / "platform.sqlite")) as store:
        store.register_key("key", "secret")
        yield store


@pytest.fixture
async def platform(platform_store: PlatformStore) -> AsyncGenerator[httpx.AsyncClient]:
    async with (
        serving(create_platform(platform_store)) as url,
        httpx.AsyncClient(base_url=url, auth=("key", "secret"), headers=AGENT) as client,
    ):
        yield client


def document(number: int, patient: str = "p1", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "DocumentReference",
        "id": f"{patient}-d{number:04}",
        "status": "current",
        "type": {"coding": [{"system": "http://loinc.org", "code": "11506-3"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "date": f"20{number % 20 + 10}-05-17T08:00:00Z",
        "content": [{"attachment": {"contentType": "text/plain", "url": f"Binary/{patient}-b{number}"}}],
        **more,
    }


async def pages(client: httpx.AsyncClient, url: str) -> list[dict[str, Any]]:
    """Every page of a search, by its next links."""
    found: list[dict[str, Any]] = []
    following: str | None = url
    while following:
        response = await client.get(following)
        assert response.status_code == 200, response.text
        found.append(response.json())
        following = link(found[-1], "next")
    return found


def link(bundle: dict[str, Any], relation: str) -> str | None:
    return next((one["url"] for one in bundle["link"] if one["relation"] == relation), None)


def ids(*bundles: dict[str, Any]) -> list[str]:
    return [entry["resource"]["id"] for bundle in bundles for entry in bundle.get("entry", [])]
