"""The EHR over HTTP: FHIR R4 below `/fhir`, SMART tokens at `/auth/token`, stored files below `/files`, and `/control`
(see `sandbox.http`; `downloads` counts Binaries by id, `files` the names below `/files`)."""

import json
import re
import sqlite3
from base64 import b64encode
from typing import Any, cast
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.ehr.auth import GRANT_PATH, authenticate, issue_token
from sandbox.ehr.bulk import Exports
from sandbox.ehr.bundles import run_bundle
from sandbox.ehr.capability import capability_statement, smart_configuration
from sandbox.ehr.index import Resource
from sandbox.ehr.interactions import Answer, Asked, media_type, perform
from sandbox.ehr.outcome import Refused
from sandbox.ehr.store import Store
from sandbox.ehr.subscriptions import Subscriptions
from sandbox.faults.layer import Faults, Faulty, fault_routes
from sandbox.http import Counted, Counts, TooLarge, capped, control_routes, on_loop, origin

FHIR_JSON = "application/fhir+json; charset=utf-8"
LARGEST_BODY = 64 * 1024 * 1024
TEMPLATES = (
    (re.compile(r"^(/fhir/[A-Z][A-Za-z]+)/[^/_$][^/]*"), r"\1/{id}"),
    (re.compile(r"/_history/.+$"), "/_history/{vid}"),
    (re.compile(r"^/files/.+$"), "/files/{name}"),
    (re.compile(r"^/bulk/[^/]+"), "/bulk/{job}"),
)


def create_app(store: Store, faults: Faults | None = None) -> Starlette:
    """The caller owns the store and closes it."""
    counts = Counts()
    faults = faults or Faults("ehr", store)
    subscriptions = Subscriptions(store, faults.deliveries)
    exports = Exports(store)

    async def token(request: Request) -> Response:
        return await issue_token(store, request)

    async def fhir(request: Request) -> Response:
        return await _fhir(store, counts, request)

    async def export(request: Request) -> Response:
        caller = authenticate(store, request.headers.get("authorization"))
        return exports.kick_off(request.path_params.get("group"), request, caller, _base(request))

    routes = [
        Route("/fhir/metadata", on_loop(lambda r: _json(capability_statement(store, _base(r)))), methods=["GET"]),
        Route(
            "/fhir/.well-known/smart-configuration",
            on_loop(lambda r: JSONResponse(smart_configuration(origin(r)))),
            methods=["GET"],
        ),
        Route(GRANT_PATH, token, methods=["POST"]),
        Route("/fhir/Patient/$export", export, methods=["GET"]),
        Route("/fhir/Group/{group}/$export", export, methods=["GET"]),
        Route("/fhir", fhir, methods=METHODS),
        Route("/fhir/{path:path}", fhir, methods=METHODS),
        Route("/files/{name:path}", on_loop(lambda r: _file(store, counts, r)), methods=["GET"]),
        *exports.routes(lambda r: authenticate(store, r.headers.get("authorization"))),
        *control_routes(counts),
        *fault_routes(faults),
        Route("/control/heartbeat", on_loop(lambda _: _sent(subscriptions)), methods=["POST"]),
    ]
    # The layer that spoils answers stands below the counting one: a spoilt request was asked all the same.
    layers = [Middleware(Counted, counts=counts, template=_template), Middleware(Faulty, faults=faults)]
    handlers: Any = {Refused: _refused, TooLarge: _too_large, sqlite3.OperationalError: _locked}
    return Starlette(routes=routes, middleware=layers, exception_handlers=handlers)


METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


