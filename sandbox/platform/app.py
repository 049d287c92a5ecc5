"""The care platform over HTTP: patients, presigned uploads, attachments, the same by GraphQL (see `sandbox.platform.healthie`),
and `/control` (see `sandbox.http` and `sandbox.platform.hooks`; `downloads` and `files` stay empty).

`GET /control/attachments?patient_id=` answers `{"attachments": [{id, patient_id, external_id, size, sha256}]}`.

Creating an attachment is not idempotent: the Idempotency-Key is required and then ignored, as platforms in fact do.
"""

import json
import re
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any, cast
from urllib.parse import quote, unquote, urlencode, urlsplit
from xml.sax.saxutils import escape

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.faults.layer import Faults, Faulty, fault_routes
from sandbox.http import Counted, Counts, TooLarge, basic_credentials, capped, control_routes, on_loop, origin
from sandbox.platform import healthie
from sandbox.platform.checks import Problem, attachment_fields, page_number, patient_fields
from sandbox.platform.hooks import Hooks, hook_routes
from sandbox.platform.store import LARGEST_UPLOAD, PAGE, Store

USER_AGENT = re.compile(r"^.+ \(.+@.+\)$")
LARGEST_BODY = 256 * 1024
FORM_OVERHEAD = 64 * 1024
TEMPLATE = re.compile(r"^(/patients|/patient_attachments)/[^/]+")

Handle = Callable[[Store, Request], Awaitable[Response]]


def create_app(store: Store, faults: Faults | None = None) -> Starlette:
    """The caller owns the store and closes it."""
    counts = Counts()
    faults = faults or Faults("platform")
    hooks = Hooks(store, faults)
    routes = [
        *_rest_routes(store, hooks),
        Route("/graphql", _graphql(store, hooks), methods=["POST"]),
        Route("/control/attachments", on_loop(lambda r: _stored(store, r)), methods=["GET"]),
        *control_routes(counts),
        *hook_routes(hooks),
        *fault_routes(faults),
    ]
    # The layer that spoils answers stands below the counting one: a spoilt request was asked all the same.
    layers = [
        Middleware(Counted, counts=counts, template=lambda path: TEMPLATE.sub(r"\1/{id}", path)),
        Middleware(Faulty, faults=faults),
    ]
    handlers: Any = {Problem: _problem, TooLarge: _too_large, HTTPException: _http, sqlite3.OperationalError: _locked}
    return Starlette(routes=routes, middleware=layers, exception_handlers=handlers)


def _rest_routes(store: Store, hooks: Hooks) -> list[Route]:
    def guarded(path: str, method: str, handle: Handle) -> Route:
        async def admitted(request: Request) -> Response:
            _admit(store, request)
            return await handle(store, request)

        return Route(path, admitted, methods=[method])

    async def uploaded(request: Request) -> Response:
        return await upload(store, request)

    async def created(store: Store, request: Request) -> Response:
        attachment = await create_attachment(store, request)
        hooks.follow(attachment)
        return JSONResponse(attachment, 201)

    async def deleted(store: Store, request: Request) -> Response:
        hooks.tell("deleted", delete_attachment(store, request))
        return Response(status_code=204)

    return [
        guarded("/patients", "GET", list_patients),
        guarded("/patients", "POST", create_patient),
        guarded("/patients/{id}/attachment_presigned_post", "GET", presign),
        Route("/upload", uploaded, methods=["POST"]),
        guarded("/patient_attachments", "GET", list_attachments),
        guarded("/patient_attachments", "POST", created),
        guarded("/patient_attachments/{id}", "GET", get_attachment),
        guarded("/patient_attachments/{id}", "DELETE", deleted),
    ]


def _graphql(store: Store, hooks: Hooks) -> Callable[[Request], Awaitable[Response]]:
    async def graphql(request: Request) -> Response:
        return await healthie.answer(store, hooks, request)

    return graphql


async def list_patients(store: Store, request: Request) -> Response:
    query = request.query_params
    page, per_page = page_number(query, "page", 1), page_number(query, "per_page", PAGE, PAGE)
    patients, total = store.patients(query.get("q", ""), page, per_page)
    links = {"self": str(request.url)}
    if page * per_page < total:
        links["next"] = f"{origin(request)}/patients?{urlencode({**query, 'page': page + 1})}"
    return JSONResponse({"patients": patients, "total_entries": total, "links": links})


async def create_patient(store: Store, request: Request) -> Response:
    fields = patient_fields(await _object(request))
    patient_id = store.create_patient(
        fields["first_name"], fields["last_name"], fields.get("date_of_birth"), fields.get("external_identifier")
    )
    return JSONResponse(store.patient(patient_id), 201)


async def presign(store: Store, request: Request) -> Response:
    patient_id = _id(request.path_params["id"])
    if patient_id is None or not store.patient(patient_id):
        raise Problem(404, "There is no such patient")
    return JSONResponse({"url": f"{origin(request)}/upload", "fields": store.presigned_fields(patient_id)})


