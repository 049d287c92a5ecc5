"""A patient's details, read from a Patient and merged into it: what was not edited stays, to the last digit."""

import copy
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import Response

from app.connectors.provider import connect, for_updates
from app.connectors.provider.fhir.patients import details, merged
from app.connectors.provider.port import (
    PATIENT_UPDATE,
    Auth,
    AuthKind,
    Connection,
    Limits,
    PatientField,
    ProviderError,
    ProviderErrorCode,
)
from app.core.settings import LOOPBACK
from tests.connectors.scripted import Asked, Scripted, fhir, outcome

NAME, BORN, EMAIL, PHONE, ADDRESS = PatientField
QUICK = Limits(connect_seconds=2, read_seconds=1, total_seconds=3)
UNKNOWN = {"url": "https://vendor.example/odd", "valueDecimal": 1.5, "extension": [{"url": "x", "valueBoolean": True}]}
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "meta": {"versionId": "7", "tag": [{"code": "vip"}]},
    "text": {"status": "generated", "div": "<div>Ana</div>"},
    "contained": [{"resourceType": "Organization", "id": "o", "vendorField": [1, None, {}]}],
    "extension": [UNKNOWN],
    "active": True,
    "name": [
        {"use": "old", "family": "Costa", "given": ["Ana"]},
        {"use": "official", "family": "Silva", "given": ["Ana", "Maria"], "_given": [None, {"extension": [UNKNOWN]}]},
    ],
    "telecom": [
        {"system": "phone", "value": "+351 21 000", "use": "work", "rank": 2},
        {"system": "phone", "value": "+351 91 111", "rank": 1, "extension": [UNKNOWN]},
        {"system": "email", "value": "ana@example.test"},
        {"system": "phone", "value": "+351 00", "use": "old"},
    ],
    "birthDate": "1980-05-03",
    "_birthDate": {"extension": [UNKNOWN]},
    "address": [
        {"use": "home", "line": ["12 High St"], "city": "Leeds", "postalCode": "LS1 4AP", "extension": [UNKNOWN]}
    ],
    "vendorThing": {"deep": [[1, "2", None]]},
}
HELD = {
    NAME: "Ana Maria Silva",
    BORN: "1980-05-03",
    EMAIL: "ana@example.test",
    PHONE: "+351 91 111",
    ADDRESS: "12 High St, Leeds, LS1 4AP",
}


def changed(**changes: str) -> dict[str, Any]:
    return merged(copy.deepcopy(PATIENT), {PatientField(name): value for name, value in changes.items()})


def test_each_field_is_read_from_its_element_in_use() -> None:
    assert details(PATIENT) == HELD


def test_what_is_not_edited_stays_as_it_is() -> None:
    assert changed() == PATIENT
    after = changed(phone="+351 99")
    assert after["telecom"][1] == PATIENT["telecom"][1] | {"value": "+351 99"}
    after["telecom"][1] = PATIENT["telecom"][1]
    assert after == PATIENT


def test_a_new_family_name_leaves_the_given_names_and_what_is_said_of_them() -> None:
    after = changed(name="Ana Maria Silva-Jones")
    assert after["name"][1] == PATIENT["name"][1] | {"family": "Silva-Jones"}
    assert after["name"][0] == PATIENT["name"][0]


@pytest.mark.parametrize(
    ("name", "family", "names"),
    [
        ("Ana Silva", "Silva", ["Ana"]),
        ("Ludwig van Beethoven", "van Beethoven", ["Ludwig"]),
        ("Ana Maria Rita Silva", "Silva", ["Ana", "Maria", "Rita"]),
    ],
)
def test_a_name_is_divided_as_people_divide_it(name: str, family: str, names: list[str]) -> None:
    (_, official) = changed(name=name)["name"]
    assert (official["family"], official["given"]) == (family, names)
    assert len(official.get("_given", [])) <= len(names)


def test_a_single_name_has_no_given_names() -> None:
    (_, official) = changed(name="Cher")["name"]
    assert official == {"use": "official", "family": "Cher"}


