"""Lists of documents: orders, pages, filters, search, facets, and what they cost."""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event

from app.api.kit import ids
from app.cli.client import Client
from app.core.resources import Resources
from app.domain.documents.models import DocumentStatus, DocumentType
from app.domain.patients.models import Patient
from tests import factories
from tests.api.asking import SignIn, create_patient, nodes, pages, refusal, send, upload
from tests.api.scene import NOWHERE, received
from tests.conftest import People


async def connected(resources: Resources, people: People) -> tuple[Patient, Any]:
    async with resources.db.transaction() as session:
        provider = await factories.provider(session, resources.vault, NOWHERE)
        return await factories.patient(session, people.dietician), provider.id


async def listed(client: Client, **variables: Any) -> list[str]:
    answer = (await client.ask("DocumentList", **({"first": 100} | variables)))["documents"]
    assert answer["totalCount"] == len(answer["edges"])
    assert sum(facet["count"] for facet in answer["facets"]) == answer["totalCount"]
    return [it["id"] for it in nodes(answer)]


@pytest.mark.parametrize("first", [1, 2, 4, 100])
async def test_documents_without_a_date_have_one_place_in_each_order(
    resources: Resources, people: People, sign_in: SignIn, first: int
) -> None:
    client = await sign_in(people.dietician)
    patient, provider_id = await connected(resources, people)
    dates = [None if n % 2 else datetime(2025, 1 + n // 4, 1, tzinfo=UTC) for n in range(9)]
    made = [await received(resources, patient, provider_id, title=f"Doc {n % 3}", date=d) for n, d in enumerate(dates)]

    async def order(name: str) -> list[str]:
        return [it["id"] for it in await pages(client, "DocumentList", "documents", first, orderBy=name)]

    undated = [document for document, date in zip(made, dates, strict=True) if date is None]
    oldest, newest, by_title = await order("OLDEST"), await order("NEWEST"), await order("TITLE")
    assert oldest[:4] == undated
    assert oldest == newest[::-1]
    assert sorted(by_title) == sorted(oldest) == sorted(made)
    assert by_title == [document for n in range(3) for document in made[n::3]]


async def test_a_cursor_of_another_order_or_of_no_order_is_refused(people: People, sign_in: SignIn) -> None:
    client = await sign_in(people.dietician)
    patient = await create_patient(client, "Cursors")
    for _ in range(2):
        await upload(client, patient)
    page = (await client.ask("DocumentList", first=1, orderBy="NEWEST"))["documents"]
    for order in ("OLDEST", "TITLE"):
        refused = await refusal(client, "DocumentList", first=1, orderBy=order, after=page["pageInfo"]["endCursor"])
        assert refused == ("BAD_CURSOR", ["after"])
    for cursor in ("", "garbage", "WyJuZXdlc3QiXQ", "W1tbW1tb", "bnVsbA", "ünï", page["pageInfo"]["endCursor"][:-4]):
        assert await refusal(client, "DocumentList", first=1, after=cursor) == ("BAD_CURSOR", ["after"])
    for first in (0, 101, -(2**31)):
        assert await refusal(client, "DocumentList", first=first) == ("BAD_PAGE_SIZE", ["first"])


async def test_each_filter_keeps_and_drops(resources: Resources, people: People, sign_in: SignIn) -> None:
    client = await sign_in(people.dietician)
    patient, provider_id = await connected(resources, people)
    mine = ids.encode("Patient", patient.id)
    other = await create_patient(client, "Another")
    lab = await received(
        resources,
        patient,
        provider_id,
        date=datetime(2025, 3, 1, tzinfo=UTC),
        significant_at=datetime.now(UTC),
        changed_at=datetime.now(UTC) - timedelta(days=9),
    )
    note = await upload(client, other, author="Somebody", date="2025-05-01T00:00:00Z", text="A new note.")
    cases: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"patientId": mine}, {"patientId": other}),
        ({"types": ["LAB_REPORT", "LETTER"]}, {"types": ["NUTRITION_NOTE"]}),
        ({"sources": ["PROVIDER"]}, {"sources": ["USER"]}),
        ({"authors": ["Dr Lab", "X"]}, {"authors": ["Somebody"]}),
        ({"to": "2025-03-01T00:00:00Z"}, {"from": "2025-03-01T00:00:01Z"}),
        ({"to": "2025-03-01T00:00:00"}, {"from": "2025-03-01T01:00:00+00:30"}),
        ({"significantOnly": True}, {"newSince": (datetime.now(UTC) - timedelta(hours=1)).isoformat()}),
    ]
    for kept, dropped in cases:
        assert await listed(client, filter=kept) == [lab], kept
        assert await listed(client, filter=dropped) == [note], dropped
    assert await listed(client, filter={"statuses": ["CURRENT"]}) == [note, lab]
    assert await listed(client, filter={"statuses": ["SUPERSEDED"]}) == []
    assert await listed(client, filter={"types": [], "authors": []}) == [note, lab]
    refused = await refusal(client, "DocumentList", first=1, filter={"patientId": "garbage"})
    assert refused == ("NOT_FOUND", ["filter", "patientId"])


