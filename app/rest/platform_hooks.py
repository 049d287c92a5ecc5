"""What care platforms tell us. A message is believed only as a reason to look; the looking is somebody else's work."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.connectors.platform import verify_webhook
from app.connectors.platform.port import WebhookEvent, WebhookRefused, WebhookRequest
from app.core.resources import Resources
from app.domain.connections import platforms, queries
from app.domain.connections.models import Platform
from app.domain.sync import looking
from app.rest import hooks

log = structlog.get_logger(__name__)

LARGEST = 64 * 1024


class PlatformHooks:
    """The endpoint of one web process."""

    def __init__(self) -> None:
        self._gate = asyncio.Semaphore(hooks.AT_ONCE)

    async def receive(self, request: Request) -> Response:
        """POST /hooks/platforms/{id}: 202 for a message of the platform's, also for one that came before; 401 for any other,
        without a reason; 408 for a body that takes longer than 10 seconds, 413 for one over 64 KB."""
        body = await hooks.body(request, LARGEST)
        if isinstance(body, Response):
            return body
        async with self._gate:
            return await _hear(request, body)


async def _hear(request: Request, body: bytes) -> Response:
    resources: Resources = request.app.state.resources
    platform_id: UUID = request.path_params["platform_id"]
    async with resources.db.reading() as session:
        platform = await queries.platform(session, platform_id)
    try:
        event = _verified(resources, platform, request, body)
    except WebhookRefused as refused:
        log.warning("platform.webhook_refused", platform=str(platform_id), reason=str(refused))
        return hooks.refused(401, "UNAUTHENTICATED", "This message is not believed.")
    async with resources.db.transaction() as session:
        is_new = await looking.receive(session, platform_id, event)
    return JSONResponse({"status": "accepted" if is_new else "known"}, 202)


def _verified(resources: Resources, platform: Platform | None, request: Request, body: bytes) -> WebhookEvent:
    """Raises `WebhookRefused`."""
    if platform is None or platform.deleted_at is not None:
        raise WebhookRefused("there is no such platform")
    secret = platforms.webhook_secret(platform, resources.vault)
    if secret is None:
        raise WebhookRefused("no secret is agreed on")
    told = WebhookRequest(
        method=request.method,
        path=request.scope["path"],
        query=request.scope["query_string"].decode("latin-1"),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body,
    )
    return verify_webhook(platform.kind, told, secret, datetime.now(UTC))