def test_an_address_that_still_matches_keeps_its_parts_and_another_drops_them() -> None:
    (near,) = changed(address="14 High St, Leeds, LS1 4AP")["address"]
    assert near == PATIENT["address"][0] | {"line": ["14 High St"]}
    (far,) = changed(address="1 New Road, York")["address"]
    assert far == {"use": "home", "text": "1 New Road, York", "extension": [UNKNOWN]}


def test_what_is_cleared_is_kept_as_an_old_one() -> None:
    after = changed(email="", address="")
    assert after["telecom"][2] == PATIENT["telecom"][2] | {"use": "old"}
    assert after["address"][0] == PATIENT["address"][0] | {"use": "old"}
    assert (details(after)[EMAIL], details(after)[ADDRESS]) == ("", "")
    assert details(after)[PHONE] == HELD[PHONE]


def test_an_empty_patient_gets_what_it_lacks() -> None:
    bare = {"resourceType": "Patient", "id": "p"}
    assert details(bare) == dict.fromkeys(PatientField, "")
    assert details(merged(bare, HELD)) == HELD


@pytest.mark.parametrize("key", ["name", "telecom", "address"])
@pytest.mark.parametrize("odd", [None, 5, "x", {}, [None], [5], [[]], [{"value": 5, "text": [], "line": 5}]])
def test_an_odd_resource_is_read_as_far_as_it_can_be(key: str, odd: object) -> None:
    assert details(PATIENT | {key: odd})[BORN] == HELD[BORN]


WORDS = st.text(st.characters(codec="utf-8", categories=("L", "N")), min_size=1, max_size=8)
LINES = st.lists(WORDS, min_size=1, max_size=5)


@given(LINES, LINES, WORDS)
def test_what_was_written_is_what_is_read(name: list[str], address: list[str], phone: str) -> None:
    changes: Mapping[PatientField, str] = {NAME: " ".join(name), ADDRESS: ", ".join(address), PHONE: phone}
    for resource in (copy.deepcopy(PATIENT), {"resourceType": "Patient", "id": "p"}):
        after = details(merged(resource, changes))
        assert {it: after[it] for it in changes} == changes


def connection(server: Scripted) -> Connection:
    return Connection(server.base, limits=QUICK, networks=LOOPBACK)


async def written(server: Scripted, *replies: Response, **changes: str) -> Asked:
    """The PUT that came of a read and a change."""
    server.on("PUT /fhir/Patient/p", *replies)
    async with connect(connection(server)) as provider:
        found = await provider.patient("p")
        await provider.update_patient(found, {PatientField(name): value for name, value in changes.items()})
    return next(it for it in server.asked if it.method == "PUT")


async def test_an_update_names_the_version_that_was_read_and_keeps_every_digit(server: Scripted) -> None:
    text = (
        json.dumps(PATIENT)
        .replace("1.5", "1.500")
        .replace('"vendorThing"', '"big": 123456789012345678901, "vendorThing"')
    )
    server.on("GET /fhir/Patient/p", Response(text, media_type="application/fhir+json"))
    asked = await written(server, fhir(PATIENT | {"meta": {"versionId": "8"}}), phone="+351 99")
    assert asked.headers["if-match"] == 'W/"7"'
    assert asked.headers["content-type"] == "application/fhir+json"
    sent = json.loads(asked.body, parse_float=Decimal)
    was = json.loads(text, parse_float=Decimal)
    was["telecom"][1]["value"] = "+351 99"
    assert sent == was
    assert asked.body.count(b"1.500") == text.count("1.500")
    assert b"123456789012345678901" in asked.body


