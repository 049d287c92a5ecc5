"""The capability card: tried out rather than believed, each line with its reason."""

import asyncio
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from app.connectors.provider import connect
from app.connectors.provider.fhir import trial
from app.connectors.provider.port import (
    Auth,
    AuthKind,
    Capability,
    Connection,
    Limits,
    Probed,
    ProviderError,
    ProviderErrorCode,
    SearchFacts,
    SinceFilter,
    Strategy,
)
from app.core.settings import LOOPBACK
from tests.connectors.scripted import DATE, Asked, Scripted, bundle, document, fhir, outcome

QUICK = Limits(connect_seconds=2, read_seconds=2, total_seconds=5)
SEARCH, REPORTS = "GET /fhir/DocumentReference", "GET /fhir/DiagnosticReport"
NARROW = ("date", "category", "type")
TOPIC = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription"


def _statement(version: str = "4.0.1", date: str = DATE) -> Response:
    resources: list[dict[str, Any]] = [
        {"type": "Binary", "interaction": [{"code": "read"}]},
        {"type": "Subscription", "interaction": [{"code": "create"}], "supportedProfile": [TOPIC]},
        {"type": "DocumentReference", "searchParam": [{"name": "patient"}]},
        {
            "type": "Patient",
            "interaction": [{"code": "read"}, {"code": "update"}],
            "versioning": "versioned-update",
            "operation": [{"name": "export", "definition": "http://hl7.org/fhir/uv/bulkdata/patient-export"}],
        },
        {"type": "Group", "operation": [{"name": "group-export"}]},
    ]
    rest = [{"mode": "server", "resource": resources}]
    return fhir({"resourceType": "CapabilityStatement", "fhirVersion": version, "rest": rest}, Date=date)


async def _probed(server: Scripted, auth: Auth | None = None, patient: str | None = None) -> Probed:
    async with connect(_connection(server, auth)) as provider:
        probed = await provider.probe(patient)
    assert all(each.detail for each in probed.card)
    assert len({each.name for each in probed.card}) == len(probed.card)
    return probed


def _connection(server: Scripted, auth: Auth | None = None) -> Connection:
    return Connection(server.base, auth or Auth(), limits=QUICK, networks=LOOPBACK)


async def _card(server: Scripted, auth: Auth | None = None, patient: str | None = None) -> dict[str, Capability]:
    return {each.name: each for each in (await _probed(server, auth, patient)).card}


def _with_file(identity: str) -> dict[str, object]:
    return document(identity, content=[{"attachment": {"contentType": "application/pdf", "url": "Binary/1"}}])


def _able(asked: Asked) -> Response:
    """Three documents, and every filter applied."""
    base = f"http://{asked.headers['host']}/fhir/DocumentReference"
    query = asked.query or asked.form
    if query.get("_summary") == "count":
        return bundle(total=3)
    if "_lastUpdated" in query or any(name in query for name in NARROW):
        return bundle()
    if "page" in query:
        return bundle(_with_file("3"), total=3)
    found = [_with_file(number) for number in ("1", "2", "3")]
    found = found[::-1] if query.get("_sort", "").startswith("-") else found
    size = int(query.get("_count", "3"))
    return bundle(*found[:size], total=3, next_link=f"{base}?page=2" if size < 3 else "")


def _batch(asked: Asked) -> Response:
    patient = {"resource": {"resourceType": "Patient", "id": "p"}, "response": {"status": "200 OK"}}
    nobody = {"response": {"status": "404"}}
    entries = [patient if b'"Patient/p"' in asked.body else nobody, nobody]
    return fhir({"resourceType": "Bundle", "type": "batch-response", "entry": entries})


def _make_able(server: Scripted) -> None:
    server.on("GET /fhir/metadata", _statement(date=format_datetime(datetime.now(UTC), usegmt=True)))
    server.on(SEARCH, _able)
    server.on("POST /fhir/DocumentReference/_search", _able)
    server.on(REPORTS, lambda asked: bundle() if "_lastUpdated" in asked.query else bundle({"id": "r"}))
    server.on("GET /fhir/.well-known/smart-configuration", JSONResponse({"token_endpoint": "https://x/token"}))
    server.on("POST /fhir", _batch)
    server.on("GET /fhir/Patient/p/$everything", bundle())
    server.on("GET /fhir/DocumentReference/$docref", bundle())
    server.on("GET /fhir/Binary/1", Response(b"%PDF", media_type="application/pdf"))
    server.on("HEAD /fhir/Patient/$export", Response("", 400))


