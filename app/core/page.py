"""Keyset pages: as quick at row 500,000 as at row 1, and stable while rows are added."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import Select, SQLColumnExpression, func, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import ErrorCode, Refusal

MAX_PAGE = 100
T = TypeVar("T")
KeyType = type[datetime] | type[str] | type[UUID]


@dataclass(frozen=True, slots=True)
class Order:
    """An order of rows. The last key is unique (the id), none is ever NULL, and all run in one direction, so that one row
    comparison finds the next page. `name` goes into the cursor: one made for another order is refused."""

    name: str
    keys: tuple[tuple[SQLColumnExpression[Any], KeyType], ...]
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    rows: Sequence[T]
    cursors: Sequence[str]
    has_next: bool
    has_previous: bool


def bad_cursor() -> Refusal:
    return Refusal(ErrorCode.BAD_CURSOR, "`after` is not a cursor of this list in this order.", ("after",))


def encode(order: Order, values: Sequence[Any]) -> str:
    plain = [order.name, *(v.isoformat() if isinstance(v, datetime) else str(v) for v in values)]
    return base64.urlsafe_b64encode(json.dumps(plain, separators=(",", ":")).encode()).decode().rstrip("=")


def decode(order: Order, cursor: str) -> list[Any]:
    try:
        plain: Any = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise bad_cursor() from None
    if not isinstance(plain, list) or len(plain) != len(order.keys) + 1 or plain[0] != order.name:  # pyright: ignore[reportUnknownArgumentType]
        raise bad_cursor()
    try:
        return [_read(kind, value) for (_, kind), value in zip(order.keys, plain[1:], strict=True)]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    except (TypeError, ValueError, OverflowError):
        raise bad_cursor() from None


def _read(kind: KeyType, value: Any) -> datetime | str | UUID:
    """`ValueError` or `OverflowError` for what PostgreSQL could not take either: NUL, lone surrogates, years before 1."""
    if not isinstance(value, str) or b"\x00" in value.encode():
        raise ValueError(value)
    if kind is datetime:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC) if moment.tzinfo else moment
    return kind(value) if kind is UUID else value


def checked_size(first: int) -> int:
    if not 1 <= first <= MAX_PAGE:
        raise Refusal(ErrorCode.BAD_PAGE_SIZE, f"`first` must lie between 1 and {MAX_PAGE}.", ("first",))
    return first


async def fetch(session: AsyncSession, statement: Select[T], order: Order, first: int, after: str | None) -> Page[T]:
    """A page of the rows that `statement` selects (one entity a row), and each row's cursor."""
    size = checked_size(first)
    keys = [key for key, _ in order.keys]
    if after is not None:
        values = [literal(v) for v in decode(order, after)]
        row, mark = tuple_(*keys), tuple_(*values)
        statement = statement.where(row < mark if order.descending else row > mark)
    directed = [key.desc() if order.descending else key.asc() for key in keys]
    found = (await session.execute(statement.add_columns(*keys).order_by(*directed).limit(size + 1))).all()
    shown = found[:size]
    return Page(
        rows=[row[0] for row in shown],
        cursors=[encode(order, row[1:]) for row in shown],
        has_next=len(found) > size,
        has_previous=after is not None,
    )


async def count(session: AsyncSession, statement: Select[Any]) -> int:
    return await session.scalar(select(func.count()).select_from(statement.order_by(None).subquery())) or 0
