"""What search can find a resource by. Generic rules by field name, the same for every resource type."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from sandbox.ehr.dates import Span, span_of

Resource = dict[str, Any]

SUBJECTS = ("subject", "patient", "for", "beneficiary")
CONCEPTS = {"type": "type", "category": "category", "code": "code", "medicationCodeableConcept": "code"}
CODES = ("status", "gender")
DATES = (
    "date",
    "effectiveDateTime",
    "effectivePeriod",
    "effectiveInstant",
    "performedDateTime",
    "performedPeriod",
    "occurrenceDateTime",
    "occurrencePeriod",
    "period",
    "recordedDate",
    "authoredOn",
    "dateTime",
    "recorded",
    "issued",
)
"""The first of these that a resource has is what its parameter `date` looks at."""


@dataclass(frozen=True, slots=True)
class Index:
    """`terms` are (parameter, system, code or folded text); `moments` (parameter, interval)."""

    subject: str | None
    terms: frozenset[tuple[str, str, str]]
    moments: tuple[tuple[str, Span], ...]


def index(resource: Resource) -> Index:
    return Index(subject(resource), frozenset(_terms(resource)), tuple(_moments(resource)))


def subject(resource: Resource) -> str | None:
    """The reference to whom it is about, without a version: `Patient/123`, or an absolute URL as written."""
    for name in SUBJECTS:
        for item in _dicts(resource.get(name)):
            reference = item.get("reference")
            if isinstance(reference, str) and reference:
                return reference.partition("/_history/")[0]
    return None


def folded(text: str) -> str:
    """FHIR's string search ignores case and accents."""
    plain = unicodedata.normalize("NFKD", text)
    return "".join(c for c in plain if not unicodedata.combining(c)).casefold()


def _terms(resource: Resource) -> Iterator[tuple[str, str, str]]:
    for field, parameter in CONCEPTS.items():
        for system, code in _codings(resource.get(field)):
            yield parameter, system, code
    for parameter in CODES:
        if isinstance(code := resource.get(parameter), str):
            yield parameter, "", code
    for identifier in _dicts(resource.get("identifier")):
        if isinstance(value := identifier.get("value"), str):
            yield "identifier", _text(identifier.get("system")), value
    yield from _names(resource.get("name"))


def _names(value: Any) -> Iterator[tuple[str, str, str]]:
    if isinstance(value, str):
        yield "name", "", folded(value)
    for name in _dicts(value):
        for field in ("family", "given", "prefix", "suffix", "text"):
            parts = name.get(field)
            for part in cast("list[Any]", parts) if isinstance(parts, list) else [parts]:
                if isinstance(part, str):
                    yield "name", "", folded(part)
                    if field in ("family", "given"):
                        yield field, "", folded(part)


def _moments(resource: Resource) -> Iterator[tuple[str, Span]]:
    for field in DATES:
        if found := span_of(resource.get(field)):
            yield "date", found
            break
    for field, parameter in (("issued", "issued"), ("birthDate", "birthdate")):
        if found := span_of(resource.get(field)):
            yield parameter, found
    for context in _dicts(resource.get("context")):
        if found := span_of(context.get("period")):
            yield "period", found


def _codings(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield "", value
    for concept in _dicts(value):
        for coding in [concept, *_dicts(concept.get("coding"))]:
            if isinstance(code := coding.get("code"), str):
                yield _text(coding.get("system")), code


def _dicts(value: Any) -> list[dict[str, Any]]:
    items = cast("list[Any]", value if isinstance(value, list) else [value])
    return [cast("dict[str, Any]", item) for item in items if isinstance(item, dict)]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
