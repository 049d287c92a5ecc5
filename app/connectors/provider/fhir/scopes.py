"""SMART scopes (v1 and v2, SMART App Launch 2.2, 3): whether what was granted covers what was asked for."""

import re

_SCOPE = re.compile(r"(?P<level>system|user|patient)/(?P<type>\*|\w+)\.(?P<may>[a-z*]+)(\?.*)?")
_WORDS = {"read": "rs", "write": "cud", "*": "cruds"}


def missing(asked: str, granted: str) -> list[str]:
    """The scopes of `asked` that nothing in `granted` covers."""
    return [scope for scope in asked.split() if not any(_covers(other, scope) for other in granted.split())]


def _covers(granted: str, asked: str) -> bool:
    if granted == asked:
        return True
    given, wanted = _SCOPE.fullmatch(granted), _SCOPE.fullmatch(asked)
    # A granted scope with a filter (`?category=…`) covers only a part.
    if given is None or wanted is None or "?" in granted:
        return False
    return (
        given["level"] == wanted["level"]
        and given["type"] in ("*", wanted["type"])
        and set(_letters(wanted["may"])) <= set(_letters(given["may"]))
    )


def _letters(may: str) -> str:
    return _WORDS.get(may, may)
