"""Large attachments: in files, whole, exactly as they were sent, and nothing is left of those that fail."""

import base64
import gzip
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from starlette.responses import Response, StreamingResponse

from app.connectors.provider import connect
from app.connectors.provider.fhir.attachments import MAX_JSON
from app.connectors.provider.fhir.binary import _decode
from app.connectors.provider.port import Attachment, Connection, Fetched, Limits, ProviderError, ProviderErrorCode
from app.core.settings import LOOPBACK
from app.core.spool import BLOCK, SMALL, Spool
from tests.connectors.scripted import Asked, Reply, Scripted, fhir

MEGABYTE = 1024 * 1024
PDF = b"%PDF-1.7\n" + os.urandom(3 * MEGABYTE + 1)
LIMITS = Limits(read_seconds=20, total_seconds=40, attachment_bytes=20 * MEGABYTE)

Fetch = Callable[[Attachment], Awaitable[Fetched]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "tmp"


@pytest.fixture
def fetch(server: Scripted, elsewhere: Scripted, folder: Path) -> Fetch:
    async def fetched(attachment: Attachment) -> Fetched:
        connection = Connection(
            server.base, file_hosts=(elsewhere.place,), limits=LIMITS, networks=LOOPBACK, spool=Spool(folder)
        )
        async with connect(connection) as provider:
            return await provider.fetch(attachment)

    return fetched


def left(folder: Path) -> list[Path]:
    return [*folder.iterdir()] if folder.is_dir() else []


def content(fetched: Fetched) -> bytes:
    assert fetched.file is not None
    assert fetched.data == b""
    data = fetched.file.path.read_bytes()
    assert (fetched.file.size, fetched.file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    fetched.close()
    return data


def binary(data: bytes | str, content_type: str = "application/pdf") -> bytes:
    packed = base64.b64encode(data).decode() if isinstance(data, bytes) else data
    return f'{{"resourceType":"Binary","contentType":"{content_type}","data":"{packed}"}}'.encode()


def escaped(packed: str) -> str:
    return packed.replace("/", "\\/").replace("+", "\\u002B")


def in_lines(packed: str) -> str:
    return "\\r\\n".join(packed[start : start + 76] for start in range(0, len(packed), 76))


async def test_what_is_small_stays_in_memory(server: Scripted, folder: Path, fetch: Fetch) -> None:
    server.on("GET /fhir/Binary/1", Response(PDF[:SMALL], media_type="application/pdf"))
    fetched = await fetch(Attachment(url=f"{server.base}/Binary/1"))
    assert (fetched.content, fetched.file, left(folder)) == (PDF[:SMALL], None, [])


@pytest.mark.parametrize("packed", [False, True])
async def test_what_is_larger_goes_to_a_file(server: Scripted, folder: Path, fetch: Fetch, packed: bool) -> None:
    headers = {"Content-Encoding": "gzip"} if packed else {}
    body = gzip.compress(PDF, 1) if packed else PDF
    server.on("GET /fhir/Binary/1", Response(body, headers=headers, media_type="application/pdf"))
    fetched = await fetch(Attachment(url=f"{server.base}/Binary/1"))
    assert fetched.content_type == "application/pdf"
    assert len(left(folder)) == 1
    assert content(fetched) == PDF
    assert left(folder) == []


async def test_another_hosts_file_goes_to_a_file_too(elsewhere: Scripted, folder: Path, fetch: Fetch) -> None:
    elsewhere.on("GET /1.pdf", Response(PDF))
    assert content(await fetch(Attachment(url=f"{elsewhere.origin}/1.pdf"))) == PDF


@pytest.mark.parametrize(
    "spelt",
    [
        str,
        escaped,
        in_lines,
    ],
)
async def test_a_large_binary_is_unpacked(
    server: Scripted, folder: Path, fetch: Fetch, spelt: Callable[[str], str]
) -> None:
    body = binary(spelt(base64.b64encode(PDF).decode()))
    server.on("GET /fhir/Binary/1", Response(body, media_type="application/fhir+json"))
    fetched = await fetch(Attachment("application/pdf", url=f"{server.base}/Binary/1"))
    assert fetched.content_type == "application/pdf"
    assert len(left(folder)) == 1
    assert content(fetched) == PDF


@pytest.mark.parametrize("offset", range(8))
def test_no_escape_is_torn_apart(offset: int) -> None:
    """Escapes of every place relative to the blocks in which they are read."""
    data = b"\xff" * (BLOCK // 3 * 3 + 30)
    packed = base64.b64encode(data).decode()
    assert set(packed) == {"/"}
    start = BLOCK - 4 - offset
    written: list[bytes] = []
    text = f'"{packed[:start]}{packed[start:].replace("/", chr(92) + "u002f")}"'
    _decode(memoryview(text.encode()), written.append)
    assert b"".join(written) == data


async def test_large_json_that_is_no_binary_is_the_document_itself(
    server: Scripted, folder: Path, fetch: Fetch
) -> None:
    body = b'{"resourceType":"Bundle","type":"document","x":"%b"}' % (b"y" * 2 * MEGABYTE)
    server.on("GET /fhir/Binary/1", Response(body, media_type="application/fhir+json"))
    assert content(await fetch(Attachment("application/fhir+json", url=f"{server.base}/Binary/1"))) == body


async def _endless_json() -> AsyncIterator[bytes]:
    yield b'{"resourceType":"Binary","data":"'
    for _ in range(50):
        yield b"QUJD" * (MEGABYTE // 4)
    yield b'"}'


async def _endless() -> AsyncIterator[bytes]:
    for _ in range(200):
        yield b"x" * MEGABYTE


def endless(_: Asked) -> Response:
    return StreamingResponse(_endless())


def endless_refusal(_: Asked) -> Response:
    return StreamingResponse(_endless(), 404)


def endless_json(_: Asked) -> Response:
    return StreamingResponse(_endless_json(), media_type="application/json")


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (endless, ProviderErrorCode.TOO_LARGE),
        (endless_json, ProviderErrorCode.TOO_LARGE),
        (Response(binary(b"x" * MAX_JSON), media_type="application/fhir+json"), ProviderErrorCode.TOO_LARGE),
        (
            Response(gzip.compress(b"\0" * 15 * MEGABYTE), headers={"Content-Encoding": "gzip"}),
            ProviderErrorCode.TOO_LARGE,
        ),
        (
            Response(gzip.compress(PDF)[:-4], headers={"Content-Encoding": "gzip"}, media_type="application/pdf"),
            ProviderErrorCode.BAD_RESPONSE,
        ),
        (Response(binary("!" * 2 * MEGABYTE), media_type="application/json"), ProviderErrorCode.BAD_RESPONSE),
        (Response(binary("QQ==" * MEGABYTE), media_type="application/json"), ProviderErrorCode.BAD_RESPONSE),
        (Response(binary("QUJD" * MEGABYTE + "QQ="), media_type="application/json"), ProviderErrorCode.BAD_RESPONSE),
        (Response(binary("ä" * MEGABYTE), media_type="application/json"), ProviderErrorCode.BAD_RESPONSE),
        (Response(b"[" * 2 * MEGABYTE, media_type="application/json"), ProviderErrorCode.BAD_RESPONSE),
        (Response(b'{"a":' * 100_000, media_type="application/json"), ProviderErrorCode.BAD_RESPONSE),
        (Response(b'{"a":' * MEGABYTE, media_type="application/json"), ProviderErrorCode.BAD_RESPONSE),
        (Response(b"<html>" + PDF, media_type="text/html"), ProviderErrorCode.BAD_RESPONSE),
        (Response(PDF, 500), ProviderErrorCode.UNAVAILABLE),
        (endless_refusal, ProviderErrorCode.NOT_FOUND),
        (fhir({"resourceType": "OperationOutcome", "issue": [{"code": "deleted"}]}), ProviderErrorCode.GONE),
    ],
)
async def test_of_what_fails_nothing_is_left(
    server: Scripted, folder: Path, fetch: Fetch, reply: Reply, code: ProviderErrorCode
) -> None:
    server.on("GET /fhir/Binary/1", reply)
    with pytest.raises(ProviderError) as caught:
        await fetch(Attachment("application/pdf", url=f"{server.base}/Binary/1"))
    assert caught.value.code is code
    assert left(folder) == []


async def test_a_binary_of_no_data_is_an_empty_file(server: Scripted, fetch: Fetch) -> None:
    padding = b" " * 2 * MEGABYTE
    body = b'{"resourceType":"Binary","contentType":"text/plain","data":null}' + padding
    server.on("GET /fhir/Binary/1", Response(body, media_type="application/fhir+json"))
    assert content(await fetch(Attachment(url=f"{server.base}/Binary/1"))) == b""


async def test_a_page_of_more_than_sixteen_megabytes_is_too_large(server: Scripted) -> None:
    async def page() -> AsyncIterator[bytes]:
        yield b'{"resourceType":"Bundle","type":"searchset","entry":[],"x":"'
        for _ in range(20):
            yield b"x" * MEGABYTE
        yield b'"}'

    def answer(_: Asked) -> Response:
        return StreamingResponse(page(), media_type="application/fhir+json")

    server.on("GET /fhir/DocumentReference", answer)
    async with connect(Connection(server.base, networks=LOOPBACK, page_size=1)) as provider:
        with pytest.raises(ProviderError) as caught:
            await provider.page("DocumentReference", "p")
    assert caught.value.code is ProviderErrorCode.TOO_LARGE
