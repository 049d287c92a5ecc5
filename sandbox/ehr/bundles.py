"""Batches and transactions (http://hl7.org/fhir/R4/http.html#transaction)."""

import json
from collections import Counter
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from sandbox.ehr.clients import Client
from sandbox.ehr.index import Resource
from sandbox.ehr.interactions import Answer, Asked, perform
from sandbox.ehr.outcome import Refused
from sandbox.ehr.store import Store, new_id
from sandbox.http import TooLarge

REASONS = {200: "OK", 201: "Created", 204: "No Content"}
ORDER = {"DELETE": 0, "POST": 1, "PUT": 2, "GET": 3}
LARGEST = 2_000


def run_bundle(store: Store, bundle: Resource | None, caller: Client, base: str, downloads: Counter[str]) -> Answer:
    """Each entry of a batch has its own answer; a transaction is done as a whole or refused as a whole. `downloads`
    counts the Binaries whose bytes are in the answer.

    Raises:
        Refused: 400 it is neither; of a transaction, what its first failing entry was refused with.
    """
    kind = (bundle or {}).get("type")
    if not bundle or bundle.get("resourceType") != "Bundle" or kind not in ("batch", "transaction"):
        raise Refused(400, "invalid", "Only Bundles of type batch or transaction are taken here")
    raw = bundle.get("entry", [])
    entries = cast("list[Any]", raw) if isinstance(raw, list) else []
    if len(entries) > LARGEST:
        raise TooLarge
    read: list[str] = []
    if kind == "batch" and all(_reads(entry) for entry in entries):
        # Nothing is written: other readers and writers need not wait.
        answers = _batch(store, entries, caller, base, read)
    else:
        with store.transaction():
            way = _batch if kind == "batch" else _transaction
            answers = way(store, entries, caller, base, read)
    downloads.update(read)
    answer = {"resourceType": "Bundle", "type": f"{kind}-response", "entry": answers}
    return Answer(200, json.dumps(answer, ensure_ascii=False, separators=(",", ":")))


def _reads(entry: Any) -> bool:
    return _object(_object(entry).get("request")).get("method") == "GET"


def _batch(store: Store, entries: list[Any], caller: Client, base: str, read: list[str]) -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = []
    for entry in entries:
        try:
            asked = _asked(entry, caller, base)
            answers.append(_response(asked, perform(store, asked), read))
        except Refused as refused:
            answers.append({"response": {"status": str(refused.status), "outcome": json.loads(refused.outcome)}})
    return answers


def _transaction(store: Store, entries: list[Any], caller: Client, base: str, read: list[str]) -> list[dict[str, Any]]:
    entries, ids = _with_ids(entries)
    asked = [_asked(entry, caller, base) for entry in entries]
    changed = [a.path for a in asked if a.method in ("PUT", "DELETE")]
    if len(changed) != len(set(changed)):
        raise Refused(400, "invalid", "Two entries of the transaction change the same resource")
    answers: list[dict[str, Any]] = [{}] * len(asked)
    for at in sorted(range(len(asked)), key=lambda at: ORDER.get(asked[at].method, 9)):
        one = asked[at]
        if new := ids.get(at):
            # The id was chosen beforehand, so that other entries could refer to it.
            made = perform(store, _put_of(one, new))
            answers[at] = _response(one, made, read)
        else:
            answers[at] = _response(one, perform(store, one), read)
    return answers


def _with_ids(entries: list[Any]) -> tuple[list[Any], dict[int, str]]:
    """The entries with `urn:uuid:` references replaced by the ids that their POSTs will get."""
    ids: dict[int, str] = {}
    text = json.dumps(entries)
    for at, entry in enumerate(entries):
        full_url, request = _object(entry).get("fullUrl"), _object(_object(entry).get("request"))
        if not isinstance(full_url, str) or not full_url.startswith("urn:uuid:"):
            continue
        if request.get("method") == "POST" and "ifNoneExist" not in request:
            ids[at] = new_id()
            text = text.replace(json.dumps(full_url), json.dumps(f"{request.get('url')}/{ids[at]}"))
    return json.loads(text), ids


def _put_of(one: Asked, resource_id: str) -> Asked:
    body = {**(one.body or {}), "id": resource_id}
    return Asked("PUT", (*one.path, resource_id), one.caller, one.base, body=body)


def _asked(entry: Any, caller: Client, base: str) -> Asked:
    request, body = _object(_object(entry).get("request")), _object(entry).get("resource")
    method, url = request.get("method"), request.get("url")
    if method not in ORDER or not isinstance(url, str):
        raise Refused(400, "not-supported", f"An entry asks for {str(method)[:20]!r} {str(url)[:100]!r}")
    parts = urlsplit(url.removeprefix(base + "/"))
    return Asked(
        method,
        tuple(parts.path.strip("/").split("/")),
        caller,
        base,
        params=parse_qsl(parts.query, keep_blank_values=True),
        body=_object(body) or None,
        if_match=_optional(request.get("ifMatch")),
        if_none_exist=_optional(request.get("ifNoneExist")),
    )


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _optional(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _response(asked: Asked, answer: Answer, read: list[str]) -> dict[str, Any]:
    if answer.binary:
        read.append(answer.binary)
    response: dict[str, Any] = {"status": f"{answer.status} {REASONS.get(answer.status, '')}".strip()}
    if etag := answer.headers.get("ETag"):
        response["etag"] = etag
    if location := answer.headers.get("Location"):
        response["location"] = location
    if asked.method == "GET" and isinstance(answer.body, str):
        return {"resource": json.loads(answer.body), "response": response}
    if answer.last_updated:
        response["lastModified"] = answer.last_updated
    return {"response": response}
