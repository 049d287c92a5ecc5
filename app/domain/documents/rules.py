"""What a document is, as values: hashes, joins, changes. No I/O."""

import base64
import hashlib
import mimetypes
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlsplit, urlunsplit

from app.connectors.provider.port import Attachment, DocumentType, Entry, ResourceStatus
from app.core.db import Json
from app.core.errors import invalid
from app.core.reading import Reading
from app.core.spool import Content, Measured, measure
from app.domain.documents.models import DocumentStatus, HealthcareDocument, Integrity

EXCERPT = 500
MAX_TITLE = 300
MAX_UPLOAD = 10 * 1024 * 1024
LEADING = "DocumentReference"
"""Where a note stands in two resources (US Core, clinical notes), this one names it."""
SUPERSEDING = frozenset({"replaces", "transforms"})
SIGNIFICANT = frozenset({"content", "status", "type"})
STATUSES = {
    ResourceStatus.CURRENT: DocumentStatus.CURRENT,
    ResourceStatus.SUPERSEDED: DocumentStatus.SUPERSEDED,
    ResourceStatus.ENTERED_IN_ERROR: DocumentStatus.RETRACTED,
}
NAMELESS = re.compile(r"[^\w.\- ]+")


class Outcome(StrEnum):
    """What receiving a resource came to."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    UNCHANGED = "UNCHANGED"
    JOINED = "JOINED"
    WITHDRAWN = "WITHDRAWN"
    SKIPPED = "SKIPPED"
    SETTLED = "SETTLED"
    """Not received itself: what another resource says has made it hold no longer, or hold again."""


@dataclass(frozen=True, slots=True)
class IncomingFile:
    """A file as it arrived. `sha256` is hex, None where the bytes could not be had: then `missing` says why."""

    content_type: str
    filename: str
    size: int | None
    sha256: str | None
    compared: bytes
    integrity: Integrity
    missing: str | None
    text: str
    link_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Contents:
    """The formats of one document."""

    files: tuple[IncomingFile, ...]

    @property
    def incomplete(self) -> bool:
        return any(file.sha256 is None for file in self.files)

    @property
    def hash(self) -> bytes:
        return hashlib.sha256(b"".join(sorted(file.compared for file in self.files))).digest()

    @property
    def text(self) -> str:
        """The formats of a document say the same; the longest says it most completely."""
        return max((file.text for file in self.files), key=len, default="")

    @property
    def link_keys(self) -> list[str]:
        return sorted({key for file in self.files for key in file.link_keys})


@dataclass(frozen=True, slots=True)
class Incoming:
    """A resource with its files, ready to be stored."""

    entry: Entry
    contents: Contents

    @property
    def replaces(self) -> list[str]:
        return sorted({relation.target for relation in self.entry.relations if relation.code in SUPERSEDING})


def arrived(attachment: Attachment, content: Content, reading: Reading, title: str, position: int) -> IncomingFile:
    """A file whose bytes are here, and what was read in it. The declared size and hash are reported on, not trusted."""
    measured = measure(content)
    return IncomingFile(
        content_type=_with_charset(reading.content_type, attachment.content_type),
        filename=filename(attachment.title or title, reading.content_type, position),
        size=measured.size,
        sha256=measured.sha256,
        compared=reading.digest,
        integrity=_integrity(attachment, measured),
        missing=None,
        text=reading.text,
        link_keys=(f"sha256:{measured.sha256}", *_url_key(attachment)),
    )


def missing(attachment: Attachment, why: str, title: str, position: int) -> IncomingFile:
    """A file that the provider names but did not hand over."""
    return IncomingFile(
        content_type=attachment.content_type or "application/octet-stream",
        filename=filename(attachment.title or title, attachment.content_type, position),
        size=None,
        sha256=None,
        compared=hashlib.sha256(f"missing {position}".encode()).digest(),
        integrity=Integrity.MISSING,
        missing=why,
        text="",
        link_keys=_url_key(attachment),
    )


def _integrity(attachment: Attachment, measured: Measured) -> Integrity:
    """Attachment.hash is a SHA-1 in base64 (FHIR R4, datatypes.html#attachment)."""
    size_wrong = attachment.declared_size is not None and attachment.declared_size != measured.size
    sha1 = base64.b64encode(measured.sha1).decode()
    if size_wrong or (attachment.declared_sha1 and attachment.declared_sha1 != sha1):
        return Integrity.MISMATCHED
    return Integrity.VERIFIED if attachment.declared_sha1 else Integrity.UNDECLARED


def _url_key(attachment: Attachment) -> tuple[str, ...]:
    """Addresses are compared without their query: presigned ones differ on every read."""
    if not attachment.url:
        return ()
    return (f"url:{urlunsplit(urlsplit(attachment.url)._replace(query='', fragment=''))}",)


def _with_charset(kind: str, declared: str) -> str:
    """Text keeps the charset that its source declared for it."""
    _, found, parameters = declared.partition(";")
    return f"{kind};{parameters}" if found and kind.startswith("text/") else kind


def filename(title: str, content_type: str, position: int) -> str:
    """A name that any file system takes, with the extension of the type."""
    stem = " ".join(NAMELESS.sub(" ", title).split())[:100].strip(". ") or "document"
    media = content_type.partition(";")[0].strip()
    extension = ".xml" if media == "application/hl7-v3+xml" else mimetypes.guess_extension(media) or ".bin"
    if stem.lower().endswith(extension):
        stem = stem[: -len(extension)]
    return f"{stem}{f' {position + 1}' if position else ''}{extension}"


def checked_title(title: str) -> str:
    title = " ".join(title.split())
    if not title or len(title) > MAX_TITLE:
        raise invalid(f"A title has between 1 and {MAX_TITLE} characters.", "title")
    return title


def checked_size(data: bytes) -> None:
    if not 0 < len(data) <= MAX_UPLOAD:
        raise invalid(f"A file has between 1 byte and {MAX_UPLOAD // 1024 // 1024} MB.", "data")


def excerpt(text: str) -> str | None:
    return " ".join(text[: EXCERPT * 2].split())[:EXCERPT] or None


def plain(value: datetime | str | bytes | None) -> str | None:
    match value:
        case None:
            return None
        case datetime():
            return value.isoformat()
        case bytes():
            return value.hex()[:12]
        case _:
            return str(value)


def change(field: str, before: datetime | str | bytes | None, after: datetime | str | bytes | None) -> Json | None:
    """A line of a version's changes, None where nothing changed; content is named by the start of its hash."""
    if before == after:
        return None
    return {
        "field": field,
        "before": plain(before),
        "after": plain(after),
        "significant": field in SIGNIFICANT,
    }


def changes(
    document: HealthcareDocument, *, title: str, kind: DocumentType, date: datetime | None, author: str, content: bytes
) -> list[Json]:
    lines = (
        change("content", document.content_hash, content),
        change("title", document.title, title),
        change("type", document.type, kind),
        change("date", document.date, date),
        change("author", document.author, author),
    )
    return [line for line in lines if line]


def is_significant(lines: Iterable[Json]) -> bool:
    return any(line["significant"] for line in lines)
