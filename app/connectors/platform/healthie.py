"""Healthie's GraphQL API, version 2026-01-01, as its public reference and guides describe it.

From their pages: the headers `Authorization: Basic <key as it stands>` and `AuthorizationSource: API`; the version header,
which is needed from 2027-01-31 on; `users` that are searched by `keywords`, also by record identifier; `createClient`,
`createDocument` with `file_string` as a data URL and at most 128,000 characters of metadata, `documents`, `document`,
`deleteDocument`; connections with `page_info`; `messages` of a mutation for what is not valid, while `errors` stays empty;
`TOO_MANY_REQUESTS` without any hint how long; `webhooks`, `createWebhook`, `updateWebhook`, which is disabled after about three
days of failures. Not on their pages, and therefore our own: the codes in `ASSUMED`, and the greatest size of a file. A file's
content cannot be changed there and nothing can be archived: what is to disappear is deleted.
"""

import base64
import re
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from app.connectors.http import open_client
from app.connectors.platform import healthie_operations as operations
from app.connectors.platform.exchange import CONNECT_SECONDS, MOST_NAMED, READ_SECONDS, Exchange, decode, refused
from app.connectors.platform.port import (
    CarePlatform,
    Changes,
    Outgoing,
    PlatformConnection,
    PlatformError,
    PlatformErrorCode,
    PlatformLimits,
    PlatformPatient,
    Receipt,
    ReceiptState,
    Watching,
)
from app.connectors.platform.streaming import GAP, in_base64
from app.core.blobs import Stored

API_VERSION = "2026-01-01"
PER_PAGE = 50
"""Their advice: 10 to 50. A page counts towards the complexity of a query."""
MOST_PAGES = 1000
FULL_DATE = 10
MEGABYTE = 1024 * 1024
LIMITS = PlatformLimits(max_bytes=50 * MEGABYTE, description_characters=255, metadata_characters=128_000)
MINE = "healthrecords"
"""The key in a document's metadata below which our reference stands."""
WATCHED = ("DOCUMENT_CREATED", "DOCUMENT_UPDATED", "DOCUMENT_DELETED")

DOCUMENTED = {
    "TOO_MANY_REQUESTS": PlatformErrorCode.THROTTLED,
    "UNSUPPORTED_API_VERSION": PlatformErrorCode.NOT_SUPPORTED,
    "MISSING_API_VERSION_HEADER": PlatformErrorCode.NOT_SUPPORTED,
}
ASSUMED = {
    "UNAUTHENTICATED": PlatformErrorCode.UNAUTHORIZED,
    "UNAUTHORIZED": PlatformErrorCode.UNAUTHORIZED,
    "FORBIDDEN": PlatformErrorCode.UNAUTHORIZED,
    "NOT_FOUND": PlatformErrorCode.NOT_FOUND,
    "QUOTA_EXCEEDED": PlatformErrorCode.FULL,
    "INTERNAL_SERVER_ERROR": PlatformErrorCode.UNAVAILABLE,
}
CODES = DOCUMENTED | ASSUMED
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+")
_CODE = re.compile(r"[A-Z][A-Z_]{0,39}")
IN_DOUBT = (PlatformErrorCode.UNAVAILABLE, PlatformErrorCode.TIMEOUT)


class FieldError(msgspec.Struct):
    """What is not valid. Its `message` is not read: it may repeat what was entered."""

    field: str | None = None


class GraphQLError(msgspec.Struct):
    extensions: dict[str, Any] | None = None


class Reply(msgspec.Struct):
    data: dict[str, msgspec.Raw] | None = None
    errors: list[GraphQLError] | None = None


class PageInfo(msgspec.Struct):
    has_next_page: bool
    end_cursor: str | None = None


class User(msgspec.Struct):
    id: str
    record_identifier: str | None = None


class UserPage(msgspec.Struct):
    nodes: list[User]
    page_info: PageInfo


class Document(msgspec.Struct):
    id: str
    metadata: str | None = None
    created_at: str | None = None


class DocumentPage(msgspec.Struct):
    nodes: list[Document]
    page_info: PageInfo


class Webhook(msgspec.Struct):
    id: str
    is_enabled: bool
    url: str | None = None
    signature_secret: str | None = None


class WebhookPage(msgspec.Struct):
    nodes: list[Webhook]
    page_info: PageInfo


class Made(msgspec.Struct):
    """What a mutation answers: the thing, or why not. Both may be missing where an error says more."""

    messages: list[FieldError] | None = None
    user: User | None = None
    document: Document | None = None
    webhook: Webhook | None = None


Shape = TypeVar("Shape")