async def test_an_able_server_can_everything(server: Scripted) -> None:
    _make_able(server)
    probed = await _probed(server, patient="p")
    assert [each for each in probed.card if not each.supported] == []
    assert {each.name for each in probed.card} == {
        "FHIR R4",
        "Clock",
        "Authentication",
        "Scopes",
        "DocumentReference search",
        "DiagnosticReport search",
        "POST _search",
        "Search without status",
        "_summary=count",
        "_lastUpdated filter",
        "date filter",
        "category filter",
        "type filter",
        "_sort",
        "Page size",
        "Largest page",
        "Bundle.total",
        "Next links",
        "Binary read",
        "Batch of reads",
        "Patient/$everything",
        "DocumentReference/$docref",
        "Patient update (If-Match)",
        "Subscription (rest-hook)",
        "Subscription topics (R4 backport)",
        "Bulk export (Patient)",
        "Bulk export (Group)",
        "SMART discovery",
    }
    applied = SinceFilter.APPLIED
    searches = (SearchFacts("DiagnosticReport", since=applied), SearchFacts("DocumentReference", since=applied))
    assert probed.strategy == Strategy(searches, page_size=None, batch=True)


async def test_a_probe_is_bounded_and_never_writes(server: Scripted) -> None:
    _make_able(server)
    await _probed(server, patient="p")
    assert len(server.asked) <= 30
    written = [asked for asked in server.asked if asked.method not in ("GET", "HEAD")]
    assert {f"{asked.method} {asked.path}" for asked in written} == {
        "POST /fhir/DocumentReference/_search",
        "POST /fhir",
    }
    (batch,) = [asked.body for asked in written if asked.path == "/fhir"]
    assert batch.count(b'"method":"GET"') == batch.count(b'"method"') == 2


async def test_without_a_patient_what_needs_one_is_not_tried(server: Scripted) -> None:
    _make_able(server)
    probed = await _probed(server)
    card = {each.name: each for each in probed.card}
    for name in ("Patient/$everything", "DocumentReference/$docref"):
        assert card[name].detail.startswith("not tried:")
        assert not card[name].supported
    assert not [asked for asked in server.asked if "patient" in asked.query]
    assert probed.strategy.batch


async def test_a_server_that_can_nothing_is_not_an_error(server: Scripted) -> None:
    server.on("GET /fhir/metadata", Response("<html>", media_type="text/html"))
    server.on(SEARCH, outcome("not-supported", 400))
    server.on(REPORTS, outcome("forbidden", 403))
    probed = await _probed(server, patient="p")
    card = {each.name: each for each in probed.card}
    able = {name for name, each in card.items() if each.supported}
    assert able == {"Authentication", "Scopes"}
    assert "not-supported" in card["DocumentReference search"].detail
    assert probed.strategy == Strategy(batch=False)


@pytest.mark.parametrize("patient", [None, "p"])
async def test_an_ignored_filter_is_found_out(server: Scripted, patient: str | None) -> None:
    shown = f"{server.base}/DocumentReference?_lastUpdated=ge2999-01-01&date=x&_sort=_lastUpdated"
    server.on(SEARCH, bundle(document("1"), document("2"), self_link=shown))
    probed = await _probed(server, patient=patient)
    card = {each.name: each for each in probed.card}
    for name in ("_lastUpdated filter", "date filter", "category filter", "type filter"):
        assert card[name].detail.startswith("ignored"), name
        assert not card[name].supported
    assert not card["_summary=count"].supported
    assert probed.strategy.search("DocumentReference").since is SinceFilter.IGNORED
    assert probed.strategy.search("DiagnosticReport").since is SinceFilter.UNKNOWN


async def test_a_refused_filter_is_told_from_an_ignored_one(server: Scripted) -> None:
    server.on(SEARCH, lambda asked: outcome("invalid", 400) if "_lastUpdated" in asked.query else bundle(document("1")))
    probed = await _probed(server, patient="p")
    assert "refused" in {each.name: each for each in probed.card}["_lastUpdated filter"].detail
    assert probed.strategy.search("DocumentReference").since is SinceFilter.REFUSED


async def test_without_a_document_the_self_link_decides(server: Scripted) -> None:
    server.on(SEARCH, bundle())
    assert not (await _card(server))["_lastUpdated filter"].supported
    server.on(SEARCH, bundle(self_link=f"{server.base}/DocumentReference?_lastUpdated=ge2999"))
    probed = await _probed(server)
    assert {each.name: each for each in probed.card}["_lastUpdated filter"].supported
    assert probed.strategy.search("DocumentReference").since is SinceFilter.UNKNOWN


async def test_what_a_server_demands_is_met_and_told(server: Scripted) -> None:
    def demanding(asked: Asked) -> Response:
        return bundle(document("1")) if "status" in asked.form else outcome("required", 400, "status is required")

    server.on(SEARCH, Response("", 405))
    server.on("POST /fhir/DocumentReference/_search", demanding)
    probed = await _probed(server, patient="p")
    card = {each.name: each for each in probed.card}
    assert card["DocumentReference search"].supported
    assert "GET is refused" in card["POST _search"].detail
    assert not card["Search without status"].supported
    facts = probed.strategy.search("DocumentReference")
    assert (facts.post, facts.status) == (True, True)


async def test_a_search_that_needs_a_patient_is_believed_where_it_is_advertised(server: Scripted) -> None:
    server.on("GET /fhir/metadata", _statement("5.0.0"))
    server.on(SEARCH, outcome("required", 400, "patient"))
    server.on(REPORTS, outcome("required", 400, "patient"))
    card = await _card(server)
    assert card["DocumentReference search"].supported
    assert not card["DiagnosticReport search"].supported
    assert not card["_lastUpdated filter"].supported
    assert not card["FHIR R4"].supported
    # With a patient, there is nothing to believe any more.
    assert not (await _card(server, patient="p"))["DocumentReference search"].supported


