"""Faults of a listing: what a search answers, changed as decoded JSON."""

import json
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlsplit

from sandbox.faults.answers import outcome_of
from sandbox.faults.call import Asked, Call, Json, Strike

AGAIN = "again"
Change = Callable[[Json, Call], bool]
"""Changes a Bundle in place; false where there was nothing to do it to."""


def searches(asked: Asked) -> bool:
    of_type = asked.path.startswith("/fhir/") and asked.path.count("/") == 2 and asked.path[6:7].isupper()
    return (asked.method == "GET" and of_type) or posted_search(asked)


def posted_search(asked: Asked) -> bool:
    return asked.method == "POST" and asked.path.endswith("/_search")


def changed(change: Change) -> Strike:
    async def strike(call: Call) -> None:
        found = await call.answered()
        bundle = found.json()
        if bundle is None or bundle.get("resourceType") != "Bundle" or not change(bundle, call):
            call.spare()
        else:
            found = found.with_json(bundle)
        await found.send(call.send)

    return strike


def link(bundle: Json, relation: str) -> str:
    return next((it["url"] for it in bundle.get("link", []) if it["relation"] == relation), "")


def set_link(bundle: Json, relation: str, url: str) -> None:
    """Without a URL the link is taken out."""
    others = [it for it in bundle.get("link", []) if it["relation"] != relation]
    bundle["link"] = [*others, {"relation": relation, "url": url}] if url else others


def asked_url(call: Call) -> str:
    """The page's own address: that of a search by POST is what its self link says."""
    scope = call.scope
    host = next(value.decode() for name, value in scope["headers"] if name == b"host")
    query = f"?{call.asked.query}" if call.asked.query else ""
    return f"{scope['scheme']}://{host}{call.asked.path}{query}"


def entries(bundle: Json) -> list[Json]:
    return cast("list[Json]", bundle.get("entry", []))


def missing_next(bundle: Json, _: Call) -> bool:
    there = bool(link(bundle, "next"))
    set_link(bundle, "next", "")
    return there


def looping_next(bundle: Json, call: Call) -> bool:
    posted = posted_search(call.asked)
    set_link(bundle, "next", link(bundle, "self") if posted else asked_url(call))
    return True


def foreign_next(bundle: Json, call: Call) -> bool:
    parts = urlsplit(link(bundle, "next") or asked_url(call))
    set_link(bundle, "next", f"{call.options['origin'].rstrip('/')}{parts.path}?{parts.query}")
    return True


def duplicate_entries(bundle: Json, _: Call) -> bool:
    bundle["entry"] = [entry for each in entries(bundle) for entry in (each, each)]
    return bool(bundle["entry"])


async def duplicate_pages(call: Call) -> None:
    """Every page comes twice, under two addresses."""
    first = (AGAIN, "1") not in call.params
    call.ask_with(pair for pair in call.params if pair[0] != AGAIN)

    def twice(bundle: Json, call: Call) -> bool:
        if first:
            url = link(bundle, "self") if posted_search(call.asked) else asked_url(call)
            set_link(bundle, "next", f"{url}{'&' if '?' in url else '?'}{AGAIN}=1")
        return first

    await changed(twice)(call)


def wrong_total(bundle: Json, call: Call) -> bool:
    bundle["total"] = max(0, bundle.get("total", 0) + call.options["by"])
    return True


def dangling_binary(bundle: Json, _: Call) -> bool:
    before = json.dumps(entries(bundle))
    for attachment in _attachments(bundle):
        if "Binary/" in str(attachment.get("url", "")):
            attachment["url"] += "-gone"
    return json.dumps(entries(bundle)) != before


def cross_patient(bundle: Json, call: Call) -> bool:
    others = [it["resource"] for it in entries(bundle) if "subject" in it["resource"]][: call.options["entries"]]
    for resource in others:
        resource["subject"] = {"reference": f"Patient/{call.options['patient']}"}
    return bool(others)


def outcome_entry(bundle: Json, call: Call) -> bool:
    outcome = outcome_of(call.options["code"], call.options["severity"])
    bundle["entry"] = [*entries(bundle), {"resource": outcome, "search": {"mode": "outcome"}}]
    return True


def mutate(bundle: Json, call: Call) -> bool:
    """Something happens to the patient's resources between this page and the next."""
    store, action = call.store, call.options["action"]
    page = [it["resource"] for it in entries(bundle)]
    if store is None or not page or not link(bundle, "next"):
        return False
    given: dict[str, Any] | None = call.options["resource"]
    kind, name = (given or page[0]).get("resourceType", ""), (given or page[0]).get("id", "")
    if action == "remove":
        return store.delete(kind, name) is not None
    current = store.current(kind, name)
    resource = given or (json.loads(current.json) if current else page[0])
    if given is None and action == "add":
        resource["id"] = f"{name}-added"[:64]
    elif given is None:
        field = "conclusion" if kind == "DiagnosticReport" else "description"
        resource[field] = f"{resource.get(field, '')} (changed while it was listed)".strip()
    return store.put(resource).changed


def _attachments(bundle: Json) -> list[Json]:
    found: list[Json] = []
    for entry in entries(bundle):
        resource = entry["resource"]
        found += [it["attachment"] for it in resource.get("content", []) if "attachment" in it]
        found += resource.get("presentedForm", [])
    return found
