"""Search parameters: which a type has, and what each value means in SQL."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sandbox.ehr.dates import span
from sandbox.ehr.index import folded
from sandbox.ehr.outcome import Refused, bad_value

Kind = Literal["token", "date", "string", "reference", "id", "instant"]

COMMON: dict[str, Kind] = {"_id": "id", "_lastUpdated": "instant", "identifier": "token"}
PEOPLE: dict[str, Kind] = {"name": "string", "family": "string", "given": "string", "gender": "token"}
PLACES: dict[str, Kind] = {"name": "string", "type": "token", "status": "token"}
CLINICAL: dict[str, Kind] = {
    "patient": "reference",
    "subject": "reference",
    "type": "token",
    "category": "token",
    "code": "token",
    "status": "token",
    "date": "date",
}
OF_TYPE: dict[str, Mapping[str, Kind]] = {
    "Patient": {**PEOPLE, "birthdate": "date"},
    "Practitioner": PEOPLE,
    "Organization": PLACES,
    "Location": PLACES,
    "DiagnosticReport": {**CLINICAL, "issued": "date"},
    "DocumentReference": {**CLINICAL, "period": "date"},
}

PREFIXED = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb)?(\d.*)")
COMPARISONS: dict[str, tuple[str, tuple[int, ...]]] = {
    "eq": ("{first} >= ? AND {last} <= ?", (0, 1)),
    "ne": ("NOT ({first} >= ? AND {last} <= ?)", (0, 1)),
    "gt": ("{last} > ?", (1,)),
    "lt": ("{first} < ?", (0,)),
    "ge": ("{last} >= ?", (0,)),
    "le": ("{first} <= ?", (1,)),
    "sa": ("{first} > ?", (1,)),
    "eb": ("{last} < ?", (0,)),
}
"""For each prefix the condition, and which ends of the searched interval (0 first, 1 last) fill it."""


@dataclass(slots=True)
class Where:
    """A condition on `resource r` and its values."""

    clauses: list[str] = field(default_factory=list[str])
    values: list[object] = field(default_factory=list[object])

    def add(self, clause: str, *values: object) -> None:
        self.clauses.append(clause)
        self.values.extend(values)

    def any_of(self, parts: list[tuple[str, tuple[object, ...]]], form: str = "({})", *before: object) -> None:
        """One of `parts` holds, inside `form`, whose own values come `before`."""
        self.add(form.format(" OR ".join(f"({sql})" for sql, _ in parts)), *before, *(v for _, vs in parts for v in vs))


def parameters(resource_type: str) -> dict[str, Kind]:
    return {**COMMON, **OF_TYPE.get(resource_type, CLINICAL)}


def restrict(where: Where, kind: Kind, name: str, value: str, base: str) -> None:
    """Adds what `name=value` asks for; a comma in the value means OR.

    Raises:
        Refused: 400, the value is not of the parameter's kind.
    """
    alternatives = re.split(r"(?<!\\),", value)
    if not all(alternatives):
        raise bad_value(name, value, "it is empty")
    match kind:
        case "id":
            where.any_of([("r.id = ?", (_plain(a),)) for a in alternatives])
        case "reference":
            references = [reference for a in alternatives for reference in _references(name, _plain(a), base)]
            where.any_of([("r.subject = ?", (reference,)) for reference in references])
        case "instant":
            where.any_of([_compared(name, a, "r.last_updated", "r.last_updated") for a in alternatives])
        case "date":
            inside = "EXISTS (SELECT 1 FROM moment m WHERE m.resource = r.pk AND m.parameter = ? AND ({}))"
            where.any_of([_compared(name, a, "m.first", "m.last") for a in alternatives], inside, name)
        case "token":
            where.any_of([_token(a) for a in alternatives], IN_TERMS, name)
        case "string":
            starts = [folded(_plain(a)) for a in alternatives]
            where.any_of([("t.code >= ? AND t.code < ?", (s, s + "\U0010ffff")) for s in starts], IN_TERMS, name)


IN_TERMS = "r.pk IN (SELECT t.resource FROM term t WHERE t.parameter = ? AND ({}))"


def _plain(value: str) -> str:
    return re.sub(r"\\([,|$\\])", r"\1", value)


def _token(value: str) -> tuple[str, tuple[object, ...]]:
    parts = [_plain(part) for part in re.split(r"(?<!\\)\|", value, maxsplit=1)]
    if len(parts) == 1:
        return "t.code = ?", (parts[0],)
    if not parts[1]:
        return "t.system = ?", (parts[0],)
    return "t.code = ? AND t.system = ?", (parts[1], parts[0])


def _references(name: str, value: str, base: str) -> list[str]:
    """The forms in which a resource may refer to it: relative, or absolute on this server."""
    reference = value.removeprefix(base + "/")
    if "://" in reference:
        return [reference]
    if "/" not in reference:
        reference = f"Patient/{reference}"
    if name == "patient" and not reference.startswith("Patient/"):
        raise bad_value(name, value, "it does not refer to a Patient")
    return [reference, f"{base}/{reference}"]


def _compared(name: str, value: str, first: str, last: str) -> tuple[str, tuple[object, ...]]:
    found = PREFIXED.fullmatch(value)
    if not found:
        raise bad_value(name, value, "it is not a date with one of the prefixes eq, ne, gt, lt, ge, le, sa, eb")
    clause, ends = COMPARISONS[found[1] or "eq"]
    try:
        interval = span(found[2])
    except ValueError as error:
        raise bad_value(name, value, str(error)) from error
    return clause.format(first=first, last=last), tuple(interval[end] for end in ends)


def refuse_modifier(resource_type: str, name: str) -> None:
    """FHIR R4, 3.1.1.4.6: a modifier that a server does not support must be refused, never ignored.

    Raises:
        Refused: 400, a known parameter has a modifier.
    """
    parameter, colon, modifier = name.partition(":")
    if colon and parameter in parameters(resource_type):
        raise Refused(400, "not-supported", f"The modifier {modifier!r} of {parameter} is not supported")