async def test_what_holds_no_more_is_hidden_until_it_is_asked_for(
    resources: Resources, people: People, sign_in: SignIn
) -> None:
    client = await sign_in(people.dietician)
    patient, provider_id = await connected(resources, people)
    made = {
        status: await received(resources, patient, provider_id, title=status, status=status)
        for status in DocumentStatus
    }
    shown = {made[DocumentStatus.CURRENT], made[DocumentStatus.SUPERSEDED]}
    assert set(await listed(client)) == shown
    for status, document in made.items():
        assert await listed(client, filter={"statuses": [status.value]}) == [document]
    nested = "query($id: ID!) { patient(id: $id) { documents(first: 10) { totalCount edges { node { id } } } } }"
    answer = (await send(client, nested, {"id": ids.encode("Patient", patient.id)})).json()["data"]["patient"]
    assert {it["id"] for it in nodes(answer["documents"])} == shown


async def test_search_finds_words_and_marks_them_in_escaped_text(people: People, sign_in: SignIn) -> None:
    client = await sign_in(people.dietician)
    patient = await create_patient(client, "Search")
    text = "<script>alert(1)</script> HbA1c is 42 & stable; lentils <b>daily</b>."
    document = await upload(client, patient, title="Lab <i>values</i>", text=text)
    await upload(client, patient, title="Something else", text="Nothing of that.")

    async def highlight(search: str) -> str:
        edges = (await client.ask("DocumentList", first=10, search=search))["documents"]["edges"]
        assert [edge["node"]["id"] for edge in edges] == [document]
        return edges[0]["highlight"]

    marked = await highlight("lentil")
    assert "<mark>lentils</mark>" in marked
    assert "&lt;b&gt;" in marked
    assert "script&gt;alert(1)&lt;/script&gt;" in await highlight("HbA1c")
    for search in ("values", "HbA1c stable", '"42 & stable"'):
        words = await highlight(search)
        assert "<mark>" in words
        assert "<" not in words.replace("<mark>", "").replace("</mark>", "")
    plain = (await client.ask("DocumentList", first=10))["documents"]["edges"]
    assert [edge["highlight"] for edge in plain] == [None, None]


@pytest.mark.parametrize(
    "search", ["", " ", "'", '"', "!!", "& | !", "<->", "a:*", "\\", "%", "-", "- -a", "é😀", "or or", "( ("]
)
async def test_odd_searches_are_searches(people: People, sign_in: SignIn, search: str) -> None:
    client = await sign_in(people.dietician)
    patient = await create_patient(client, "Odd")
    await upload(client, patient, text="Plain words.")
    for name in ("DocumentList", "PatientList", "LogList", "UserList"):
        assert (await client.ask(name, first=5, search=search)) is not None


async def test_facets_count_the_whole_list_and_not_the_page(
    resources: Resources, people: People, sign_in: SignIn
) -> None:
    client = await sign_in(people.dietician)
    patient, provider_id = await connected(resources, people)
    for kind in [DocumentType.LAB_REPORT] * 3 + [DocumentType.LETTER] * 2 + [DocumentType.OTHER]:
        await received(resources, patient, provider_id, type=kind)
    page = (await client.ask("DocumentList", first=1))["documents"]
    assert page["facets"] == [
        {"type": "LAB_REPORT", "count": 3},
        {"type": "LETTER", "count": 2},
        {"type": "OTHER", "count": 1},
    ]
    letters = (await client.ask("DocumentList", first=1, filter={"types": ["LETTER"]}))["documents"]
    assert (letters["facets"], letters["totalCount"]) == ([{"type": "LETTER", "count": 2}], 2)


@contextmanager
def statements() -> Generator[list[str]]:
    """Every SQL statement of this process, the server's among them."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def test_counting_costs_only_who_asks_and_edges_cost_one_statement_each(people: People, sign_in: SignIn) -> None:
    client = await sign_in(people.dietician)
    for number in range(5):
        patient = await create_patient(client, f"Number {number}")
        await upload(client, patient)

    async def cost(selection: str) -> tuple[int, int]:
        with statements() as seen:
            answer = (await send(client, f"{{ documents(first: 10) {{ {selection} }} }}")).json()
        assert "errors" not in answer
        return len(seen), sum("count(*)" in statement.lower() for statement in seen)

    plain, counted = await cost("edges { node { id } }")
    assert counted == 0
    assert await cost("totalCount edges { node { id } }") == (plain + 1, 1)
    assert await cost("edges { node { id patient { name dietician { name } } text files { id } } }") == (plain + 4, 0)
