"""The capability card: tried out rather than believed, each line with its reason."""

import pytest
from starlette.responses import JSONResponse, Response

from app.connectors.provider import connect
from app.connectors.provider.port import (
    Auth,
    AuthKind,
    Capability,
    Connection,
    Limits,
    ProviderError,
    ProviderErrorCode,
)
from tests.connectors.scripted import Asked, Scripted, bundle, document, fhir, outcome

QUICK = Limits(connect_seconds=2, read_seconds=2, total_seconds=5)


def _statement(version: str = "4.0.1") -> Response:
    resources = [
        {"type": "Binary", "interaction": [{"code": "read"}]},
        {"type": "Subscription", "interaction": [{"code": "create"}]},
        {"type": "DocumentReference", "searchParam": [{"name": "patient"}]},
    ]
    rest = [{"mode": "server", "resource": resources}]
    return fhir({"resourceType": "CapabilityStatement", "fhirVersion": version, "rest": rest})


async def _card(server: Scripted, auth: Auth | None = None) -> dict[str, Capability]:
    async with connect(Connection(server.base, auth or Auth(), limits=QUICK)) as provider:
        card = await provider.probe()
    assert all(each.detail for each in card)
    return {each.name: each for each in card}


def _able(asked: Asked) -> Response:
    if asked.query.get("_summary") == "count":
        return bundle(total=12)
    return bundle() if "_lastUpdated" in asked.query else bundle(document("1"))


async def test_an_able_server_can_everything(server: Scripted) -> None:
    server.on("GET /fhir/metadata", _statement())
    server.on("GET /fhir/DocumentReference", _able)
    server.on("GET /fhir/DiagnosticReport", bundle())
    server.on("GET /fhir/.well-known/smart-configuration", JSONResponse({"token_endpoint": "https://x/token"}))
    card = await _card(server)
    assert [name for name, each in card.items() if not each.supported] == []
    assert set(card) == {
        "FHIR R4",
        "Authentication",
        "Scopes",
        "DocumentReference search",
        "DiagnosticReport search",
        "Binary read",
        "_lastUpdated filter",
        "_summary=count",
        "SMART discovery",
        "Subscription (rest-hook)",
    }


async def test_a_server_that_can_nothing_is_not_an_error(server: Scripted) -> None:
    server.on("GET /fhir/metadata", Response("<html>", media_type="text/html"))
    server.on("GET /fhir/DocumentReference", outcome("not-supported", 400))
    server.on("GET /fhir/DiagnosticReport", outcome("forbidden", 403))
    card = await _card(server)
    assert {name for name, each in card.items() if each.supported} == {"Authentication", "Scopes"}
    assert "not-supported" in card["DocumentReference search"].detail


async def test_an_ignored_filter_is_found_out(server: Scripted) -> None:
    shown = f"{server.base}/DocumentReference?_lastUpdated=ge2999-01-01"
    server.on("GET /fhir/DocumentReference", bundle(document("1"), self_link=shown))
    card = await _card(server)
    assert not card["_lastUpdated filter"].supported
    assert not card["_summary=count"].supported


async def test_without_a_document_the_self_link_decides(server: Scripted) -> None:
    server.on("GET /fhir/DocumentReference", bundle())
    assert not (await _card(server))["_lastUpdated filter"].supported
    server.on("GET /fhir/DocumentReference", bundle(self_link=f"{server.base}/DocumentReference?_lastUpdated=ge2999"))
    assert (await _card(server))["_lastUpdated filter"].supported


async def test_a_search_that_needs_a_patient_is_believed_where_it_is_advertised(server: Scripted) -> None:
    server.on("GET /fhir/metadata", _statement("5.0.0"))
    server.on("GET /fhir/DocumentReference", outcome("required", 400, "patient"))
    server.on("GET /fhir/DiagnosticReport", outcome("required", 400, "patient"))
    card = await _card(server)
    assert card["DocumentReference search"].supported
    assert not card["DiagnosticReport search"].supported
    assert not card["_lastUpdated filter"].supported
    assert not card["FHIR R4"].supported


async def test_a_server_that_refuses_us_altogether_is_an_error(server: Scripted) -> None:
    server.on("GET /fhir/metadata", _statement())
    server.on("GET /fhir/DocumentReference", Response("", 401))
    with pytest.raises(ProviderError) as caught:
        await _card(server, Auth(AuthKind.BEARER, token="x"))
    assert caught.value.code is ProviderErrorCode.UNAUTHORIZED


async def test_a_server_that_is_not_there_is_an_error() -> None:
    async with connect(Connection("http://127.0.0.1:1/fhir", limits=QUICK)) as provider:
        with pytest.raises(ProviderError) as caught:
            await provider.probe()
    assert caught.value.code is ProviderErrorCode.UNREACHABLE
