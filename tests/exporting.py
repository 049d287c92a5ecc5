"""What tests of exports share: a group of connected patients, an export followed to its end."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import httpx

from app.api.kit import ids
from app.cli.client import Client
from app.core.resources import Resources
from tests import factories
from tests.conftest import People, Sandbox
from tests.sandbox.test_ehr_bulk import group

ENDED = ("SUCCEEDED", "SUCCEEDED_WITH_GAPS", "FAILED", "CANCELLED")


@dataclass
class Practice:
    """A provider whose patients are ours, in the group `g`."""

    admin: Client
    provider: str
    names: list[str] = field(default_factory=list[str])

    async def export(self, **given: Any) -> dict[str, Any]:
        """Asks for an export; how it stands then."""
        wanted = {"id": self.provider, "groupId": "g"} | given
        return (await self.admin.change("ProviderExport", "providerExport", **wanted))["export"]

    async def latest(self) -> dict[str, Any]:
        found = await self.admin.ask("ProviderExportList", id=self.provider, first=1)
        return found["node"]["exports"]["edges"][0]["node"]

    async def until(self, *states: str, seconds: float = 60) -> dict[str, Any]:
        async with asyncio.timeout(seconds):
            while (found := await self.latest())["state"] not in states:
                assert found["state"] not in ENDED, found
                await asyncio.sleep(0.1)
        return found

    async def exported(self, seconds: float = 60, **given: Any) -> dict[str, Any]:
        """An export once it has ended."""
        await self.export(**given)
        return await self.until(*ENDED, seconds=seconds)


async def practice(
    resources: Resources, people: People, admin: Client, sandbox: Sandbox, names: list[str], **given: Any
) -> Practice:
    """Patients of a dietician at a new provider; `fhir` may lead through a layer, `platform` hands their documents over."""
    address, platform = given.pop("fhir", sandbox.fhir), given.pop("platform", None)
    async with resources.db.transaction() as session:
        provider = await factories.provider(session, resources.vault, address, **given)
        platform_id = await factories.platform(session, resources.vault, platform) if platform else None
        for name in names:
            connected = {"primary_provider_id": provider.id, "provider_patient_id": name}
            await factories.patient(session, people.dietician, platform_id=platform_id, **connected)
    sandbox.ehr.put(group(*names))
    return Practice(admin, ids.encode("Provider", provider.id), names)


async def set_manner(origin: str, **given: Any) -> None:
    """How the sandbox does its exports."""
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"{origin}/control/exports", json={"retry_after": 0, "polls": 0, **given})
        assert answer.status_code == 200
