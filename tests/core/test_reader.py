"""Files are read in a process of its own, from the bytes or by their name, with the same result."""

from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest
from fpdf import FPDF

from app.core.reader import Reader
from app.core.reading import CDA_TYPE, MAX_TEXT, read
from app.core.spool import Spool, Spooled

CDA = b'<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3"><id root="%b"/><title>Summary of %b</title></ClinicalDocument>'


@pytest.fixture
async def reader() -> AsyncGenerator[Reader]:
    opened = Reader()
    yield opened
    await opened.close()


async def spooled(folder: Path, data: bytes) -> Spooled:
    async def pieces() -> AsyncIterator[bytes]:
        yield data

    return await Spool(folder).fill(pieces())


def pdf(words: str) -> bytes:
    made = FPDF()
    made.add_page()
    made.set_font("helvetica", size=12)
    made.multi_cell(0, 8, words)
    return bytes(made.output())


@pytest.mark.parametrize(
    ("data", "declared", "kind"),
    [
        (pdf("Eats well."), "", "application/pdf"),
        (CDA % (b"1", b"May"), "text/xml", CDA_TYPE),
        ("Grüße".encode("utf-16"), "text/plain", "text/plain"),
        (b"Eats well. " * 200_000, "text/plain; charset=utf-8", "text/plain"),
        (b"<html><p>Eats well.</p>", "", "text/html"),
        (b"\x89PNG\r\n\x1a\n...", "", "image/png"),
        (b"PK\x03\x04...", "", "application/zip"),
        (b"\x00\x01\x02", "application/pdf", "application/octet-stream"),
        (b"", "", "application/octet-stream"),
    ],
)
async def test_a_file_is_read_as_its_bytes_are(
    reader: Reader, tmp_path: Path, data: bytes, declared: str, kind: str
) -> None:
    from_bytes = await reader.read(data, declared)
    with await spooled(tmp_path, data) as file:
        from_file = await reader.read(file, declared)
    assert from_file == from_bytes == read(data, declared)
    assert from_file.content_type == kind
    assert len(from_file.text) <= MAX_TEXT


async def test_a_large_cda_with_a_fresh_id_compares_equal(reader: Reader, tmp_path: Path) -> None:
    with (
        await spooled(tmp_path, CDA % (b"1", b"May")) as first,
        await spooled(tmp_path, CDA % (b"2", b"May")) as second,
    ):
        assert first.sha256 != second.sha256
        assert (await reader.read(first, "")).digest == (await reader.read(second, "")).digest


async def test_what_holds_no_words_needs_no_process(reader: Reader, tmp_path: Path) -> None:
    with await spooled(tmp_path, b"GIF89a" + b"\x00" * 100) as file:
        found = await reader.read(file, "image/gif")
        assert (found.content_type, found.digest.hex()) == ("image/gif", file.sha256)
    assert reader._process is None


async def test_a_file_that_is_gone_has_no_words_and_the_next_one_is_read(reader: Reader, tmp_path: Path) -> None:
    with await spooled(tmp_path, pdf("Eats well.")) as file:
        data = file.path.read_bytes()
        head = file.head
        file.head = lambda size: data[:size]  # type: ignore[method-assign]
        file.path.unlink()
        assert (await reader.read(file, "")).text == ""
        file.head = head  # type: ignore[method-assign]
    assert (await reader.read(data, "")).text == "Eats well."