class Healthie:
    """`CarePlatform` over Healthie's API."""

    limits = LIMITS

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def ensure_patient(self, patient: PlatformPatient, known_id: str | None = None) -> str:
        if known_id and await self._one(operations.USER, "user", known_id, User):
            return known_id
        pages = self._pages(operations.USERS, "users", UserPage, keywords=patient.reference)
        async for page in pages:
            for found in page.nodes:
                if found.record_identifier == patient.reference:
                    return found.id
        given: dict[str, object] = {
            "first_name": patient.first_name,
            "last_name": patient.last_name,
            "record_identifier": patient.reference,
            "skipped_email": True,
            "dont_send_welcome": True,
        }
        if len(patient.birth_date) == FULL_DATE:
            given["dob"] = patient.birth_date
        made = await self._change(operations.CREATE_CLIENT, "createClient", given)
        return _there(made.user).id

    async def find(self, platform_patient_id: str, references: set[str]) -> dict[str, Receipt]:
        found: dict[str, Receipt] = {}
        async for documents in self._documents(platform_patient_id):
            for document in documents:
                reference = _reference(document)
                if reference in references and reference not in found:
                    found[reference] = Receipt(document.id, reference, ReceiptState.CONFIRMED)
            if len(found) == len(references):
                break
        return found

    async def put(self, platform_patient_id: str, document: Outgoing) -> Receipt:
        media_type = document.content_type.partition(";")[0].strip()
        if not _MEDIA_TYPE.fullmatch(media_type):
            media_type = "application/octet-stream"
        large = in_base64(document.data) if isinstance(document.data, Stored) else None
        content = GAP if isinstance(document.data, Stored) else base64.b64encode(document.data).decode("ascii")
        given = {
            "file_string": f"data:{media_type};base64,{content}",
            "display_name": document.filename.strip() or "document",
            "description": document.description[: LIMITS.description_characters],
            "rel_user_id": platform_patient_id,
            # Whether the patient is to see it, the dietician decides there.
            "share_with_rel": False,
            "metadata": _metadata(document.reference),
        }
        made = await self._change(operations.CREATE_DOCUMENT, "createDocument", given, file=large)
        return Receipt(_there(made.document).id, document.reference, ReceiptState.CONFIRMED)

    async def confirm(self, attachment_id: str) -> ReceiptState:
        """Nothing is processed there: what is there is done."""
        if await self._one(operations.DOCUMENT, "document", attachment_id, Document) is None:
            raise PlatformError(PlatformErrorCode.NOT_FOUND, "the platform does not have the document any more")
        return ReceiptState.CONFIRMED

    async def archive(self, attachment_id: str) -> None:
        # Looked for first: of a document that is gone, a refusal to delete it says too little to be told from any other.
        if await self._one(operations.DOCUMENT, "document", attachment_id, Document) is not None:
            await self._change(operations.DELETE_DOCUMENT, "deleteDocument", {"id": attachment_id}, creates=False)

    async def changes(self, platform_patient_id: str, known: Collection[str], since: datetime | None) -> Changes:
        """There is a list of what is there, and none of what has changed: the whole list is compared with what we know."""
        there = [it async for documents in self._documents(platform_patient_id) for it in documents]
        ids = {it.id for it in there}
        return Changes(
            confirmed=frozenset(known) & ids,
            removed=frozenset(known) - ids,
            added=frozenset(it.id for it in there if _reference(it) is None and _is_since(it.created_at, since)),
        )

    async def watch(self, url: str) -> Watching:
        """Makes the webhook, and enables it again where it was disabled after three days of failures."""
        async for page in self._pages(operations.WEBHOOKS, "webhooks", WebhookPage):
            for webhook in page.nodes:
                if webhook.url == url:
                    if not webhook.is_enabled:
                        await self._change(operations.UPDATE_WEBHOOK, "updateWebhook", _enabled(webhook.id))
                    return Watching(True, webhook.signature_secret, mended=not webhook.is_enabled)
        events = [{"event_type": kind} for kind in WATCHED]
        given = {"url": url, "is_enabled": True, "should_retry": True, "webhook_events": events}
        made = await self._change(operations.CREATE_WEBHOOK, "createWebhook", given)
        return Watching(True, _there(made.webhook).signature_secret)

    async def _documents(self, platform_patient_id: str) -> AsyncIterator[Sequence[Document]]:
        async for page in self._pages(operations.DOCUMENTS, "documents", DocumentPage, patient=platform_patient_id):
            yield page.nodes

    async def _pages(self, query: str, field: str, shape: type[Shape], **variables: str) -> AsyncIterator[Shape]:
        """Every page of a connection. One that leads nowhere new is no end: half a list would be taken for an absence."""
        after: str | None = None
        for _ in range(MOST_PAGES):
            reply = await self._ask(query, {"first": PER_PAGE, "after": after, **variables}, creates=False)
            page: Any = _field(reply, field, shape)
            if page is None:
                raise PlatformError(PlatformErrorCode.BAD_RESPONSE, f"the platform does not answer with its {field}")
            yield page
            if not page.page_info.has_next_page:
                return
            if page.page_info.end_cursor in (None, after):
                raise PlatformError(PlatformErrorCode.BAD_RESPONSE, f"the platform's list of {field} does not go on")
            after = page.page_info.end_cursor
        raise PlatformError(PlatformErrorCode.BAD_RESPONSE, f"the platform's list of {field} does not end")

    async def _one(self, query: str, field: str, row_id: str, shape: type[Shape]) -> Shape | None:
        """One thing by its id; None where there is none: said by null, by an error, or by the HTTP status."""
        try:
            reply = await self._ask(query, {"id": row_id}, creates=False)
        except PlatformError as error:
            if error.code is PlatformErrorCode.NOT_FOUND:
                return None
            raise
        return _field(reply, field, shape)

    async def _change(
        self, query: str, field: str, given: object, *, creates: bool = True, file: Stored | None = None
    ) -> Made:
        reply = await self._ask(query, {"input": given}, creates=creates, file=file)
        made = _field(reply, field, Made, creates=creates)
        if made is None:
            raise PlatformError(PlatformErrorCode.BAD_RESPONSE, "the platform answered nothing", ambiguous=creates)
        if made.messages and not (made.user or made.document or made.webhook):
            named = [it.field or "" for it in made.messages]
            raise PlatformError(PlatformErrorCode.REFUSED, f"the platform answered, {refused(named)}")
        return made

    async def _ask(self, query: str, variables: dict[str, Any], *, creates: bool, file: Stored | None = None) -> Reply:
        answer = await self._exchange.post("", {"query": query, "variables": variables}, creates=creates, file=file)
        reply = decode(answer, Reply, creates=creates)
        if reply.errors:
            raise _failure(reply.errors, creates=creates)
        return reply


