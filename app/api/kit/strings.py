"""Texts that can be stored: PostgreSQL has no NUL in a text, UTF-8 no half of a surrogate pair."""

from typing import Any, cast

from graphql import GraphQLError, StringValueNode, ValidationRule

UNSTORABLE = "A text holds a character that cannot be stored: NUL, or half of a surrogate pair."


def storable(value: object) -> bool:
    """Whether every text in a JSON value can be stored."""
    waiting: list[Any] = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, str) and not is_storable(found):
            return False
        if isinstance(found, dict):
            given = cast("dict[str, Any]", found)
            waiting += [*given.keys(), *given.values()]
        elif isinstance(found, list):
            waiting += cast("list[Any]", found)
    return True


def is_storable(text: str) -> bool:
    if "\x00" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class StorableLiterals(ValidationRule):
    """The same for texts that are written into the document itself."""

    def enter_string_value(self, node: StringValueNode, *_: object) -> None:
        if not is_storable(node.value):
            self.report_error(GraphQLError(UNSTORABLE, node))
