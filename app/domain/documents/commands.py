"""Writes of documents that a person asks for. What synchronisation brings is in `recording.py`."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import work
from app.core.db import Json
from app.core.errors import invalid, not_found
from app.domain.documents import queries, rules, storing
from app.domain.documents.events import UPLOADED
from app.domain.documents.models import DocumentStatus, DocumentType, HealthcareDocument, SourceKind
from app.domain.documents.policies import may_edit, may_upload
from app.domain.documents.rules import Contents, IncomingFile
from app.domain.identity import queries as identity
from app.domain.identity.policies import Actor
from app.domain.patients import queries as patients


@dataclass(frozen=True, slots=True)
class Upload:
    """What a person says of a document. A field that is None on an edit stays as it is."""

    title: str | None = None
    type: DocumentType | None = None
    date: datetime | None = None
    author: str | None = None
    file: IncomingFile | None = None


async def upload(session: AsyncSession, actor: Actor, patient_id: UUID, upload: Upload) -> HealthcareDocument:
    """A document of the caller's own for a patient in their care."""
    patient = await patients.get_locked(session, actor, patient_id)
    if patient is None:
        raise not_found("patient", "patientId")
    if refusal := may_upload(actor, patient):
        raise refusal
    if upload.file is None:
        raise invalid("A document needs a text or a file.", "text")
    name = (await identity.by_ids(session, actor, [actor.id]))[actor.id].name
    document = HealthcareDocument(
        patient_id=patient.id,
        owner_id=patient.user_id,
        title=rules.checked_title(upload.title or ""),
        type=upload.type or DocumentType.OTHER,
        date=upload.date or datetime.now(UTC),
        author=upload.author or name,
        source=SourceKind.USER,
        source_name=name,
        uploaded_by=actor.id,
        status=DocumentStatus.CURRENT,
        version=1,
    )
    await _keep(session, document, upload.file, [])
    return document


async def edit(session: AsyncSession, actor: Actor, document_id: UUID, upload: Upload) -> HealthcareDocument:
    document = await _editable(session, actor, document_id)
    title = document.title if upload.title is None else rules.checked_title(upload.title)
    kind, date = upload.type or document.type, upload.date or document.date
    author = document.author if upload.author is None else upload.author
    lines = rules.changes(
        document,
        title=title,
        kind=kind,
        date=date,
        author=author,
        content=Contents((upload.file,)).hash if upload.file else document.content_hash,
    )
    if not lines:
        return document
    document.title, document.type, document.date, document.author = title, kind, date, author
    document.version += 1
    document.changed_at = func.now()
    await _keep(session, document, upload.file, lines)
    return document


async def delete(session: AsyncSession, actor: Actor, document_id: UUID) -> UUID:
    document = await _editable(session, actor, document_id)
    document.deleted_at = func.now()
    await work.ask(session, UPLOADED, document.id)
    return document.id


async def _editable(session: AsyncSession, actor: Actor, document_id: UUID) -> HealthcareDocument:
    document = await queries.get_locked(session, actor, document_id)
    if document is None:
        raise not_found("document", "id")
    if refusal := may_edit(actor, document):
        raise refusal
    return document


async def _keep(
    session: AsyncSession, document: HealthcareDocument, file: IncomingFile | None, lines: list[Json]
) -> None:
    """Writes the row, its version and its words."""
    contents = Contents((file,)) if file else None
    if contents:
        document.content_hash, document.content = contents.hash, rules.excerpt(contents.text)
    session.add(document)
    await session.flush()
    storing.add_version(session, document, contents, lines)
    await session.flush()
    words = contents.text if contents else (await queries.texts(session, [document.id])).get(document.id, "")
    await storing.index(session, {document.id: words})
    await work.ask(session, UPLOADED, document.id)
    await session.refresh(document)
