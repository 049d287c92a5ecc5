"""What an administrator decides: whether a provider is to tell us of changes."""

import secrets
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.provider.fhir.client import RESOURCE_TYPES
from app.core import work
from app.core.crypto import Vault
from app.core.errors import ErrorCode, Refusal, not_found
from app.core.ids import uuid7
from app.domain.connections.models import Provider
from app.domain.identity.policies import Actor
from app.domain.updates import queries
from app.domain.updates.events import RECONCILE
from app.domain.updates.models import Subscription, SubscriptionStatus
from app.domain.updates.policies import may_administer

CAPABILITY = "Subscription (rest-hook)"
"""The line of the capability card."""
SECRET_BYTES = 32


async def set_subscription(
    session: AsyncSession, actor: Actor, vault: Vault, provider_id: UUID, *, enabled: bool
) -> Provider:
    """Turns a provider's notifications on or off. The provider is told in the background; what it sends after they were
    turned off is refused at once."""
    if refusal := may_administer(actor):
        raise refusal
    # Locked, so that two administrators do not make the same subscriptions.
    provider = await queries.provider_locked(session, provider_id)
    if provider is None:
        raise not_found("provider", "providerId")
    if enabled and _cannot(provider):
        raise Refusal(
            ErrorCode.CONFLICT,
            "This provider's server takes no subscriptions: see its capabilities. Its schedule goes on.",
            ("providerId",),
        )
    known = {row.resource_type: row for row in await queries.subscriptions_locked(session, provider_id)}
    for resource_type in RESOURCE_TYPES:
        row = known.get(resource_type)
        if enabled and row is None:
            row = await _made(session, vault, provider_id, resource_type)
        if row is not None and (row.status is SubscriptionStatus.OFF) == enabled:
            row.status = SubscriptionStatus.REQUESTED if enabled else SubscriptionStatus.OFF
            row.checked_at = None
            await session.flush()
        if row is not None:
            await work.ask(session, RECONCILE, row.id)
    return provider


def _cannot(provider: Provider) -> bool:
    return any(it["name"] == CAPABILITY and not it["supported"] for it in provider.capabilities)


async def _made(session: AsyncSession, vault: Vault, provider_id: UUID, resource_type: str) -> Subscription:
    subscription_id = uuid7()
    secret = secrets.token_urlsafe(SECRET_BYTES).encode()
    row = Subscription(
        id=subscription_id,
        provider_id=provider_id,
        resource_type=resource_type,
        secret=vault.seal(secret, bound_to(subscription_id)),
    )
    session.add(row)
    await session.flush()
    return row


def secret_of(row: Subscription, vault: Vault) -> str:
    return vault.open(row.secret, bound_to(row.id)).decode()


def endpoint(subscription_id: UUID, base_url: str) -> str:
    """Where the provider sends its notifications."""
    return f"{base_url}/hooks/providers/{subscription_id}"


def bound_to(subscription_id: UUID) -> str:
    return f"subscriptions/{subscription_id}"
