"""Faults of time: a clock that is off, and a `lastUpdated` that cannot be trusted."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, cast
from urllib.parse import quote

from sandbox.ehr.dates import span
from sandbox.faults.bundles import entries, link, set_link
from sandbox.faults.call import Answer, Call, Json
from sandbox.sqlite import instant

PARAMETER = "_lastUpdated"
PREFIXED = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb)?(\d.*)")


async def ignore_last_updated(call: Call) -> None:
    wanted = _without_since(call)
    if not wanted:
        call.spare()
    found = await call.answered()
    if call.options["claims"] and (bundle := found.json()):
        _claim(bundle, wanted, "self")
        found = found.with_json(bundle)
    await found.send(call.send)


async def clock(call: Call) -> None:
    """The server lives at another time, and is consistent with itself."""
    seconds: float = call.options["seconds"]
    wanted = _without_since(call)
    if wanted:
        call.ask_with([*call.params, *((PARAMETER, _shifted(value, -seconds)) for value in wanted)])
    found = await call.answered()
    if content := found.json():
        _show(content, lambda ms: ms + int(seconds * 1000))
        if link(content, "self"):
            _claim(content, wanted, "self")
        found = found.with_json(content)
    now = datetime.now(UTC) + timedelta(seconds=seconds)
    await Answer(
        found.status, [*found.headers, (b"date", format_datetime(now, usegmt=True).encode())], found.body
    ).send(call.send)


async def stale_last_updated(call: Call) -> None:
    """Nothing seems to be changed after `instant`."""
    limit = _instant(call)
    await _pretend(call, lambda ms: min(ms, limit))


async def equal_last_updated(call: Call) -> None:
    limit = _instant(call)
    await _pretend(call, lambda _: limit)


async def _pretend(call: Call, shown: Callable[[int], int]) -> None:
    """Shows, and filters by, another `lastUpdated` than the true one."""
    wanted = _without_since(call)
    found = await call.answered()
    content = found.json()
    if content is None:
        call.spare()
    else:
        _show(content, shown)
        if wanted:
            content["entry"] = [it for it in entries(content) if _fits(it["resource"], wanted)]
            content.pop("total", None)
            _claim(content, wanted, "self", "next")
        found = found.with_json(content)
    await found.send(call.send)


def _instant(call: Call) -> int:
    given = call.options["instant"]
    return span(given)[0] if given else int(call.on_since.timestamp() * 1000)


def _without_since(call: Call) -> list[str]:
    """Takes `_lastUpdated` out of what the server behind is asked; its values."""
    params = call.params
    wanted = [value for name, value in params if name == PARAMETER]
    if wanted:
        call.ask_with(pair for pair in params if pair[0] != PARAMETER)
    return wanted


def _claim(bundle: Json, wanted: list[str], *relations: str) -> None:
    """Links say that `_lastUpdated` was applied. The server ignores it beside a page's own parameter; we do not."""
    more = "&".join(f"{PARAMETER}={quote(value)}" for value in wanted)
    for relation in relations:
        if more and (url := link(bundle, relation)):
            kept = "&".join(part for part in url.partition("?")[2].split("&") if not part.startswith(PARAMETER))
            set_link(bundle, relation, f"{url.partition('?')[0]}?{more}{'&' if kept else ''}{kept}")


def _show(value: Any, shown: Callable[[int], int]) -> None:
    """Changes every `meta.lastUpdated` in it."""
    if isinstance(value, list):
        for item in cast("list[Any]", value):
            _show(item, shown)
    elif isinstance(value, dict):
        there = cast("Json", value)
        meta = there.get("meta")
        if isinstance(meta, dict) and isinstance(at := cast("Json", meta).get("lastUpdated"), str):
            meta["lastUpdated"] = instant(shown(span(at)[0]))
        for name in ("entry", "resource", "contained"):
            _show(there.get(name), shown)


def _shifted(value: str, seconds: float) -> str:
    found = PREFIXED.fullmatch(value)
    if not found:
        return value
    return f"{found[1] or ''}{instant(span(found[2])[0] + int(seconds * 1000))}"


def _fits(resource: Json, wanted: list[str]) -> bool:
    at = span(resource["meta"]["lastUpdated"])[0]
    return all(_compared(at, value) for value in wanted)


def _compared(at: int, value: str) -> bool:
    found = PREFIXED.fullmatch(value)
    if not found:
        return False
    first, last = span(found[2])
    within = first <= at <= last
    return {
        "gt": at > last,
        "sa": at > last,
        "ge": at >= first,
        "lt": at < first,
        "eb": at < first,
        "le": at <= last,
        "ne": not within,
    }.get(found[1] or "eq", within)