def _failure(errors: Sequence[GraphQLError], *, creates: bool) -> PlatformError:
    """The first error that has a code says what happened; where none has, the request was refused."""
    said = [str((it.extensions or {}).get("code", "")).upper() for it in errors]
    code = next((CODES[it] for it in said if it in CODES), PlatformErrorCode.REFUSED)
    named = [it for it in dict.fromkeys(said) if _CODE.fullmatch(it)][:MOST_NAMED]
    detail = f"the platform answered with {', '.join(named) or 'an error'}"
    return PlatformError(code, detail, ambiguous=creates and code in IN_DOUBT)


def _field(reply: Reply, name: str, shape: type[Shape], *, creates: bool = False) -> Shape | None:
    """One field of the answer; None where it is null or missing."""
    raw = (reply.data or {}).get(name, b"null")
    try:
        return msgspec.json.decode(raw, type=shape | None)
    except (ValueError, RecursionError) as error:
        detail = "the platform answered with something unexpected"
        raise PlatformError(PlatformErrorCode.BAD_RESPONSE, detail, ambiguous=creates) from error


def _there(made: Shape | None) -> Shape:
    if made is None:
        detail = "the platform did not name what it made"
        raise PlatformError(PlatformErrorCode.BAD_RESPONSE, detail, ambiguous=True)
    return made


def _enabled(webhook_id: str) -> dict[str, object]:
    return {"id": webhook_id, "is_enabled": True, "should_retry": True}


def _metadata(reference: str) -> str:
    return msgspec.json.encode({MINE: {"reference": reference}}).decode()


def _reference(document: Document) -> str | None:
    """Ours, from the metadata; None for what others have put there."""
    try:
        found: Any = msgspec.json.decode(document.metadata or "null")
        reference: Any = found[MINE]["reference"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    return reference if isinstance(reference, str) else None


def _is_since(created_at: str | None, since: datetime | None) -> bool:
    try:
        made = datetime.fromisoformat(created_at) if created_at else None
    except ValueError:
        made = None
    if since is None or made is None:
        return True
    return (made if made.tzinfo else made.replace(tzinfo=UTC)) >= since


@asynccontextmanager
async def connect(connection: PlatformConnection) -> AsyncGenerator[CarePlatform, None]:
    """Opens the platform; nothing is sent yet. The address may end with `/graphql` or not."""
    identity = {
        "Authorization": f"Basic {connection.username}",
        "AuthorizationSource": "API",
        "Healthie-GraphQL-API-Version": API_VERSION,
    }
    base = connection.base_url.strip().rstrip("/").removesuffix("/graphql")
    there = replace(connection, base_url=f"{base}/graphql")
    async with open_client(
        connect_seconds=CONNECT_SECONDS,
        read_seconds=READ_SECONDS,
        user_agent=connection.vendor.encode("ascii", "replace").decode("ascii"),
        allow=connection.networks,
    ) as client:
        yield Healthie(Exchange(client, there, identity))
