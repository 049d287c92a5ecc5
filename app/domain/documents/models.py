"""Documents: a searchable row, its versions, its text, its files, and where each came from."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from app.connectors.provider.port import DocumentType
from app.core.db import Base, BulkRecord, Json

__all__ = ["DocumentType"]


class DocumentStatus(StrEnum):
    """Whether a document holds today."""

    CURRENT = "CURRENT"
    SUPERSEDED = "SUPERSEDED"
    WITHDRAWN = "WITHDRAWN"
    RETRACTED = "RETRACTED"


class SourceKind(StrEnum):
    """Who a document comes from."""

    PROVIDER = "PROVIDER"
    USER = "USER"


class Integrity(StrEnum):
    """Whether a file is what its source said it would be (declared size and hash)."""

    VERIFIED = "VERIFIED"
    UNDECLARED = "UNDECLARED"
    MISMATCHED = "MISMATCHED"
    MISSING = "MISSING"


class HealthcareDocument(BulkRecord, Base):
    """The row that lists and searches read. FHIR: DocumentReference.

    `content` is the opening of the text (up to 500 characters; NULL for pictures); the whole text lies in
    `document_texts`, the bytes in `files`. `owner_id` repeats the patient's dietician, so that lists need no join."""

    __tablename__ = "healthcare_documents"

    patient_id: Mapped[UUID] = mapped_column(ForeignKey("patients.id"))
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    type: Mapped[DocumentType]
    title: Mapped[str]
    date: Mapped[datetime | None]
    author: Mapped[str] = mapped_column(server_default="")
    content: Mapped[str | None]
    source: Mapped[SourceKind]
    source_name: Mapped[str]
    provider_id: Mapped[UUID | None] = mapped_column(ForeignKey("providers.id"))
    uploaded_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    status: Mapped[DocumentStatus]
    version: Mapped[int] = mapped_column(server_default="1")
    content_hash: Mapped[bytes] = mapped_column(LargeBinary)
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now())
    significant_at: Mapped[datetime | None]
    """When it last changed in a way that a dietician should look at."""
    tsv: Mapped[str] = mapped_column(TSVECTOR, server_default=text("''::tsvector"))


Index(
    "ix_healthcare_documents_owner_date",
    HealthcareDocument.owner_id,
    func.coalesce(HealthcareDocument.date, text("'-infinity'::timestamptz")),
    HealthcareDocument.id,
)
Index(
    "ix_healthcare_documents_patient_date",
    HealthcareDocument.patient_id,
    func.coalesce(HealthcareDocument.date, text("'-infinity'::timestamptz")),
    HealthcareDocument.id,
)
Index(
    "ix_healthcare_documents_search",
    HealthcareDocument.owner_id,
    HealthcareDocument.tsv,
    postgresql_using="gin",
)


class DocumentText(Base):
    """The text of a document's latest version, extracted for reading and search."""

    __tablename__ = "document_texts"

    document_id: Mapped[UUID] = mapped_column(ForeignKey("healthcare_documents.id"), primary_key=True)
    content: Mapped[str]


class DocumentVersion(BulkRecord, Base):
    """What a document was at a time. `changes` is `[{field, before, after, significant}]` against the version before."""

    __tablename__ = "document_versions"

    document_id: Mapped[UUID] = mapped_column(ForeignKey("healthcare_documents.id"))
    number: Mapped[int]
    content_hash: Mapped[bytes] = mapped_column(LargeBinary)
    changes: Mapped[list[Json]] = mapped_column(JSONB, server_default="[]")


Index("uq_document_versions_number", DocumentVersion.document_id, DocumentVersion.number, unique=True)


class File(BulkRecord, Base):
    """The bytes of a version in one format; `content[]` of a DocumentReference are formats of one document.

    `sha256` (hex) and `size` (bytes) are NULL while the bytes could not be had: then `missing` says why."""

    __tablename__ = "files"

    document_id: Mapped[UUID] = mapped_column(ForeignKey("healthcare_documents.id"))
    version: Mapped[int]
    position: Mapped[int]
    content_type: Mapped[str]
    filename: Mapped[str]
    size: Mapped[int | None]
    sha256: Mapped[str | None]
    integrity: Mapped[Integrity]
    missing: Mapped[str | None]


Index("uq_files_position", File.document_id, File.version, File.position, unique=True)


class DocumentSource(BulkRecord, Base):
    """A provenance: the resource at a provider that a document was received from. FHIR: Provenance.

    `digest` is the hash of the resource as it was last received, `incomplete` that a file was missing then, so that the
    next run tries again even where nothing has changed. `link_keys` are the attachments' addresses and hashes, by which the
    same note in another resource is recognised."""

    __tablename__ = "document_sources"

    document_id: Mapped[UUID] = mapped_column(ForeignKey("healthcare_documents.id"))
    patient_id: Mapped[UUID] = mapped_column(ForeignKey("patients.id"))
    provider_id: Mapped[UUID] = mapped_column(ForeignKey("providers.id"))
    resource_type: Mapped[str]
    reference: Mapped[str]
    version_id: Mapped[str]
    last_updated: Mapped[datetime | None]
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    content_hash: Mapped[bytes] = mapped_column(LargeBinary)
    link_keys: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    incomplete: Mapped[bool] = mapped_column(server_default="false")
    leading: Mapped[bool]
    """Whether the document's title, type, date and author are taken from here."""
    replaces: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    """References that this one replaces or transforms (DocumentReference.relatesTo)."""
    superseded: Mapped[bool] = mapped_column(server_default="false")
    """Whether the provider itself calls it superseded, whatever replaces it here."""
    withdrawn_at: Mapped[datetime | None]


Index(
    "uq_document_sources_reference",
    DocumentSource.patient_id,
    DocumentSource.provider_id,
    DocumentSource.reference,
    unique=True,
)
Index("ix_document_sources_document_id", DocumentSource.document_id)
Index("ix_document_sources_link_keys", DocumentSource.link_keys, postgresql_using="gin")
Index(
    "ix_document_sources_replacing",
    DocumentSource.patient_id,
    DocumentSource.provider_id,
    postgresql_where=func.cardinality(DocumentSource.replaces) > 0,
)
