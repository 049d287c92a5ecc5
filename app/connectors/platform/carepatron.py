"""Carepatron publishes no API. This adapter speaks the Carepatron-style CRUD REST API that we have written down
ourselves: find or create the patient, ask for a presigned upload, post the file, create the attachment, poll until it
is processed. It has never spoken to Carepatron."""

import html
import re
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import quote

import msgspec

from app.connectors.http import Answer, open_client
from app.connectors.platform.exchange import (
    CONNECT_SECONDS,
    READ_SECONDS,
    Exchange,
    decode,
    failure,
)
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

LONGEST_DESCRIPTION = 255
PER_PAGE = 100
# A platform that never runs out of pages is not listened to for ever.
MOST_PAGES = 1000
FULL_DATE = 10
# The description of the API names no greatest size: its «413» says when a file was too large.
LIMITS = PlatformLimits(description_characters=LONGEST_DESCRIPTION)

_LOCATION = re.compile(rb"<Location>\s*([^<]+?)\s*</Location>")
_KEY = re.compile(rb"<Key>\s*([^<]+?)\s*</Key>")
_UNSAFE = re.compile(r"[\\/\x00-\x1f\x7f]+")
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(\s*;[\x20-\x7e]*)?")


class Patient(msgspec.Struct):
    id: str
    external_identifier: str | None = None


class Links(msgspec.Struct):
    next: str | None = None


class PatientPage(msgspec.Struct):
    patients: list[Patient]
    links: Links | None = None


class Presigned(msgspec.Struct):
    url: str
    fields: dict[str, str]


class Attachment(msgspec.Struct):
    id: str
    processing_completed: bool
    external_id: str | None = None
    created_at: datetime | None = None


class AttachmentPage(msgspec.Struct):
    patient_attachments: list[Attachment]
    total_entries: int | None = None


class Carepatron:
    """`CarePlatform` over the Carepatron-style API."""

    limits = LIMITS

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def ensure_patient(self, patient: PlatformPatient, known_id: str | None = None) -> str:
        if known_id and await self._knows(known_id):
            return known_id
        if found := await self._search(patient):
            return found
        body = {
            "first_name": patient.first_name,
            "last_name": patient.last_name,
            "external_identifier": patient.reference,
        }
        if len(patient.birth_date) == FULL_DATE:
            body["date_of_birth"] = patient.birth_date
        return decode(await self._exchange.post("/patients", body), Patient, creates=True).id

    async def _knows(self, patient_id: str) -> bool:
        # The API reads no single patient, but says 404 to who asks for an upload for one that is gone.
        try:
            await self._presign(patient_id)
        except PlatformError as error:
            if error.code is PlatformErrorCode.NOT_FOUND:
                return False
            raise
        return True

    async def _search(self, patient: PlatformPatient) -> str | None:
        seen: set[str] = set()
        for number in range(1, MOST_PAGES + 1):
            query = {"q": patient.last_name, "page": str(number), "per_page": str(PER_PAGE)}
            page = decode(await self._exchange.get("/patients", **query), PatientPage)
            for found in page.patients:
                if found.external_identifier == patient.reference:
                    return found.id
            fresh = {found.id for found in page.patients} - seen
            if not fresh or not (page.links and page.links.next):
                return None
            seen |= fresh
        raise _endless("patients")

    async def find(self, platform_patient_id: str, references: set[str]) -> dict[str, Receipt]:
        found: dict[str, Receipt] = {}
        async for attachments in self._listed(platform_patient_id):
            for attachment in attachments:
                reference = attachment.external_id
                if reference in references and reference not in found:
                    found[reference] = Receipt(attachment.id, reference, _state(attachment))
            if len(found) == len(references):
                break
        return found

    async def _listed(self, platform_patient_id: str) -> AsyncIterator[Sequence[Attachment]]:
        """Every attachment of a patient, in pages. Half a list is an error and never taken for an absence: what is «not
        there» would be sent a second time."""
        seen: set[str] = set()
        for number in range(1, MOST_PAGES + 1):
            answer = await self._exchange.get("/patient_attachments", patient_id=platform_patient_id, page=str(number))
            page = decode(answer, AttachmentPage)
            yield page.patient_attachments
            fresh = {attachment.id for attachment in page.patient_attachments} - seen
            seen |= fresh
            if len(seen) >= (page.total_entries or 0) if not fresh else len(seen) == page.total_entries:
                return
            if not fresh:
                raise PlatformError(PlatformErrorCode.UNAVAILABLE, "the platform's list of attachments is incomplete")
        raise _endless("attachments")

    async def put(self, platform_patient_id: str, document: Outgoing) -> Receipt:
        presigned = await self._presign(platform_patient_id)
        name = _UNSAFE.sub("_", document.filename).strip() or "document"
        media_type = document.content_type if _MEDIA_TYPE.fullmatch(document.content_type) else ""
        file = (name, document.data, media_type or "application/octet-stream")
        stored = await self._exchange.upload(presigned.url, presigned.fields, file)
        if problem := _upload_failure(stored):
            raise problem
        body = {
            "patient_id": platform_patient_id,
            "upload_url": _upload_url(stored, presigned, name),
            "external_id": document.reference,
        }
        if document.description:
            body["description"] = document.description[:LONGEST_DESCRIPTION]
        headers = {"Idempotency-Key": document.reference}
        answer = await self._exchange.post("/patient_attachments", body, headers)
        attachment = decode(answer, Attachment, creates=True)
        return Receipt(attachment.id, document.reference, _state(attachment))

    async def confirm(self, attachment_id: str) -> ReceiptState:
        answer = await self._exchange.get(f"/patient_attachments/{quote(attachment_id, safe='')}")
        return _state(decode(answer, Attachment))

    async def archive(self, attachment_id: str) -> None:
        try:
            await self._exchange.delete(f"/patient_attachments/{quote(attachment_id, safe='')}")
        except PlatformError as error:
            if error.code is not PlatformErrorCode.NOT_FOUND:
                raise

    async def changes(self, platform_patient_id: str, known: Collection[str], since: datetime | None) -> Changes:
        """The API has no list of changes: the whole list of a patient is compared with what we know."""
        there = [it async for attachments in self._listed(platform_patient_id) for it in attachments]
        ids = {it.id for it in there}
        return Changes(
            confirmed=frozenset(it.id for it in there if it.id in known and it.processing_completed),
            removed=frozenset(known) - ids,
            added=frozenset(it.id for it in there if it.external_id is None and _is_since(it.created_at, since)),
        )

    async def watch(self, url: str) -> Watching:  # noqa: ARG002 - the API has nothing to ask for it
        """The API knows no webhooks: an administrator enters our address and the secret at the platform."""
        return Watching(active=True)

    async def _presign(self, patient_id: str) -> Presigned:
        path = f"/patients/{quote(patient_id, safe='')}/attachment_presigned_post"
        return decode(await self._exchange.get(path), Presigned)


