"""SMART scopes of systems, v1 (`system/Patient.read`) and v2 (`system/Patient.rs`).

A scope with search arguments (`?category=…`) is finer than this server can keep, so it is never granted.
"""

import re
from collections.abc import Iterable

SCOPE = re.compile(r"system/(\*|[A-Z][A-Za-z]+)\.(read|write|\*|(?=[cruds])c?r?u?d?s?)")
VERSION_1 = {"read": "rs", "write": "cud", "*": "cruds"}


def allows(scopes: Iterable[str], resource_type: str, letter: str) -> bool:
    """`letter` is one of c, r, u, d, s: create, read, update, delete, search."""
    return any(found[0] in ("*", resource_type) and letter in found[1] for scope in scopes if (found := _parsed(scope)))


def granted(asked: Iterable[str], registered: Iterable[str]) -> tuple[str, ...]:
    """What is both asked for and registered, each in the notation that it was asked in where that says the same."""
    allowed = [found for scope in registered if (found := _parsed(scope))]
    result: list[str] = []
    for scope in asked:
        wanted = _parsed(scope)
        if not wanted:
            continue
        for resource_type, letters in allowed:
            if "*" not in (resource_type, wanted[0]) and resource_type != wanted[0]:
                continue
            common = "".join(c for c in wanted[1] if c in letters)
            narrower = wanted[0] if resource_type == "*" else resource_type
            given = scope if (narrower, common) == wanted else f"system/{narrower}.{common}"
            if common and given not in result:
                result.append(given)
    return tuple(result)


def _parsed(scope: str) -> tuple[str, str] | None:
    found = SCOPE.fullmatch(scope)
    return (found[1], VERSION_1.get(found[2], found[2])) if found else None