async def _fhir(store: Store, counts: Counts, request: Request) -> Response:
    caller = authenticate(store, request.headers.get("authorization"))
    path = tuple(part for part in request.path_params.get("path", "").split("/") if part)
    raw = path[:1] == ("Binary",) and "fhir+json" not in request.headers.get("accept", "")
    if not raw:
        _check_accept(request)
    content = await capped(request, LARGEST_BODY).body() if request.method in ("POST", "PUT") else b""
    if not path and request.method == "POST":
        return _response(run_bundle(store, _resource(content), caller, _base(request), counts.downloads))
    params = list(request.query_params.multi_items())
    body = None
    if path[1:] == ("_search",):
        params += _form(request, content)
    elif content:
        body = _binary(request, path, content) if _is_raw(request, path) else _resource(content)
    asked = Asked(
        request.method,
        path,
        caller,
        _base(request),
        params,
        body,
        if_match=request.headers.get("if-match"),
        if_none_exist=request.headers.get("if-none-exist"),
        strict="handling=strict" in request.headers.get("prefer", ""),
        raw=raw,
    )
    answer = perform(store, asked)
    if answer.binary:
        counts.downloads[answer.binary] += 1
    return _response(answer)


def _file(store: Store, counts: Counts, request: Request) -> Response:
    name = request.path_params["name"]
    if signature := request.query_params.get("signature"):
        if not store.presigned(name, request.query_params.get("expires", ""), signature):
            raise Refused(403, "expired", "The address has expired, or its signature is wrong")
    else:
        authenticate(store, request.headers.get("authorization"))
    found = store.file(name)
    if not found:
        raise Refused(404, "not-found", f"There is no file {name[:200]!r}")
    counts.files[name] += 1
    return Response(found[0], headers={"Content-Type": media_type(found[1]), "X-Content-Type-Options": "nosniff"})


def _sent(subscriptions: Subscriptions) -> Response:
    return JSONResponse({"sent": subscriptions.heartbeat()})


def _base(request: Request) -> str:
    return origin(request) + "/fhir"


def _template(path: str) -> str:
    for pattern, replacement in TEMPLATES:
        path = pattern.sub(replacement, path)
    return path


def _check_accept(request: Request) -> None:
    accept = request.headers.get("accept", "*/*")
    if "json" not in accept and "*" not in accept:
        raise Refused(406, "not-supported", f"Only JSON is served, not {accept[:100]!r}")


def _is_raw(request: Request, path: tuple[str, ...]) -> bool:
    return path[:1] == ("Binary",) and "json" not in request.headers.get("content-type", "")


def _binary(request: Request, path: tuple[str, ...], content: bytes) -> Resource:
    declared = request.headers.get("content-type", "application/octet-stream")
    made: Resource = {"resourceType": "Binary", "contentType": declared, "data": b64encode(content).decode()}
    if context := request.headers.get("x-security-context"):
        made["securityContext"] = {"reference": context}
    return made | ({"id": path[1]} if len(path) > 1 else {})


def _resource(content: bytes) -> Resource | None:
    """Raises:
    Refused: 400, it is not JSON. JSON that is no object is None.
    """
    try:
        parsed: Any = json.loads(content, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Refused(400, "structure", f"The body is not JSON: {error}") from error
    return cast("Resource", parsed) if isinstance(parsed, dict) else None


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _form(request: Request, content: bytes) -> list[tuple[str, str]]:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content and media != "application/x-www-form-urlencoded":
        raise Refused(415, "not-supported", "A search by POST is a form: application/x-www-form-urlencoded")
    return parse_qsl(content.decode("utf-8", "replace"), keep_blank_values=True)


def _response(answer: Answer) -> Response:
    headers = {"Content-Type": answer.media_type, "X-Content-Type-Options": "nosniff", **answer.headers}
    if answer.status == 204:
        return Response(status_code=204, headers=answer.headers)
    return Response(answer.body, answer.status, headers)


def _json(content: dict[str, Any]) -> Response:
    return Response(json.dumps(content, ensure_ascii=False), media_type=FHIR_JSON)


async def _refused(_: Request, refused: Refused) -> Response:
    return Response(refused.outcome, refused.status, {"Content-Type": FHIR_JSON, **refused.headers})


async def _too_large(request: Request, _: TooLarge) -> Response:
    return await _refused(request, Refused(413, "too-long", "The body is longer than this server takes"))


async def _locked(request: Request, error: sqlite3.OperationalError) -> Response:
    """Another process writes to the store for longer than a writer waits here."""
    if "locked" not in str(error):
        raise error
    return await _refused(request, Refused(409, "lock-error", "Another writer holds the store"))
