"""FHIR's RESTful interactions (http://hl7.org/fhir/R4/http.html), free of HTTP so that a Bundle's entries run them too."""

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

from sandbox.ehr.clients import Client
from sandbox.ehr.index import Resource
from sandbox.ehr.outcome import Refused
from sandbox.ehr.scopes import allows
from sandbox.ehr.search import matching_ids, search
from sandbox.ehr.store import Store, Version, new_id
from sandbox.ehr.subscriptions import accepted
from sandbox.ehr.types import TYPES
from sandbox.sqlite import instant


@dataclass(frozen=True, slots=True)
class Asked:
    """One interaction. `path` is below the base; `base` is `http://host/fhir`; `body` a parsed resource."""

    method: str
    path: tuple[str, ...]
    caller: Client
    base: str
    params: Sequence[tuple[str, str]] = ()
    body: Resource | None = None
    if_match: str | None = None
    if_none_exist: str | None = None
    strict: bool = False
    raw: bool = False
    """Wants a Binary's bytes rather than its JSON."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: str | bytes = ""
    media_type: str = "application/fhir+json; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict[str, str])
    binary: str | None = None
    """The id of the Binary whose bytes these are."""
    last_updated: str = ""


def perform(store: Store, asked: Asked) -> Answer:
    """Raises:
    Refused: with the status and OperationOutcome that the caller gets.
    """
    if asked.path and asked.path[0] not in TYPES:
        raise Refused(404, "not-supported", f"{asked.path[0][:64]!r} is not a resource type of FHIR R4")
    if any(part.startswith("$") for part in asked.path):
        raise Refused(404, "not-supported", "This server has no operations")
    match asked.method, asked.path:
        case ("GET", (resource_type,)) | ("POST", (resource_type, "_search")):
            answer = _search(store, asked, resource_type)
        case "POST", (resource_type,):
            answer = _create(store, asked, resource_type)
        case "GET", (resource_type, resource_id):
            answer = _read(store, asked, resource_type, resource_id)
        case "PUT", (resource_type, resource_id):
            answer = _update(store, asked, resource_type, resource_id)
        case "DELETE", (resource_type, resource_id):
            answer = _delete(store, asked, resource_type, resource_id)
        case "GET", (resource_type, resource_id, "_history"):
            answer = _history(store, asked, resource_type, resource_id)
        case "GET", (resource_type, resource_id, "_history", version):
            answer = _read_version(store, asked, resource_type, resource_id, version)
        case _:
            status = 405 if len(asked.path) <= 2 or "_history" in asked.path[2:3] else 404
            raise Refused(status, "not-supported", f"This server has no {asked.method} {'/'.join(asked.path)[:200]}")
    return answer


def require(caller: Client, resource_type: str, letter: str) -> None:
    """Raises:
    Refused: 403, no scope of the caller covers it.
    """
    if not allows(caller.scopes, resource_type, letter):
        raise Refused(
            403, "forbidden", f"The scopes {' '.join(caller.scopes) or '(none)'} lack system/{resource_type}.{letter}"
        )


def _search(store: Store, asked: Asked, resource_type: str) -> Answer:
    require(asked.caller, resource_type, "s")
    if resource_type == "Binary":
        raise Refused(400, "not-supported", "Binary cannot be searched")
    return Answer(200, search(store, resource_type, asked.params, asked.base, strict=asked.strict))


def _create(store: Store, asked: Asked, resource_type: str) -> Answer:
    require(asked.caller, resource_type, "c")
    body = _body(asked, resource_type)
    if asked.if_none_exist is not None:
        require(asked.caller, resource_type, "s")
        known = matching_ids(
            store, resource_type, parse_qsl(asked.if_none_exist.lstrip("?"), keep_blank_values=True), asked.base
        )
        if len(known) > 1:
            raise Refused(412, "multiple-matches", "If-None-Exist matches more than one resource")
        if known and (found := store.current(resource_type, known[0])):
            return _answer(store, asked, found, 200)
    made = _served(store, asked, {**body, "id": new_id()})
    return _answer(store, asked, store.put(made, method="POST"), 201)


def _update(store: Store, asked: Asked, resource_type: str, resource_id: str) -> Answer:
    current = store.current(resource_type, resource_id)
    exists = current is not None and not current.deleted
    require(asked.caller, resource_type, "u" if exists else "c")
    body = _body(asked, resource_type)
    if body.get("id") != resource_id:
        raise Refused(
            400, "value", f"The resource's id is {str(body.get('id'))[:64]!r}, the address says {resource_id[:64]!r}"
        )
    made = _served(store, asked, body)
    return _answer(store, asked, store.put(made, if_match=asked.if_match), 200 if exists else 201)


def _served(store: Store, asked: Asked, body: Resource) -> Resource:
    """A resource that makes this server do something is checked and marked before it is stored."""
    return accepted(store, body, asked.base) if body["resourceType"] == "Subscription" else body


def _body(asked: Asked, resource_type: str) -> Resource:
    if asked.body is None:
        raise Refused(400, "structure", "The body is not a JSON object")
    if asked.body.get("resourceType") != resource_type:
        raise Refused(
            400,
            "invalid",
            f"The body is a {str(asked.body.get('resourceType'))[:64]!r}, the address says {resource_type}",
        )
    return asked.body


def _delete(store: Store, asked: Asked, resource_type: str, resource_id: str) -> Answer:
    require(asked.caller, resource_type, "d")
    gone = store.delete(resource_type, resource_id, asked.if_match)
    if gone is None:
        raise _unknown(resource_type, resource_id)
    return Answer(204, headers={"ETag": f'W/"{gone.version}"'})


def _read(store: Store, asked: Asked, resource_type: str, resource_id: str) -> Answer:
    require(asked.caller, resource_type, "r")
    found = store.current(resource_type, resource_id)
    if found is None:
        raise _unknown(resource_type, resource_id)
    return _answer(store, asked, found, 200)


def _read_version(store: Store, asked: Asked, resource_type: str, resource_id: str, version: str) -> Answer:
    require(asked.caller, resource_type, "r")
    for found in store.history(resource_type, resource_id):
        if str(found.version) == version:
            return _answer(store, asked, found, 200)
    raise Refused(404, "not-found", f"There is no {resource_type}/{resource_id[:64]}/_history/{version[:20]}")


def _history(store: Store, asked: Asked, resource_type: str, resource_id: str) -> Answer:
    require(asked.caller, resource_type, "r")
    versions = store.history(resource_type, resource_id)
    if not versions:
        raise _unknown(resource_type, resource_id)
    entries: list[dict[str, Any]] = []
    for v in versions:
        response = {"status": "204" if v.deleted else "201" if v.version == 1 else "200", **_marks(v)}
        url = resource_type if v.method == "POST" else f"{resource_type}/{resource_id}"
        entry: dict[str, Any] = {
            "fullUrl": f"{asked.base}/{resource_type}/{resource_id}",
            "request": {"method": v.method, "url": url},
            "response": response,
        }
        entries.append(entry if v.deleted else {**entry, "resource": json.loads(_text(store, v, asked.base))})
    url = f"{asked.base}/{resource_type}/{resource_id}/_history"
    bundle = {
        "resourceType": "Bundle",
        "type": "history",
        "total": len(entries),
        "link": [{"relation": "self", "url": url}],
    }
    return Answer(200, json.dumps({**bundle, "entry": entries}, ensure_ascii=False))


def _answer(store: Store, asked: Asked, found: Version, status: int) -> Answer:
    headers = {"ETag": f'W/"{found.version}"', "Last-Modified": formatdate(found.last_updated / 1000, usegmt=True)}
    if found.deleted:
        raise Refused(410, "deleted", f"{found.type}/{found.id} was deleted", headers)
    if status != 200 or asked.method == "PUT":
        headers["Location"] = f"{asked.base}/{found.type}/{found.id}/_history/{found.version}"
    if found.blob is not None and asked.raw and asked.method == "GET":
        media = json.loads(found.json).get("contentType")
        return Answer(status, store.db.bytes(found.blob), media_type(media), headers, binary=found.id)
    binary = found.id if found.blob and asked.method == "GET" else None
    return Answer(
        status,
        _text(store, found, asked.base),
        headers=headers,
        binary=binary,
        last_updated=instant(found.last_updated),
    )


def media_type(declared: Any) -> str:
    """A stored content type as a header's value: one that is no visible ASCII could break the header."""
    text = declared if isinstance(declared, str) else ""
    return text if text.isascii() and text.isprintable() and "/" in text else "application/octet-stream"


def _text(store: Store, found: Version, base: str) -> str:
    if found.blob is None:
        return store.rendered(found.json, base.removesuffix("/fhir"))
    resource: Resource = json.loads(found.json)
    if data := store.db.bytes(found.blob):
        resource["data"] = b64encode(data).decode()
    return json.dumps(resource, ensure_ascii=False, separators=(",", ":"))


def _marks(v: Version) -> dict[str, str]:
    return {"etag": f'W/"{v.version}"', "lastModified": instant(v.last_updated)}


def _unknown(resource_type: str, resource_id: str) -> Refused:
    return Refused(404, "not-found", f"There is no {resource_type}/{resource_id[:64]}")
