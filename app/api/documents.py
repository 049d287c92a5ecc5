"""The GraphQL edge of documents."""

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry

from app.api.document_enums import DocumentOrder, DocumentStatus, DocumentType, Integrity, SourceKind
from app.api.document_inputs import DocumentFilter, DocumentUpdateInput, DocumentUploadInput
from app.api.kit import ids
from app.api.kit.connection import (
    TOTAL,
    After,
    Connection,
    First,
    Linked,
    Listing,
    PageInfo,
    Search,
    connect,
    total_count,
)
from app.api.kit.context import Info
from app.api.kit.node import Node, of_row
from app.api.kit.payload import UserError, errors, refusable
from app.api.kit.permission import SignedIn
from app.domain.documents import commands, models, queries
from app.domain.patients import queries as patients
from app.domain.sync import queries as sync

if TYPE_CHECKING:
    from app.api.patients import Patient
    from app.api.sync import Log

FILE_AUDIENCE = "file"
FILE_SECONDS = 600
Row = strawberry.Parent[models.HealthcareDocument]


@strawberry.type(description="Where a document comes from.")
class DocumentOrigin:
    kind: SourceKind = strawberry.field(description="A provider or a user.")
    name: str = strawberry.field(description="Its name.")


@strawberry.type(description="A document's bytes in one format.")
@of_row(models.File)
class File(Node):
    content_type: str = strawberry.field(description="The media type, by the bytes themselves.")
    filename: str = strawberry.field(description="A name to save it under.")
    size: int | None = strawberry.field(description="In bytes; null while the file is missing.")
    sha256: str | None = strawberry.field(
        description="The SHA-256 of the bytes in hex; null while the file is missing."
    )
    integrity: Integrity = strawberry.field(description="Whether it is what its source said.")
    missing: str | None = strawberry.field(description="Why the bytes could not be had: a code of the sync catalogue.")

    @strawberry.field(
        description="A link to the bytes for the caller, good for ten minutes; null while the file is missing."
    )
    def download_url(self, root: strawberry.Parent[models.File], info: Info) -> str | None:
        if root.sha256 is None:
            return None
        context = info.context
        claims = {"sub": str(context.actor.id), "sid": str(context.actor.session_id), "file": str(root.id)}
        token = context.resources.vault.sign(claims, FILE_AUDIENCE, FILE_SECONDS)
        return f"{context.resources.settings.base_url}/files/{root.id}?token={token}"


@strawberry.type(description="A field that differs from the version before.")
class DocumentChange:
    field: str = strawberry.field(description="What changed: content, title, type, date, author or status.")
    before: str | None = strawberry.field(description="The value before; for content the start of its hash.")
    after: str | None = strawberry.field(description="The value after.")
    significant: bool = strawberry.field(description="Whether a dietician should look at it.")


@strawberry.type(description="What a document was at a time.")
@of_row(models.DocumentVersion)
class DocumentVersion(Node):
    number: int = strawberry.field(description="1 for the first.")
    created_at: dt.datetime = strawberry.field(description="When it arrived here.")

    @strawberry.field(description="The SHA-256 over the contents of its formats, in hex.")
    def sha256(self, root: strawberry.Parent[models.DocumentVersion]) -> str:
        return root.content_hash.hex()

    @strawberry.field(description="What differs from the version before.")
    def changes(self, root: strawberry.Parent[models.DocumentVersion]) -> list[DocumentChange]:
        return [DocumentChange(**line) for line in root.changes]


@strawberry.type(description="A document of a patient (FHIR: DocumentReference).")
@of_row(models.HealthcareDocument)
class Document(Node):
    type: DocumentType = strawberry.field(description="What it is.")
    title: str = strawberry.field(description="Its title.")
    date: dt.datetime | None = strawberry.field(description="When it was written; null where its source does not say.")
    author: str = strawberry.field(description="Who wrote it.")
    status: DocumentStatus = strawberry.field(description="Whether it holds today.")
    version: int = strawberry.field(description="The number of its latest version.")
    changed_at: dt.datetime = strawberry.field(description="When it last changed here.")

    @strawberry.field(description="The opening of its text, up to 500 characters; null for pictures.")
    def excerpt(self, root: Row) -> str | None:
        return root.content

    @strawberry.field(description="Where it comes from.")
    def source(self, root: Row) -> DocumentOrigin:
        return DocumentOrigin(kind=root.source, name=root.source_name)

    @strawberry.field(description="The extracted text of the latest version, for reading and search.")
    async def text(self, root: Row, info: Info) -> str | None:
        return await info.context.load(queries.texts_for, root.id)

    @strawberry.field(description="The latest version's files.")
    async def files(self, root: Row, info: Info) -> list[File]:
        return await info.context.load(queries.files, root.id) or []

    @strawberry.field(description="Whom it is about.")
    async def patient(self, root: Row, info: Info) -> Annotated["Patient", strawberry.lazy("app.api.patients")]:
        return await info.context.load(patients.by_ids, root.patient_id)

    @strawberry.field(description="Its versions, the latest first.")
    async def versions(self, root: Row, info: Info, first: First, after: After = None) -> Connection[DocumentVersion]:
        return await connect(info.context, queries.versions(root.id), queries.VERSIONS, first, after)

    @strawberry.field(description="What happened to it, the latest first.")
    async def logs(
        self, root: Row, info: Info, first: First, after: After = None
    ) -> Connection[Annotated["Log", strawberry.lazy("app.api.sync")]]:
        statement = sync.listed_logs(info.context.actor, sync.LogFilter(document_id=root.id))
        return await connect(info.context, statement, sync.LOGS, first, after)


