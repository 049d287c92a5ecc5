"""Reads of documents; everything that a caller sees starts from `visible(actor)`."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Select, Text, all_, cast, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import page
from app.domain.documents.models import (
    DocumentSource,
    DocumentStatus,
    DocumentText,
    DocumentType,
    DocumentVersion,
    File,
    HealthcareDocument,
    SourceKind,
)
from app.domain.documents.policies import readable
from app.domain.identity.policies import Actor

SHOWN = (DocumentStatus.CURRENT, DocumentStatus.SUPERSEDED)
"""What lists show unless a status is asked for: what was withdrawn or retracted is never mistaken for valid."""
DATED = func.coalesce(HealthcareDocument.date, text("'-infinity'::timestamptz"))
HIGHLIGHT = "StartSel=<mark>, StopSel=</mark>, MaxFragments=1, MaxWords=24, MinWords=8"

# Of two that replace each other the later one holds.
UNSETTLED = text(
    """
    WITH succeeded AS (
      SELECT DISTINCT target.document_id
      FROM document_sources s
      JOIN healthcare_documents successor ON successor.id = s.document_id AND successor.status IN ('CURRENT', 'SUPERSEDED')
      CROSS JOIN unnest(s.replaces) AS replaced
      JOIN document_sources target
        ON target.patient_id = s.patient_id AND target.provider_id = s.provider_id AND target.reference = replaced
       AND target.document_id <> s.document_id
      WHERE s.patient_id = :patient_id AND s.provider_id = :provider_id AND cardinality(s.replaces) > 0
        AND s.withdrawn_at IS NULL
        AND NOT (
          s.reference = ANY(target.replaces) AND target.withdrawn_at IS NULL
          AND (coalesce(target.last_updated, '-infinity'), target.id) > (coalesce(s.last_updated, '-infinity'), s.id)
        )
    )
    SELECT d.id, CASE WHEN it.document_id IS NULL THEN 'CURRENT' ELSE 'SUPERSEDED' END AS status
    FROM healthcare_documents d LEFT JOIN succeeded it ON it.document_id = d.id
    WHERE d.patient_id = :patient_id AND d.provider_id = :provider_id AND d.deleted_at IS NULL AND CASE d.status
      WHEN 'CURRENT' THEN it.document_id IS NOT NULL
      WHEN 'SUPERSEDED' THEN it.document_id IS NULL AND NOT EXISTS (
        SELECT FROM document_sources own WHERE own.document_id = d.id AND own.leading AND own.superseded
      )
      ELSE false
    END
    """
)


class DocumentOrder(StrEnum):
    """How documents are sorted. Those without a date come last in NEWEST and first in OLDEST."""

    NEWEST = "NEWEST"
    OLDEST = "OLDEST"
    TITLE = "TITLE"


ORDERS = {
    DocumentOrder.NEWEST: page.Order("newest", ((DATED, datetime), (HealthcareDocument.id, UUID)), descending=True),
    DocumentOrder.OLDEST: page.Order("oldest", ((DATED, datetime), (HealthcareDocument.id, UUID))),
    DocumentOrder.TITLE: page.Order(
        "title", ((func.lower(HealthcareDocument.title), str), (HealthcareDocument.id, UUID))
    ),
}
VERSIONS = page.Order("versions", ((DocumentVersion.id, UUID),), descending=True)


@dataclass(frozen=True, slots=True)
class Filter:
    patient_id: UUID | None = None
    types: Sequence[DocumentType] | None = None
    sources: Sequence[SourceKind] | None = None
    authors: Sequence[str] | None = None
    statuses: Sequence[DocumentStatus] | None = None
    since: datetime | None = None
    until: datetime | None = None
    new_since: datetime | None = None
    significant_only: bool = False

    def conditions(self) -> Iterable[ColumnElement[bool]]:
        row = HealthcareDocument
        yield row.status.in_(self.statuses or SHOWN)
        if self.patient_id:
            yield row.patient_id == self.patient_id
        if self.types:
            yield row.type.in_(self.types)
        if self.sources:
            yield row.source.in_(self.sources)
        if self.authors:
            yield row.author.in_(self.authors)
        if self.since:
            yield row.date >= self.since
        if self.until:
            yield row.date <= self.until
        if self.new_since:
            yield row.changed_at > self.new_since
        if self.significant_only:
            yield row.significant_at.is_not(None)


def visible(actor: Actor) -> Select[HealthcareDocument]:
    return select(HealthcareDocument).where(HealthcareDocument.deleted_at.is_(None), readable(actor))


def listed(actor: Actor, wanted: Filter, search: str | None = None) -> Select[HealthcareDocument]:
    statement = visible(actor).where(*wanted.conditions())
    if search:
        statement = statement.where(HealthcareDocument.tsv.bool_op("@@")(_query(search)))
    return statement


def _query(search: str) -> ColumnElement[object]:
    return func.websearch_to_tsquery("english", search.replace("\x00", " "))


async def get(session: AsyncSession, actor: Actor, document_id: UUID) -> HealthcareDocument | None:
    return await session.scalar(visible(actor).where(HealthcareDocument.id == document_id))


async def get_locked(session: AsyncSession, actor: Actor, document_id: UUID) -> HealthcareDocument | None:
    return await session.scalar(
        visible(actor).where(HealthcareDocument.id == document_id).with_for_update(key_share=True)
    )


async def by_ids(session: AsyncSession, actor: Actor, ids: Sequence[UUID]) -> dict[UUID, HealthcareDocument]:
    rows = await session.scalars(visible(actor).where(HealthcareDocument.id.in_(ids)))
    return {row.id: row for row in rows}


async def facets(session: AsyncSession, statement: Select[HealthcareDocument]) -> Sequence[tuple[DocumentType, int]]:
    """How many documents of each type a list holds, most first."""
    found = statement.with_only_columns(HealthcareDocument.type).subquery()
    number = func.count().label("number")
    rows = await session.execute(
        select(found.c.type, number).group_by(found.c.type).order_by(number.desc(), found.c.type)
    )
    return [(row[0], row[1]) for row in rows]


async def highlights(session: AsyncSession, ids: Sequence[UUID], search: str) -> dict[UUID, str]:
    """The matching passage of each document, the words between <mark> and </mark>; everything else is escaped text."""
    body = func.concat_ws("\n", HealthcareDocument.title, DocumentText.content)
    escaped = func.replace(func.replace(func.replace(body, "&", "&amp;"), "<", "&lt;"), ">", "&gt;")
    rows = await session.execute(
        select(HealthcareDocument.id, func.ts_headline("english", escaped, _query(search), HIGHLIGHT))
        .outerjoin(DocumentText, DocumentText.document_id == HealthcareDocument.id)
        .where(HealthcareDocument.id.in_(ids))
    )
    return {row[0]: row[1] for row in rows}


async def highlights_of(
    session: AsyncSession, _actor: Actor, wanted: Sequence[tuple[str, tuple[UUID, ...]]]
) -> dict[tuple[str, tuple[UUID, ...]], dict[UUID, str]]:
    """The passages of whole pages of results that the caller sees already."""
    return {key: await highlights(session, key[1], key[0]) for key in wanted}


async def texts_for(session: AsyncSession, _actor: Actor, ids: Sequence[UUID]) -> dict[UUID, str]:
    """For documents that the caller sees already."""
    return await texts(session, ids)


async def texts(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, str]:
    rows = await session.scalars(select(DocumentText).where(DocumentText.document_id.in_(ids)))
    return {row.document_id: row.content for row in rows}


async def files(session: AsyncSession, _actor: Actor, ids: Sequence[UUID]) -> dict[UUID, list[File]]:
    """The files of each document as it stands: those of the latest version that brought any."""
    newest = (
        select(File.document_id, func.max(File.version).label("version"))
        .where(File.document_id.in_(ids))
        .group_by(File.document_id)
        .subquery()
    )
    rows = await session.scalars(
        select(File)
        .join(newest, (newest.c.document_id == File.document_id) & (newest.c.version == File.version))
        .order_by(File.document_id, File.position)
    )
    found: dict[UUID, list[File]] = {}
    for row in rows:
        found.setdefault(row.document_id, []).append(row)
    return found


async def file(session: AsyncSession, actor: Actor, file_id: UUID) -> File | None:
    """A file of a document that the caller may see."""
    documents = visible(actor).with_only_columns(HealthcareDocument.id)
    return await session.scalar(select(File).where(File.id == file_id, File.document_id.in_(documents)))


def versions(document_id: UUID) -> Select[DocumentVersion]:
    return select(DocumentVersion).where(DocumentVersion.document_id == document_id)


async def version(session: AsyncSession, actor: Actor, version_id: UUID) -> DocumentVersion | None:
    documents = visible(actor).with_only_columns(HealthcareDocument.id)
    return await session.scalar(
        select(DocumentVersion).where(DocumentVersion.id == version_id, DocumentVersion.document_id.in_(documents))
    )


# What synchronisation asks; no person stands behind it.


async def sources(
    session: AsyncSession, provider_id: UUID, patient_id: UUID, references: Sequence[str]
) -> dict[str, DocumentSource]:
    rows = await session.scalars(
        select(DocumentSource).where(
            DocumentSource.provider_id == provider_id,
            DocumentSource.patient_id == patient_id,
            DocumentSource.reference.in_(references),
        )
    )
    return {row.reference: row for row in rows}


async def sources_sharing(
    session: AsyncSession,
    provider_id: UUID,
    patient_id: UUID,
    resource_types: Collection[str],
    link_keys: Sequence[str],
) -> Sequence[DocumentSource]:
    """Sources of other resource types with one of these attachments, and all further sources of the same documents."""
    row = DocumentSource
    here = (row.provider_id == provider_id, row.patient_id == patient_id, row.withdrawn_at.is_(None))
    # Two plain statements: as one with a sub-select, a planner without statistics compares everything with everything.
    ids = await session.scalars(
        select(row.document_id).where(*here, row.resource_type.not_in(resource_types), row.link_keys.overlap(link_keys))
    )
    found = set(ids)
    if not found:
        return []
    rows = await session.scalars(select(row).where(*here, row.document_id.in_(found)).order_by(row.id))
    return rows.all()


async def digests(session: AsyncSession, provider_id: UUID, patient_id: UUID) -> dict[str, bytes]:
    """What is known of all of a patient's resources at a provider: a reference and the digest that it had. What is not whole
    here, or was withdrawn, is left out: it has to be looked at again."""
    row = DocumentSource
    found = await session.execute(
        select(func.array_agg(row.reference), func.array_agg(row.digest)).where(
            row.provider_id == provider_id,
            row.patient_id == patient_id,
            row.withdrawn_at.is_(None),
            ~row.incomplete,
        )
    )
    references, known = found.one()
    return dict(zip(references or (), known or (), strict=True))


async def sources_unseen(
    session: AsyncSession, provider_id: UUID, patient_id: UUID, listed: Collection[str]
) -> Sequence[DocumentSource]:
    """What a complete listing did not show any more."""
    rows = await session.scalars(
        select(DocumentSource).where(
            DocumentSource.provider_id == provider_id,
            DocumentSource.patient_id == patient_id,
            DocumentSource.withdrawn_at.is_(None),
            DocumentSource.reference != all_(cast([*listed], ARRAY(Text))),
        )
    )
    return rows.all()


async def unsettled(session: AsyncSession, provider_id: UUID, patient_id: UUID) -> dict[UUID, DocumentStatus]:
    """Documents whose status is not what the relations among the provider's resources say, with the status that is."""
    rows = await session.execute(UNSETTLED, {"patient_id": patient_id, "provider_id": provider_id})
    return {row.id: DocumentStatus(row.status) for row in rows}


