"""How documents get into the tables: new ones a whole page at a time, further versions one by one."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.provider.port import Entry, ResourceStatus
from app.core.db import Json, copy
from app.core.ids import uuid7
from app.domain.documents import rules
from app.domain.documents.models import (
    DocumentSource,
    DocumentStatus,
    DocumentText,
    DocumentVersion,
    File,
    HealthcareDocument,
)
from app.domain.documents.rules import Contents, Incoming

WORDS = """
    setweight(to_tsvector('english', concat_ws(' ', {title}, {author})), 'A')
    || setweight(to_tsvector('english', left(coalesce({words}, ''), 200000)), 'B')
"""
INDEX_TEXT = text(
    f"""
    UPDATE healthcare_documents d
    SET tsv = {WORDS.format(title="d.title", author="d.author", words="t.content")}
    FROM healthcare_documents s LEFT JOIN document_texts t ON t.document_id = s.id
    WHERE s.id = d.id AND d.id = ANY(:ids)
    """  # noqa: S608 - put together from our own words
)
# One statement and one write a row: an update after a COPY would write every row, and the search index, twice.
ADD_DOCUMENTS = text(
    f"""
    INSERT INTO healthcare_documents (
      id, patient_id, owner_id, type, title, date, author, content, source, source_name, provider_id, status, version,
      content_hash, tsv
    )
    SELECT id, :patient_id, :owner_id, type, title, date, author, content, 'PROVIDER', :source_name, :provider_id, status, 1,
      content_hash, {WORDS.format(title="title", author="author", words="words")}
    FROM unnest(
      CAST(:ids AS uuid[]), CAST(:types AS text[]), CAST(:titles AS text[]), CAST(:dates AS timestamptz[]),
      CAST(:authors AS text[]), CAST(:contents AS text[]), CAST(:statuses AS text[]), CAST(:hashes AS bytea[]),
      CAST(:words AS text[])
    ) AS a (id, type, title, date, author, content, status, content_hash, words)
    """  # noqa: S608 - put together from our own words
)
FILE_COLUMNS = (
    *("id", "document_id", "version", "position", "content_type", "filename", "size", "sha256", "integrity", "missing"),
)
SOURCE_COLUMNS = (
    *("id", "document_id", "patient_id", "provider_id", "resource_type", "reference", "version_id", "last_updated"),
    *("digest", "content_hash", "link_keys", "incomplete", "leading", "replaces", "superseded"),
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose documents arrive, and from where."""

    patient_id: UUID
    owner_id: UUID
    provider_id: UUID
    provider_name: str
    run_id: UUID


@dataclass(frozen=True, slots=True)
class Fresh:
    """A document that was not here before. `source` is the row of a resource that carried another one until now."""

    id: UUID
    incoming: Incoming
    source: DocumentSource | None

    @property
    def title(self) -> str:
        return self.incoming.entry.title


async def add_new(session: AsyncSession, origin: Origin, fresh: Sequence[Fresh]) -> None:
    """Stores new documents with all that belongs to them. No objects of the mapper: they would cost more than the rows."""
    if not fresh:
        return
    hashes = [it.incoming.contents.hash for it in fresh]
    texts = [it.incoming.contents.text for it in fresh]
    await session.execute(ADD_DOCUMENTS, _document_arrays(origin, fresh, hashes, texts))
    versions = [(uuid7(), it.id, 1, known) for it, known in zip(fresh, hashes, strict=True)]
    await copy(session, DocumentVersion, ("id", "document_id", "number", "content_hash"), versions)
    await copy(session, File, FILE_COLUMNS, [row for it in fresh for row in _file_rows(it)])
    sources = [(it, known) for it, known in zip(fresh, hashes, strict=True) if it.source is None]
    await copy(session, DocumentSource, SOURCE_COLUMNS, [_source_row(origin, it, known) for it, known in sources])
    for it in fresh:
        if it.source is not None:
            note_seen(it.source, origin, it.incoming, document_id=it.id, leading=True)
    kept = [(it.id, words) for it, words in zip(fresh, texts, strict=True)]
    await copy(session, DocumentText, ("document_id", "content"), kept)