async def upload(store: Store, request: Request) -> Response:
    """The form of a presigned post. What the attachment names later is its Location: the form's address, `/`, the key."""
    async with capped(request, LARGEST_UPLOAD + FORM_OVERHEAD).form(max_files=1, max_fields=20) as form:
        file, key = form.get("file"), form.get("key")
        if not isinstance(file, UploadFile) or not isinstance(key, str):
            raise Problem(422, "The form needs key, policy and file", {"file": "is required"})
        data = await file.read()
        if len(data) > LARGEST_UPLOAD:
            raise TooLarge
        patient_id = store.patient_of_policy(key, str(form.get("policy", "")), str(form.get("x-amz-signature", "")))
        if patient_id is None:
            raise Problem(403, "The policy has expired, or it was not made for this upload")
        key = key.replace("${filename}", (file.filename or "file").replace("/", "_"))
        declared = form.get("Content-Type")
        content_type = declared if isinstance(declared, str) else file.content_type or "application/octet-stream"
        store.keep_upload(key, patient_id, content_type, data)
    location = f"{origin(request)}/upload/{quote(key)}"
    xml = f"<PostResponse><Location>{escape(location)}</Location><Key>{escape(key)}</Key></PostResponse>"
    return Response(xml, 201, {"Location": location}, media_type="application/xml")


async def list_attachments(store: Store, request: Request) -> Response:
    wanted = request.query_params.get("patient_id")
    page = page_number(request.query_params, "page", 1)
    found, total = store.attachments(_wanted(wanted), page)
    return JSONResponse({"patient_attachments": found, "total_entries": total})


async def create_attachment(store: Store, request: Request) -> dict[str, Any]:
    if len(request.headers.get("idempotency-key", "")) < 8:
        raise Problem(422, "The header Idempotency-Key is required, with at least 8 characters")
    fields = attachment_fields(await _object(request))
    patient_id = _id(fields["patient_id"])
    if patient_id is None or not store.patient(patient_id):
        raise Problem(422, "The attachment is not valid", {"patient_id": "does not exist"})
    where = urlsplit(fields["upload_url"])
    found = store.upload(unquote(where.path).removeprefix("/").removeprefix("upload/"))
    if not found or where.netloc != request.url.netloc or found.patient_id != patient_id:
        raise Problem(
            422, "The attachment is not valid", {"upload_url": "is not a file that was uploaded for this patient"}
        )
    if store.is_full():
        raise Problem(507, "The storage of this account is used up")
    return store.create_attachment(found, fields.get("description"), fields.get("external_id"))


async def get_attachment(store: Store, request: Request) -> Response:
    found = store.attachment(_id(request.path_params["id"]))
    if not found:
        raise Problem(404, "There is no such attachment")
    return JSONResponse(found)


def delete_attachment(store: Store, request: Request) -> dict[str, Any]:
    found = store.delete_attachment(_id(request.path_params["id"]))
    if not found:
        raise Problem(404, "There is no such attachment")
    return found


def _stored(store: Store, request: Request) -> Response:
    return JSONResponse({"attachments": store.stored(_wanted(request.query_params.get("patient_id")))})


def _admit(store: Store, request: Request) -> None:
    pair = basic_credentials(request.headers.get("authorization", ""))
    if not pair or not store.knows(*pair):
        raise Problem(401, "The key is missing or not valid")
    if not USER_AGENT.fullmatch(request.headers.get("user-agent", "")):
        raise Problem(422, "The header User-Agent must be APP_VENDOR_NAME (APP_VENDOR_EMAIL)")


async def _object(request: Request) -> dict[str, Any]:
    try:
        body: Any = json.loads(await capped(request, LARGEST_BODY).body())
    except (ValueError, RecursionError) as error:
        raise Problem(422, f"The body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise Problem(422, "The body is not a JSON object")
    return cast("dict[str, Any]", body)


def _id(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _wanted(patient_id: str | None) -> int | None:
    """Whose attachments are listed: everybody's without the parameter, nobody's for what cannot be an id."""
    if patient_id is None:
        return None
    wanted = _id(patient_id)
    return -1 if wanted is None else wanted


async def _problem(_: Request, problem: Problem) -> Response:
    content: dict[str, Any] = {"message": problem.message}
    if problem.errors:
        content["errors"] = problem.errors
    headers = {"WWW-Authenticate": 'Basic realm="platform"'} if problem.status == 401 else None
    return JSONResponse(content, problem.status, headers)


async def _too_large(_: Request, __: TooLarge) -> Response:
    return JSONResponse({"message": "The file is larger than 25 MB"}, 413)


async def _http(_: Request, error: HTTPException) -> Response:
    """What Starlette refuses by itself: no such path, method or form."""
    status = 422 if error.status_code == 400 else error.status_code
    return JSONResponse({"message": str(error.detail)}, status, error.headers)


async def _locked(_: Request, error: sqlite3.OperationalError) -> Response:
    return JSONResponse({"message": f"The store did not answer: {error}"}, 500)
