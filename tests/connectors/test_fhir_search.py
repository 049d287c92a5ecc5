"""Listing a patient's resources from a FHIR server, as servers really answer."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from starlette.responses import Response

from app.connectors.provider import connect
from app.connectors.provider.port import Connection, Limits, Page, Provider, ProviderError, ProviderErrorCode
from app.core.settings import LOOPBACK
from tests.connectors.scripted import Asked, Cut, Reply, Scripted, bundle, document, fhir, outcome

SINCE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SEARCH = "GET /fhir/DocumentReference"
QUICK = Limits(connect_seconds=2, read_seconds=0.3, total_seconds=1, page_bytes=20_000)


@pytest.fixture
async def provider(server: Scripted) -> AsyncIterator[Provider]:
    async with connect(Connection(f"{server.base}/", limits=QUICK, page_size=7, networks=LOOPBACK)) as opened:
        yield opened


async def _list(provider: Provider, **more: object) -> Page:
    return await provider.page("DocumentReference", "p", **more)  # pyright: ignore[reportArgumentType]


async def _refused(provider: Provider, server: Scripted, *replies: Reply) -> ProviderError:
    server.on(SEARCH, *replies)
    with pytest.raises(ProviderError) as caught:
        await _list(provider)
    return caught.value


async def test_a_page_has_entries_next_total_and_the_servers_clock(server: Scripted, provider: Provider) -> None:
    following = f"{server.base}/DocumentReference?page=2&opaque=%2Fa+b"
    server.on(SEARCH, bundle(document("1"), next_link=following, total=3))
    page = await _list(provider)
    assert [entry.reference for entry in page.entries] == ["DocumentReference/1"]
    assert (page.next, page.total, page.since_applied) == (following, 3, False)
    assert page.server_time == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert server.asked[0].query == {"patient": "p", "_count": "7"}
    assert server.asked[0].headers["user-agent"] == "healthrecords/0.1"


async def test_a_next_link_is_followed_as_it_stands(server: Scripted, provider: Provider) -> None:
    server.on(SEARCH, lambda asked: bundle(document(asked.query.get("opaque", ""))))
    assert (await _list(provider, link=f"{server.base}/DocumentReference?opaque=a%2Fb")).unreadable
    assert (await _list(provider, link="DocumentReference?opaque=2")).entries[0].reference == "DocumentReference/2"
    assert [asked.query for asked in server.asked] == [{"opaque": "a/b"}, {"opaque": "2"}]


@pytest.mark.parametrize("link", ["{other}/fhir/x", "http://u:p@{place}/fhir/x", "//[::1", "file:///etc/passwd"])
async def test_a_link_to_another_origin_is_refused(
    server: Scripted, elsewhere: Scripted, provider: Provider, link: str
) -> None:
    with pytest.raises(ProviderError) as caught:
        await _list(provider, link=link.format(other=elsewhere.origin, place=server.place))
    assert caught.value.code is ProviderErrorCode.BAD_RESPONSE
    assert (server.asked, elsewhere.asked) == ([], [])


async def test_an_empty_last_page_is_a_page(server: Scripted, provider: Provider) -> None:
    server.on(SEARCH, fhir({"resourceType": "Bundle", "type": "searchset"}))
    page = await _list(provider)
    assert (page.entries, page.unreadable, page.next, page.total) == ((), (), None, None)


async def test_since_counts_as_applied_only_where_the_self_link_shows_it(server: Scripted, provider: Provider) -> None:
    shown = f"{server.base}/DocumentReference?patient=p&_lastUpdated=ge2026"
    server.on(SEARCH, bundle(self_link=shown), bundle(self_link=f"{server.base}/DocumentReference?patient=p"))
    assert (await _list(provider, since=SINCE)).since_applied
    assert not (await _list(provider, since=SINCE)).since_applied
    assert server.asked[0].query["_lastUpdated"] == "ge2026-01-02T03:04:05.000Z"


@pytest.mark.parametrize("refusal", [outcome("invalid", 400), outcome("not-supported", 422), Response("no", 400)])
async def test_a_server_without_last_updated_is_asked_again_without_it(
    server: Scripted, provider: Provider, refusal: Response
) -> None:
    server.on(SEARCH, lambda asked: refusal if "_lastUpdated" in asked.query else bundle(document("1")))
    for _ in range(2):
        assert len((await _list(provider, since=SINCE)).entries) == 1
    assert ["_lastUpdated" in asked.query for asked in server.asked] == [True, False, False]


async def test_a_server_that_takes_only_post_is_asked_by_post(server: Scripted, provider: Provider) -> None:
    server.on(SEARCH, outcome("not-supported", 405))
    server.on("POST /fhir/DocumentReference/_search", bundle(document("1")))
    for _ in range(2):
        assert len((await _list(provider, since=SINCE)).entries) == 1
    assert server.paths() == [SEARCH, *["POST /fhir/DocumentReference/_search"] * 2]
    assert server.asked[1].form == {"patient": "p", "_count": "7", "_lastUpdated": "ge2026-01-02T03:04:05.000Z"}


async def test_a_server_that_demands_status_gets_it(server: Scripted, provider: Provider) -> None:
    def demanding(asked: Asked) -> Response:
        return bundle(document("1")) if "status" in asked.query else outcome("required", 400, "status is required")

    server.on(SEARCH, demanding)
    assert len((await _list(provider, since=SINCE)).entries) == 1
    assert server.asked[1].query["status"] == "current,superseded,entered-in-error"
    assert "_lastUpdated" in server.asked[1].query


async def test_a_server_that_refuses_everything_is_not_asked_for_ever(server: Scripted, provider: Provider) -> None:
    server.on(SEARCH, outcome("not-supported", 405, "status"))
    server.on("POST /fhir/DocumentReference/_search", outcome("not-supported", 405, "status"))
    with pytest.raises(ProviderError) as caught:
        await _list(provider, since=SINCE)
    assert caught.value.code is ProviderErrorCode.NOT_SUPPORTED
    assert len(server.asked) == 4


async def test_a_bad_entry_is_a_gap_and_its_page_lives(server: Scripted, provider: Provider) -> None:
    inline = {"content": [{"attachment": {"data": "!not base64!"}}]}
    bad = [document("bad", **inline), {"resourceType": "DocumentReference"}, document("worse", type=[1]), 5, None]
    server.on(SEARCH, bundle(document("1"), *bad, document("2")))
    page = await _list(provider)
    assert [entry.reference for entry in page.entries] == ["DocumentReference/1", "DocumentReference/2"]
    references = [gap.reference for gap in page.unreadable]
    assert references == ["DocumentReference/bad", "", "DocumentReference/worse", "", ""]
    assert all(gap.reason for gap in page.unreadable)
    assert "base64" in page.unreadable[0].reason


async def test_the_same_bad_entry_twice_is_two_gaps(server: Scripted, provider: Provider) -> None:
    server.on(SEARCH, bundle(*[document("bad", status="unheard-of")] * 2))
    assert [gap.reference for gap in (await _list(provider)).unreadable] == ["DocumentReference/bad"] * 2


async def test_what_the_server_withholds_is_a_gap_without_its_words(server: Scripted, provider: Provider) -> None:
    withheld = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "warning", "code": "suppressed", "diagnostics": "Jane Doe's HIV test"}],
    }
    included = {"resource": {"resourceType": "Patient", "id": "p"}, "search": {"mode": "include"}}
    entries = [{"resource": withheld, "search": {"mode": "outcome"}}, {"resource": withheld}, included]
    strangers = [{"resource": {"resourceType": "Observation", "id": "o"}}, {"resource": document("1")}]
    server.on(SEARCH, fhir({"resourceType": "Bundle", "entry": [*entries, *strangers]}))
    page = await _list(provider)
    assert [entry.reference for entry in page.entries] == ["DocumentReference/1"]
    assert len(page.unreadable) == 2
    assert all("suppressed" in gap.reason and "Jane" not in gap.reason for gap in page.unreadable)


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Response("no", 401), ProviderErrorCode.UNAUTHORIZED),
        (Response("no", 403), ProviderErrorCode.FORBIDDEN),
        (Response("no", 404), ProviderErrorCode.NOT_FOUND),
        (Response("no", 410), ProviderErrorCode.GONE),
        (Response("no", 418), ProviderErrorCode.BAD_RESPONSE),
        (Response("no", 500), ProviderErrorCode.UNAVAILABLE),
        (Response("no", 501), ProviderErrorCode.NOT_SUPPORTED),
        (Response("", 302, {"Location": "/login"}), ProviderErrorCode.BAD_RESPONSE),
        (Response("", 204), ProviderErrorCode.BAD_RESPONSE),
        (outcome("throttled", 403), ProviderErrorCode.THROTTLED),
        (outcome("transient", 400), ProviderErrorCode.UNAVAILABLE),
        (outcome("lock-error", 409), ProviderErrorCode.UNAVAILABLE),
        (outcome("timeout", 400), ProviderErrorCode.TIMEOUT),
        (outcome("login", 400), ProviderErrorCode.UNAUTHORIZED),
        (outcome("expired", 403), ProviderErrorCode.UNAUTHORIZED),
        (outcome("forbidden", 400), ProviderErrorCode.FORBIDDEN),
        (outcome("deleted", 404), ProviderErrorCode.GONE),
        (outcome("not-supported", 500), ProviderErrorCode.NOT_SUPPORTED),
        (outcome("processing", 200), ProviderErrorCode.BAD_RESPONSE),
        (outcome("throttled", 200), ProviderErrorCode.THROTTLED),
        (Response("<html>Sign in</html>", media_type="text/html"), ProviderErrorCode.BAD_RESPONSE),
        (Response(" <html>Sign in</html>", media_type="application/json"), ProviderErrorCode.BAD_RESPONSE),
        (Response('{"resourceType":"Bundle","entry":[{"res'), ProviderErrorCode.BAD_RESPONSE),
        (Response('{"resourceType":"Bundle","a":"' + "x" * 30_000 + '"}'), ProviderErrorCode.TOO_LARGE),
        (fhir(document("1")), ProviderErrorCode.BAD_RESPONSE),
        (fhir([1, 2]), ProviderErrorCode.BAD_RESPONSE),
        (Cut(), ProviderErrorCode.UNREACHABLE),
    ],
)
async def test_every_failure_has_its_code(
    server: Scripted, provider: Provider, reply: Reply, code: ProviderErrorCode
) -> None:
    assert (await _refused(provider, server, reply)).code is code


async def test_100_000_levels_of_json_are_a_bad_response(server: Scripted) -> None:
    async with connect(Connection(server.base, networks=LOOPBACK)) as provider:
        for body in ('{"entry":' * 100_000, "[" * 100_000, '{"resourceType":"Bundle","entry":[' + '{"a":' * 100_000):
            error = await _refused(provider, server, Response(body, media_type="application/json"))
            assert error.code is ProviderErrorCode.BAD_RESPONSE


@pytest.mark.parametrize(("status", "wait"), [("3", 3), ("Fri, 20 Nov 2026 10:01:00 GMT", 60), ("soon", None)])
async def test_a_throttling_server_says_how_long(
    server: Scripted, provider: Provider, status: str, wait: float | None
) -> None:
    error = await _refused(provider, server, outcome("throttled", 429, Retry_After=status))
    assert (error.code, error.retry_after, error.retryable) == (ProviderErrorCode.THROTTLED, wait, True)


async def test_the_words_of_a_server_are_not_repeated(server: Scripted, provider: Provider) -> None:
    error = await _refused(provider, server, outcome("invalid", 400, "Jane Doe is unknown"))
    assert "Jane" not in str(error)
    assert "invalid" in error.detail


async def test_a_silent_server_is_a_timeout(server: Scripted, provider: Provider) -> None:
    async def silent(_asked: Asked) -> Response:
        await asyncio.sleep(1.5)
        return bundle()

    assert (await _refused(provider, server, silent)).code is ProviderErrorCode.TIMEOUT


async def test_a_port_that_does_not_exist_is_an_error_like_any_other() -> None:
    async with connect(Connection("http://127.0.0.1:99999/fhir", limits=QUICK, networks=LOOPBACK)) as provider:
        with pytest.raises(ProviderError):
            await _list(provider)


async def test_a_server_that_is_not_there_is_unreachable(server: Scripted) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/fhir"
        async with connect(Connection(address, limits=QUICK, networks=LOOPBACK)) as provider:
            with pytest.raises(ProviderError) as caught:
                await _list(provider)
    assert (caught.value.code, caught.value.retryable) == (ProviderErrorCode.UNREACHABLE, True)


@pytest.mark.parametrize(
    "address", ["", "ehr", "ftp://ehr/fhir", "http://u:p@ehr/fhir", "http://ehr/fhir?x=1", "http://[zz]"]
)
async def test_an_address_that_is_none_is_refused_on_connecting(address: str) -> None:
    with pytest.raises(ProviderError) as caught:
        async with connect(Connection(address)):
            pytest.fail("it was opened")
    assert caught.value.code is ProviderErrorCode.UNREACHABLE


@pytest.mark.parametrize("identity", ["", "..", "a/b", "a?b", "a\nb", "x" * 300, "ä"])
async def test_an_id_that_would_change_the_address_is_not_sent(
    server: Scripted, provider: Provider, identity: str
) -> None:
    with pytest.raises(ProviderError) as caught:
        await provider.patient(identity)
    assert (caught.value.code, server.asked) == (ProviderErrorCode.NOT_FOUND, [])


async def test_the_patient_is_read(server: Scripted, provider: Provider) -> None:
    names = [{"family": "Old"}, {"use": "official", "given": ["Alva", None], "family": "Dickinson"}]
    resource = {"resourceType": "Patient", "id": "p", "name": names, "birthDate": "1990-01"}
    server.on("GET /fhir/Patient/p", fhir(resource))
    found = await provider.patient("p")
    assert (found.reference, found.name, found.birth_date) == ("Patient/p", "Alva Dickinson", "1990-01")
    server.on("GET /fhir/Patient/p", outcome("deleted", 410))
    with pytest.raises(ProviderError) as caught:
        await provider.patient("p")
    assert caught.value.code is ProviderErrorCode.GONE


async def test_a_subject_named_by_the_patients_own_identifier_is_the_patient(
    server: Scripted, provider: Provider
) -> None:
    number = {"system": "urn:mrn", "value": "42"}
    server.on("GET /fhir/Patient/p", fhir({"resourceType": "Patient", "id": "p", "identifier": [number]}))
    server.on(SEARCH, bundle(document("1", subject={"identifier": number})))
    assert (await _list(provider)).entries[0].subject == ""
    await provider.patient("p")
    assert (await _list(provider)).entries[0].subject == "Patient/p"


async def test_a_large_page_is_read_as_well(server: Scripted) -> None:
    server.on(SEARCH, bundle(*[document(str(n), description="x" * 3000) for n in range(200)]))
    connection = replace(Connection(server.base, networks=LOOPBACK), page_size=200)
    async with connect(connection) as provider:
        assert len((await _list(provider)).entries) == 200