@strawberry.type(description="How many documents of a type a list holds.")
class DocumentFacet:
    type: DocumentType = strawberry.field(description="The type.")
    count: int = strawberry.field(description="How many.")


@strawberry.type(description="A document in a list.")
class DocumentEdge:
    cursor: str = strawberry.field(description="Where this row stands in its order.")
    node: Document = strawberry.field(description="The document itself.")

    @strawberry.field(
        description="The passage that matches the search, escaped for HTML, its words in <mark>; null without `search`."
    )
    async def highlight(self, root: strawberry.Parent[Linked], info: Info) -> str | None:
        search = root.listing.search
        if not search:
            return None
        found: dict[UUID, str] = await info.context.load(queries.highlights_of, (search, _listed_ids(root.listing)))
        return found.get(root.node.id)


def _listed_ids(listing: Listing) -> tuple[UUID, ...]:
    return tuple(edge.node.id for edge in listing.edges)


@strawberry.type(description="Documents, a page at a time.")
class DocumentConnection:
    edges: list[DocumentEdge] = strawberry.field(description="The rows of this page.")
    page_info: PageInfo = strawberry.field(description="Where this page lies.")
    total_count: int = strawberry.field(resolver=total_count, description=TOTAL)

    @strawberry.field(description="How many documents of each type the whole list holds, most first.")
    async def facets(self, root: strawberry.Parent[Listing], info: Info) -> list[DocumentFacet]:
        async with info.context.reading() as session:
            counted = await queries.facets(session, root.statement)
        return [DocumentFacet(type=kind, count=number) for kind, number in counted]


@strawberry.type(description="The answer to uploading or changing a document.")
class DocumentPayload:
    document: Document | None = strawberry.field(default=None, description="The document as it is now.")
    user_errors: list[UserError] = errors()


@strawberry.type(description="The answer to deleting a document.")
class DocumentDeletePayload:
    deleted_id: strawberry.ID | None = strawberry.field(default=None, description="The id of what is gone.")
    user_errors: list[UserError] = errors()


@strawberry.type
class DocumentsQuery:
    @strawberry.field(permission_classes=[SignedIn], description="The documents that the caller may see.")
    async def documents(
        self,
        info: Info,
        first: First,
        after: After = None,
        search: Search = None,
        filter: Annotated[DocumentFilter | None, strawberry.argument(description="Which to list.")] = None,  # noqa: A002
        order_by: Annotated[
            DocumentOrder | None, strawberry.argument(description="How to sort; the newest first if not given.")
        ] = None,
    ) -> DocumentConnection:
        wanted = filter.wanted() if filter else queries.Filter()
        statement = queries.listed(info.context.actor, wanted, search)
        order = queries.ORDERS[order_by or DocumentOrder.NEWEST]
        return await connect(info.context, statement, order, first, after, search)

    @strawberry.field(
        permission_classes=[SignedIn], description="One document; null where there is none for the caller."
    )
    async def document(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The document.")],  # noqa: A002
    ) -> Document | None:
        document_id = ids.decode_or_none(id, "Document")
        return await find(info, document_id) if document_id else None


@strawberry.type
class DocumentsMutation:
    @strawberry.mutation(
        permission_classes=[SignedIn], description="Uploads a document for a patient in the caller's care."
    )
    @refusable(DocumentPayload)
    async def document_upload(
        self,
        info: Info,
        patient_id: Annotated[strawberry.ID, strawberry.argument(description="Whom it is about.")],
        input: Annotated[DocumentUploadInput, strawberry.argument(description="The document.")],  # noqa: A002
    ) -> DocumentPayload:
        row_id = ids.decode(patient_id, "Patient", "patientId")
        upload = await input.upload(info, input.title, input.type)
        document: Any = await info.context.execute(commands.upload, info.context.actor, row_id, upload)
        return DocumentPayload(document=document)

    @strawberry.mutation(permission_classes=[SignedIn], description="Changes an uploaded document: its uploader only.")
    @refusable(DocumentPayload)
    async def document_update(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The document.")],  # noqa: A002
        input: Annotated[DocumentUpdateInput, strawberry.argument(description="The change.")],  # noqa: A002
    ) -> DocumentPayload:
        row_id = ids.decode(id, "Document", "id")
        upload = await input.upload(info, input.title, input.type)
        document: Any = await info.context.execute(commands.edit, info.context.actor, row_id, upload)
        return DocumentPayload(document=document)

    @strawberry.mutation(permission_classes=[SignedIn], description="Deletes an uploaded document: its uploader only.")
    @refusable(DocumentDeletePayload)
    async def document_delete(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The document.")],  # noqa: A002
    ) -> DocumentDeletePayload:
        await info.context.execute(commands.delete, info.context.actor, ids.decode(id, "Document", "id"))
        return DocumentDeletePayload(deleted_id=id)


async def find(info: Info, row_id: UUID) -> Any:
    return await info.context.read(queries.get, row_id)


async def find_file(info: Info, row_id: UUID) -> Any:
    return await info.context.read(queries.file, row_id)


async def find_version(info: Info, row_id: UUID) -> Any:
    return await info.context.read(queries.version, row_id)


NODES = {"Document": find, "File": find_file, "DocumentVersion": find_version}