@pytest.mark.parametrize("reply", [Response(status_code=204), fhir({}, 200), outcome("informational", 200)])
async def test_a_server_that_does_not_show_what_it_took_is_asked(server: Scripted, reply: Response) -> None:
    server.on("GET /fhir/Patient/p", fhir(PATIENT), fhir(PATIENT | {"birthDate": "1981-01-01"}))
    if b"informational" in reply.body:
        reply = fhir(
            {"resourceType": "OperationOutcome", "issue": [{"severity": "information", "code": "informational"}]}
        )
    server.on("PUT /fhir/Patient/p", reply)
    async with connect(connection(server)) as provider:
        after = await provider.update_patient(await provider.patient("p"), {BORN: "1981-01-01"})
    assert after.details[BORN] == "1981-01-01"
    assert server.paths() == ["GET /fhir/Patient/p", "PUT /fhir/Patient/p", "GET /fhir/Patient/p"]


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (outcome("conflict", 412), "CONFLICT"),
        (outcome("conflict", 409), "CONFLICT"),
        (Response("", 412), "CONFLICT"),
        (outcome("lock-error", 409), "UNAVAILABLE"),
        (outcome("value", 400), "INVALID"),
        (outcome("business-rule", 422), "INVALID"),
        (outcome("forbidden", 403), "FORBIDDEN"),
        (outcome("not-supported", 405), "NOT_SUPPORTED"),
        (Response("", 501), "NOT_SUPPORTED"),
        (outcome("deleted", 410), "GONE"),
        (outcome("exception", 500), "UNAVAILABLE"),
        (outcome("processing", 200), "BAD_RESPONSE"),
        (Response("<html>", 302, {"location": "/login"}), "BAD_RESPONSE"),
    ],
    ids=range(13),
)
async def test_every_refusal_has_its_code(server: Scripted, reply: Response, code: str) -> None:
    server.on("GET /fhir/Patient/p", fhir(PATIENT))
    with pytest.raises(ProviderError) as refused:
        await written(server, reply, phone="1")
    assert refused.value.code is ProviderErrorCode[code]
    assert "+351" not in refused.value.detail


@pytest.mark.parametrize("version", [None, "", 'a"b', "a\r\nX: 1"])
async def test_without_a_version_nothing_is_written(server: Scripted, version: object) -> None:
    server.on("GET /fhir/Patient/p", fhir(PATIENT | {"meta": {"versionId": version}}))
    with pytest.raises(ProviderError) as refused:
        await written(server, fhir(PATIENT), phone="1")
    assert refused.value.code is ProviderErrorCode.NOT_SUPPORTED
    assert server.paths() == ["GET /fhir/Patient/p"]


async def test_the_etag_is_a_version_too(server: Scripted) -> None:
    bare = {key: value for key, value in PATIENT.items() if key != "meta"}
    server.on("GET /fhir/Patient/p", fhir(bare, 200, ETag='W/"abc"'))
    assert (await written(server, fhir(PATIENT), phone="1")).headers["if-match"] == 'W/"abc"'


async def test_a_record_of_another_id_is_not_ours_to_change(server: Scripted) -> None:
    server.on("GET /fhir/Patient/p", fhir(PATIENT | {"id": "merged-into"}))
    async with connect(connection(server)) as provider:
        found = await provider.patient("p")
    assert (found.details, found.version_id) == ({}, "")


@pytest.mark.parametrize(
    ("scope", "wanted"),
    [
        ("system/Patient.rs system/Binary.rs", "system/Patient.ru"),
        ("system/Patient.read", "system/Patient.read system/Patient.write"),
        ("system/*.cruds", "system/*.cruds"),
        ("system/Patient.read system/Patient.write", "system/Patient.read system/Patient.write"),
    ],
)
def test_an_update_asks_for_no_more_than_it_needs(scope: str, wanted: str) -> None:
    auth = Auth(AuthKind.SMART_BACKEND, client_id="c", scope=scope)
    assert for_updates(Connection("https://ehr.example.test/fhir", auth)).auth.scope == wanted


@pytest.mark.parametrize(("interactions", "may"), [(["read", "update"], True), (["read"], False)])
async def test_the_capability_card_says_whether_details_can_be_written_back(
    server: Scripted, interactions: list[str], may: bool
) -> None:
    patients = {"type": "Patient", "interaction": [{"code": it} for it in interactions], "versioning": "versioned"}
    rest = [{"mode": "server", "resource": [patients]}]
    server.on("GET /fhir/metadata", fhir({"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": rest}))
    async with connect(connection(server)) as provider:
        card = (await provider.probe()).card
    assert [it.supported for it in card if it.name == PATIENT_UPDATE] == [may]
