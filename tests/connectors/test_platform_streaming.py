"""A large file reaches a platform piece by piece and unchanged."""

import base64
import json
import os
from collections.abc import AsyncIterator
from email import message_from_bytes, policy

import pytest
from starlette.responses import JSONResponse, Response

from app.connectors.platform import connect_platform
from app.connectors.platform.port import Outgoing, PlatformConnection, PlatformError, PlatformErrorCode, PlatformKind
from app.core.blobs import BlobMissingError, Stored
from app.core.settings import LOOPBACK
from tests.connectors.scripted import Asked, Scripted

DATA = os.urandom(3_000_001)
PRESIGN = "GET /patients/101/attachment_presigned_post"


def stored(data: bytes = DATA, size: int | None = None, *, missing: bool = False) -> Stored:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(data), 100_001):
            yield data[start : start + 100_001]
        if missing:
            raise BlobMissingError

    return Stored(len(data) if size is None else size, chunks)


def outgoing(data: bytes | Stored) -> Outgoing:
    return Outgoing("doc-ref-1", "sümmary.pdf", "application/pdf", "Summary", data)


def parts(asked: Asked) -> dict[str, bytes]:
    head = f"Content-Type: {asked.headers['content-type']}\r\n\r\n".encode()
    found = message_from_bytes(head + asked.body, policy=policy.HTTP)
    return {
        str(it.get_param("name", header="content-disposition")): it.get_payload(decode=True)  # type: ignore[misc]
        for it in found.iter_parts()  # type: ignore[attr-defined]
    }


def ready(server: Scripted, upload: Response | None = None) -> None:
    fields = {"key": "tmp/1/${filename}", "policy": "p"}
    server.on(PRESIGN, JSONResponse({"url": f"{server.origin}/upload", "fields": fields}))
    server.on("POST /upload", upload or Response("<PostResponse><Key>tmp/1/a</Key></PostResponse>", 201))
    done = {"id": "9", "processing_completed": True, "external_id": "doc-ref-1"}
    server.on("POST /patient_attachments", JSONResponse(done, 201))


async def put(server: Scripted, document: Outgoing, kind: PlatformKind = PlatformKind.CAREPATRON) -> str:
    connection = PlatformConnection(kind, server.origin, "key", networks=LOOPBACK)
    async with connect_platform(connection) as platform:
        return (await platform.put("101", document)).attachment_id


async def test_a_form_is_the_same_whether_its_file_is_held_or_streamed(server: Scripted) -> None:
    forms: list[dict[str, bytes]] = []
    for data in (DATA, stored()):
        ready(server)
        server.asked.clear()
        assert await put(server, outgoing(data)) == "9"
        upload = server.asked[1]
        assert "transfer-encoding" not in upload.headers
        assert int(upload.headers["content-length"]) == len(upload.body)
        assert "authorization" not in upload.headers
        forms.append(parts(upload))
    assert forms[0] == forms[1]
    assert (forms[0]["file"], [*forms[0]][-1]) == (DATA, "file")


@pytest.mark.parametrize("more", [0, 1, 2])
async def test_a_data_url_is_streamed_too(server: Scripted, more: int) -> None:
    data = DATA[: 300_000 + more]
    server.on("POST /graphql", JSONResponse({"data": {"createDocument": {"document": {"id": "7"}}}}))
    assert await put(server, outgoing(stored(data)), PlatformKind.HEALTHIE) == "7"
    given = json.loads(server.asked[0].body)["variables"]["input"]
    head, _, packed = given["file_string"].partition(",")
    assert (head, base64.b64decode(packed, validate=True)) == ("data:application/pdf;base64", data)


async def test_a_file_that_our_store_has_lost_is_not_half_sent(server: Scripted) -> None:
    ready(server)
    with pytest.raises(BlobMissingError):
        await put(server, outgoing(stored(missing=True)))
    assert "POST /patient_attachments" not in server.paths()


@pytest.mark.parametrize("size", [len(DATA) - 1, len(DATA) + 1])
async def test_a_file_of_another_size_than_was_said_is_refused(server: Scripted, size: int) -> None:
    ready(server)
    with pytest.raises(PlatformError) as caught:
        await put(server, outgoing(stored(size=size)))
    assert not caught.value.ambiguous
    assert "POST /patient_attachments" not in server.paths()


async def test_a_storage_that_refuses_a_large_file_is_heard(server: Scripted) -> None:
    ready(server, Response("<Error><Code>EntityTooLarge</Code></Error>", 400))
    with pytest.raises(PlatformError) as caught:
        await put(server, outgoing(stored()))
    assert caught.value.code is PlatformErrorCode.TOO_LARGE
