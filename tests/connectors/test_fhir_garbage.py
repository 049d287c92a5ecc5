"""Whatever a server sends, the only exception is `ProviderError`, and one bad entry is one gap."""

import random
from typing import cast

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.responses import Response

from app.connectors.http import Answer
from app.connectors.provider import connect
from app.connectors.provider.fhir.bundles import read_page
from app.connectors.provider.port import Attachment, Connection, Limits, Page, ProviderError
from app.core.settings import LOOPBACK
from tests.connectors.scripted import Scripted, document

BASE = httpx.URL("https://ehr.example/fhir")
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9)
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
)
DOCUMENT = document(
    "1",
    meta={"versionId": "1", "lastUpdated": "2026-01-01T00:00:00Z"},
    type={"coding": [{"system": "http://loinc.org", "code": "11506-3"}], "text": "Note"},
    category=[{"coding": [{"code": "LAB"}]}],
    date="2026-01",
    author=[{"reference": "#a"}],
    contained=[{"resourceType": "Practitioner", "id": "a", "name": [{"given": ["A"], "family": "B"}]}],
    relatesTo=[{"code": "replaces", "target": {"reference": "DocumentReference/2"}}],
    content=[{"attachment": {"contentType": "text/plain", "data": "YWJj", "url": "Binary/1", "size": 3, "title": "t"}}],
    context={"period": {"start": "2026"}},
)
REPORT: dict[str, object] = {
    "resourceType": "DiagnosticReport",
    "id": "2",
    "status": "final",
    "code": {"text": "CBC"},
    "text": {"div": "<div/>"},
    "effectivePeriod": {"start": "2026"},
    "presentedForm": [{"data": "YWJj"}],
    "conclusion": "fine",
}


def _read(body: bytes, resource_type: str = "DocumentReference") -> Page | None:
    try:
        return read_page(Answer(200, httpx.Headers(), body), resource_type, BASE)
    except ProviderError:
        return None


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.binary(max_size=200) | JSON.map(msgspec.json.encode))
def test_random_bodies_are_a_page_or_a_provider_error(body: bytes) -> None:
    page = _read(body)
    assert page is None or page.entries == ()


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.lists(JSON, max_size=5), JSON, JSON)
def test_random_entries_never_take_the_good_one_along(entries: list[object], total: object, meta: object) -> None:
    good = {"resource": document("good")}
    made = {"resourceType": "Bundle", "total": total, "meta": meta, "entry": [*entries, good]}
    page = _read(msgspec.json.encode(made))
    assert page is not None
    assert [entry.reference for entry in page.entries] == ["DocumentReference/good"]


def _spoilt(value: object, dice: random.Random) -> object:
    """The value with about one of its parts turned into something else."""
    odd = [None, True, -1, 2**70, 1e300, "", "\0", "http://[", "ä" * 300, [], {}, [[]], [None], {"a": {}}]
    if dice.random() < 0.08:
        return dice.choice(odd)
    if isinstance(value, dict):
        known = cast("dict[str, object]", value)
        return {name: _spoilt(inner, dice) for name, inner in known.items() if dice.random() > 0.03}
    return [_spoilt(inner, dice) for inner in cast("list[object]", value)] if isinstance(value, list) else value


@pytest.mark.parametrize("resource", [DOCUMENT, REPORT], ids=["DocumentReference", "DiagnosticReport"])
def test_a_spoilt_resource_is_an_entry_or_a_gap(resource: dict[str, object]) -> None:
    kind = str(resource["resourceType"])
    dice = random.Random(20261120)
    read, gaps = 0, 0
    for _ in range(2000):
        entries = [{"resource": _spoilt(resource, dice)}]
        page = _read(msgspec.json.encode({"resourceType": "Bundle", "entry": entries}), kind)
        assert page is not None
        assert len(page.entries) + len(page.unreadable) <= 1
        read += len(page.entries)
        gaps += len(page.unreadable)
    assert read > 100
    assert gaps > 100


async def test_random_answers_to_every_question_are_provider_errors_or_nothing(server: Scripted) -> None:
    dice = random.Random(7)
    types = ["application/fhir+json", "application/json", "text/html", "nonsense", "application/fhir+json; charset=x"]
    limits = Limits(connect_seconds=2, read_seconds=2, total_seconds=5)
    failed = 0
    binary = Attachment(url=f"{server.base}/Binary/1")
    async with connect(Connection(server.base, limits=limits, networks=LOOPBACK)) as provider:
        questions = (
            lambda: provider.page("DocumentReference", "p"),
            lambda: provider.patient("p"),
            lambda: provider.fetch(binary),
            provider.probe,
        )
        for _ in range(60):
            body = msgspec.json.encode(_spoilt(DOCUMENT, dice)) if dice.random() < 0.5 else dice.randbytes(40)
            reply = Response(body, dice.choice([200, 200, 200, 299, 400, 404, 500]), media_type=dice.choice(types))
            for what in ("metadata", "DocumentReference", "Patient/p", "Binary/1"):
                server.on(f"GET /fhir/{what}", reply)
            for question in questions:
                try:
                    assert await question() is not None
                except ProviderError:
                    failed += 1
    assert failed > 60
