"""Relay connections over keyset pages. Counting costs only whoever asks for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import strawberry
from sqlalchemy import Select

from app.api.kit.context import Context, Info
from app.core import page
from app.core.errors import invalid

T = TypeVar("T")
MAX_SEARCH = 500

First = Annotated[int, strawberry.argument(description="How many to return, 1 to 100.")]
After = Annotated[
    str | None, strawberry.argument(description="The cursor after which to go on: `endCursor` of the page before.")
]
Search = Annotated[str | None, strawberry.argument(description="Words to look for.")]


@dataclass(frozen=True, slots=True)
class Ends:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@dataclass(frozen=True, slots=True)
class Linked:
    """An edge; `listing` is the list that it belongs to."""

    cursor: str
    node: Any
    listing: "Listing"


@dataclass(slots=True)
class Listing:
    """A page of rows and the statement that it is a page of."""

    statement: Select[Any]
    search: str | None
    edges: Sequence[Linked]
    page_info: Ends


async def connect(
    context: Context,
    statement: Select[Any],
    order: page.Order,
    first: int,
    after: str | None,
    search: str | None = None,
) -> Any:
    """The page of a connection. Refuses a bad size, a foreign cursor, and a search that is a book."""
    page.checked_size(first)
    if search and len(search) > MAX_SEARCH:
        raise invalid(f"A search has at most {MAX_SEARCH} characters.", "search")
    async with context.reading() as session:
        found: page.Page[Any] = await page.fetch(session, statement, order, first, after)
    listing = Listing(statement, search, [], _ends(found))
    listing.edges = [Linked(cursor, row, listing) for cursor, row in zip(found.cursors, found.rows, strict=True)]
    return listing


def _ends(found: page.Page[Any]) -> Ends:
    cursors = found.cursors
    return Ends(
        has_next_page=found.has_next,
        has_previous_page=found.has_previous,
        start_cursor=cursors[0] if cursors else None,
        end_cursor=cursors[-1] if cursors else None,
    )


@strawberry.type(description="Where a page lies in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether there is more after this page.")
    has_previous_page: bool = strawberry.field(description="Whether there is something before this page.")
    start_cursor: str | None = strawberry.field(description="The cursor of the first edge.")
    end_cursor: str | None = strawberry.field(description="The cursor of the last edge: the next page's `after`.")


@strawberry.type(description="A row of a list.")
class Edge(Generic[T]):
    cursor: str = strawberry.field(description="Where this row stands in its order.")
    node: T = strawberry.field(description="The row itself.")


async def total_count(root: strawberry.Parent[Listing], info: Info) -> int:
    async with info.context.reading() as session:
        return await page.count(session, root.statement)


TOTAL = "How many rows the whole list has. Counted only when asked for."


@strawberry.type(description="A list, a page at a time.")
class Connection(Generic[T]):
    edges: list[Edge[T]] = strawberry.field(description="The rows of this page.")
    page_info: PageInfo = strawberry.field(description="Where this page lies.")
    total_count: int = strawberry.field(resolver=total_count, description=TOTAL)
