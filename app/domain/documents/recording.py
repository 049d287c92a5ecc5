"""What workers record of documents: a page of a provider's resources at a time."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import func, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.provider.port import Entry
from app.core.db import Json
from app.domain.documents import queries, rules
from app.domain.documents.models import (
    DocumentSource,
    DocumentStatus,
    DocumentText,
    DocumentVersion,
    File,
    HealthcareDocument,
    SourceKind,
)
from app.domain.documents.rules import Contents, Incoming, Outcome

INDEX_TEXT = text(
    """
    UPDATE healthcare_documents d
    SET tsv = setweight(to_tsvector('english', concat_ws(' ', d.title, d.author)), 'A')
           || setweight(to_tsvector('english', left(coalesce(t.content, ''), 200000)), 'B')
    FROM healthcare_documents s LEFT JOIN document_texts t ON t.document_id = s.id
    WHERE s.id = d.id AND d.id = ANY(:ids)
    """
)
SUPERSEDE = text(
    """
    WITH successors AS (
      SELECT document_id, unnest(replaces) AS replaced FROM document_sources
      WHERE patient_id = :patient_id AND provider_id = :provider_id AND cardinality(replaces) > 0
        AND withdrawn_at IS NULL
    )
    UPDATE healthcare_documents d
    SET status = 'SUPERSEDED', changed_at = now(), significant_at = now()
    FROM successors s
    JOIN document_sources target
      ON target.patient_id = :patient_id AND target.provider_id = :provider_id AND target.reference = s.replaced
     AND target.document_id <> s.document_id
    WHERE d.id = target.document_id AND d.status = 'CURRENT'
    """
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
class Received:
    """What became of one resource. `files` are the new ones that can be published."""

    reference: str
    outcome: Outcome
    document: HealthcareDocument | None
    files: Sequence[File] = ()


@dataclass(slots=True)
class _Page:
    """The page at hand: what is known of its resources, what is new, and what search has to read at its end."""

    origin: Origin
    sources: dict[str, DocumentSource]
    sharing: list[DocumentSource]
    documents: dict[UUID, HealthcareDocument]
    replaced: set[str]
    """References that another document replaces, whatever the provider still says of their status."""
    fresh: list[tuple[Incoming, HealthcareDocument, DocumentSource | None]] = field(default_factory=list[Any])
    texts: dict[UUID, str] = field(default_factory=dict[UUID, str])
    reworded: set[UUID] = field(default_factory=set[UUID])
    """Documents with another title or author, which search has to learn too."""


async def receive(session: AsyncSession, origin: Origin, arrivals: Sequence[Incoming]) -> list[Received]:
    """Stores a page of resources: new ones, new versions, the same note from a second resource, retractions."""
    page = await _open_page(session, origin, arrivals)
    received = [it for incoming in arrivals if (it := _place(session, page, incoming))]
    await session.flush()
    received += [_first_version(session, page, *fresh) for fresh in page.fresh]
    await session.flush()
    await index(session, page.texts, page.reworded)
    await session.execute(SUPERSEDE, {"patient_id": origin.patient_id, "provider_id": origin.provider_id})
    return received


def _place(session: AsyncSession, page: _Page, incoming: Incoming) -> Received | None:
    """Where a resource belongs; None for a new document, whose parts follow once its row has an id."""
    source = page.sources.get(incoming.entry.reference)
    if rules.STATUSES[incoming.entry.status] is DocumentStatus.RETRACTED:
        return _retract(page, incoming, source)
    if source is not None and not _diverged(page, incoming, source):
        return _update(session, page, incoming, source)
    if source is None and (document := _joinable(page, incoming)):
        return _join(session, page, incoming, document)
    document = _new_document(page.origin, incoming)
    session.add(document)
    page.fresh.append((incoming, document, source))
    return None


async def note_unchanged(session: AsyncSession, origin: Origin, references: Sequence[str]) -> None:
    """Marks resources as seen in this run, for a later comparison of everything."""
    await session.execute(
        update(DocumentSource)
        .where(
            DocumentSource.patient_id == origin.patient_id,
            DocumentSource.provider_id == origin.provider_id,
            DocumentSource.reference.in_(references),
        )
        .values(seen_run_id=origin.run_id)
    )


async def withdraw_unseen(session: AsyncSession, origin: Origin) -> list[HealthcareDocument]:
    """After a complete listing: what it did not show is gone at the provider. Kept here, marked as withdrawn."""
    gone = await queries.sources_unseen(session, origin.provider_id, origin.patient_id, origin.run_id)
    for source in gone:
        source.withdrawn_at = func.now()
    await session.flush()
    documents = await queries.rows_locked(session, [source.document_id for source in gone])
    remaining = {source.document_id: source for source in await queries.live_sources(session, list(documents))}
    for source in gone:
        if source.leading and (heir := remaining.get(source.document_id)):
            # What is left shows the note alone now: its changes are the document's.
            source.leading, heir.leading = False, True
    withdrawn = [
        document
        for document in documents.values()
        if document.id not in remaining and document.status is not DocumentStatus.RETRACTED
    ]
    for document in withdrawn:
        _set_status(document, DocumentStatus.WITHDRAWN)
    return withdrawn


async def hide_patient(session: AsyncSession, patient_id: UUID) -> None:
    await session.execute(
        update(HealthcareDocument)
        .where(HealthcareDocument.patient_id == patient_id, HealthcareDocument.deleted_at.is_(None))
        .values(deleted_at=func.now())
    )


async def _open_page(session: AsyncSession, origin: Origin, arrivals: Sequence[Incoming]) -> _Page:
    references = [incoming.entry.reference for incoming in arrivals]
    sources = await queries.sources(session, origin.provider_id, origin.patient_id, references)
    keys = sorted({key for incoming in arrivals for key in incoming.contents.link_keys})
    types = {incoming.entry.resource_type for incoming in arrivals}
    sharing = await queries.sources_sharing(session, origin.provider_id, origin.patient_id, types, keys)
    ids = {source.document_id for source in (*sources.values(), *sharing)}
    documents = await queries.rows_locked(session, sorted(ids))
    replaced = await queries.replaced(session, origin.provider_id, origin.patient_id, references)
    return _Page(origin, sources, list(sharing), documents, replaced)


def _diverged(page: _Page, incoming: Incoming, source: DocumentSource) -> bool:
    """Whether a second provenance no longer carries the note that it was joined to: then it is a document of its own."""
    if incoming.contents.incomplete:
        # What could not be fetched this time says nothing about what the note is.
        return False
    keys = set(incoming.contents.link_keys)
    return not source.leading and not any(
        other.leading and other.document_id == source.document_id and keys & set(other.link_keys)
        for other in page.sharing
    )


def _joinable(page: _Page, incoming: Incoming) -> HealthcareDocument | None:
    """The document that is this note already: it shares an attachment and has no source of this resource type yet. A report
    joins only where the note has everything that it carries; a note takes the lead, and brings what it has more."""
    taken = {s.document_id for s in page.sharing if s.resource_type == incoming.entry.resource_type}
    keys = set(incoming.contents.link_keys)
    for source in page.sharing:
        shared = keys & set(source.link_keys)
        whole = all(shared.intersection(file.link_keys) for file in incoming.contents.files)
        if source.document_id not in taken and shared and (whole or incoming.entry.resource_type == rules.LEADING):
            return page.documents[source.document_id]
    return None


def _join(session: AsyncSession, page: _Page, incoming: Incoming, document: HealthcareDocument) -> Received:
    leading = incoming.entry.resource_type == rules.LEADING
    if leading:
        for source in page.sharing:
            if source.document_id == document.id:
                source.leading = False
        if document.content_hash != incoming.contents.hash:
            _revise(session, page, incoming, document)
        else:
            _describe(document, incoming.entry)
            page.reworded.add(document.id)
    source = DocumentSource(document_id=document.id, leading=leading)
    _note_seen(source, page.origin, incoming)
    session.add(source)
    page.sharing.append(source)
    return Received(incoming.entry.reference, Outcome.JOINED, document)


def _retract(page: _Page, incoming: Incoming, source: DocumentSource | None) -> Received:
    """Entered in error: never shown as valid; what was never here does not come in."""
    if source is None:
        return Received(incoming.entry.reference, Outcome.SKIPPED, None)
    document = page.documents[source.document_id]
    _note_seen(source, page.origin, incoming)
    if not source.leading or document.status is DocumentStatus.RETRACTED:
        return Received(incoming.entry.reference, Outcome.UNCHANGED, document)
    _set_status(document, DocumentStatus.RETRACTED)
    return Received(incoming.entry.reference, Outcome.WITHDRAWN, document)


def _update(session: AsyncSession, page: _Page, incoming: Incoming, source: DocumentSource) -> Received:
    """A resource that is known: a new version where it changed anything that a reader sees."""
    document = page.documents[source.document_id]
    kept = _brings_nothing(incoming, source)
    _note_seen(source, page.origin, incoming, keep_contents=kept)
    if not source.leading:
        return Received(incoming.entry.reference, Outcome.UNCHANGED, document)
    files = _revise(session, page, incoming, document, keep_contents=kept)
    if files is None:
        return Received(incoming.entry.reference, Outcome.UNCHANGED, document)
    return Received(incoming.entry.reference, Outcome.UPDATED, document, files)


def _brings_nothing(incoming: Incoming, source: DocumentSource) -> bool:
    """Whether a file is missing this time and none is new: what is here already is better than that."""
    arrived = {f"sha256:{file.sha256}" for file in incoming.contents.files if file.sha256}
    return incoming.contents.incomplete and arrived <= set(source.link_keys)


def _revise(
    session: AsyncSession, page: _Page, incoming: Incoming, document: HealthcareDocument, *, keep_contents: bool = False
) -> Sequence[File] | None:
    """Brings a document to what its leading resource says now: a version where that differs, files where they are new. None
    where nothing differs."""
    entry = incoming.entry
    content = document.content_hash if keep_contents else incoming.contents.hash
    lines = rules.changes(
        document, title=entry.title, kind=entry.type, date=entry.date, author=entry.author, content=content
    )
    status = rules.STATUSES[entry.status]
    if status is DocumentStatus.CURRENT and entry.reference in page.replaced:
        status = DocumentStatus.SUPERSEDED
    if line := rules.change("status", document.status, status):
        lines.append(line)
    if not lines:
        return None
    new_content = document.content_hash != content
    document.version += 1
    document.status = status
    _describe(document, entry)
    if new_content:
        _fill(document, incoming.contents)
        page.texts[document.id] = incoming.contents.text
    page.reworded.add(document.id)
    document.changed_at = func.now()
    if rules.is_significant(lines):
        document.significant_at = func.now()
    return add_version(session, document, incoming.contents if new_content else None, lines)


def _first_version(
    session: AsyncSession,
    page: _Page,
    incoming: Incoming,
    document: HealthcareDocument,
    source: DocumentSource | None,
) -> Received:
    # A document that stands alone is led by whatever resource it came in; a DocumentReference takes over when it joins.
    source = source or DocumentSource()
    source.document_id, source.leading = document.id, True
    _note_seen(source, page.origin, incoming)
    session.add(source)
    page.texts[document.id] = incoming.contents.text
    files = add_version(session, document, incoming.contents, [])
    return Received(incoming.entry.reference, Outcome.CREATED, document, files)


def _new_document(origin: Origin, incoming: Incoming) -> HealthcareDocument:
    document = HealthcareDocument(
        patient_id=origin.patient_id,
        owner_id=origin.owner_id,
        source=SourceKind.PROVIDER,
        source_name=origin.provider_name,
        provider_id=origin.provider_id,
        status=rules.STATUSES[incoming.entry.status],
        version=1,
    )
    _describe(document, incoming.entry)
    _fill(document, incoming.contents)
    return document


def _describe(document: HealthcareDocument, entry: Entry) -> None:
    document.title, document.type = entry.title, entry.type
    document.date, document.author = entry.date, entry.author


def _fill(document: HealthcareDocument, contents: Contents) -> None:
    document.content = rules.excerpt(contents.text)
    document.content_hash = contents.hash


def _note_seen(source: DocumentSource, origin: Origin, incoming: Incoming, *, keep_contents: bool = False) -> None:
    source.patient_id, source.provider_id = origin.patient_id, origin.provider_id
    source.resource_type, source.reference = incoming.entry.resource_type, incoming.entry.reference
    source.version_id, source.last_updated = incoming.entry.version_id, incoming.entry.last_updated
    source.digest, source.replaces = incoming.entry.digest, incoming.replaces
    if not keep_contents:
        source.content_hash, source.link_keys = incoming.contents.hash, incoming.contents.link_keys
    source.incomplete = incoming.contents.incomplete
    source.seen_run_id, source.withdrawn_at = origin.run_id, None


def add_version(
    session: AsyncSession, document: HealthcareDocument, contents: Contents | None, lines: list[Json]
) -> Sequence[File]:
    """The version's row, and its files where the content is new. Returns the files that have bytes."""
    session.add(
        DocumentVersion(
            document_id=document.id, number=document.version, content_hash=document.content_hash, changes=lines
        )
    )
    files = [
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
        for position, file in enumerate(contents.files if contents else ())
    ]
    session.add_all(files)
    return [file for file in files if file.sha256]


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


def _set_status(document: HealthcareDocument, status: DocumentStatus) -> None:
    document.status = status
    document.changed_at = func.now()
    document.significant_at = func.now()
