"""A Healthie-style GraphQL API at `/graphql`, over the same patients and attachments: the part of Healthie's reference
(version 2026-01-01) that a document's way into the platform needs, and no more.

What is not valid comes back in `messages`, with HTTP 200 and without `errors`. There are no idempotency keys. A full store
answers `QUOTA_EXCEEDED`; that code is ours, Healthie documents none.
"""

import base64
import binascii
import json
import re
import secrets
from typing import Any

import graphql
from graphql import GraphQLError, build_schema
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.http import TooLarge, capped, origin
from sandbox.platform.hooks import Hooks
from sandbox.platform.store import LARGEST_UPLOAD, Store

LARGEST_BODY = LARGEST_UPLOAD * 4 // 3 + 256 * 1024
LARGEST_METADATA = 128_000
VERSIONS = ("2026-01-01",)
BASELINE = "2024-06-01"
DATA_URL = re.compile(r"data:([^;,]*);base64,(.*)", re.DOTALL)

SCHEMA = build_schema(
    """
    scalar ISO8601DateTime
    enum DocumentOrderKeys { CREATED_AT_ASC CREATED_AT_DESC NAME_ASC NAME_DESC }
    enum WebhookEventType { DOCUMENT_CREATED DOCUMENT_UPDATED DOCUMENT_DELETED }
    type PageInfo { has_next_page: Boolean! has_previous_page: Boolean! start_cursor: String end_cursor: String }
    type FieldError { field: String message: String! }
    type User { id: ID! first_name: String last_name: String dob: String record_identifier: String active: Boolean! }
    type UserConnection { nodes: [User] page_info: PageInfo! total_count: Int! }
    type Document {
      id: ID! display_name: String description: String metadata: String file_content_type: String rel_user_id: ID
      created_at: ISO8601DateTime!
    }
    type DocumentPaginationConnection { nodes: [Document] page_info: PageInfo! total_count: Int! }
    type Webhook { id: ID! url: String is_enabled: Boolean! should_retry: Boolean! signature_secret: String }
    type WebhookPaginationConnection { nodes: [Webhook] page_info: PageInfo! total_count: Int! }
    type createClientPayload { user: User messages: [FieldError] }
    type createDocumentPayload { document: Document messages: [FieldError] }
    type deleteDocumentPayload { document: Document messages: [FieldError] }
    type createWebhookPayload { webhook: Webhook messages: [FieldError] }
    type updateWebhookPayload { webhook: Webhook messages: [FieldError] }
    input createClientInput {
      first_name: String last_name: String dob: String email: String skipped_email: Boolean dont_send_welcome: Boolean
      record_identifier: ID
    }
    input createDocumentInput {
      file_string: String display_name: String description: String rel_user_id: ID share_with_rel: Boolean
      include_in_charting: Boolean metadata: String
    }
    input deleteDocumentInput { id: ID }
    input WebhookEventInput { id: ID event_type: WebhookEventType! }
    input createWebhookInput {
      url: String is_enabled: Boolean should_retry: Boolean = true webhook_events: [WebhookEventInput]
    }
    input updateWebhookInput { id: ID url: String is_enabled: Boolean should_retry: Boolean }
    type Query {
      user(id: ID): User
      users(keywords: String, show_all_by_default: Boolean, first: Int, after: String): UserConnection!
      document(id: ID): Document
      documents(
        consolidated_user_id: String, order_by: DocumentOrderKeys, first: Int, after: String
      ): DocumentPaginationConnection
      webhooks(first: Int, after: String): WebhookPaginationConnection
    }
    type Mutation {
      createClient(input: createClientInput): createClientPayload
      createDocument(input: createDocumentInput): createDocumentPayload
      deleteDocument(input: deleteDocumentInput): deleteDocumentPayload
      createWebhook(input: createWebhookInput): createWebhookPayload
      updateWebhook(input: updateWebhookInput): updateWebhookPayload
    }
    """
)


