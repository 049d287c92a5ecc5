"""Making connections and recording how they answer."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.platform.port import PlatformConnection, PlatformKind
from app.connectors.provider.port import Auth, AuthKind, Connection
from app.core import work
from app.core.crypto import Vault
from app.core.db import one_at_a_time
from app.core.errors import ErrorCode, Refusal, invalid, not_found
from app.core.gate import OPEN
from app.core.gates import Gates
from app.core.spool import Spool
from app.domain.connections import queries, rules
from app.domain.connections.events import PROBE
from app.domain.connections.models import HealthStatus, Platform, Provider
from app.domain.connections.policies import may_administer
from app.domain.identity.policies import Actor

SENT_SECRETS = (AuthKind.BEARER, AuthKind.BASIC)
"""Kinds that send the secret itself, rather than something signed with it."""


class Keep(Enum):
    """Where None is a value of its own: what is not given stays as it is."""

    KEEP = "KEEP"


KEEP = Keep.KEEP


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """What an administrator sets on a provider. What is not given stays as it is, or takes the default."""

    name: str | None = None
    base_url: str | None = None
    auth: Auth | None = None
    file_hosts: Sequence[str] | None = None
    page_size: int | None = None
    requests_per_second: float | Keep | None = KEEP
    sync_every_minutes: int | Keep | None = KEEP
    sweep_every_days: int | None = None


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
    requests_per_second: float | Keep | None = KEEP,
    sync_every_minutes: int | Keep | None = KEEP,
    sweep_every_days: int | None = None,
) -> Provider:
    """A new connection; what its server really does is tried out in the background."""
    if refusal := may_administer(actor):
        raise refusal
    await _take_name(session, name)
    provider = await save_provider(
        session,
        vault,
        name=name,
        base_url=base_url,
        auth=auth,
        file_hosts=file_hosts,
        page_size=page_size,
        requests_per_second=requests_per_second,
        sync_every_minutes=sync_every_minutes,
        sweep_every_days=sweep_every_days,
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
    requests_per_second: float | Keep | None = KEEP,
    sync_every_minutes: int | Keep | None = KEEP,
    sweep_every_days: int | None = None,
) -> Provider:
    """Creates or updates a provider by its name. Credentials are sealed to its row."""
    name = rules.checked_name(name)
    provider = await queries.provider_by_name(session, name) or Provider(name=name)
    settings = ProviderSettings(
        base_url=base_url,
        auth=auth,
        file_hosts=file_hosts,
        page_size=page_size,
        requests_per_second=requests_per_second,
        sync_every_minutes=sync_every_minutes,
        sweep_every_days=sweep_every_days,
    )
    await _apply(session, vault, provider, settings)
    return provider


async def update_provider(
    session: AsyncSession,
    actor: Actor,
    vault: Vault,
    provider_id: UUID,
    settings: ProviderSettings,
    *,
    expected_revision: int | None = None,
) -> Provider:
    """Changes a connection. One that leads to another server, or with other credentials, is tried out anew."""
    provider = await _administered(session, actor, provider_id)
    if expected_revision is not None and expected_revision != provider.revision:
        message = "Somebody has changed this connection meanwhile. Please look at it again."
        raise Refusal(ErrorCode.CONFLICT, message, ("expectedRevision",))
    if settings.name is not None and rules.checked_name(settings.name) != provider.name:
        await _take_name(session, settings.name)
        provider.name = settings.name.strip()
    before = provider.base_url
    if settings.base_url is not None and settings.auth is None and _sends_secrets(vault, provider):
        url = rules.checked_url(settings.base_url, "baseUrl")
        if not rules.same_place(url, before):
            # Else whoever may change the address could have the secret sent to a server of their own.
            raise invalid("The address leads to another server: please enter the credentials again.", "auth")
    provider.revision += 1
    await _apply(session, vault, provider, settings)
    if provider.base_url != before:
        provider.capabilities, provider.strategy = [], {}
        provider.health_status, provider.health_detail = HealthStatus.UNKNOWN, None
        await session.flush()
    if provider.base_url != before or settings.auth is not None:
        await work.ask(session, PROBE, provider.id)
    await session.refresh(provider)
    return provider


def _sends_secrets(vault: Vault, provider: Provider) -> bool:
    """Whether another server at the same address would be sent something that opens the present one: also the tokens of
    a token endpoint that lies where it did."""
    return provider.auth_kind in SENT_SECRETS or bool(_opened(vault, provider, provider.credentials).token_url)


async def ask_for_probe(session: AsyncSession, actor: Actor, provider_id: UUID) -> Provider:
    """Has a provider tried out again; where that was asked for already, nothing more happens."""
    provider = await _administered(session, actor, provider_id)
    await work.ask(session, PROBE, provider.id)
    return provider


async def rotate_key(session: AsyncSession, actor: Actor, vault: Vault, provider_id: UUID) -> Provider:
    """A new key for a SMART client. It is published at once, beside the former one; we sign with it only when every
    provider has had the time to fetch it, and the former one stays published for a while after that."""
    provider = await _administered(session, actor, provider_id)
    if provider.auth_kind is not AuthKind.SMART_BACKEND:
        raise Refusal(
            ErrorCode.CONFLICT, "This connection has no key of its own: enter new credentials instead.", ("id",)
        )
    now = datetime.now(UTC)
    if provider.former_key_until is not None and provider.former_key_until > now:
        message = (
            f"A new key was made already; the one before it is needed until {provider.former_key_until:%H:%M} UTC."
        )
        raise Refusal(ErrorCode.CONFLICT, message, ("id",))
    current = _opened(vault, provider, provider.credentials)
    fresh = await asyncio.to_thread(rules.with_fresh_key, current)
    provider.former_credentials = provider.credentials
    provider.credentials = vault.seal(rules.dump_auth(fresh), _place(provider))
    provider.key_changes_at = now + rules.KEY_SETTLES
    provider.former_key_until = now + rules.KEY_SETTLES + rules.KEY_OVERLAP
    provider.revision += 1
    # Whether the provider takes the new key is seen as soon as we sign with it.
    await work.ask(session, PROBE, provider.id, after=rules.KEY_SETTLES + timedelta(minutes=1))
    await session.flush()
    await session.refresh(provider)
    return provider


async def _administered(session: AsyncSession, actor: Actor, provider_id: UUID) -> Provider:
    provider = await queries.get_locked(session, actor, provider_id)
    if provider is None:
        raise not_found("provider", "id")
    if refusal := may_administer(actor):
        raise refusal
    return provider


async def _take_name(session: AsyncSession, name: str) -> None:
    """Of two who take a name at once the second finds the first's, and does not write over it."""
    await one_at_a_time(session, f"providers/{name.strip()}")
    if await queries.provider_by_name(session, name.strip()):
        raise Refusal(ErrorCode.TAKEN, "There is a provider of this name already.", ("name",))


