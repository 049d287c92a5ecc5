"""What may stand in a rule, and the words for what may not."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

LONGEST_TEXT = 100_000


@dataclass(frozen=True, slots=True)
class Option:
    """`check` answers what a value must be, or nothing where it is that."""

    default: Any
    check: Callable[[Any], str]


def whole(default: int | None, least: int, most: int, *, nullable: bool = False) -> Option:
    words = f"must be a whole number from {least} to {most}" + (", or null" if nullable else "")

    def check(value: Any) -> str:
        if value is None and nullable:
            return ""
        fits = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
        return "" if fits else words

    return Option(default, check)


def number(default: float | None, least: float, most: float) -> Option:
    words = f"must be a number from {least:g} to {most:g}"

    def check(value: Any) -> str:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
        return "" if fits else words

    return Option(default, check)


def text(default: str | None) -> Option:
    words = f"must be text of at most {LONGEST_TEXT} characters"
    return Option(default, lambda value: "" if isinstance(value, str) and len(value) <= LONGEST_TEXT else words)


def header(default: str | None) -> Option:
    """Text that can stand in a header."""
    words = "must be printable ASCII text, for a header"
    return Option(
        default, lambda value: "" if isinstance(value, str) and value.isascii() and value.isprintable() else words
    )


def choice(default: str, *values: str) -> Option:
    words = f"must be one of {', '.join(values)}"
    return Option(default, lambda value: "" if value in values else words)


def flag(default: bool) -> Option:
    return Option(default, lambda value: "" if isinstance(value, bool) else "must be true or false")


def record() -> Option:
    return Option(None, lambda value: "" if isinstance(value, dict) else "must be an object")


def either(default: Any, *options: Option) -> Option:
    def check(value: Any) -> str:
        complaints = [option.check(value) for option in options]
        return "" if "" in complaints else ", or ".join(complaints)

    return Option(default, check)


def pattern(value: Any) -> str:
    """What is the matter with a regular expression."""
    if not isinstance(value, str):
        return "must be a regular expression"
    try:
        re.compile(value)
    except re.error as error:
        return f"must be a regular expression: {error}"
    return ""
