"""The Healthie adapter against answers as its public reference describes them, and against the sandbox's platform."""

import base64
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.responses import JSONResponse, Response

from app.connectors.platform import connect_platform
from app.connectors.platform.healthie import LIMITS
from app.connectors.platform.port import (
    CarePlatform,
    Changes,
    Outgoing,
    PlatformConnection,
    PlatformError,
    PlatformErrorCode,
    PlatformKind,
    PlatformPatient,
    Receipt,
    ReceiptState,
)
from app.core.settings import LOOPBACK
from sandbox.platform.app import create_app
from sandbox.platform.store import Store
from sandbox.serve import serving
from tests.connectors.scripted import Asked, Cut, Scripted

PATIENT = PlatformPatient("our-ref", "Alva", "Dickinson", "1990-01-01")
OUTGOING = Outgoing("doc-ref-1", "summary.pdf", "application/pdf", "Summary " + "x" * 300, b"%PDF-1.7 \x00\xff")
ASK = "POST /graphql"
HOOK = "https://records.example.org/hooks/platforms/1"


@pytest.fixture
async def platform(server: Scripted) -> AsyncIterator[CarePlatform]:
    connection = PlatformConnection(PlatformKind.HEALTHIE, server.origin, "gh_live_key", networks=LOOPBACK)
    async with connect_platform(connection) as opened:
        yield opened


def data(**fields: object) -> Response:
    return JSONResponse({"data": fields})


def errors(code: str | None, message: str = "No.", status: int = 200) -> Response:
    extensions = {"extensions": {"code": code}} if code else {}
    return JSONResponse({"errors": [{"message": message, **extensions}]}, status)


def nodes(*found: object, after: str | None = None) -> dict[str, object]:
    return {"nodes": found, "page_info": {"has_next_page": after is not None, "end_cursor": after}}


def sent(asked: Asked) -> dict[str, Any]:
    return msgspec.json.decode(asked.body)


def document(number: str, reference: str | None) -> dict[str, object]:
    ours = msgspec.json.encode({"healthrecords": {"reference": reference}}).decode() if reference else None
    return {"id": number, "metadata": ours, "created_at": "2026-11-20T10:00:00Z"}


async def put_error(platform: CarePlatform) -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        await platform.put("7", OUTGOING)
    return caught.value


async def test_the_key_stands_as_it_is_in_the_header_and_the_version_is_named(
    server: Scripted, platform: CarePlatform
) -> None:
    server.on(ASK, data(user={"id": "7"}))
    assert await platform.ensure_patient(PATIENT, "7") == "7"
    headers = server.asked[0].headers
    assert headers["authorization"] == "Basic gh_live_key"
    assert headers["authorizationsource"] == "API"
    assert headers["healthie-graphql-api-version"] == "2026-01-01"
    assert sent(server.asked[0])["variables"] == {"id": "7"}


async def test_a_patient_is_found_by_our_reference_on_a_later_page(server: Scripted, platform: CarePlatform) -> None:
    server.on(
        ASK,
        data(user=None),
        data(users=nodes({"id": "1", "record_identifier": "our-ref-2"}, after="c1")),
        data(users=nodes({"id": "2", "record_identifier": "our-ref"})),
    )
    assert await platform.ensure_patient(PATIENT, "gone") == "2"
    assert [sent(asked)["variables"].get("after") for asked in server.asked[1:]] == [None, "c1"]
    assert {sent(asked)["variables"]["keywords"] for asked in server.asked[1:]} == {"our-ref"}


async def test_a_patient_that_is_not_there_is_created_without_a_message_to_the_patient(
    server: Scripted, platform: CarePlatform
) -> None:
    server.on(ASK, data(users=nodes()), data(createClient={"user": {"id": "9"}, "messages": []}))
    assert await platform.ensure_patient(PATIENT) == "9"
    assert sent(server.asked[1])["variables"]["input"] == {
        "first_name": "Alva",
        "last_name": "Dickinson",
        "dob": "1990-01-01",
        "record_identifier": "our-ref",
        "skipped_email": True,
        "dont_send_welcome": True,
    }


