"""Pages that are too large, and pages that the server has forgotten."""

from collections.abc import AsyncIterator

import pytest
from starlette.responses import Response

from app.connectors.provider import connect
from app.connectors.provider.port import (
    Connection,
    Limits,
    Page,
    Provider,
    ProviderError,
    ProviderErrorCode,
    SearchFacts,
    SinceFilter,
    Strategy,
)
from app.core.settings import LOOPBACK
from tests.connectors.scripted import Asked, Scripted, bundle, document, outcome
from tests.connectors.test_fhir_search import SINCE

SEARCH = "GET /fhir/DocumentReference"
LIMITS = Limits(connect_seconds=2, read_seconds=2, total_seconds=5, page_bytes=20_000)
FAT = "x" * 2000
"""Nine documents with this are more than a page may hold."""


def _connection(server: Scripted, strategy: Strategy | None = None, page_size: int = 40) -> Connection:
    return Connection(
        server.base,
        limits=LIMITS,
        page_size=page_size,
        strategy=strategy or Strategy(),
        networks=LOOPBACK,
    )


@pytest.fixture
async def provider(server: Scripted) -> AsyncIterator[Provider]:
    async with connect(_connection(server)) as opened:
        yield opened


def _chart(server: Scripted, count: int, said: dict[str, str] | None = None, *, token: bool = False) -> None:
    """A server with so many documents; its links show `_count` and an offset, or only a token."""

    def answer(asked: Asked) -> Response:
        start, size = int(asked.query.get("offset", "0")), int(asked.query.get("_count", "40"))
        if "token" in asked.query:
            start, size = map(int, asked.query["token"].split("-"))
        found = [
            document(str(n), description=(said or {}).get(f"n{n}", FAT)) for n in range(start, min(start + size, count))
        ]
        after = start + size
        more = f"token={after}-{size}" if token else f"offset={after}&_count={size}"
        return bundle(*found, next_link=f"{server.base}/DocumentReference?{more}" if after < count else "", total=count)

    server.on(SEARCH, answer)


async def _pages(provider: Provider) -> list[Page]:
    found = [await provider.page("DocumentReference", "p")]
    while found[-1].next:
        assert len(found) < 100
        found.append(await provider.page("DocumentReference", "p", link=found[-1].next))
    return found


def _seen(pages: list[Page]) -> set[str]:
    return {entry.reference for page in pages for entry in page.entries}


async def test_a_first_page_that_is_too_large_is_asked_for_in_smaller_parts(
    server: Scripted, provider: Provider
) -> None:
    _chart(server, 30)
    pages = await _pages(provider)
    assert len(_seen(pages)) == 30
    assert [asked.query["_count"] for asked in server.asked[:3]] == ["40", "10", "2"]
    assert provider.learnt == Strategy(page_size=2)
    assert not any(page.restarted for page in pages)


async def test_a_later_page_that_is_too_large_is_asked_for_from_where_it_begins(
    server: Scripted, provider: Provider
) -> None:
    slim = {f"n{n}": "" for n in range(40)}
    _chart(server, 60, slim)
    pages = await _pages(provider)
    assert len(_seen(pages)) == 60
    assert not any(page.restarted for page in pages)
    assert [asked.query.get("offset") for asked in server.asked[1:4]] == ["40", "40", "40"]
    assert provider.learnt.page_size == 2


async def test_behind_a_link_that_cannot_be_made_smaller_the_listing_begins_anew(
    server: Scripted, provider: Provider
) -> None:
    slim = {f"n{n}": "" for n in range(40)}
    _chart(server, 60, slim, token=True)
    pages = await _pages(provider)
    assert len(_seen(pages)) == 60
    assert [page.restarted for page in pages].count(True) == 2
    assert provider.learnt.page_size == 2


async def test_a_single_resource_that_is_too_large_ends_the_listing_as_a_gap(
    server: Scripted, provider: Provider
) -> None:
    _chart(server, 5, {"n3": "x" * 30_000})
    with pytest.raises(ProviderError) as caught:
        await _pages(provider)
    assert caught.value.code is ProviderErrorCode.TOO_LARGE
    assert "single resource" in caught.value.detail
    assert server.asked[-1].query["_count"] == "1"
    assert len(server.asked) < 12


async def test_a_server_that_ignores_the_page_size_is_not_asked_for_ever(server: Scripted, provider: Provider) -> None:
    server.on(SEARCH, bundle(*(document(str(n), description=FAT) for n in range(12))))
    with pytest.raises(ProviderError) as caught:
        await provider.page("DocumentReference", "p")
    assert caught.value.code is ProviderErrorCode.TOO_LARGE
    assert [asked.query["_count"] for asked in server.asked] == ["40", "10", "2", "1"]


