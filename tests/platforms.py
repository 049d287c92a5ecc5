"""What tests of care platforms share: a patient at a platform of either kind, what is there, and webhooks."""

import asyncio
import json
from collections.abc import Callable
from uuid import UUID, uuid4

import httpx
from sqlalchemy import text

from app.api.kit import ids
from app.connectors.platform.port import PlatformKind
from app.core.resources import Resources
from app.domain.connections import commands, platforms
from sandbox.platform.store import Store
from tests import factories
from tests.conftest import People, Sandbox

KINDS = (PlatformKind.CAREPATRON, PlatformKind.HEALTHIE)
SECRET = "a secret that only the two of us know"


async def at_platform(
    resources: Resources, people: People, sandbox: Sandbox, kind: PlatformKind, url: str | None = None
) -> tuple[str, UUID]:
    """A patient of the dietician's with a provider and a platform of this kind; the id that clients see, and the platform's."""
    async with resources.db.transaction() as session:
        provider = await factories.provider(session, resources.vault, sandbox.fhir)
        platform_id = await commands.save_platform(
            session,
            resources.vault,
            name=f"Platform {uuid4().hex[:6]}",
            kind=kind,
            base_url=url or sandbox.platform_url,
            username=sandbox.key[0],
            password=sandbox.key[1],
        )
        patient = await factories.patient(
            session,
            people.dietician,
            primary_provider_id=provider.id,
            provider_patient_id="amara",
            platform_id=platform_id,
        )
    return ids.encode("Patient", patient.id), platform_id


def references(store: Store) -> list[str]:
    """Our references of what is there, whichever way it came in."""
    return sorted(it["external_id"] or _of_metadata(store, it["id"]) for it in store.stored(None))


def _of_metadata(store: Store, attachment_id: str) -> str:
    found = json.loads(store.metadata(attachment_id) or "{}")
    return found.get("healthrecords", {}).get("reference", "somebody else's")


async def agree_on_webhooks(resources: Resources, sandbox: Sandbox, platform_id: UUID) -> None:
    """What an administrator enters on both sides of a Carepatron-style platform."""
    async with resources.db.transaction() as session:
        platform = await platforms.queries.platform(session, platform_id)
        assert platform is not None
        platforms._seal_secret(resources.vault, platform, SECRET)
    sandbox.platform.add_webhook("timestamped", platforms.webhook_url(resources.settings.base_url, platform_id), SECRET)


async def remove_by_hand(sandbox: Sandbox, attachment_id: str) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.delete(f"{sandbox.platform_url}/control/attachments/{attachment_id}")
        assert answer.status_code == 204


async def until(there: Callable[[], bool], seconds: float = 20) -> None:
    """Waits for another server."""
    async with asyncio.timeout(seconds):
        while not there():  # noqa: ASYNC110 - another server changes it
            await asyncio.sleep(0.02)


async def settled(resources: Resources, seconds: float = 30) -> None:
    """Waits until no job is open that could touch the platform."""
    open_jobs = text(
        "SELECT count(*) FROM work WHERE done_at IS NULL AND dead_at IS NULL"
        " AND kind IN ('sync.run', 'sync.look', 'documents.uploaded')"
    )
    async with asyncio.timeout(seconds):
        while True:
            async with resources.db.reading() as session:
                if not await session.scalar(open_jobs):
                    return
            await asyncio.sleep(0.05)