async def test_a_document_is_a_data_url_with_our_reference_in_its_metadata(
    server: Scripted, platform: CarePlatform
) -> None:
    server.on(ASK, data(createDocument={"document": {"id": "5"}, "messages": None}))
    assert await platform.put("7", OUTGOING) == Receipt("5", "doc-ref-1", ReceiptState.CONFIRMED)
    given = sent(server.asked[0])["variables"]["input"]
    kind, content = given["file_string"].split(",")
    assert (kind, base64.b64decode(content)) == ("data:application/pdf;base64", OUTGOING.data)
    assert msgspec.json.decode(given["metadata"]) == {"healthrecords": {"reference": "doc-ref-1"}}
    assert len(given["description"]) == 255
    assert (given["rel_user_id"], given["share_with_rel"], given["display_name"]) == ("7", False, "summary.pdf")
    await platform.put("7", replace(OUTGOING, content_type='x"; y', filename=" "))
    given = sent(server.asked[1])["variables"]["input"]
    assert given["file_string"].startswith("data:application/octet-stream;base64,")
    assert given["display_name"] == "document"


@pytest.mark.parametrize(
    ("reply", "code", "ambiguous"),
    [
        (errors("TOO_MANY_REQUESTS"), PlatformErrorCode.THROTTLED, False),
        (errors("TOO_MANY_REQUESTS", status=429), PlatformErrorCode.THROTTLED, False),
        (errors("UNSUPPORTED_API_VERSION"), PlatformErrorCode.NOT_SUPPORTED, False),
        (errors("MISSING_API_VERSION_HEADER"), PlatformErrorCode.NOT_SUPPORTED, False),
        (errors("UNAUTHENTICATED"), PlatformErrorCode.UNAUTHORIZED, False),
        (errors("UNAUTHENTICATED", status=401), PlatformErrorCode.UNAUTHORIZED, False),
        (errors("QUOTA_EXCEEDED"), PlatformErrorCode.FULL, False),
        (errors("INTERNAL_SERVER_ERROR"), PlatformErrorCode.UNAVAILABLE, True),
        (errors(None, "Query has complexity of 2274"), PlatformErrorCode.REFUSED, False),
        (JSONResponse({"errors": [{}]}), PlatformErrorCode.REFUSED, False),
        (Response("", 413), PlatformErrorCode.TOO_LARGE, False),
        (Response("", 507), PlatformErrorCode.FULL, False),
        (Response("", 503), PlatformErrorCode.UNAVAILABLE, True),
        (Response("<html>", 200), PlatformErrorCode.BAD_RESPONSE, True),
        (data(), PlatformErrorCode.BAD_RESPONSE, True),
        (data(createDocument=None), PlatformErrorCode.BAD_RESPONSE, True),
        (data(createDocument={"document": None, "messages": []}), PlatformErrorCode.BAD_RESPONSE, True),
        (data(createDocument={"document": {"id": 5}}), PlatformErrorCode.BAD_RESPONSE, True),
        (Cut(), PlatformErrorCode.UNREACHABLE, True),
    ],
    ids=range(19),
)
async def test_every_way_to_fail_has_its_code(
    server: Scripted, platform: CarePlatform, reply: Response, code: PlatformErrorCode, ambiguous: bool
) -> None:
    server.on(ASK, reply)
    error = await put_error(platform)
    assert (error.code, error.ambiguous) == (code, ambiguous)


async def test_a_success_with_messages_and_without_errors_is_a_refusal(
    server: Scripted, platform: CarePlatform
) -> None:
    said = [
        {"field": "first_name", "message": "Alva is not valid"},
        {"field": None, "message": "And Dickinson"},
        {"field": "Alva Dickinson", "message": "is no field"},
        {"field": "metadata", "message": "is too long"},
    ]
    server.on(ASK, data(createDocument={"document": None, "messages": said}))
    error = await put_error(platform)
    assert (error.code, error.ambiguous) == (PlatformErrorCode.REFUSED, False)
    assert error.detail == "the platform answered, refused: first_name, metadata"


