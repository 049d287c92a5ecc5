"""Dates of the stories: British time without a time-zone database, working hours, and the wording of dates."""

from datetime import UTC, date, datetime, timedelta, timezone

LAST_DAY = date(2026, 10, 30)
"""Nothing in the cohort is younger."""

# Spelt out, since strftime's names follow the locale.
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_SUMMER = timezone(timedelta(hours=1))


def _last_sunday(year: int, month: int) -> date:
    last = date(year, month, 31)
    return last - timedelta(days=(last.weekday() + 1) % 7)


def moment(day: date, hour: int, minute: int) -> datetime:
    """A local time with the offset of that day: +01:00 between the last Sundays of March and October."""
    summer = _last_sunday(day.year, 3) <= day < _last_sunday(day.year, 10)
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=_SUMMER if summer else UTC)


def weekday(day: date) -> date:
    """`day`, or the Friday before a weekend."""
    return day - timedelta(days=max(0, day.weekday() - 4))


def day_at(start: date, years: float) -> date:
    return min(start + timedelta(days=round(years * 365.25)), LAST_DAY)


def years_between(start: date, day: date) -> float:
    return (day - start).days / 365.25


def spoken(day: date) -> str:
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def month_of(day: date) -> str:
    return f"{_MONTHS[day.month - 1]} {day.year}"


def diary_day(day: date) -> str:
    return f"{_DAYS[day.weekday()]} {day.day}/{day.month}"


def short(day: date) -> str:
    return f"{day.day:02d}/{day.month:02d}/{day.year}"
