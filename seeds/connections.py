"""The demo's connections: the sandbox EHR with SMART Backend Services, the sandbox platform with a key."""

import secrets
from dataclasses import replace
from pathlib import Path
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.platform.port import PlatformKind
from app.connectors.provider.port import Auth, AuthKind
from app.core.crypto import Vault
from app.domain.connections import commands, queries, rules
from app.domain.connections.models import Provider
from sandbox.ehr.store import Store as EhrStore
from sandbox.platform.store import Store as PlatformStore

PROVIDER = "Riverside Primary Care"
PLATFORM = "Carepatron"
CLIENT_ID = "healthrecords-demo"
API_KEY = "demo-key"
PAGE_SIZE = 20
"""Small, so that a demo's progress is seen to move."""


async def provider(session: AsyncSession, vault: Vault, base_url: str, folder: Path) -> Provider:
    """Connects the EHR with the key that it had before, if any, and tells the EHR the public half."""
    auth = Auth(kind=AuthKind.SMART_BACKEND, client_id=CLIENT_ID)
    if found := await queries.provider_by_name(session, PROVIDER):
        auth = replace(commands.connection(found, vault, 0).auth, token_url="")
    saved = await commands.save_provider(
        session, vault, name=PROVIDER, base_url=base_url, auth=auth, page_size=PAGE_SIZE
    )
    key = rules.public_jwk(commands.connection(saved, vault, 0).auth)
    store = EhrStore(folder / "ehr.sqlite")
    try:
        store.register_client(CLIENT_ID, "smart", jwks={"keys": [key]}, scopes="system/*.rs system/Patient.u")
    finally:
        store.close()
    return saved


async def platform(session: AsyncSession, vault: Vault, base_url: str, folder: Path) -> UUID:
    found = await queries.platform_by_name(session, PLATFORM)
    password = commands.platform_connection(found, vault).password if found else secrets.token_urlsafe(16)
    store = PlatformStore(folder / "platform.sqlite")
    try:
        store.register_key(API_KEY, password)
    finally:
        store.close()
    return await commands.save_platform(
        session,
        vault,
        name=PLATFORM,
        kind=PlatformKind.CAREPATRON,
        base_url=base_url,
        username=API_KEY,
        password=password,
    )
