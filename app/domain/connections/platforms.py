"""Care platforms: what administrators change, and how a platform tells us of changes."""

import json
import secrets
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.platform import is_watched
from app.connectors.platform.port import PlatformKind, Watching
from app.core import work
from app.core.crypto import Vault
from app.core.db import one_at_a_time
from app.core.errors import ErrorCode, Refusal, invalid, not_found
from app.domain.connections import commands, queries, rules
from app.domain.connections.events import WATCH
from app.domain.connections.models import Platform
from app.domain.connections.policies import may_administer
from app.domain.identity.policies import Actor

log = structlog.get_logger(__name__)

WATCH_AGAIN = timedelta(hours=6)
"""A webhook that fails is disabled after about three days: there are a dozen chances to notice."""
SHORTEST_SECRET, LONGEST_SECRET = 16, 500


@dataclass(frozen=True, slots=True)
class Changed:
    """A platform, and the secret of its webhook where a new one was made: it is shown once and never again."""

    platform: Platform
    webhook_secret: str | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What an administrator changes of a platform. What is None stays as it is."""

    name: str | None = None
    base_url: str | None = None
    username: str | None = None
    password: str | None = None
    webhook_secret: str | None = None
    rotate_webhook_secret: bool = False


async def create(
    session: AsyncSession,
    actor: Actor,
    vault: Vault,
    *,
    name: str,
    kind: PlatformKind,
    base_url: str,
    username: str,
    password: str,
) -> Changed:
    """A connection to a platform. Where the platform does not make a secret for its webhook, we do."""
    platform = await commands.create_platform(
        session, actor, vault, name=name, kind=kind, base_url=base_url, username=username, password=password
    )
    secret = _new_secret(vault, platform) if not is_watched(kind) else None
    await _watch(session, platform)
    await session.flush()
    return Changed(platform, secret)


async def update(session: AsyncSession, actor: Actor, vault: Vault, platform_id: UUID, changes: Changes) -> Changed:
    platform = await queries.get_platform_locked(session, actor, platform_id)
    if platform is None:
        raise not_found("platform", "id")
    if refusal := may_administer(actor):
        raise refusal
    if changes.name is not None:
        await _rename(session, platform, changes.name.strip())
    moved = _move(platform, changes)
    if changes.username is not None or changes.password is not None:
        _change_key(vault, platform, changes, anew=moved)
    secret = _change_secret(vault, platform, changes)
    await _watch(session, platform)
    await session.flush()
    await session.refresh(platform)
    return Changed(platform, secret)


async def _rename(session: AsyncSession, platform: Platform, name: str) -> None:
    if not 1 <= len(name) <= 200:
        raise invalid("A platform needs a name of at most 200 characters.", "name")
    await one_at_a_time(session, f"platforms/{name}")
    found = await queries.platform_by_name(session, name)
    if found is not None and found.id != platform.id:
        raise Refusal(ErrorCode.TAKEN, "There is a platform of this name already.", ("name",))
    platform.name = name


def _move(platform: Platform, changes: Changes) -> bool:
    """Whether the new address, where there is one, leads to another server."""
    if changes.base_url is None:
        return False
    url = rules.checked_url(changes.base_url, "baseUrl")
    moved = not rules.same_place(url, platform.base_url)
    if moved and changes.username is None:
        # Else whoever may change the address could have the key sent to a server of their own.
        raise invalid("The address leads to another server: please enter the credentials again.", "username")
    platform.base_url = url
    return moved


def _change_key(vault: Vault, platform: Platform, changes: Changes, *, anew: bool) -> None:
    """`anew`: nothing is kept of what was there."""
    bound_to = f"platforms/{platform.id}"
    stored = {"username": "", "password": ""} if anew else json.loads(vault.open(platform.credentials or b"", bound_to))
    given = {"username": changes.username, "password": changes.password}
    stored |= {name: value for name, value in given.items() if value is not None}
    rules.checked_credentials(*stored.values(), field="username")
    platform.credentials = vault.seal(json.dumps(stored).encode(), bound_to)


def _change_secret(vault: Vault, platform: Platform, changes: Changes) -> str | None:
    """The new secret where one was made here."""
    if changes.rotate_webhook_secret:
        if is_watched(platform.kind):
            raise invalid("This platform makes the secret itself: rotate it there.", "rotateWebhookSecret")
        return _new_secret(vault, platform)
    if changes.webhook_secret is not None:
        if not SHORTEST_SECRET <= len(changes.webhook_secret) <= LONGEST_SECRET:
            words = f"The secret of a webhook has between {SHORTEST_SECRET} and {LONGEST_SECRET} characters."
            raise invalid(words, "webhookSecret")
        _seal_secret(vault, platform, changes.webhook_secret)
    return None


def _new_secret(vault: Vault, platform: Platform) -> str:
    secret = secrets.token_urlsafe(32)
    _seal_secret(vault, platform, secret)
    return secret


def _seal_secret(vault: Vault, platform: Platform, secret: str) -> None:
    platform.webhook_secret = vault.seal(secret.encode(), _bound_to(platform.id))


def _bound_to(platform_id: UUID) -> str:
    return f"platforms/{platform_id}/webhook"


def webhook_secret(platform: Platform, vault: Vault) -> str | None:
    """What the platform signs with; None where nothing is agreed on yet."""
    if platform.webhook_secret is None:
        return None
    return vault.open(platform.webhook_secret, _bound_to(platform.id)).decode()


def webhook_url(base_url: str, platform_id: UUID) -> str:
    """Where the platform is to send its messages."""
    return f"{base_url}/hooks/platforms/{platform_id}"


async def _watch(session: AsyncSession, platform: Platform) -> None:
    if is_watched(platform.kind):
        await work.close_subject(session, WATCH, platform.id)
        await work.ask(session, WATCH, platform.id)


async def note_watched(session: AsyncSession, vault: Vault, platform_id: UUID, seen: Watching) -> None:
    """The platform tells us of changes; its secret is kept. Looked after again in some hours."""
    await work.ask(session, WATCH, platform_id, after=WATCH_AGAIN)
    platform = await queries.platform(session, platform_id)
    if platform is None:
        return
    if seen.secret:
        _seal_secret(vault, platform, seen.secret)
    platform.webhook_problem = None
    platform.webhook_checked_at = func.now()
    if seen.mended:
        log.warning("platform.webhook_enabled_again", platform=str(platform_id))


async def note_unwatched(session: AsyncSession, platform_id: UUID, code: str, detail: str) -> None:
    """The platform could not be asked to tell us. Runs notice changes all the same; tried again in some hours. Only the code is
    kept and logged."""
    del detail
    await work.ask(session, WATCH, platform_id, after=WATCH_AGAIN)
    platform = await queries.platform(session, platform_id)
    if platform is not None:
        platform.webhook_problem = code
        platform.webhook_checked_at = func.now()
    log.warning("platform.unwatched", platform=str(platform_id), code=code)
