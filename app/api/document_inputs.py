"""What clients say of documents: which to list, what to upload."""

import base64
import datetime as dt
from uuid import UUID

import strawberry

from app.api.document_enums import DocumentStatus, DocumentType, SourceKind
from app.api.kit import ids
from app.api.kit.context import Info
from app.connectors.provider.port import Attachment
from app.core.errors import invalid
from app.domain.documents import commands, queries, rules

MAX_AUTHOR = 200


@strawberry.input(description="Which documents to list.")
class DocumentFilter:
    patient_id: strawberry.ID | None = strawberry.field(default=None, description="Only this patient's.")
    types: list[DocumentType] | None = strawberry.field(default=None, description="Only these types.")
    sources: list[SourceKind] | None = strawberry.field(default=None, description="Only from these kinds of source.")
    authors: list[str] | None = strawberry.field(default=None, description="Only by these authors, as they are shown.")
    statuses: list[DocumentStatus] | None = strawberry.field(
        default=None, description="Only these; CURRENT and SUPERSEDED if not given."
    )
    from_: dt.datetime | None = strawberry.field(
        default=None, name="from", description="Written at this time or later."
    )
    to: dt.datetime | None = strawberry.field(default=None, description="Written at this time or earlier.")
    new_since: dt.datetime | None = strawberry.field(
        default=None, description="Arrived or changed here after this time."
    )
    significant_only: bool = strawberry.field(default=False, description="Only those with a significant change.")

    def wanted(self, patient_id: UUID | None = None) -> queries.Filter:
        if patient_id is None and self.patient_id:
            patient_id = ids.decode(self.patient_id, "Patient", "filter", "patientId")
        return queries.Filter(
            patient_id=patient_id,
            types=self.types,
            sources=self.sources,
            authors=self.authors,
            statuses=self.statuses,
            since=self.from_,
            until=self.to,
            new_since=self.new_since,
            significant_only=self.significant_only,
        )


@strawberry.input
class DocumentFields:
    date: dt.datetime | None = strawberry.field(default=None, description="When it was written.")
    author: str | None = strawberry.field(default=None, description="Who wrote it; the uploader if not given.")
    text: str | None = strawberry.field(default=None, description="The content, as plain text.")
    data: str | None = strawberry.field(
        default=None, description="Or the content as bytes in base64 (RFC 4648, 4), up to 10 MB."
    )
    content_type: str | None = strawberry.field(default=None, description="With `data`: its media type.")

    def bytes(self) -> bytes | None:
        if self.text is not None and self.data is not None:
            raise invalid("Give either a text or a file, not both.", "text")
        if self.text is not None:
            return self.text.encode()
        if self.data is None:
            return None
        try:
            return base64.b64decode(self.data, validate=True)
        except ValueError:
            raise invalid("This is not base64.", "data") from None

    async def upload(self, info: Info, title: str | None, kind: DocumentType | None) -> commands.Upload:
        """The input with its bytes stored; a refusal leaves at most an unreferenced blob behind."""
        if self.author is not None and len(self.author) > MAX_AUTHOR:
            raise invalid(f"An author has at most {MAX_AUTHOR} characters.", "author")
        data, file = self.bytes(), None
        if data is not None:
            rules.checked_size(data)
            declared = "text/plain; charset=utf-8" if self.text is not None else self.content_type or ""
            wanted = Attachment(content_type=declared, title=title or "")
            reading = await info.context.resources.reader.read(data, declared)
            file = rules.arrived(wanted, data, reading, title or "document", 0)
            await info.context.resources.blobs.put(data)
        return commands.Upload(title=title, type=kind, date=self.date, author=self.author, file=file)


@strawberry.input(description="A change of an uploaded document. What is not given stays as it is.")
class DocumentUpdateInput(DocumentFields):
    title: str | None = strawberry.field(default=None, description="Its title.")
    type: DocumentType | None = strawberry.field(default=None, description="What it is.")


@strawberry.input(description="A document to upload: a text or a file.")
class DocumentUploadInput(DocumentFields):
    title: str = strawberry.field(description="Its title.")
    type: DocumentType = strawberry.field(description="What it is.")