async def live_sources(session: AsyncSession, ids: Sequence[UUID]) -> Sequence[DocumentSource]:
    """Where a provider still shows these documents."""
    rows = await session.scalars(
        select(DocumentSource)
        .where(DocumentSource.document_id.in_(ids), DocumentSource.withdrawn_at.is_(None))
        .order_by(DocumentSource.id)
    )
    return rows.all()


async def replaced(session: AsyncSession, provider_id: UUID, patient_id: UUID, references: Sequence[str]) -> set[str]:
    """Which of these references another resource replaces."""
    row = DocumentSource
    rows = await session.execute(
        select(row.reference, row.replaces).where(
            row.provider_id == provider_id,
            row.patient_id == patient_id,
            row.withdrawn_at.is_(None),
            func.cardinality(row.replaces) > 0,
            row.replaces.overlap(references),
        )
    )
    return {target for successor, targets in rows for target in targets if target != successor}


async def rows_locked(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, HealthcareDocument]:
    if not ids:
        return {}
    # In one order; and not against rows that point here (logs, receipts): whoever writes those may hold the work row that
    # the holder of the document is about to ask for.
    statement = select(HealthcareDocument).where(HealthcareDocument.id.in_(ids)).order_by(HealthcareDocument.id)
    return {row.id: row for row in await session.scalars(statement.with_for_update(key_share=True))}


async def document(session: AsyncSession, document_id: UUID) -> HealthcareDocument | None:
    return await session.get(HealthcareDocument, document_id)
