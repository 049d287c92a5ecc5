"""Requests with odd values for every root field, made from the schema by a seeded die."""

import random
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
    is_leaf_type,
    is_required_argument,
)

STRINGS = (
    "",
    " ",
    "a",
    "Ana Silva",
    "x" * 201,
    "x" * 70_000,
    "é😀\u202e\u0301",
    "\ufeff\u2028",
    "'; DROP TABLE users; --",
    "%_\\",
    "<script>",
    '{"a":1}',
    "a@b.test",
    "YQ==",
    "http://127.0.0.1:9/fhir",
    "http://[::1",
    "javascript:1",
    "\r\nX: 1",
    "\x00",
    "\ud800",
    "\x1f\x7f\x85",
    "WyJuZXdlc3QiLCIwMDAxLTAxLTAxVDAwOjAwOjAwKzE0OjAwIiwieCJd",
)
INTS = (0, 1, 2, 5, 100, 101, -1, 2**31 - 1, -(2**31), 2**31, 2**70, 1.5, "1", True, None)
MOMENTS = (
    "2025-01-01T00:00:00Z",
    "2025-01-01T00:00:00",
    "2025-01-01",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T24:00:00-01:00",
    "10000-01-01T00:00:00Z",
    "2025-02-30T00:00:00Z",
    "now",
    "infinity",
    "",
    5,
    None,
)
DATES = ("2000-02-29", "2001-02-29", "0001-01-01", "9999-12-31", "1880-01-01", "20000101", "2000-W01-1", "", 5, None)
FLOATS = (0.0, -1.5, 1e308, 1e-308, "1.5", True, None)
BOOLS = (True, False, None, "true", 1)
FAIR = {
    "String": tuple(text for text in STRINGS if "\x00" not in text and "\ud800" not in text and len(text) < 202),
    "Int": (1, 2, 10, 50, 100),
    "Float": (0.5, 1, 50),
    "Boolean": (True, False),
    "DateTime": MOMENTS[:3] + MOMENTS[4:5],
    "Date": DATES[:1],
}
ODD = {
    "String": STRINGS,
    "ID": (*STRINGS, 5, None),
    "Int": INTS,
    "Float": FLOATS,
    "Boolean": BOOLS,
    "DateTime": MOMENTS,
    "Date": DATES,
}
ODDS = 0.15
"""How many values are wrong on purpose: with more, nothing would get beyond the first check."""


@dataclass
class Odd:
    """`good` are ids that name something, by the input that asks for them; the others are wrong on purpose."""

    die: random.Random
    good: dict[str, str]

    def request(self, kind: str, name: str, field: GraphQLField) -> tuple[str, dict[str, Any]]:
        """A document of one root field, and its variables."""
        given = {
            key: self.value(argument.type, key)
            for key, argument in field.args.items()
            if is_required_argument(argument) or self.die.random() < 0.6
        }
        declared = ", ".join(f"${key}: {field.args[key].type}" for key in given)
        passed = ", ".join(f"{key}: ${key}" for key in given)
        head = f"{kind}({declared}) {{ {name}({passed})" if given else f"{kind} {{ {name}"
        return f"{head} {selection(field.type, 3)} }}", given

    def value(self, kind: Any, name: str) -> Any:
        if isinstance(kind, GraphQLNonNull):
            return self.value(kind.of_type, name)
        if isinstance(kind, GraphQLList):
            return self.die.choice(([], [self.value(kind.of_type, name)], [self.value(kind.of_type, name)] * 3))
        if isinstance(kind, GraphQLEnumType):
            return "NOPE" if self.die.random() < ODDS / 3 else self.die.choice(tuple(kind.values))
        if isinstance(kind, GraphQLInputObjectType):
            wanted = {
                key: self.value(part.type, key)
                for key, part in kind.fields.items()
                if isinstance(part.type, GraphQLNonNull) or self.die.random() < 0.4
            }
            return wanted if self.die.random() < 0.97 else self.die.choice(([], "x", 5))
        if self.die.random() < ODDS:
            return self.die.choice(ODD[kind.name])
        if kind.name == "ID":
            return self.good.get(name, "")
        return self.die.choice(FAIR[kind.name] if name != "after" else (None,))


def selection(kind: Any, depth: int) -> str:
    """Everything that can be asked for, so deep."""
    named = get_named_type(kind)
    if is_leaf_type(named):
        return ""
    assert isinstance(named, GraphQLObjectType | GraphQLInterfaceType)
    parts = ["__typename"]
    for name, field in named.fields.items():
        inner = get_named_type(field.type)
        if is_leaf_type(inner) or depth > 0:
            parts.append(f"{name}{_smallest(field.args)} {selection(field.type, depth - 1)}")
    return "{ " + " ".join(parts) + " }"


def _smallest(arguments: dict[str, GraphQLArgument]) -> str:
    return "(first: 2)" if "first" in arguments else ""
