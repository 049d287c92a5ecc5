"""Rules: which requests a fault strikes, and how often. The same requests are struck each time."""

import asyncio
import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from sandbox.faults.call import Asked, Fault
from sandbox.faults.options import Option, flag, number, pattern, whole

MOST_RULES = 100
COMMON: dict[str, Option] = {
    "after": whole(0, 0, 1_000_000),
    "times": whole(None, 1, 1_000_000, nullable=True),
    "each": flag(default=False),
    "share": number(1, 0, 1),
    "seed": whole(0, -(2**63), 2**63),
}
MATCH = ("method", "path", "query")


class WrongRules(Exception):
    """`errors` has the place and a sentence for each thing that is wrong."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__("; ".join(f"rule {it['rule']}, {it['field']}: {it['message']}" for it in errors))
        self.errors = errors


@dataclass(slots=True)
class Rule:
    """A fault that is switched on."""

    id: int
    fault: Fault
    said: dict[str, Any]
    options: dict[str, Any]
    match: dict[str, re.Pattern[str]]
    matched: int = 0
    struck: int = 0
    on_since: datetime = field(default_factory=lambda: datetime.now(UTC))
    off: asyncio.Event = field(default_factory=asyncio.Event)
    _matched: Counter[str] = field(default_factory=Counter[str])
    _struck: Counter[str] = field(default_factory=Counter[str])
    _drawn: Counter[str] = field(default_factory=Counter[str])

    def strikes(self, asked: Asked) -> bool:
        """Counts the request, and decides."""
        if not self._fits(asked):
            return False
        key = self._key(asked)
        self.matched += 1
        self._matched[key] += 1
        times = self.options["times"]
        if self._matched[key] <= self.options["after"] or (times is not None and self._struck[key] >= times):
            return False
        if not self._drawn_for(asked):
            return False
        self.struck += 1
        self._struck[key] += 1
        return True

    def spare(self, asked: Asked) -> None:
        """There was nothing in the answer that the fault could be done to: it has not struck."""
        self.struck -= 1
        self._struck[self._key(asked)] -= 1

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, **self.said, "matched": self.matched, "struck": self.struck}

    def _fits(self, asked: Asked) -> bool:
        parts = {"method": asked.method, "path": asked.path, "query": asked.query}
        wanted = all(
            wanted.search(parts[name]) if name == "query" else wanted.fullmatch(parts[name])
            for name, wanted in self.match.items()
        )
        return wanted and self.fault.fits(asked)

    def _key(self, asked: Asked) -> str:
        return str(asked) if self.options["each"] else ""

    def _drawn_for(self, asked: Asked) -> bool:
        """Drawn from the address, not in the order of arrival: parallel requests would come in another order each time."""
        share = self.options["share"]
        if share >= 1:
            return True
        self._drawn[asked.path] += 1
        seed = f"{self.options['seed']} {asked.method} {asked.path} {self._drawn[asked.path]}"
        return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:6], "big") / 2**48 < share


def parse(given: Any, table: Mapping[str, Fault], server: str, first_id: int) -> list[Rule]:
    """Raises:
    WrongRules: all that is wrong with them.
    """
    if not isinstance(given, list):
        raise WrongRules([{"rule": 0, "field": "", "message": "the body must be a list of rules"}])
    items = cast("list[Any]", given)
    if len(items) > MOST_RULES:
        raise WrongRules([{"rule": MOST_RULES, "field": "", "message": f"at most {MOST_RULES} rules at a time"}])
    errors: list[dict[str, Any]] = []
    rules: list[Rule] = []
    for at, item in enumerate(items):
        complaints = _complaints(item, table, server)
        errors += [{"rule": at, "field": name, "message": message} for name, message in complaints.items()]
        if not complaints:
            rules.append(_rule(first_id + at, item, table))
    if errors:
        raise WrongRules(errors)
    return rules


def _rule(number: int, said: dict[str, Any], table: Mapping[str, Fault]) -> Rule:
    fault = table[said["fault"]]
    known = COMMON | fault.options
    options = {name: said.get(name, option.default) for name, option in known.items()}
    return Rule(number, fault, said, options, {k: re.compile(v) for k, v in said.get("match", {}).items()})


def _complaints(item: Any, table: Mapping[str, Fault], server: str) -> dict[str, str]:
    if not isinstance(item, dict):
        return {"": "a rule must be an object"}
    said = cast("dict[str, Any]", item)
    fault = table.get(str(said.get("fault")))
    if fault is None or server not in fault.servers:
        here = ", ".join(sorted(name for name, each in table.items() if server in each.servers))
        return {"fault": f"must be one of {here}"}
    known = COMMON | fault.options
    found = {
        name: known[name].check(value) if name in known else f"is no option of {said['fault']}"
        for name, value in said.items()
        if name not in ("fault", "match")
    }
    return {name: words for name, words in found.items() if words} | _match_complaints(said.get("match", {}))


def _match_complaints(match: Any) -> dict[str, str]:
    if not isinstance(match, dict):
        return {"match": "must be an object"}
    parts = cast("dict[str, Any]", match)
    found = {
        f"match.{name}": pattern(value) if name in MATCH else f"must be one of {', '.join(MATCH)}"
        for name, value in parts.items()
    }
    return {name: words for name, words in found.items() if words}
