"""Scalars where Strawberry's own would let through what cannot be stored."""

from datetime import UTC, datetime
from operator import methodcaller

from strawberry.exceptions import StrawberryInputCoercionError
from strawberry.types.scalar import ScalarDefinition


def instant(value: object) -> datetime:
    """A point in time, in UTC; one without an offset is meant as UTC. Refuses what leaves the calendar (years 1 to 9999)."""
    try:
        parsed = datetime.fromisoformat(value) if isinstance(value, str) else None
        if parsed is not None:
            return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        parsed = None
    raise StrawberryInputCoercionError(f"This is no date with time (ISO 8601): {str(value)[:60]!r}.")


SCALARS: dict[object, ScalarDefinition] = {
    datetime: ScalarDefinition(
        name="DateTime",
        description="Date with time (isoformat)",
        specified_by_url=None,
        serialize=methodcaller("isoformat"),
        parse_value=instant,
        parse_literal=None,
        origin=datetime,
    )
}
