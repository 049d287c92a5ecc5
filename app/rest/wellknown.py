"""What others look up about us."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.core.resources import Resources
from app.domain.connections import commands, queries, rules


async def jwks(request: Request) -> Response:
    """GET /.well-known/jwks.json: the public keys of our SMART Backend Services clients (RFC 7517), for providers to verify."""
    resources: Resources = request.app.state.resources
    async with resources.db.reading() as session:
        providers = await queries.smart_providers(session)
    limit = resources.settings.max_attachment_bytes
    keys = [rules.public_jwk(commands.connection(it, resources.vault, limit).auth) for it in providers]
    return JSONResponse({"keys": keys}, headers={"Cache-Control": "public, max-age=300"})