def _document_arrays(
    origin: Origin, fresh: Sequence[Fresh], hashes: Sequence[bytes], texts: Sequence[str]
) -> dict[str, object]:
    entries = [it.incoming.entry for it in fresh]
    return {
        "patient_id": origin.patient_id,
        "owner_id": origin.owner_id,
        "provider_id": origin.provider_id,
        "source_name": origin.provider_name,
        "ids": [it.id for it in fresh],
        "types": [it.type.value for it in entries],
        "titles": [it.title for it in entries],
        "dates": [it.date for it in entries],
        "authors": [it.author for it in entries],
        "contents": [rules.excerpt(words) for words in texts],
        "statuses": [rules.STATUSES[it.status].value for it in entries],
        "hashes": hashes,
        "words": texts,
    }


def _file_rows(fresh: Fresh) -> list[tuple[object, ...]]:
    return [
        (
            *(uuid7(), fresh.id, 1, position, file.content_type, file.filename, file.size, file.sha256),
            *(file.integrity.value, file.missing),
        )
        for position, file in enumerate(fresh.incoming.contents.files)
    ]


def _source_row(origin: Origin, fresh: Fresh, content_hash: bytes) -> tuple[object, ...]:
    # A document that stands alone is led by whatever resource it came in; a DocumentReference takes over when it joins.
    entry, contents = fresh.incoming.entry, fresh.incoming.contents
    return (
        *(uuid7(), fresh.id, origin.patient_id, origin.provider_id, entry.resource_type, entry.reference),
        *(entry.version_id, entry.last_updated, entry.digest, content_hash, contents.link_keys, contents.incomplete),
        *(True, fresh.incoming.replaces, _superseded(entry)),
    )


def _superseded(entry: Entry) -> bool:
    return entry.status is ResourceStatus.SUPERSEDED


def note_seen(
    source: DocumentSource,
    origin: Origin,
    incoming: Incoming,
    *,
    document_id: UUID | None = None,
    leading: bool | None = None,
    keep_contents: bool = False,
) -> None:
    """Writes down what a resource says now. `keep_contents`: its files could not be had, and what they were still counts."""
    if document_id is not None:
        source.document_id = document_id
    if leading is not None:
        source.leading = leading
    source.patient_id, source.provider_id = origin.patient_id, origin.provider_id
    source.resource_type, source.reference = incoming.entry.resource_type, incoming.entry.reference
    source.version_id, source.last_updated = incoming.entry.version_id, incoming.entry.last_updated
    source.digest, source.replaces = incoming.entry.digest, incoming.replaces
    source.superseded = _superseded(incoming.entry)
    if not keep_contents:
        source.content_hash, source.link_keys = incoming.contents.hash, incoming.contents.link_keys
    source.incomplete = incoming.contents.incomplete
    source.withdrawn_at = None


def add_version(
    session: AsyncSession, document: HealthcareDocument, contents: Contents | None, lines: list[Json]
) -> None:
    """The version's row, and its files where the content is new."""
    session.add(
        DocumentVersion(
            document_id=document.id, number=document.version, content_hash=document.content_hash, changes=lines
        )
    )
    for position, file in enumerate(contents.files if contents else ()):
        session.add(
            File(
                document_id=document.id,
                version=document.version,
                position=position,
                content_type=file.content_type,
                filename=file.filename,
                size=file.size,
                sha256=file.sha256,
                integrity=file.integrity,
                missing=file.missing,
            )
        )


def change_status(session: AsyncSession, document: HealthcareDocument, status: DocumentStatus) -> None:
    """A change of status is a version like any other: the history says when a document ceased to hold."""
    line = rules.change("status", document.status, status)
    if line is None:
        return
    document.status = status
    document.version += 1
    document.changed_at = document.significant_at = func.now()
    add_version(session, document, None, [line])


async def index(session: AsyncSession, texts: dict[UUID, str], reworded: Collection[UUID] = ()) -> None:
    """Keeps the words of the latest versions, and makes them and the titles findable."""
    if texts:
        await _keep_texts(session, texts)
    if ids := [*{*texts, *reworded}]:
        await session.execute(INDEX_TEXT, {"ids": ids})


async def _keep_texts(session: AsyncSession, texts: dict[UUID, str]) -> None:
    rows = [{"document_id": document_id, "content": words} for document_id, words in texts.items()]
    upsert = insert(DocumentText)
    await session.execute(
        upsert.on_conflict_do_update(
            index_elements=[DocumentText.document_id], set_={"content": upsert.excluded.content}
        ),
        rows,
    )
