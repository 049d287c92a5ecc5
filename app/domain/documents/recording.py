"""What workers record of documents: a page of a provider's resources at a time."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.provider.port import Entry
from app.core.ids import uuid7
from app.domain.documents import queries, rules, storing
from app.domain.documents.models import DocumentSource, DocumentStatus, HealthcareDocument
from app.domain.documents.rules import Incoming, Outcome
from app.domain.documents.storing import Fresh, Origin


@dataclass(frozen=True, slots=True)
class Received:
    """What became of one resource."""

    reference: str
    outcome: Outcome
    document: HealthcareDocument | Fresh | None


@dataclass(slots=True)
class _Page:
    """The page at hand: what is known of its resources, what is new, and what search has to read at its end."""

    origin: Origin
    sources: dict[str, DocumentSource]
    sharing: list[DocumentSource]
    documents: dict[UUID, HealthcareDocument]
    replaced: set[str]
    """References that another document replaces, whatever the provider still says of their status."""
    fresh: list[Fresh] = field(default_factory=list[Fresh])
    texts: dict[UUID, str] = field(default_factory=dict[UUID, str])
    reworded: set[UUID] = field(default_factory=set[UUID])
    """Documents with another title or author, which search has to learn too."""
    related: bool = False
    """Whether something came that makes other documents hold no longer, or hold again."""


async def receive(session: AsyncSession, origin: Origin, arrivals: Sequence[Incoming]) -> list[Received]:
    """Stores a page of resources: new ones, new versions, the same note from a second resource, retractions."""
    page = await _open_page(session, origin, arrivals)
    received = [it for incoming in arrivals if (it := _place(session, page, incoming))]
    await session.flush()
    await storing.add_new(session, origin, page.fresh)
    received += [Received(it.incoming.entry.reference, Outcome.CREATED, it) for it in page.fresh]
    await session.flush()
    await storing.index(session, page.texts, page.reworded)
    if page.related or page.replaced:
        received += await settle(session, origin)
    return received


async def settle(session: AsyncSession, origin: Origin) -> list[Received]:
    """What another document replaces is superseded, for as long as that one holds. What has changed by that."""
    await session.flush()
    wanted = await queries.unsettled(session, origin.provider_id, origin.patient_id)
    documents = await queries.rows_locked(session, sorted(wanted))
    for document in documents.values():
        storing.change_status(session, document, wanted[document.id])
    await session.flush()
    return [Received("", Outcome.SETTLED, document) for document in documents.values()]


def _place(session: AsyncSession, page: _Page, incoming: Incoming) -> Received | None:
    """Where a resource belongs; None for a new document: those are stored together."""
    source = page.sources.get(incoming.entry.reference)
    page.related = page.related or bool(incoming.replaces) or bool(source and source.replaces)
    if rules.STATUSES[incoming.entry.status] is DocumentStatus.RETRACTED:
        return _retract(session, page, incoming, source)
    if source is not None and not _diverged(page, incoming, source):
        return _update(session, page, incoming, source)
    if source is None and (document := _joinable(page, incoming)):
        return _join(session, page, incoming, document)
    page.fresh.append(Fresh(uuid7(), incoming, source))
    return None


async def withdraw_unseen(session: AsyncSession, origin: Origin, listed: Collection[str]) -> list[Received]:
    """After a complete listing: what is not among `listed` is gone at the provider. Kept here, marked as withdrawn."""
    gone = await queries.sources_unseen(session, origin.provider_id, origin.patient_id, listed)
    return await _withdraw(session, origin, gone)


async def withdraw_named(session: AsyncSession, origin: Origin, reference: str) -> list[Received]:
    """A resource that the provider says it has deleted (410)."""
    gone = await queries.sources(session, origin.provider_id, origin.patient_id, [reference])
    return await _withdraw(session, origin, [it for it in gone.values() if it.withdrawn_at is None])


async def _withdraw(session: AsyncSession, origin: Origin, gone: Sequence[DocumentSource]) -> list[Received]:
    if not gone:
        return []
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
        storing.change_status(session, document, DocumentStatus.WITHDRAWN)
    received = [Received("", Outcome.WITHDRAWN, document) for document in withdrawn]
    return received + await settle(session, origin) if any(source.replaces for source in gone) else received


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
    source = DocumentSource()
    storing.note_seen(source, page.origin, incoming, document_id=document.id, leading=leading)
    session.add(source)
    page.sharing.append(source)
    return Received(incoming.entry.reference, Outcome.JOINED, document)


def _retract(session: AsyncSession, page: _Page, incoming: Incoming, source: DocumentSource | None) -> Received:
    """Entered in error: never shown as valid; what was never here does not come in."""
    if source is None:
        return Received(incoming.entry.reference, Outcome.SKIPPED, None)
    document = page.documents[source.document_id]
    storing.note_seen(source, page.origin, incoming)
    if not source.leading or document.status is DocumentStatus.RETRACTED:
        return Received(incoming.entry.reference, Outcome.UNCHANGED, document)
    storing.change_status(session, document, DocumentStatus.RETRACTED)
    return Received(incoming.entry.reference, Outcome.WITHDRAWN, document)


def _update(session: AsyncSession, page: _Page, incoming: Incoming, source: DocumentSource) -> Received:
    """A resource that is known: a new version where it changed anything that a reader sees."""
    document = page.documents[source.document_id]
    kept = _brings_nothing(incoming, source)
    storing.note_seen(source, page.origin, incoming, keep_contents=kept)
    if not source.leading:
        return Received(incoming.entry.reference, Outcome.UNCHANGED, document)
    revised = _revise(session, page, incoming, document, keep_contents=kept)
    return Received(incoming.entry.reference, Outcome.UPDATED if revised else Outcome.UNCHANGED, document)


def _brings_nothing(incoming: Incoming, source: DocumentSource) -> bool:
    """Whether a file is missing this time and none is new: what is here already is better than that."""
    arrived = {f"sha256:{file.sha256}" for file in incoming.contents.files if file.sha256}
    return incoming.contents.incomplete and arrived <= set(source.link_keys)


def _revise(
    session: AsyncSession, page: _Page, incoming: Incoming, document: HealthcareDocument, *, keep_contents: bool = False
) -> bool:
    """Brings a document to what its leading resource says now: a version where that differs, files where they are new.
    Whether anything did."""
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
        return False
    new_content = document.content_hash != content
    document.version += 1
    document.status = status
    _describe(document, entry)
    if new_content:
        document.content, document.content_hash = rules.excerpt(incoming.contents.text), incoming.contents.hash
        page.texts[document.id] = incoming.contents.text
    page.reworded.add(document.id)
    document.changed_at = func.now()
    if rules.is_significant(lines):
        document.significant_at = func.now()
    storing.add_version(session, document, incoming.contents if new_content else None, lines)
    return True


def _describe(document: HealthcareDocument, entry: Entry) -> None:
    document.title, document.type = entry.title, entry.type
    document.date, document.author = entry.date, entry.author
