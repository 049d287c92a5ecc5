"""The Carepatron-style adapter against a platform that answers as our description of the API says, and otherwise."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest
from starlette.responses import JSONResponse, Response

from app.connectors.http import open_client
from app.connectors.platform import connect_platform
from app.connectors.platform.exchange import Exchange
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
from tests.connectors.scripted import Asked, Cut, Scripted

PATIENT = PlatformPatient("our-ref", "Alva", "Dickinson", "1990-01-01")
OUTGOING = Outgoing("doc-ref-1", "sum/mary.pdf", "application/pdf", "Summary " + "x" * 300, b"%PDF-1.7 \x00\xff")
PRESIGN = "GET /api/patients/101/attachment_presigned_post"
CREATE = "POST /api/patient_attachments"


@pytest.fixture
async def platform(server: Scripted) -> AsyncIterator[CarePlatform]:
    connection = PlatformConnection(PlatformKind.CAREPATRON, f"{server.origin}/api/", "key", "", networks=LOOPBACK)
    async with connect_platform(connection) as opened:
        yield opened


def _patient(identity: str, reference: str | None) -> dict[str, object]:
    return {"id": identity, "first_name": "A", "last_name": "B", "updated_at": "x", "external_identifier": reference}


def _attachment(identity: str = "9", reference: str = "doc-ref-1", *, done: bool = False) -> dict[str, object]:
    return {"id": identity, "patient_id": "101", "processing_completed": done, "external_id": reference}


def _patients(*patients: object, more: bool = False) -> Response:
    links = {"next": "/patients?page=2"} if more else {}
    return JSONResponse({"patients": patients, "total_entries": len(patients), "links": links})


def _presigned(server: Scripted) -> Response:
    fields = {"key": "tmp/1/${filename}", "policy": "p", "x-amz-signature": "s"}
    return JSONResponse({"url": f"{server.origin}/upload", "fields": fields})


def _ready(server: Scripted, created: Response | None = None) -> None:
    server.on(PRESIGN, _presigned(server))
    stored = "<PostResponse><Key>tmp/1/sum_mary.pdf</Key></PostResponse>"
    server.on("POST /upload", Response(stored, 201, media_type="application/xml"))
    server.on(CREATE, created or JSONResponse(_attachment(), 201))


async def _put_error(platform: CarePlatform) -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        await platform.put("101", OUTGOING)
    return caught.value


async def test_a_known_patient_is_trusted(server: Scripted, platform: CarePlatform) -> None:
    server.on(PRESIGN, _presigned(server))
    assert await platform.ensure_patient(PATIENT, "101") == "101"
    assert server.paths() == [PRESIGN]
    assert server.asked[0].headers["authorization"] == "Basic a2V5Og=="
    assert server.asked[0].headers["user-agent"] == "healthrecords (support@healthrecords.invalid)"


async def test_a_known_patient_that_is_gone_is_looked_for_again(server: Scripted, platform: CarePlatform) -> None:
    server.on("GET /api/patients", _patients(_patient("102", "our-ref")))
    assert await platform.ensure_patient(PATIENT, "101") == "102"


async def test_a_known_patient_is_not_looked_for_when_the_platform_is_down(
    server: Scripted, platform: CarePlatform
) -> None:
    server.on(PRESIGN, Response("", 503))
    with pytest.raises(PlatformError) as caught:
        await platform.ensure_patient(PATIENT, "101")
    assert (caught.value.code, caught.value.ambiguous) == (PlatformErrorCode.UNAVAILABLE, False)
    assert server.paths() == [PRESIGN]


async def test_a_patient_is_found_by_our_reference_on_a_later_page(server: Scripted, platform: CarePlatform) -> None:
    first = _patients(_patient("1", None), _patient("2", "another"), more=True)
    server.on("GET /api/patients", first, _patients(_patient("3", "our-ref")))
    assert await platform.ensure_patient(PATIENT) == "3"
    assert [asked.query for asked in server.asked] == [
        {"q": "Dickinson", "page": str(page), "per_page": "100"} for page in (1, 2)
    ]


async def test_a_patient_that_is_not_there_is_created_with_our_reference(
    server: Scripted, platform: CarePlatform
) -> None:
    server.on("GET /api/patients", _patients(_patient("1", None), more=True))  # the same page for ever
    server.on("POST /api/patients", JSONResponse(_patient("101", "our-ref"), 201))
    assert await platform.ensure_patient(PATIENT) == "101"
    sent = msgspec.json.decode(server.asked[-1].body)
    names = {"first_name": "Alva", "last_name": "Dickinson", "date_of_birth": "1990-01-01"}
    assert sent == {**names, "external_identifier": "our-ref"}
    await platform.ensure_patient(replace(PATIENT, birth_date="1990"))
    assert "date_of_birth" not in msgspec.json.decode(server.asked[-1].body)


async def test_a_document_is_uploaded_and_then_created(server: Scripted, platform: CarePlatform) -> None:
    _ready(server)
    assert await platform.put("101", OUTGOING) == Receipt("9", "doc-ref-1", ReceiptState.PROCESSING)
    assert server.paths() == [PRESIGN, "POST /upload", CREATE]
    _, upload, create = server.asked
    assert "authorization" not in upload.headers
    order = [upload.body.index(part) for part in (b'name="key"', b'name="policy"', b'name="x-amz', b'name="file"')]
    assert order == sorted(order)
    assert b"%PDF-1.7 \x00\xff" in upload.body
    assert b'filename="sum_mary.pdf"' in upload.body
    assert create.headers["idempotency-key"] == "doc-ref-1"
    sent = msgspec.json.decode(create.body)
    assert sent.pop("description") == OUTGOING.description[:255]
    assert sent == {
        "patient_id": "101",
        "upload_url": f"{server.origin}/upload/tmp/1/sum_mary.pdf",
        "external_id": "doc-ref-1",
    }


async def test_a_document_that_needs_no_processing_is_confirmed_at_once(
    server: Scripted, platform: CarePlatform
) -> None:
    _ready(server, JSONResponse(_attachment(done=True), 201))
    server.on("POST /upload", Response("<R><Location>http://s3/a&amp;b</Location></R>", 201))
    assert (await platform.put("101", OUTGOING)).state is ReceiptState.CONFIRMED
    assert msgspec.json.decode(server.asked[-1].body)["upload_url"] == "http://s3/a&b"


async def test_an_odd_file_name_and_type_are_sent_safely(server: Scripted, platform: CarePlatform) -> None:
    _ready(server)
    await platform.put("101", replace(OUTGOING, filename='a"\r\nb: c', content_type="text/plain\r\nx: y"))
    assert b"Content-Type: application/octet-stream" in server.asked[1].body
    assert b"\r\nb: c" not in server.asked[1].body


@pytest.mark.parametrize(
    ("reply", "code", "ambiguous"),
    [
        (Response("", 500), PlatformErrorCode.UNAVAILABLE, True),
        (Response("", 504), PlatformErrorCode.UNAVAILABLE, True),
        (Response("", 408), PlatformErrorCode.TIMEOUT, True),
        (Cut(), PlatformErrorCode.UNREACHABLE, True),
        (Response("ok", 201), PlatformErrorCode.BAD_RESPONSE, True),
        (Response("", 401), PlatformErrorCode.UNAUTHORIZED, False),
        (Response("", 403), PlatformErrorCode.UNAUTHORIZED, False),
        (Response("", 404), PlatformErrorCode.NOT_FOUND, False),
        (Response("", 413), PlatformErrorCode.TOO_LARGE, False),
        (Response("", 429), PlatformErrorCode.THROTTLED, False),
        (Response("", 302, {"Location": "/x"}), PlatformErrorCode.BAD_RESPONSE, False),
        (JSONResponse({"message": "no"}, 200), PlatformErrorCode.REFUSED, False),
    ],
)
async def test_a_failed_creation_says_whether_it_may_have_taken_effect(
    server: Scripted, platform: CarePlatform, reply: Response, code: PlatformErrorCode, *, ambiguous: bool
) -> None:
    _ready(server, reply)
    error = await _put_error(platform)
    assert (error.code, error.ambiguous) == (code, ambiguous)


@pytest.mark.parametrize("status", [422, 200])
async def test_a_refusal_names_fields_and_repeats_no_words(
    server: Scripted, platform: CarePlatform, status: int
) -> None:
    errors = {"upload_url": "is gone", "first_name": "Alva is not valid", "Alva Dickinson": "is no field"}
    _ready(server, JSONResponse({"message": "Alva Dickinson cannot be saved", "errors": errors}, status))
    error = await _put_error(platform)
    assert (error.code, error.retryable) == (PlatformErrorCode.REFUSED, False)
    assert error.detail == f"the platform answered {status}, refused: first_name, upload_url"


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "7", "X-RateLimit-Reset": "1795169999"}, 7),
        ({"X-RateLimit-Reset": "1795168812", "Date": "Fri, 20 Nov 2026 10:00:00 GMT"}, 12),
        ({}, None),
    ],
)
async def test_a_throttling_platform_says_how_long(
    server: Scripted, platform: CarePlatform, headers: dict[str, str], wait: float | None
) -> None:
    server.on(PRESIGN, Response("", 429, headers))
    error = await _put_error(platform)
    assert (error.code, error.retry_after) == (PlatformErrorCode.THROTTLED, wait)


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Response("", 413), PlatformErrorCode.TOO_LARGE),
        (Response("<Error><Code>EntityTooLarge</Code></Error>", 400), PlatformErrorCode.TOO_LARGE),
        (Response("<Error><Code>AccessDenied</Code></Error>", 403), PlatformErrorCode.REFUSED),
        (Response("", 500), PlatformErrorCode.UNAVAILABLE),
        (Cut(), PlatformErrorCode.UNREACHABLE),
    ],
)
async def test_a_failed_upload_creates_nothing_and_is_not_ambiguous(
    server: Scripted, platform: CarePlatform, reply: Response, code: PlatformErrorCode
) -> None:
    _ready(server)
    server.on("POST /upload", reply)
    error = await _put_error(platform)
    assert (error.code, error.ambiguous) == (code, False)
    assert CREATE not in server.paths()


async def test_a_connection_that_never_came_about_is_not_ambiguous() -> None:
    async with connect_platform(
        PlatformConnection(PlatformKind.CAREPATRON, "http://127.0.0.1:1", networks=LOOPBACK)
    ) as platform:
        error = await _put_error(platform)
    assert (error.code, error.ambiguous) == (PlatformErrorCode.UNREACHABLE, False)


@pytest.mark.parametrize("url", ["ftp://x/y", "nonsense", "http://127.0.0.1:99999/x"])
async def test_an_upload_address_that_is_none_is_a_platform_error(
    server: Scripted, platform: CarePlatform, url: str
) -> None:
    server.on(PRESIGN, JSONResponse({"url": url, "fields": {}}))
    assert (await _put_error(platform)).code is PlatformErrorCode.REFUSED


async def test_a_file_is_not_sent_unencrypted_where_the_platform_itself_is_encrypted(server: Scripted) -> None:
    connection = PlatformConnection(PlatformKind.CAREPATRON, "https://platform.example.test")
    async with open_client(connect_seconds=2, read_seconds=5, user_agent="t", allow=LOOPBACK) as client:
        with pytest.raises(PlatformError) as caught:
            await Exchange(client, connection).upload(
                f"{server.origin}/upload", {}, ("a.pdf", b"%PDF", "application/pdf")
            )
    assert caught.value.code is PlatformErrorCode.BAD_RESPONSE
    assert server.paths() == []


async def test_what_the_platform_has_is_found_on_every_page(server: Scripted, platform: CarePlatform) -> None:
    def listed(asked: Asked) -> Response:
        rows = [_attachment(str(n), f"r{n}", done=n == 3) for n in range(5)]
        start = 2 * (int(asked.query["page"]) - 1)
        return JSONResponse({"patient_attachments": rows[start : start + 2], "total_entries": 5})

    server.on("GET /api/patient_attachments", listed)
    found = await platform.find("101", {"r1", "r3", "absent"})
    assert found == {
        "r1": Receipt("1", "r1", ReceiptState.PROCESSING),
        "r3": Receipt("3", "r3", ReceiptState.CONFIRMED),
    }
    assert [asked.query["page"] for asked in server.asked] == ["1", "2", "3"]
    assert set(await platform.find("101", {"r0"})) == {"r0"}
    assert len(server.asked) == 4


async def test_without_a_total_the_list_ends_with_a_page_that_brings_nothing_new(
    server: Scripted, platform: CarePlatform
) -> None:
    server.on("GET /api/patient_attachments", JSONResponse({"patient_attachments": [_attachment()]}))
    assert await platform.find("101", {"absent"}) == {}
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ({"patient_attachments": [_attachment()], "total_entries": 3}, PlatformErrorCode.UNAVAILABLE),
        ({"message": "try later"}, PlatformErrorCode.REFUSED),
        ({}, PlatformErrorCode.BAD_RESPONSE),
        ([], PlatformErrorCode.BAD_RESPONSE),
    ],
)
async def test_half_a_list_is_never_taken_for_an_absence(
    server: Scripted, platform: CarePlatform, reply: object, code: PlatformErrorCode
) -> None:
    server.on("GET /api/patient_attachments", JSONResponse(reply))
    with pytest.raises(PlatformError) as caught:
        await platform.find("101", {"absent"})
    assert caught.value.code is code


async def test_a_receipt_is_followed_until_it_is_processed(server: Scripted, platform: CarePlatform) -> None:
    pending, done = JSONResponse(_attachment()), JSONResponse(_attachment(done=True))
    server.on("GET /api/patient_attachments/9", pending, done)
    assert await platform.confirm("9") is ReceiptState.PROCESSING
    assert await platform.confirm("9") is ReceiptState.CONFIRMED
    with pytest.raises(PlatformError) as caught:
        await platform.confirm("10")
    assert caught.value.code is PlatformErrorCode.NOT_FOUND


async def test_an_archived_document_is_deleted_and_one_that_is_gone_is_no_error(
    server: Scripted, platform: CarePlatform
) -> None:
    server.on("DELETE /api/patient_attachments/9", Response(status_code=204), Response("", 404), Response("", 500))
    await platform.archive("9")
    await platform.archive("9")
    with pytest.raises(PlatformError) as caught:
        await platform.archive("9")
    assert (caught.value.code, caught.value.ambiguous) == (PlatformErrorCode.UNAVAILABLE, False)
    assert server.paths() == ["DELETE /api/patient_attachments/9"] * 3


async def test_changes_are_what_the_list_shows_beside_what_we_know(server: Scripted, platform: CarePlatform) -> None:
    foreign = _attachment("3") | {"external_id": None, "created_at": "2026-11-20T10:00:00Z"}
    rows = [
        _attachment("1", "r1", done=True),
        _attachment("2", "r2"),
        foreign,
        foreign | {"id": "4", "created_at": "2020-01-01T00:00:00Z"},
    ]
    server.on("GET /api/patient_attachments", JSONResponse({"patient_attachments": rows, "total_entries": 4}))
    changes = await platform.changes("101", ["1", "2", "9"], datetime(2026, 1, 1, tzinfo=UTC))
    assert changes == Changes(frozenset({"1"}), frozenset({"9"}), frozenset({"3"}))


@pytest.mark.parametrize(
    "reply", [Response("", 507), JSONResponse({"message": "No room", "errors": {"quota": "is used up"}}, 422)]
)
async def test_a_platform_without_room_says_so_in_either_way(
    server: Scripted, platform: CarePlatform, reply: Response
) -> None:
    _ready(server, reply)
    error = await _put_error(platform)
    assert (error.code, error.of_one_document, error.retryable) == (PlatformErrorCode.FULL, False, False)


def test_there_is_no_adapter_for_no_platform() -> None:
    with pytest.raises(ValueError, match="NONE"):
        connect_platform(PlatformConnection(PlatformKind.NONE))
