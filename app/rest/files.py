"""The bytes of documents. What comes from outside is never shown as a page of ours."""

import re
from urllib.parse import quote
from uuid import UUID

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.api.documents import FILE_AUDIENCE
from app.api.kit.context import Context
from app.core.resources import Resources
from app.domain.documents import queries as documents
from app.domain.identity import queries as identity
from app.domain.identity.policies import Actor

MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(; ?charset=\"?[\w.:-]+\"?)?", re.ASCII)
"""What a source declared is only repeated in a header where it is a media type and nothing more (RFC 9110, 8.3.1)."""
SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, no-store",
    "Referrer-Policy": "no-referrer",
}


async def download(request: Request) -> Response:
    """GET /files/{id}: with a `token` of `downloadUrl`, or with the Authorization header. Rights are looked up now."""
    resources: Resources = request.app.state.resources
    file_id: UUID = request.path_params["file_id"]
    actor = await _caller(request, resources, file_id)
    if actor is None:
        return JSONResponse({"code": "UNAUTHENTICATED", "message": "This link has ended. Please open it anew."}, 401)
    async with resources.db.reading() as session:
        file = await documents.file(session, actor, file_id)
    if file is None or file.sha256 is None:
        return JSONResponse({"code": "NOT_FOUND", "message": "There is no such file."}, 404)
    data = await resources.blobs.get(file.sha256)
    media_type = file.content_type if MEDIA_TYPE.fullmatch(file.content_type) else "application/octet-stream"
    disposition = f"attachment; filename*=UTF-8''{quote(file.filename, safe='')}"
    return Response(data, media_type=media_type, headers={**SAFE, "Content-Disposition": disposition})


async def _caller(request: Request, resources: Resources, file_id: UUID) -> Actor | None:
    token = request.query_params.get("token")
    if token is None:
        return await Context(resources, request).authenticate()
    claims = resources.vault.verify(token, FILE_AUDIENCE)
    if claims is None or claims["file"] != str(file_id):
        return None
    async with resources.db.reading() as session:
        return await identity.actor_of_session(session, UUID(claims["sid"]))