@pytest.mark.parametrize(
    ("said", "named"), [("QUOTA_EXCEEDED", "QUOTA_EXCEEDED"), ("Alva 1990", "an error"), (None, "an error")]
)
async def test_of_an_error_only_the_code_is_repeated(
    server: Scripted, platform: CarePlatform, said: str | None, named: str
) -> None:
    server.on(ASK, errors(said, "Alva Dickinson has no room"))
    assert (await put_error(platform)).detail == f"the platform answered with {named}"


async def test_what_is_there_is_found_by_our_metadata_whatever_others_have_put_into_theirs(
    server: Scripted, platform: CarePlatform
) -> None:
    odd = [document("1", None), {"id": "2", "metadata": "no json"}, {"id": "3", "metadata": '["healthrecords"]'}]
    server.on(ASK, data(documents=nodes(*odd, after="3")), data(documents=nodes(document("4", "r4"))))
    found = await platform.find("7", {"r4", "absent"})
    assert found == {"r4": Receipt("4", "r4", ReceiptState.CONFIRMED)}
    assert {sent(asked)["variables"]["patient"] for asked in server.asked} == {"7"}


@pytest.mark.parametrize("reply", [data(documents=None), data(documents={"nodes": []}), data()])
async def test_half_a_list_is_never_taken_for_an_absence(
    server: Scripted, platform: CarePlatform, reply: Response
) -> None:
    server.on(ASK, reply)
    with pytest.raises(PlatformError) as caught:
        await platform.find("7", {"absent"})
    assert caught.value.code is PlatformErrorCode.BAD_RESPONSE


async def test_a_list_that_leads_nowhere_new_is_an_error(server: Scripted, platform: CarePlatform) -> None:
    server.on(ASK, data(documents=nodes(document("1", "r1"), after="c")))
    with pytest.raises(PlatformError) as caught:
        await platform.find("7", {"absent"})
    assert caught.value.code is PlatformErrorCode.BAD_RESPONSE
    assert len(server.asked) == 2


@pytest.mark.parametrize("gone", [data(document=None), errors("NOT_FOUND"), Response("", 404)])
async def test_a_document_that_is_gone_is_not_deleted_again(
    server: Scripted, platform: CarePlatform, gone: Response
) -> None:
    server.on(ASK, gone)
    await platform.archive("5")
    assert len(server.asked) == 1
    with pytest.raises(PlatformError) as caught:
        await platform.confirm("5")
    assert caught.value.code is PlatformErrorCode.NOT_FOUND


async def test_a_document_is_deleted_to_be_archived(server: Scripted, platform: CarePlatform) -> None:
    server.on(ASK, data(document=document("5", "r")), data(deleteDocument={"document": {"id": "5"}}))
    await platform.archive("5")
    assert sent(server.asked[1])["variables"] == {"input": {"id": "5"}}


async def test_changes_are_what_the_list_shows_beside_what_we_know(server: Scripted, platform: CarePlatform) -> None:
    old = document("3", None) | {"created_at": "2020-01-01T00:00:00Z"}
    server.on(ASK, data(documents=nodes(document("1", "r1"), document("2", None), old)))
    changes = await platform.changes("7", ["1", "9"], datetime(2026, 1, 1, tzinfo=UTC))
    assert changes == Changes(frozenset({"1"}), frozenset({"9"}), frozenset({"2"}))


