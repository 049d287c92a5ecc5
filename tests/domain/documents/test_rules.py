"""What a document is, as values."""

import base64
import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest

from app.connectors.provider.port import Attachment, DocumentType
from app.core.errors import ErrorCode, Refusal
from app.core.reading import read
from app.domain.documents import rules
from app.domain.documents.models import HealthcareDocument, Integrity
from app.domain.documents.rules import Contents, IncomingFile
from tests.domain.rows import refusal_of

DATA = b"Eats well."
SHA1 = base64.b64encode(hashlib.sha1(DATA).digest()).decode()
DAY = datetime(2025, 3, 1, tzinfo=UTC)


def arrived(data: bytes = DATA, position: int = 0, **given: Any) -> IncomingFile:
    values: dict[str, Any] = {"content_type": "text/plain"}
    attachment = Attachment(**values | given)
    return rules.arrived(attachment, data, read(data, attachment.content_type), "Progress note", position)


def document() -> HealthcareDocument:
    return HealthcareDocument(
        title="Note",
        type=DocumentType.PROGRESS_NOTE,
        date=DAY,
        author="Dr. A",
        content_hash=Contents((arrived(),)).hash,
    )


@pytest.mark.parametrize(
    ("declared", "integrity"),
    [
        ({}, Integrity.UNDECLARED),
        ({"declared_size": len(DATA)}, Integrity.UNDECLARED),
        ({"declared_sha1": SHA1}, Integrity.VERIFIED),
        ({"declared_sha1": SHA1, "declared_size": len(DATA)}, Integrity.VERIFIED),
        ({"declared_sha1": SHA1, "declared_size": len(DATA) + 1}, Integrity.MISMATCHED),
        ({"declared_size": 0}, Integrity.MISMATCHED),
        ({"declared_sha1": SHA1[:-2] + "A="}, Integrity.MISMATCHED),
        ({"declared_sha1": hashlib.sha1(DATA).hexdigest()}, Integrity.MISMATCHED),
    ],
)
def test_a_file_is_held_against_what_was_declared_of_it(declared: dict[str, Any], integrity: Integrity) -> None:
    assert arrived(**declared).integrity is integrity


def test_a_file_is_known_by_its_bytes_and_by_its_address_without_what_changes_on_every_read() -> None:
    first = arrived(url="https://files.example.test/a/1?signature=x&expires=1#page")
    second = arrived(b"other", url="https://files.example.test/a/1?signature=y")
    assert first.link_keys == (f"sha256:{hashlib.sha256(DATA).hexdigest()}", "url:https://files.example.test/a/1")
    assert set(first.link_keys) & set(second.link_keys) == {"url:https://files.example.test/a/1"}
    assert arrived().link_keys == (f"sha256:{hashlib.sha256(DATA).hexdigest()}",)


def test_a_missing_file_is_named_and_makes_the_document_incomplete() -> None:
    file = rules.missing(Attachment("application/pdf", url="https://f.example.test/1"), "PROVIDER_GONE", "Letter", 1)
    assert (file.filename, file.sha256, file.integrity, file.missing) == (
        "Letter 2.pdf",
        None,
        Integrity.MISSING,
        "PROVIDER_GONE",
    )
    whole, part = Contents((arrived(),)), Contents((arrived(), file))
    assert (whole.incomplete, part.incomplete) == (False, True)
    assert whole.hash != part.hash


def test_the_formats_of_a_document_may_come_in_any_order() -> None:
    one, other = arrived(b"short"), arrived(b"the longer of the two", position=1)
    assert Contents((one, other)).hash == Contents((other, one)).hash
    assert Contents((one, other)).text == "the longer of the two"
    assert Contents(()).text == ""


@pytest.mark.parametrize(
    ("title", "content_type", "position", "name"),
    [
        ("Progress note", "application/pdf", 0, "Progress note.pdf"),
        ("Progress note.pdf", "application/pdf", 0, "Progress note.pdf"),
        ("Progress note.PDF", "application/pdf", 1, "Progress note 2.pdf"),
        ("../../etc/passwd", "text/plain", 0, "etc passwd.txt"),
        ('a/b\\c:d*e?f"g<h>i|j', "text/plain; charset=utf-8", 0, "a b c d e f g h i j.txt"),
        ("\x00\r\n\u202e", "text/plain", 0, "document.txt"),
        ("", "application/hl7-v3+xml", 0, "document.xml"),
        ("Befund für Zoë", "image/png", 0, "Befund für Zoë.png"),
        ("x", "no/such-type", 0, "x.bin"),
        ("...", "", 0, "document.bin"),
        ("n" * 500, "text/plain", 0, "n" * 100 + ".txt"),
    ],
)
def test_a_file_has_a_name_that_any_system_takes(title: str, content_type: str, position: int, name: str) -> None:
    assert rules.filename(title, content_type, position) == name


def test_changes_name_what_differs_with_before_and_after() -> None:
    row = document()
    same = {"title": row.title, "kind": row.type, "date": row.date, "author": row.author, "content": row.content_hash}
    assert rules.changes(row, **same) == []  # pyright: ignore[reportArgumentType]
    later = datetime(2025, 3, 2, tzinfo=UTC)
    lines = rules.changes(row, title="New", kind=DocumentType.LETTER, date=later, author="", content=b"\x01" * 32)
    assert [(line["field"], line["significant"]) for line in lines] == [
        ("content", True),
        ("title", False),
        ("type", True),
        ("date", False),
        ("author", False),
    ]
    assert lines[0]["after"] == "01" * 6
    assert (lines[3]["before"], lines[3]["after"]) == (DAY.isoformat(), later.isoformat())


def test_what_a_dietician_should_look_at_is_significant() -> None:
    title, content = rules.change("title", "a", "b"), rules.change("content", b"a", b"b")
    assert title
    assert content
    assert not rules.is_significant([])
    assert not rules.is_significant([title])
    assert rules.is_significant([title, content])
    assert rules.change("date", None, None) is None
    assert rules.change("date", None, DAY) == {
        "field": "date",
        "before": None,
        "after": DAY.isoformat(),
        "significant": False,
    }


def test_text_keeps_its_declared_charset_and_nothing_else_does() -> None:
    assert arrived(content_type="text/plain; charset=iso-8859-1").content_type == "text/plain; charset=iso-8859-1"
    assert arrived(b"%PDF-1.7", content_type="text/plain; charset=utf-8").content_type == "application/pdf"


def test_a_list_shows_the_opening_of_a_text() -> None:
    assert rules.excerpt("") is None
    assert rules.excerpt(" \n ") is None
    assert rules.excerpt("a\n\n b") == "a b"
    assert rules.excerpt("x" * 5000) == "x" * rules.EXCERPT


@pytest.mark.parametrize("title", ["", "  ", "t" * 301])
def test_a_title_that_is_none_is_refused(title: str) -> None:
    with pytest.raises(Refusal) as refused:
        rules.checked_title(title)
    assert refusal_of(refused) == (ErrorCode.INVALID, ("title",))


@pytest.mark.parametrize("size", [0, rules.MAX_UPLOAD + 1])
def test_an_upload_has_a_size(size: int) -> None:
    rules.checked_size(b"x" * rules.MAX_UPLOAD)
    with pytest.raises(Refusal) as refused:
        rules.checked_size(b"x" * size)
    assert refused.value.code is ErrorCode.INVALID