async def _apply(session: AsyncSession, vault: Vault, provider: Provider, settings: ProviderSettings) -> None:
    if settings.base_url is not None:
        provider.base_url = rules.checked_url(settings.base_url, "baseUrl")
    if settings.file_hosts is not None:
        provider.file_hosts = rules.checked_hosts(settings.file_hosts)
    if settings.page_size is not None:
        provider.page_size = rules.checked_page_size(settings.page_size)
    if settings.requests_per_second is not KEEP:
        provider.requests_per_second = rules.checked_rate(settings.requests_per_second)
    if settings.sync_every_minutes is not KEEP:
        provider.sync_every_minutes = rules.checked_interval(settings.sync_every_minutes)
    if settings.sweep_every_days is not None:
        provider.sweep_every_days = rules.checked_sweep(settings.sweep_every_days)
    auth = rules.checked_auth(settings.auth) if settings.auth is not None else None
    if auth is not None:
        provider.auth_kind = auth.kind
    session.add(provider)
    await session.flush()
    if auth is not None:
        # Known by its id only now.
        provider.credentials = vault.seal(rules.dump_auth(auth), _place(provider))
        provider.former_credentials = provider.key_changes_at = provider.former_key_until = None
    await session.flush()
    await session.refresh(provider)


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
    rules.checked_credentials(username, password, field="username")
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


def signing_auth(provider: Provider, vault: Vault) -> Auth:
    """How we prove ourselves now: with the former key, for as long as the provider may not have fetched the new one."""
    settling = provider.key_changes_at is not None and provider.key_changes_at > datetime.now(UTC)
    return _opened(vault, provider, provider.former_credentials if settling else provider.credentials)


def published_auths(provider: Provider, vault: Vault) -> list[Auth]:
    """Whose public keys providers are to find: the current one's, and the former one's while it is still in use."""
    found = [_opened(vault, provider, provider.credentials)]
    if provider.former_key_until is not None and provider.former_key_until > datetime.now(UTC):
        found.append(_opened(vault, provider, provider.former_credentials))
    return found


def _opened(vault: Vault, provider: Provider, sealed: bytes | None) -> Auth:
    return rules.load_auth(vault.open(sealed or b"", _place(provider)))


def _place(provider: Provider) -> str:
    """What credentials are bound to."""
    return f"providers/{provider.id}"


def provider_key(provider_id: UUID) -> str:
    """What a connection's gate is kept under."""
    return f"providers/{provider_id}"


def platform_key(platform_id: UUID) -> str:
    return f"platforms/{platform_id}"


def connection(
    provider: Provider,
    vault: Vault,
    attachment_bytes: int,
    networks: Sequence[str] = (),
    spool: Spool | None = None,
    gates: Gates | None = None,
) -> Connection:
    """What a connector needs to reach a provider, unsealed. `networks` are those besides the public ones that it may lie
    in (`Settings.networks`), `spool` is where its large files go while they arrive, `gates` what all workers share of it:
    whoever leaves them out asks as much as it likes."""
    made = rules.connection_of(provider, signing_auth(provider, vault), attachment_bytes)
    gate = gates.of(provider_key(provider.id), provider.requests_per_second) if gates else OPEN
    return replace(made, networks=tuple(networks), spool=spool, gate=gate)


def platform_connection(
    platform: Platform, vault: Vault, networks: Sequence[str] = (), gates: Gates | None = None
) -> PlatformConnection:
    """What a connector needs to reach a platform, unsealed; `networks` and `gates` as for a provider."""
    plain = vault.open(platform.credentials or b"", f"platforms/{platform.id}")
    gate = gates.of(platform_key(platform.id)) if gates else OPEN
    return replace(rules.platform_connection_of(platform, plain), networks=tuple(networks), gate=gate)
