"""What others look up about us."""

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.core.errors import Refusal
from app.core.resources import Resources
from app.domain.connections import commands, queries, rules

log = structlog.get_logger(__name__)


async def jwks(request: Request) -> Response:
    """GET /.well-known/jwks.json: the public keys of our SMART Backend Services clients (RFC 7517), for providers to verify."""
    resources: Resources = request.app.state.resources
    async with resources.db.reading() as session:
        providers = await queries.smart_providers(session)
    keys: list[dict[str, object]] = []
    for provider in providers:
        try:
            keys += [rules.public_jwk(auth) for auth in commands.published_auths(provider, resources.vault)]
        except (ValueError, TypeError, Refusal):
            # One key that cannot be read must not hide all the others from their providers.
            log.warning("jwks.unreadable", provider=str(provider.id))
    return JSONResponse({"keys": keys}, headers={"Cache-Control": "public, max-age=300"})
