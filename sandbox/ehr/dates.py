"""FHIR's partial dates as intervals of milliseconds since 1970, both ends included."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, cast

Span = tuple[int, int]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
BEGINNING, END = -(10**15), 10**15
DATE = re.compile(
    r"(?P<year>\d{4})(-(?P<month>\d\d)(-(?P<day>\d\d)(T(?P<hour>\d\d):(?P<minute>\d\d)"
    r"(:(?P<second>\d\d)(\.(?P<fraction>\d+))?)?(?P<zone>Z|[+-]\d\d:\d\d)?)?)?)?"
)


def span(text: str) -> Span:
    """`2024-05` is the whole of May 2024. Without a zone a time is UTC.

    Raises:
        ValueError: it is no FHIR date, dateTime or instant.
    """
    found = DATE.fullmatch(text)
    if not found:
        raise ValueError("it is not a date like 2024, 2024-05, 2024-05-31 or 2024-05-31T08:15:30Z")
    part = found.groupdict()
    fraction = part["fraction"]
    start = datetime(
        int(part["year"]),
        int(part["month"] or 1),
        int(part["day"] or 1),
        int(part["hour"] or 0),
        int(part["minute"] or 0),
        int(part["second"] or 0),
        tzinfo=UTC,
    )
    first = (start - EPOCH) // MILLISECOND - _offset_ms(part["zone"])
    if fraction:
        first += int(fraction[:3].ljust(3, "0"))
    return first, first + _length_ms(start, part) - 1


def _offset_ms(zone: str | None) -> int:
    if not zone or zone == "Z":
        return 0
    minutes = int(zone[1:3]) * 60 + int(zone[4:6])
    if minutes > 14 * 60:
        raise ValueError("its zone is out of range")
    return (minutes if zone[0] == "+" else -minutes) * 60_000


def _length_ms(start: datetime, part: dict[str, str | None]) -> int:
    if part["month"] is None:
        return (366 if _is_leap(start.year) else 365) * 86_400_000
    if part["day"] is None:
        following = datetime(start.year + start.month // 12, start.month % 12 + 1, 1, tzinfo=UTC)
        return (following - start) // MILLISECOND
    if part["hour"] is None:
        return 86_400_000
    if part["second"] is None:
        return 60_000
    return 1 if part["fraction"] else 1_000


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def span_of(value: Any) -> Span | None:
    """The interval of a date or Period element as it stands in a resource; None if there is none to be read."""
    if isinstance(value, str):
        try:
            return span(value)
        except ValueError:
            return None
    if isinstance(value, dict):
        period = cast("dict[str, Any]", value)
        start, end = span_of(period.get("start")), span_of(period.get("end"))
        if start or end:
            return (start[0] if start else BEGINNING, end[1] if end else END)
    return None
