"""Relay's Node: everything with an id can be fetched again by it."""

from collections.abc import Callable
from typing import Any, TypeVar

import strawberry

from app.api.kit import ids
from app.core.db import Base

T = TypeVar("T", bound=type)


@strawberry.interface(description="Something with an id that `node` finds again (Relay's object identification).")
class Node:
    @strawberry.field(description="An opaque id, unique among everything.")
    def id(self, info: strawberry.Info[Any, Any]) -> strawberry.ID:
        row: Any = self
        return ids.encode(info._raw_info.parent_type.name, row.id)  # noqa: SLF001 - Strawberry shows it nowhere else


def of_row(model: type[Base]) -> Callable[[T], T]:
    """Resolvers return rows: tells GraphQL which type a row is shown as."""

    def decorate(shown: T) -> T:
        def is_type_of(value: object, _info: object) -> bool:
            return isinstance(value, (model, shown))

        shown.is_type_of = staticmethod(is_type_of)  # pyright: ignore[reportAttributeAccessIssue]
        return shown

    return decorate