async def test_what_was_learnt_is_known_from_the_beginning(server: Scripted) -> None:
    _chart(server, 6)
    async with connect(_connection(server, Strategy(page_size=3))) as provider:
        assert len(_seen(await _pages(provider))) == 6
        assert provider.learnt == Strategy(page_size=3)
    assert [asked.query["_count"] for asked in server.asked] == ["3", "3"]


@pytest.mark.parametrize("forgotten", [outcome("deleted", 410), outcome("not-found", 404), Response("", 410)])
async def test_a_forgotten_page_begins_its_listing_anew_once(
    server: Scripted, provider: Provider, forgotten: Response
) -> None:
    link = f"{server.base}/DocumentReference?session=1"
    first = bundle(document("1"), next_link=link)
    server.on(SEARCH, first, forgotten, first, bundle(document("2")))
    pages = await _pages(provider)
    assert [page.restarted for page in pages] == [False, True, False]
    assert _seen(pages) == {"DocumentReference/1", "DocumentReference/2"}

    server.on(SEARCH, first, forgotten)
    with pytest.raises(ProviderError) as caught:
        await _pages(provider)
    assert caught.value.code in (ProviderErrorCode.GONE, ProviderErrorCode.NOT_FOUND)
    # Another listing has its own second chance.
    reports = "GET /fhir/DiagnosticReport"
    server.on(reports, forgotten, bundle())
    assert (await provider.page("DiagnosticReport", "p", link=f"{server.base}/DiagnosticReport?session=1")).restarted


async def test_a_listing_that_begins_anew_asks_the_same_question(server: Scripted, provider: Provider) -> None:
    server.on(SEARCH, outcome("deleted", 410), bundle())
    await provider.page("DocumentReference", "p", since=SINCE, link=f"{server.base}/DocumentReference?session=1")
    assert server.asked[1].query["_lastUpdated"] == "ge2026-01-02T03:04:05.000Z"


@pytest.mark.parametrize(
    ("since", "sent", "applied"),
    [
        (SinceFilter.UNKNOWN, True, True),
        (SinceFilter.APPLIED, True, True),
        (SinceFilter.IGNORED, False, False),
        (SinceFilter.REFUSED, False, False),
    ],
)
async def test_what_a_probe_has_seen_of_the_filter_decides(
    server: Scripted, since: SinceFilter, sent: bool, applied: bool
) -> None:
    shown = f"{server.base}/DocumentReference?_lastUpdated=ge2026"
    server.on(SEARCH, bundle(self_link=shown))
    strategy = Strategy((SearchFacts("DocumentReference", since=since),))
    async with connect(_connection(server, strategy)) as provider:
        page = await provider.page("DocumentReference", "p", since=SINCE)
    assert page.since_applied is applied
    assert ("_lastUpdated" in server.asked[0].query) is sent


async def test_a_filter_that_is_applied_need_not_be_shown(server: Scripted) -> None:
    server.on(SEARCH, bundle())
    strategy = Strategy((SearchFacts("DocumentReference", since=SinceFilter.APPLIED),))
    async with connect(_connection(server, strategy)) as provider:
        assert (await provider.page("DocumentReference", "p", since=SINCE)).since_applied


async def test_a_run_starts_with_what_is_known_and_tells_what_it_learnt(server: Scripted) -> None:
    server.on("POST /fhir/DocumentReference/_search", bundle(document("1")))
    known = Strategy((SearchFacts("DocumentReference", post=True),))
    async with connect(_connection(server, known)) as provider:
        await provider.page("DocumentReference", "p")
        assert (provider.learnt, provider.surprised) == (known, False)
    assert server.paths() == ["POST /fhir/DocumentReference/_search"]

    server.asked.clear()
    server.on(SEARCH, outcome("not-supported", 405))
    async with connect(_connection(server)) as provider:
        await provider.page("DocumentReference", "p")
        assert provider.learnt == known


async def test_a_listing_that_is_not_supported_is_a_surprise(server: Scripted, provider: Provider) -> None:
    server.on(SEARCH, outcome("not-supported", 501))
    with pytest.raises(ProviderError):
        await provider.page("DocumentReference", "p")
    assert provider.surprised


async def test_the_same_document_on_two_pages_is_the_same_entry(server: Scripted, provider: Provider) -> None:
    again = document("1", meta={"versionId": "9"})
    server.on(SEARCH, bundle(document("1"), next_link=f"{server.base}/DocumentReference?page=2"), bundle(again))
    first, second = await _pages(provider)
    assert first.entries[0].reference == second.entries[0].reference
    assert first.entries[0].digest == second.entries[0].digest