async def test_the_largest_page_is_seen_and_kept(server: Scripted) -> None:
    def capped(asked: Asked) -> Response:
        size = min(int(asked.query.get("_count", "5")), 5)
        return bundle(*(document(str(n)) for n in range(size)), next_link=f"{server.base}/DocumentReference?page=2")

    server.on(SEARCH, capped)
    probed = await _probed(server, patient="p")
    assert "at most 5" in {each.name: each for each in probed.card}["Largest page"].detail
    assert probed.strategy.page_size == 5


@pytest.mark.parametrize(
    ("next_link", "words"),
    [
        ("http://elsewhere.example/fhir?page=2", "another origin"),
        ("{base}/DocumentReference?again=1", "first one again"),
    ],
)
async def test_next_links_that_lead_nowhere_are_seen(server: Scripted, next_link: str, words: str) -> None:
    link = next_link.format(base=server.base)
    server.on(SEARCH, bundle(document("1"), document("2"), next_link=link))
    line = (await _card(server, patient="p"))["Next links"]
    assert not line.supported
    assert words in line.detail


@pytest.mark.parametrize(
    ("reply", "well"),
    [
        (outcome("not-supported", 405), False),
        (bundle(), False),
        (fhir({"resourceType": "Bundle", "type": "batch-response", "entry": [{}, {}]}), False),
        (Response("<html>"), False),
        (_batch, True),
    ],
)
async def test_a_batch_counts_only_where_each_entry_has_its_answer(server: Scripted, reply: Any, well: bool) -> None:
    server.on(SEARCH, bundle(document("1")))
    server.on("POST /fhir", reply)
    probed = await _probed(server, patient="p")
    assert {each.name: each for each in probed.card}["Batch of reads"].supported is well
    assert probed.strategy.batch is well


async def test_a_binary_may_come_as_a_resource(server: Scripted) -> None:
    _make_able(server)
    server.on("GET /fhir/Binary/1", fhir({"resourceType": "Binary", "id": "1", "data": "YWJj"}))
    assert "FHIR resource" in (await _card(server, patient="p"))["Binary read"].detail
    server.on("GET /fhir/Binary/1", outcome("forbidden", 403))
    assert not (await _card(server, patient="p"))["Binary read"].supported


@pytest.mark.parametrize(
    ("date", "supported", "word"), [("Fri, 20 Nov 2020 10:00:00 GMT", False, "behind"), ("", False, "")]
)
async def test_a_clock_that_is_wrong_is_seen(server: Scripted, date: str, supported: bool, word: str) -> None:
    _make_able(server)
    server.on("GET /fhir/metadata", _statement(date=date))
    line = (await _card(server, patient="p"))["Clock"]
    assert line.supported is supported
    assert word in line.detail


async def test_a_silent_operation_takes_its_time_only(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(_asked: Asked) -> Response:
        await asyncio.sleep(1)
        return bundle()

    _make_able(server)
    monkeypatch.setattr(trial, "SECONDS", 0.3)
    server.on("GET /fhir/Patient/p/$everything", silent)
    card = await _card(server, patient="p")
    assert not card["Patient/$everything"].supported
    assert card["DocumentReference/$docref"].supported


async def test_a_401_on_one_operation_does_not_condemn_the_connection(server: Scripted) -> None:
    _make_able(server)
    server.on("GET /fhir/Patient/p/$everything", Response("", 401))
    card = await _card(server, Auth(AuthKind.BEARER, token="x"), patient="p")
    assert not card["Patient/$everything"].supported
    assert card["DocumentReference search"].supported


@pytest.mark.parametrize("what", [SEARCH, "GET /fhir/Patient/p/$everything"])
async def test_a_server_that_asks_us_to_slow_down_is_left_alone(server: Scripted, what: str) -> None:
    _make_able(server)
    server.on(what, outcome("throttled", 429, Retry_After="7"))
    with pytest.raises(ProviderError) as caught:
        await _card(server, patient="p")
    assert (caught.value.code, caught.value.retry_after) == (ProviderErrorCode.THROTTLED, 7)


async def test_a_server_that_refuses_us_altogether_is_an_error(server: Scripted) -> None:
    server.on("GET /fhir/metadata", _statement())
    server.on(SEARCH, Response("", 401))
    with pytest.raises(ProviderError) as caught:
        await _card(server, Auth(AuthKind.BEARER, token="x"))
    assert caught.value.code is ProviderErrorCode.UNAUTHORIZED


async def test_a_server_that_is_not_there_is_an_error() -> None:
    nowhere = Connection("http://127.0.0.1:1/fhir", limits=QUICK, networks=LOOPBACK)
    async with connect(nowhere) as provider:
        with pytest.raises(ProviderError) as caught:
            await provider.probe()
    assert caught.value.code is ProviderErrorCode.UNREACHABLE