async def answer(store: Store, hooks: Hooks, request: Request) -> Response:
    """POST /graphql."""
    if refused := _refusal(store, request):
        return refused
    try:
        body: Any = json.loads(await capped(request, LARGEST_BODY).body())
        query, variables = str(body["query"]), body.get("variables")
    except TooLarge:
        return _errors("The request is too large", "PAYLOAD_TOO_LARGE", 413)
    except (ValueError, KeyError, TypeError, RecursionError):
        return _errors("The body is no GraphQL request", "BAD_REQUEST", 400)
    result = await graphql.graphql(SCHEMA, query, Root(store, hooks, origin(request)), variable_values=variables)
    content: dict[str, Any] = {"data": result.data}
    if result.errors:
        content["errors"] = [error.formatted for error in result.errors]
    return JSONResponse(content)


def _refusal(store: Store, request: Request) -> Response | None:
    """The key stands as it is behind `Basic`, and the source is named beside it."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    source = request.headers.get("authorizationsource", "")
    if scheme != "Basic" or source != "API" or not store.knows_key(key.strip()):
        return _errors("API Key is missing or not valid", "UNAUTHENTICATED", 401)
    version = request.headers.get("healthie-graphql-api-version", BASELINE)
    if version not in (*VERSIONS, BASELINE):
        return _errors(f"API version '{version}' is no longer supported.", "UNSUPPORTED_API_VERSION", 200)
    return None


def _errors(message: str, code: str, status: int) -> Response:
    return JSONResponse({"errors": [{"message": message, "extensions": {"code": code}}]}, status)


class Root:
    """The resolvers: graphql-core calls a root value's methods with the field's arguments."""

    def __init__(self, store: Store, hooks: Hooks, base: str) -> None:
        self._store = store
        self._hooks = hooks
        self._base = base

    def user(self, _: Any, id: str | None = None) -> Any:  # noqa: A002 - the API's name
        found = self._store.patient(_number(id))
        return _user(found) if found else None

    def users(self, _: Any, keywords: str | None = None, first: int = 10, after: str | None = None, **__: Any) -> Any:
        page = (_number(after) or 0) + 1
        found, total = self._store.patients(keywords or "", page, min(first, 100))
        more = page * min(first, 100) < total
        return _connection([_user(it) for it in found], total, str(page) if more else None)

    def document(self, _: Any, id: str | None = None) -> Any:  # noqa: A002 - the API's name
        found = self._store.attachment(_number(id))
        return self._document(found) if found else None

    def documents(
        self, _: Any, consolidated_user_id: str | None = None, first: int = 10, after: str | None = None, **__: Any
    ) -> Any:
        size = min(first, 100)
        found, total = self._store.attachments_after(_number(consolidated_user_id), _number(after) or 0, size + 1)
        shown = found[:size]
        cursor = shown[-1]["id"] if len(found) > size else None
        return _connection([self._document(it) for it in shown], total, cursor)

    def webhooks(self, _: Any, **__: Any) -> Any:
        found = [_webhook(it) for it in self._store.webhooks() if it["style"] == "healthie"]
        return _connection(found, len(found), None)

    def createClient(self, _: Any, input: dict[str, Any]) -> Any:  # noqa: A002, N802 - the API's names
        messages = [_wrong(name, "can't be blank") for name in ("first_name", "last_name") if not input.get(name)]
        if not input.get("email") and not input.get("skipped_email"):
            messages.append(_wrong("email", "can't be blank"))
        if messages:
            return {"user": None, "messages": messages}
        names = ("first_name", "last_name", "dob", "record_identifier")
        made = self._store.create_patient(*[input.get(name) for name in names])  # pyright: ignore[reportArgumentType]
        return {"user": self.user(None, str(made)), "messages": []}

    def createDocument(self, _: Any, input: dict[str, Any]) -> Any:  # noqa: A002, N802 - the API's names
        found, data, messages = _file(input.get("file_string") or "")
        patient = self._store.patient(_number(input.get("rel_user_id")))
        if patient is None:
            messages.append(_wrong("rel_user_id", "is not a client of yours"))
        if len(input.get("metadata") or "") > LARGEST_METADATA:
            messages.append(_wrong("metadata", f"is too long (maximum is {LARGEST_METADATA} characters)"))
        if messages or patient is None:
            return {"document": None, "messages": messages}
        if self._store.is_full():
            raise GraphQLError("The storage of this account is used up", extensions={"code": "QUOTA_EXCEEDED"})
        name = (input.get("display_name") or "file").replace("/", "_")
        key = f"graphql/{secrets.token_hex(12)}/{name}"
        self._store.keep_upload(key, int(patient["id"]), found, data)
        upload = self._store.upload(key)
        assert upload is not None
        made = self._store.create_attachment(upload, input.get("description"), None)
        if metadata := input.get("metadata"):
            self._store.note_metadata(made["id"], metadata)
        self._hooks.tell("created", made)
        return {"document": self._document(made), "messages": []}

    def deleteDocument(self, _: Any, input: dict[str, Any]) -> Any:  # noqa: A002, N802 - the API's names
        shown = self.document(None, input.get("id"))
        found = self._store.delete_attachment(_number(input.get("id")))
        if found is None:
            return {"document": None, "messages": [_wrong("id", "Document not found")]}
        self._hooks.tell("deleted", found)
        return {"document": shown, "messages": []}

    def createWebhook(self, _: Any, input: dict[str, Any]) -> Any:  # noqa: A002, N802 - the API's names
        url = input.get("url") or ""
        if not url.startswith(("http://", "https://")):
            return {"webhook": None, "messages": [_wrong("url", "is not a valid URL")]}
        secret = f"whsec_{secrets.token_hex(16)}"
        made = self._store.add_webhook("healthie", url, secret, is_enabled=bool(input.get("is_enabled")))
        return {"webhook": self._webhook(made), "messages": []}

    def updateWebhook(self, _: Any, input: dict[str, Any]) -> Any:  # noqa: A002, N802 - the API's names
        number = _number(input.get("id")) or 0
        if self._webhook(number) is None:
            return {"webhook": None, "messages": [_wrong("id", "Webhook not found")]}
        if (is_enabled := input.get("is_enabled")) is not None:
            self._store.enable_webhook(number, is_enabled=is_enabled)
        return {"webhook": self._webhook(number), "messages": []}

    def _webhook(self, number: int) -> Any:
        return next((_webhook(it) for it in self._store.webhooks() if it["id"] == number), None)

    def _document(self, found: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": found["id"],
            "display_name": found["filename"],
            "description": found["description"],
            "metadata": self._store.metadata(found["id"]),
            "file_content_type": found["content_type"],
            "rel_user_id": found["patient_id"],
            "created_at": found["created_at"],
        }


def _user(found: dict[str, Any]) -> dict[str, Any]:
    return {
        **found,
        "dob": found["date_of_birth"],
        "record_identifier": found["external_identifier"],
        "active": found["archived_at"] is None,
    }


def _webhook(found: dict[str, Any]) -> dict[str, Any]:
    return {**found, "id": str(found["id"]), "should_retry": True, "signature_secret": found["secret"]}


def _connection(nodes: list[Any], total: int, cursor: str | None) -> dict[str, Any]:
    info = {"has_next_page": cursor is not None, "has_previous_page": False, "end_cursor": cursor}
    return {"nodes": nodes, "page_info": info, "total_count": total}


def _file(text: str) -> tuple[str, bytes, list[dict[str, str]]]:
    """The media type and the bytes of a data URL, or what is wrong with it."""
    found = DATA_URL.fullmatch(text)
    try:
        data = base64.b64decode(found[2], validate=True) if found else None
    except binascii.Error:
        data = None
    if found is None or data is None:
        return "", b"", [_wrong("file", "can't be blank")]
    if len(data) > LARGEST_UPLOAD:
        return "", b"", [_wrong("file", "is too large")]
    return found[1] or "application/octet-stream", data, []


def _wrong(field: str, message: str) -> dict[str, str]:
    return {"field": field, "message": message}


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None
