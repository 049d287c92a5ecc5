"""Keyset pages: every row once, whatever comes in between; a bad cursor is refused, never a defect."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Select, literal

from app.core import page
from app.core.errors import ErrorCode, Refusal
from app.core.resources import Resources
from app.domain.documents.models import DocumentStatus, DocumentType, HealthcareDocument, SourceKind
from app.domain.documents.queries import ORDERS, DocumentOrder, Filter, listed
from app.domain.identity.models import Role
from app.domain.identity.policies import Actor
from tests import factories
from tests.conftest import People

DAY = datetime(2025, 5, 1, 12, tzinfo=UTC)
ORDER = page.Order("trial", ((literal(1), datetime), (literal(1), str), (literal(1), UUID)))
NOBODY = UUID(int=1)


class Shelf:
    """The documents of one patient, and pages of them as the dietician sees them."""

    def __init__(self, resources: Resources, people: People, patient_id: UUID) -> None:
        self.resources = resources
        self.owner_id = people.dietician.id
        self.patient_id = patient_id
        self.statement: Select[HealthcareDocument] = listed(Actor(self.owner_id, Role.DIETICIAN, uuid4()), Filter())

    async def put(self, *dates: datetime | None, title: str = "A note") -> None:
        async with self.resources.db.transaction() as session:
            session.add_all(
                HealthcareDocument(
                    patient_id=self.patient_id,
                    owner_id=self.owner_id,
                    type=DocumentType.OTHER,
                    title=title,
                    date=date,
                    source=SourceKind.USER,
                    source_name="Somebody",
                    status=DocumentStatus.CURRENT,
                    content_hash=b"",
                )
                for date in dates
            )

    async def page(self, order: DocumentOrder, first: int, after: str | None = None) -> page.Page[HealthcareDocument]:
        async with self.resources.db.reading() as session:
            return await page.fetch(session, self.statement, ORDERS[order], first, after)

    async def number_after(self, order: DocumentOrder, after: str) -> int | ErrorCode:
        """How many rows stand behind a cursor, or why it was refused."""
        try:
            return len((await self.page(order, 5, after)).rows)
        except Refusal as refused:
            return refused.code

    async def walk(self, order: DocumentOrder, first: int) -> list[HealthcareDocument]:
        found: list[HealthcareDocument] = []
        after: str | None = None
        while True:
            shown = await self.page(order, first, after)
            assert shown.has_previous is (after is not None)
            found += shown.rows
            if not shown.has_next:
                return found
            assert len(shown.rows) == first
            after = shown.cursors[-1]


@pytest.fixture
async def shelf(resources: Resources, people: People) -> Shelf:
    async with resources.db.transaction() as session:
        patient = await factories.patient(session, people.dietician)
    return Shelf(resources, people, patient.id)


@pytest.mark.parametrize("first", [1, 3, 100])
async def test_pages_show_every_row_once_with_ties_and_without_dates(shelf: Shelf, first: int) -> None:
    await shelf.put(DAY, DAY, DAY, None, None, DAY + timedelta(days=1), DAY - timedelta(days=900))
    newest = await shelf.walk(DocumentOrder.NEWEST, first)
    oldest = await shelf.walk(DocumentOrder.OLDEST, first)
    assert [row.id for row in newest] == [row.id for row in reversed(oldest)]
    assert len({row.id for row in newest}) == 7
    assert [row.date for row in newest[-2:]] == [None, None]
    dates = [row.date for row in newest[:-2] if row.date]
    assert dates == sorted(dates, reverse=True)


async def test_a_page_begins_where_the_last_one_ended_though_rows_came_in_between(shelf: Shelf) -> None:
    await shelf.put(*(DAY + timedelta(days=n) for n in range(6)))
    first = await shelf.page(DocumentOrder.NEWEST, 3)
    await shelf.put(DAY + timedelta(days=100), DAY + timedelta(days=3, hours=1))
    second = await shelf.page(DocumentOrder.NEWEST, 3, first.cursors[-1])
    assert [row.date for row in (*first.rows, *second.rows)] == [DAY + timedelta(days=n) for n in range(5, -1, -1)]
    assert not second.has_next


async def test_a_cursor_holds_though_its_row_is_gone(shelf: Shelf) -> None:
    await shelf.put(*(DAY + timedelta(days=n) for n in range(4)))
    first = await shelf.page(DocumentOrder.OLDEST, 2)
    async with shelf.resources.db.transaction() as session:
        gone = await session.get(HealthcareDocument, first.rows[-1].id)
        assert gone is not None
        gone.deleted_at = DAY
    rest = await shelf.page(DocumentOrder.OLDEST, 10, first.cursors[-1])
    assert [row.date for row in rest.rows] == [DAY + timedelta(days=2), DAY + timedelta(days=3)]


async def test_titles_are_sorted_without_case(shelf: Shelf) -> None:
    for title in ("beta", "Alpha", "ALPHA", "Ärger", "", "gamma' --"):
        await shelf.put(DAY, title=title)
    walked = [row.title for row in await shelf.walk(DocumentOrder.TITLE, 2)]
    assert len(walked) == 6
    assert [title.lower() for title in walked] == sorted(title.lower() for title in walked)


async def test_the_last_page_says_that_it_is_the_last(shelf: Shelf) -> None:
    await shelf.put(DAY, DAY)
    whole = await shelf.page(DocumentOrder.NEWEST, 2)
    assert (len(whole.rows), whole.has_next) == (2, False)
    nothing = await shelf.page(DocumentOrder.NEWEST, 2, whole.cursors[-1])
    assert (list(nothing.rows), nothing.has_next, nothing.has_previous) == ([], False, True)


@pytest.mark.parametrize("first", [0, -1, 101, 10**12])
async def test_a_page_has_between_one_and_a_hundred_rows(shelf: Shelf, first: int) -> None:
    with pytest.raises(Refusal) as refused:
        await shelf.page(DocumentOrder.NEWEST, first)
    assert refused.value.code is ErrorCode.BAD_PAGE_SIZE


async def test_a_cursor_of_another_order_is_refused(shelf: Shelf) -> None:
    await shelf.put(DAY, DAY)
    newest = await shelf.page(DocumentOrder.NEWEST, 1)
    for order in (DocumentOrder.OLDEST, DocumentOrder.TITLE):
        with pytest.raises(Refusal) as refused:
            await shelf.page(order, 1, newest.cursors[0])
        assert refused.value.code is ErrorCode.BAD_CURSOR


async def test_a_total_counts_all_rows_whatever_the_page(shelf: Shelf) -> None:
    await shelf.put(DAY, None, DAY)
    async with shelf.resources.db.reading() as session:
        assert await page.count(session, shelf.statement) == 3


def cursor(*plain: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(plain).encode()).decode().rstrip("=")


ODD_DATES = [
    "0001-01-01T00:00:00",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.999999-14:00",
    "9999-12-31T23:59:59.999999",
    "2025-05-01",
    "20250501T1200Z",
    "2025-05-01T12:00:00+00:00:30",
]


@pytest.mark.parametrize("date", ODD_DATES)
@pytest.mark.parametrize("order", [DocumentOrder.NEWEST, DocumentOrder.OLDEST])
async def test_an_odd_date_in_a_cursor_is_a_place_or_a_refusal(shelf: Shelf, date: str, order: DocumentOrder) -> None:
    await shelf.put(DAY, None)
    found = await shelf.number_after(order, cursor(ORDERS[order].name, date, str(NOBODY)))
    assert found in (0, 1, 2, ErrorCode.BAD_CURSOR)


@pytest.mark.parametrize("title", ["\x00", "\ud800", "\udfff" * 3, "a" * 100_000, "'; DROP TABLE users; --", "\u202e"])
async def test_an_odd_title_in_a_cursor_is_a_place_or_a_refusal(shelf: Shelf, title: str) -> None:
    await shelf.put(DAY)
    found = await shelf.number_after(DocumentOrder.TITLE, cursor("title", title, str(NOBODY)))
    assert found in (0, 1, ErrorCode.BAD_CURSOR)


def outcome(text: str) -> list[Any]:
    """The types of what a cursor holds, or the code and field of its refusal."""
    try:
        return [type(value) for value in page.decode(ORDER, text)]
    except Refusal as refused:
        return [refused.code, refused.field]


READ_OR_REFUSED = [[datetime, str, UUID], [ErrorCode.BAD_CURSOR, ("after",)]]


SOMETHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@hypothesis_settings(derandomize=True, max_examples=150, database=None, deadline=None)
@given(st.text(max_size=60))
@example("[" * 20_000)
@example(base64.urlsafe_b64encode(b"[" * 20_000).decode())
@example("\ud800")
@example("")
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    assert outcome(text) in READ_OR_REFUSED


@hypothesis_settings(derandomize=True, max_examples=150, database=None, deadline=None)
@given(SOMETHING)
@example(["trial", "2025-01-01T00:00:00+00:00", "a", str(NOBODY)])
@example(["trial", "2025-01-01T00:00:00+00:00", "a", None])
@example(["trial", ["2025-01-01"], "a", str(NOBODY)])
@example(["trial", 10**400, "a", str(NOBODY)])
@example([["trial"], "2025-01-01", "a", str(NOBODY)])
def test_any_json_is_a_cursor_or_refused(plain: Any) -> None:
    text = json.dumps(plain).encode()
    assert outcome(base64.urlsafe_b64encode(text).decode().rstrip("=")) in READ_OR_REFUSED


def test_what_was_encoded_is_read_again() -> None:
    values = [DAY, 'a "title" with, ünïcode ☃', NOBODY]
    assert page.decode(ORDER, page.encode(ORDER, values)) == values
