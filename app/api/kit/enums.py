"""Enums of the domain, shown with a description for each value."""

from enum import Enum
from typing import TypeVar, cast

import strawberry
from strawberry.types.enum import StrawberryEnumDefinition

E = TypeVar("E", bound=type[Enum])


def described(enum: E, name: str, description: str, **values: str) -> E:
    """Publishes an enum; `values` names every member with its description, none missing and none too many."""
    strawberry.enum(enum, name=name, description=description)
    definition = cast("StrawberryEnumDefinition", vars(enum)["__strawberry_definition__"])
    shown = {value.name: value for value in definition.values}
    if shown.keys() != values.keys():
        raise ValueError(f"{name} wants descriptions of {sorted(shown.keys() ^ values.keys())}")
    for value, words in values.items():
        shown[value].description = words
    return enum
