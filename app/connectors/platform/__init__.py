from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime

from app.connectors.platform import carepatron, healthie, webhooks
from app.connectors.platform.port import (
    CarePlatform,
    ConnectPlatform,
    PlatformConnection,
    PlatformKind,
    VerifyWebhook,
    WebhookEvent,
    WebhookRefused,
    WebhookRequest,
)

__all__ = ["connect_platform", "is_watched", "verify_webhook"]


@dataclass(frozen=True, slots=True)
class Adapter:
    connect: ConnectPlatform
    verify: VerifyWebhook
    watched: bool
    """Whether the platform's webhook is made and kept by us, over its API."""


_ADAPTERS: dict[PlatformKind, Adapter] = {
    PlatformKind.CAREPATRON: Adapter(carepatron.connect, webhooks.verify_timestamped, watched=False),
    PlatformKind.HEALTHIE: Adapter(healthie.connect, webhooks.verify_healthie, watched=True),
}


def connect_platform(connection: PlatformConnection) -> AbstractAsyncContextManager[CarePlatform]:
    """Opens the platform of this kind. Raises ValueError for NONE, to which nothing is ever published."""
    adapter = _ADAPTERS.get(connection.kind)
    if adapter is None:
        raise ValueError(f"there is no platform of the kind {connection.kind}")
    return adapter.connect(connection)


def verify_webhook(kind: PlatformKind, request: WebhookRequest, secret: str, now: datetime) -> WebhookEvent:
    """What a platform's message says. Raises `WebhookRefused` where it is not the platform's."""
    adapter = _ADAPTERS.get(kind)
    if adapter is None:
        raise WebhookRefused("nothing is expected of a platform of this kind")
    return adapter.verify(request, secret, now)


def is_watched(kind: PlatformKind) -> bool:
    """Whether we make the platform's webhook ourselves, and get its secret from there."""
    return kind in _ADAPTERS and _ADAPTERS[kind].watched
