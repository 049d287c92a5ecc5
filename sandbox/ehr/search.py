"""Search in pages. The next link holds the last row's sort key, not an offset: rows that arrive meanwhile move nothing."""

# ruff: noqa: S608 - only our own column names and conditions are composed; every value is bound.

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from sandbox.ehr.outcome import Refused, bad_value
from sandbox.ehr.parameters import Where, parameters, refuse_modifier, restrict
from sandbox.ehr.store import Store

Pairs = Sequence[tuple[str, str]]

DEFAULT_COUNT, LARGEST_COUNT = 20, 200
PAGE = "_page"
NOT_SEARCH = frozenset({"_format", "_pretty", "_summary", "_elements", "_count", "_sort"})
"""Parameters that choose the answer's form, not its rows."""

SORT_KEYS = {
    "_lastUpdated": "r.last_updated",
    "_id": "r.id",
    "date": "coalesce((SELECT min(m.first) FROM moment m WHERE m.resource = r.pk AND m.parameter = 'date'), -1000000000000000)",
}


@dataclass(slots=True)
class Search:
    type: str
    where: Where
    applied: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    count: int = DEFAULT_COUNT
    sort: str = "_lastUpdated"
    descending: bool = False
    elements: frozenset[str] = frozenset()
    only_total: bool = False
    after: tuple[Any, str] | None = None


def search(store: Store, resource_type: str, pairs: Pairs, base: str, *, strict: bool = False) -> str:
    """A searchset Bundle's text. `base` is `http://host/fhir`.

    Raises:
        Refused: 400, a value is wrong, or `strict` and a parameter is unknown.
    """
    asked = _parsed(resource_type, pairs, base, strict=strict)
    condition = " AND ".join(asked.where.clauses)
    total: int = (store.db.one(f"SELECT count(*) FROM resource r WHERE {condition}", *asked.where.values) or (0,))[0]
    rows = [] if asked.only_total else _rows(store, asked)
    more, rows = len(rows) > asked.count, rows[: asked.count]
    links = [{"relation": "self", "url": f"{base}/{resource_type}?{urlencode(asked.applied)}"}]
    if more:
        links.append(
            {"relation": "next", "url": f"{base}/{resource_type}?{PAGE}={_token(asked, rows[-1][2], rows[-1][0])}"}
        )
    entries = ",".join(_entry(asked, base, resource_id, text) for resource_id, text, _ in rows)
    bundle = {"resourceType": "Bundle", "type": "searchset", "total": total, "link": links}
    text = json.dumps(bundle, separators=(",", ":"))
    origin = base.removesuffix("/fhir")
    return store.rendered(f'{text[:-1]},"entry":[{entries}]}}' if rows else text, origin)


def matching_ids(store: Store, resource_type: str, pairs: Pairs, base: str) -> list[str]:
    """At most two ids of what a conditional create asks for.

    Raises:
        Refused: 400, a parameter is wrong or unknown.
    """
    asked = _parsed(resource_type, pairs, base, strict=True)
    asked.count = 1
    return [row[0] for row in _rows(store, asked)]


def _rows(store: Store, asked: Search) -> list[tuple[str, str, Any]]:
    """One row more than a page: id, text, sort key."""
    key, way = SORT_KEYS[asked.sort], "DESC" if asked.descending else "ASC"
    clauses, values = list(asked.where.clauses), list(asked.where.values)
    if asked.after:
        clauses.append(f"({key}, r.id) {'<' if asked.descending else '>'} (?, ?)")
        values.extend(asked.after)
    # The inner query sorts without the texts, which are long.
    inner = f"SELECT r.pk, r.version, r.id, {key} AS key FROM resource r WHERE {' AND '.join(clauses)} ORDER BY key {way}, r.id {way} LIMIT ?"
    rows = store.db.all(
        f"SELECT p.id, v.json, p.key FROM ({inner}) p JOIN version v ON v.resource = p.pk AND v.version = p.version"
        f" ORDER BY p.key {way}, p.id {way}",
        *values,
        asked.count + 1,
    )
    return [(row[0], row[1], row[2]) for row in rows]


def _parsed(resource_type: str, pairs: Pairs, base: str, *, strict: bool) -> Search:
    after = None
    for name, value in pairs:
        if name == PAGE:
            pairs, after = _untoken(value)
            break
    asked = Search(resource_type, Where(["r.type = ?", "r.deleted = 0"], [resource_type]), after=after)
    known = parameters(resource_type)
    for name, value in pairs:
        plain = {"subject:Patient": "subject", "patient:Patient": "patient"}.get(name, name)
        if plain in known:
            restrict(asked.where, known[plain], plain, value, base)
            asked.applied.append((name, value))
        elif name in NOT_SEARCH:
            _shape(asked, name, value)
        else:
            refuse_modifier(resource_type, name)
            if strict:
                raise Refused(400, "not-supported", f"{resource_type} has no search parameter {name[:64]!r} here")
    if asked.sort != "_lastUpdated" or asked.descending:
        asked.applied.append(("_sort", ("-" if asked.descending else "") + asked.sort))
    if asked.elements:
        asked.applied.append(("_elements", ",".join(sorted(asked.elements))))
    asked.applied.append(("_summary", "count") if asked.only_total else ("_count", str(asked.count)))
    return asked


def _shape(asked: Search, name: str, value: str) -> None:
    match name:
        case "_count":
            if not value.isascii() or not value.isdigit():
                raise bad_value(name, value, "it is not a whole number from 0")
            asked.count = min(int(value[:9]), LARGEST_COUNT)
            asked.only_total = asked.only_total or asked.count == 0
        case "_summary":
            asked.only_total = asked.only_total or value == "count"
        case "_elements":
            asked.elements = frozenset(filter(None, value.split(",")))
        case "_sort":
            # Only the first key is kept; the self link says so.
            first = value.partition(",")[0]
            if first.removeprefix("-") not in SORT_KEYS:
                raise bad_value(
                    name, value, f"it can only be one of {', '.join(SORT_KEYS)}, each with or without a hyphen"
                )
            asked.sort, asked.descending = first.removeprefix("-"), first.startswith("-")
        case _:
            return


def _entry(asked: Search, base: str, resource_id: str, text: str) -> str:
    if asked.elements:
        resource: dict[str, Any] = json.loads(text)
        kept = {k: v for k, v in resource.items() if k in asked.elements or k in ("resourceType", "id", "meta")}
        tag = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
        kept["meta"] = {**resource["meta"], "tag": [*resource["meta"].get("tag", []), tag]}
        text = json.dumps(kept, ensure_ascii=False, separators=(",", ":"))
    return f'{{"fullUrl":"{base}/{asked.type}/{resource_id}","resource":{text},"search":{{"mode":"match"}}}}'


def _token(asked: Search, key: Any, resource_id: str) -> str:
    return (
        urlsafe_b64encode(json.dumps([asked.applied, key, resource_id], separators=(",", ":")).encode())
        .decode()
        .rstrip("=")
    )


def _untoken(token: str) -> tuple[list[tuple[str, str]], tuple[Any, str]]:
    try:
        applied, key, resource_id = json.loads(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return [(str(name), str(value)) for name, value in applied], (
            key if isinstance(key, int) else str(key),
            str(resource_id),
        )
    except (ValueError, TypeError) as error:
        raise Refused(400, "value", "The page that is asked for is not one that this server gave out") from error