def _state(attachment: Attachment) -> ReceiptState:
    return ReceiptState.CONFIRMED if attachment.processing_completed else ReceiptState.PROCESSING


def _is_since(created_at: datetime | None, since: datetime | None) -> bool:
    if since is None or created_at is None:
        return True
    return (created_at if created_at.tzinfo else created_at.replace(tzinfo=UTC)) >= since


def _endless(what: str) -> PlatformError:
    return PlatformError(PlatformErrorCode.BAD_RESPONSE, f"the platform's list of {what} does not end")


def _upload_failure(answer: Answer) -> PlatformError | None:
    """The storage is another service: its «forbidden» is about this upload, not about our key."""
    problem = failure(answer, creates=False)
    if problem is None:
        return None
    if b"EntityTooLarge" in answer.body:
        return PlatformError(PlatformErrorCode.TOO_LARGE, "the platform's storage refused a file of this size")
    if problem.code in (PlatformErrorCode.UNAUTHORIZED, PlatformErrorCode.NOT_FOUND):
        return PlatformError(PlatformErrorCode.REFUSED, f"the platform's storage answered {answer.status}")
    return problem


def _upload_url(answer: Answer, presigned: Presigned, filename: str) -> str:
    """Where the storage says that the file lies (S3 tells the place or only the key), else where the form put it."""
    if (told := _LOCATION.search(answer.body)) is not None:
        return html.unescape(told[1].decode("utf-8", "replace"))
    if answer.status == HTTPStatus.CREATED and (header := answer.headers.get("location")):
        return header
    named = _KEY.search(answer.body)
    form = presigned.fields.get("key", "").replace("${filename}", filename)
    key = html.unescape(named[1].decode("utf-8", "replace")) if named else form
    return f"{presigned.url.rstrip('/')}/{quote(key)}"


@asynccontextmanager
async def connect(connection: PlatformConnection) -> AsyncGenerator[CarePlatform, None]:
    """Opens the platform; nothing is sent yet. The API demands a User-Agent of the form `name (address@host)`."""
    async with open_client(
        connect_seconds=CONNECT_SECONDS,
        read_seconds=READ_SECONDS,
        user_agent=connection.vendor.encode("ascii", "replace").decode("ascii"),
        allow=connection.networks,
    ) as client:
        yield Carepatron(Exchange(client, connection))
