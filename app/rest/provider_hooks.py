"""Where providers notify us of changes. Nothing here tells whether we know a patient: that is found out later, by a worker."""

import asyncio
import secrets
from datetime import UTC, datetime
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from app.connectors.provider.fhir import notifications
from app.connectors.provider.fhir.notifications import Event, Notification, NotificationKind, Unintelligible
from app.core.resources import Resources
from app.domain.updates import commands, queries, recording, rules
from app.domain.updates.models import SubscriptionStatus
from app.rest import hooks

MAX_BODY = 1024 * 1024
METHODS = ["POST", "PUT", "DELETE"]


class ProviderHooks:
    """The endpoint of one web process."""

    def __init__(self) -> None:
        self._gate = asyncio.Semaphore(hooks.AT_ONCE)

    async def notify(self, request: Request) -> Response:
        """POST /hooks/providers/{subscription id}. Servers that follow R4's own rest-hook add `/Type/id` and PUT or DELETE.

        200: taken, or known already. 400: no notification. 401: not proven to come from the provider, or stale; the same
        where there is no such subscription. 404: it is turned off, or another one's. 408: too slow. 413: too large."""
        body = await hooks.body(request, MAX_BODY)
        if isinstance(body, Response):
            return body
        async with self._gate:
            return await _hear(request, body)


async def _hear(request: Request, body: bytes) -> Response:
    resources: Resources = request.app.state.resources
    subscription_id: UUID = request.path_params["subscription_id"]
    async with resources.db.transaction() as session:
        row = await queries.subscription(session, subscription_id)
        # Who proves nothing does not learn whether there is such a subscription.
        secret = commands.secret_of(row, resources.vault) if row else secrets.token_urlsafe()
        if why := rules.unproven(secret, subscription_id, request.headers, body, datetime.now(UTC)):
            return hooks.refused(401, "UNAUTHENTICATED", why)
        if row is None or row.status is SubscriptionStatus.OFF:
            return _unknown()
        try:
            heard = _read(request, body, row.resource_type)
        except Unintelligible as error:
            return hooks.refused(400, "BAD_REQUEST", str(error))
        proof = request.headers.get(rules.SIGNATURE_HEADER, "")
        if not await recording.hear(session, row.id, heard, proof):
            return _unknown()
    return Response(status_code=200)


def _read(request: Request, body: bytes, resource_type: str) -> Notification:
    place = f"{request.path_params.get('resource_type', '')}/{request.path_params.get('resource_id', '')}"
    if body.strip() or place == "/":
        return notifications.read(body, resource_type)
    focus = notifications.reference(place)
    if not focus.startswith(f"{resource_type}/"):
        raise Unintelligible("The address names no resource that was subscribed to.")
    return Notification(NotificationKind.EVENT, events=(Event(focus=focus, removed=request.method == "DELETE"),))


def _unknown() -> Response:
    return hooks.refused(404, "NOT_FOUND", "There is no such subscription.")
