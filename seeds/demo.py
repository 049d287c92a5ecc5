"""The demo: accounts, patients, connections, and a filled sandbox. Running it again changes nothing."""

import asyncio
from dataclasses import dataclass

from app.core import work
from app.core.resources import open_resources
from app.core.settings import Settings
from app.domain.connections.events import PROBE
from seeds import connections, ehr, people


@dataclass(frozen=True, slots=True)
class Seeded:
    patients: int
    documents: int
    new_patients: int


async def seed(settings: Settings, ehr_base_url: str, platform_base_url: str) -> Seeded:
    """Only in demo mode: the accounts have a published password."""
    if not settings.demo:
        raise ValueError("The demo is only seeded with HEALTHRECORDS_DEMO=1: its accounts have a published password.")
    folder = settings.data_dir / "sandbox"
    loaded = await asyncio.to_thread(ehr.fill, folder)
    async with open_resources(settings) as resources, resources.db.transaction() as session:
        users = await people.accounts(session, loaded.patients[0].name)
        provider = await connections.provider(session, resources.vault, ehr_base_url, folder)
        platform_id = await connections.platform(session, resources.vault, platform_base_url, folder)
        new = await people.patients(session, loaded.patients, users, provider.id, platform_id)
        await work.ask(session, PROBE, provider.id)
    return Seeded(len(loaded.patients), sum(it.document_count for it in loaded.patients), new)
