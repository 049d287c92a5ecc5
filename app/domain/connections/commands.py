"""Making connections and recording how they answer."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.platform.port import PlatformConnection, PlatformKind
from app.connectors.provider.port import Auth, Capability, Connection
from app.core import work
from app.core.crypto import Vault
from app.core.db import one_at_a_time
from app.core.errors import ErrorCode, Refusal, invalid
from app.domain.connections import queries, rules
from app.domain.connections.events import PROBE
from app.domain.connections.models import HealthStatus, Platform, Provider
from app.domain.connections.policies import may_administer
from app.domain.identity.policies import Actor


async def create_provider(
    session: AsyncSession,
    actor: Actor,
    vault: Vault,
    *,
    name: str,
    base_url: str,
    auth: Auth,
    file_hosts: Sequence[str] = (),
    page_size: int = 50,
) -> Provider:
    """A new connection; what its server really does is tried out in the background."""
    if refusal := may_administer(actor):
        raise refusal
    # Of two who take a name at once the second finds the first's, and does not write over it.
    await one_at_a_time(session, f"providers/{name.strip()}")
    if await queries.provider_by_name(session, name.strip()):
        raise Refusal(ErrorCode.TAKEN, "There is a provider of this name already.", ("name",))
    provider = await save_provider(
        session, vault, name=name, base_url=base_url, auth=auth, file_hosts=file_hosts, page_size=page_size
    )
    await work.ask(session, PROBE, provider.id)
    return provider


async def save_provider(
    session: AsyncSession,
    vault: Vault,
    *,
    name: str,
    base_url: str,
    auth: Auth,
    file_hosts: Sequence[str] = (),
    page_size: int = 50,
) -> Provider:
    """Creates or updates a provider by its name. Credentials are sealed to its row."""
    if not 1 <= len(name.strip()) <= 200:
        raise invalid("A provider needs a name of at most 200 characters.", "name")
    if not 1 <= page_size <= 200:
        raise invalid("A page holds between 1 and 200 resources.", "pageSize")
    auth = rules.checked_auth(auth)
    provider = await queries.provider_by_name(session, name.strip()) or Provider(name=name.strip())
    provider.base_url = rules.checked_url(base_url, "baseUrl")
    provider.auth_kind = auth.kind
    provider.file_hosts = [host.strip().lower() for host in file_hosts]
    provider.page_size = page_size
    session.add(provider)
    await session.flush()
    provider.credentials = vault.seal(rules.dump_auth(auth), f"providers/{provider.id}")
    await session.flush()
    await session.refresh(provider)
    return provider


async def create_platform(
    session: AsyncSession,
    actor: Actor,
    vault: Vault,
    *,
    name: str,
    kind: PlatformKind,
    base_url: str,
    username: str,
    password: str,
) -> Platform:
    """A care platform that documents are handed to. The first one takes the patients who are added from then on."""
    if refusal := may_administer(actor):
        raise refusal
    if not 1 <= len(name.strip()) <= 200:
        raise invalid("A platform needs a name of at most 200 characters.", "name")
    if kind is PlatformKind.NONE:
        raise invalid("To hand nothing over, connect no platform.", "kind")
    await one_at_a_time(session, f"platforms/{name.strip()}")
    if await queries.platform_by_name(session, name.strip()):
        raise Refusal(ErrorCode.TAKEN, "There is a platform of this name already.", ("name",))
    platform_id = await save_platform(
        session, vault, name=name.strip(), kind=kind, base_url=base_url, username=username, password=password
    )
    platform = await queries.platform(session, platform_id)
    assert platform is not None
    return platform


async def save_platform(
    session: AsyncSession, vault: Vault, *, name: str, kind: PlatformKind, base_url: str, username: str, password: str
) -> UUID:
    """Creates or updates a care platform by its name."""
    values = {"name": name, "kind": kind, "base_url": rules.checked_url(base_url, "baseUrl")}
    platform_id = await session.scalar(
        insert(Platform)
        .values(values)
        .on_conflict_do_update(index_elements=[Platform.name], set_=values)
        .returning(Platform.id)
    )
    platform = await queries.platform(session, platform_id) if platform_id else None
    assert platform is not None
    secret = json.dumps({"username": username, "password": password}).encode()
    platform.credentials = vault.seal(secret, f"platforms/{platform.id}")
    return platform.id


def connection(provider: Provider, vault: Vault, attachment_bytes: int) -> Connection:
    """What a connector needs to reach a provider, unsealed."""
    plain = vault.open(provider.credentials or b"", f"providers/{provider.id}")
    return rules.connection_of(provider, rules.load_auth(plain), attachment_bytes)


def platform_connection(platform: Platform, vault: Vault) -> PlatformConnection:
    plain = vault.open(platform.credentials or b"", f"platforms/{platform.id}")
    return rules.platform_connection_of(platform, plain)


async def record_probe(session: AsyncSession, provider_id: UUID, card: list[Capability]) -> None:
    provider = await queries.provider(session, provider_id)
    if provider is None:
        return
    provider.capabilities = [asdict(line) for line in card]
    provider.health_status = rules.health_of(card)
    provider.health_detail = None
    provider.health_checked_at = func.now()


async def record_unreachable(session: AsyncSession, provider_id: UUID, detail: str) -> None:
    provider = await queries.provider(session, provider_id)
    if provider is None:
        return
    provider.health_status = HealthStatus.UNREACHABLE
    provider.health_detail = detail
    provider.health_checked_at = func.now()