async def test_a_webhook_is_made_once_and_enabled_again_where_it_was_disabled(
    server: Scripted, platform: CarePlatform
) -> None:
    other = {"id": "1", "url": "https://elsewhere.example", "is_enabled": False}
    ours = {"id": "2", "url": HOOK, "is_enabled": False, "signature_secret": "whsec_a"}
    made = {"webhook": {"id": "2", "is_enabled": True, "signature_secret": "whsec_a"}, "messages": []}
    server.on(ASK, data(webhooks=nodes(other)), data(createWebhook=made))
    watching = await platform.watch(HOOK)
    assert (watching.active, watching.secret, watching.mended) == (True, "whsec_a", False)
    given = sent(server.asked[1])["variables"]["input"]
    assert (given["url"], given["is_enabled"], given["should_retry"]) == (HOOK, True, True)
    assert {"event_type": "DOCUMENT_DELETED"} in given["webhook_events"]

    server.on(ASK, data(webhooks=nodes(other, ours)), data(updateWebhook={"webhook": {"id": "2", "is_enabled": True}}))
    assert (await platform.watch(HOOK)).mended is True
    assert sent(server.asked[-1])["variables"]["input"] == {"id": "2", "is_enabled": True, "should_retry": True}
    server.on(ASK, data(webhooks=nodes(ours | {"is_enabled": True})))
    asked = len(server.asked)
    assert (await platform.watch(HOOK)).mended is False
    assert len(server.asked) == asked + 1


def test_a_file_that_is_too_large_is_refused_before_it_is_sent() -> None:
    most = LIMITS.max_bytes or 0
    assert LIMITS.refusal(most, "application/pdf") is None
    refusal = LIMITS.refusal(most + 1, "application/pdf")
    assert refusal is not None
    assert refusal.code is PlatformErrorCode.TOO_LARGE


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[tuple[CarePlatform, Store]]:
    with contextlib.closing(Store(tmp_path / "platform.sqlite")) as store:
        store.register_key("gh_key", "")
        async with serving(create_app(store)) as url:
            connection = PlatformConnection(PlatformKind.HEALTHIE, f"{url}/graphql", "gh_key", networks=LOOPBACK)
            async with connect_platform(connection) as opened:
                yield opened, store


async def test_the_whole_way_of_a_document_in_the_sandbox(sandbox: tuple[CarePlatform, Store]) -> None:
    platform, store = sandbox
    patient = await platform.ensure_patient(PATIENT)
    assert await platform.ensure_patient(PATIENT) == await platform.ensure_patient(PATIENT, patient) == patient
    receipts = [await platform.put(patient, replace(OUTGOING, reference=f"r{n}")) for n in range(60)]
    assert {it.state for it in receipts} == {ReceiptState.CONFIRMED}
    assert len(store.stored(None)) == 60
    found = await platform.find(patient, {"r0", "r59", "absent"})
    assert {it.attachment_id for it in found.values()} == {receipts[0].attachment_id, receipts[59].attachment_id}
    assert await platform.confirm(receipts[0].attachment_id) is ReceiptState.CONFIRMED
    await platform.archive(receipts[0].attachment_id)
    await platform.archive(receipts[0].attachment_id)
    known = [it.attachment_id for it in receipts]
    assert (await platform.changes(patient, known, None)).removed == {receipts[0].attachment_id}
    assert len(store.stored(None)) == 59


async def test_the_sandbox_refuses_as_healthie_does(sandbox: tuple[CarePlatform, Store]) -> None:
    platform, store = sandbox
    with pytest.raises(PlatformError) as refused:
        await platform.put("999", OUTGOING)
    assert (refused.value.code, refused.value.detail) == (
        PlatformErrorCode.REFUSED,
        "the platform answered, refused: rel_user_id",
    )
    patient = await platform.ensure_patient(PATIENT)
    store.set_quota(0)
    assert (await _refusal(platform, patient)).code is PlatformErrorCode.FULL
    store.register_key("another", "")
    store.db.run("DELETE FROM credential WHERE username = 'gh_key'")
    assert (await _refusal(platform, patient)).code is PlatformErrorCode.UNAUTHORIZED


async def _refusal(platform: CarePlatform, patient: str) -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        await platform.put(patient, OUTGOING)
    return caught.value
