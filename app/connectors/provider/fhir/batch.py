"""Many small files in one exchange: a batch Bundle of reads (R4 3.1.0.11)."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

import httpx
import msgspec

from app.connectors.http import Answer
from app.connectors.provider.fhir.auth import Session
from app.connectors.provider.fhir.mapping import line, relative, valid_id
from app.connectors.provider.fhir.resources import BatchBundle, BatchEntry
from app.connectors.provider.fhir.transport import FHIR_JSON, decode, failure, same_origin
from app.connectors.provider.port import Attachment, Fetched, ProviderError, ProviderErrorCode

LARGEST_FILE = 64 * 1024
"""Bytes, as declared. Larger ones are worth an exchange of their own."""
ENTRIES = 25
BATCHES_AT_ONCE = 4
BATCH_BYTES = 8 * 1024 * 1024
"""Four times what a whole batch of the largest files takes in base64: what is declared may be wrong."""

# What a second look at each file would only meet again.
_NOT_NOW = (ProviderErrorCode.THROTTLED, ProviderErrorCode.UNREACHABLE)
# What says something about the batch or about us, and not about the file: a single read will tell.
_UNTOLD = (ProviderErrorCode.UNAUTHORIZED, ProviderErrorCode.NOT_SUPPORTED, ProviderErrorCode.BAD_RESPONSE)

Outcomes = dict[int, Fetched | ProviderError]


@dataclass(slots=True)
class Batches:
    """`works` is None where it was never tried out: then files are fetched one by one."""

    session: Session
    works: bool | None
    paused: bool = False
    """A server fault came in the place of an answer: not tried again on this connection, and not held against it."""

    async def fetch(self, attachments: Sequence[Attachment]) -> Outcomes:
        """By position, what batches brought. A position that is missing is to be fetched by itself. Never raises
        `ProviderError`."""
        if not self.works or self.paused:
            return {}
        ours = {place: name for place, it in enumerate(attachments) if (name := small_binary(it, self.session.base))}
        places = list(ours)
        if len(places) < 2:
            return {}
        gate = asyncio.Semaphore(BATCHES_AT_ONCE)
        parts = [places[start : start + ENTRIES] for start in range(0, len(places), ENTRIES)]
        found = await asyncio.gather(*(self._part(gate, {place: ours[place] for place in part}) for part in parts))
        return {place: outcome for part in found for place, outcome in part.items()}

    async def _part(self, gate: asyncio.Semaphore, wanted: dict[int, str]) -> Outcomes:
        async with gate:
            if not self.works or self.paused:
                return {}
            try:
                entries = await read(self.session, list(wanted.values()))
            except ProviderError as error:
                return self._refused(error, wanted)
        limit = self.session.limits.attachment_bytes
        found = {
            place: _outcome(found, name, limit) for (place, name), found in zip(wanted.items(), entries, strict=False)
        }
        if any(_is(it, ProviderErrorCode.NOT_SUPPORTED) for it in found.values()):
            self.works = False
        return {place: it for place, it in found.items() if it is not None and not _is(it, *_UNTOLD)}

    def _refused(self, error: ProviderError, wanted: dict[int, str]) -> Outcomes:
        if error.code in _NOT_NOW or not error.asked:
            return dict.fromkeys(wanted, error)
        if error.retryable:
            self.paused = True
        elif error.code is not ProviderErrorCode.TOO_LARGE:
            self.works = False
        return {}


async def read(session: Session, references: Sequence[str]) -> list[BatchEntry]:
    """A batch of reads and its entries in their order. Raises `ProviderError` where the whole of it is refused."""
    entries = [{"request": {"method": "GET", "url": reference}} for reference in references]
    bundle = msgspec.json.encode({"resourceType": "Bundle", "type": "batch", "entry": entries})
    answer = await session.ask(session.base, FHIR_JSON, cap=BATCH_BYTES, resource=bundle)
    if problem := failure(answer):
        raise problem
    answered = decode(answer, BatchBundle, "Bundle")
    if answered.type != "batch-response" or len(answered.entry or ()) != len(references):
        raise ProviderError(ProviderErrorCode.BAD_RESPONSE, "the answer to a batch does not answer each of its entries")
    return answered.entry or []


def small_binary(attachment: Attachment, base: httpx.URL) -> str:
    """`Binary/1` where the attachment is a small file of the server's own; else empty."""
    if attachment.data is not None or attachment.declared_size is None or attachment.declared_size > LARGEST_FILE:
        return ""
    if "?" in attachment.url or "#" in attachment.url or "/_history/" in attachment.url:
        return ""
    try:
        if not same_origin(httpx.URL(attachment.url), base):
            return ""
    except (httpx.InvalidURL, ValueError):
        return ""
    kind, slash, identity = relative(attachment.url, base).partition("/")
    return f"Binary/{identity}" if kind == "Binary" and slash and valid_id(identity) else ""


def status_of(entry: BatchEntry) -> int:
    """0 where there is none."""
    told = ((entry.response.status if entry.response else None) or "").strip()[:3]
    return int(told) if told.isascii() and told.isdecimal() else 0


def _outcome(entry: BatchEntry, name: str, limit: int) -> Fetched | ProviderError | None:
    """What an entry says of its file; None where it says nothing that can be relied on."""
    status, binary = status_of(entry), entry.resource
    if status >= HTTPStatus.BAD_REQUEST:
        outcome = bytes(entry.response.outcome) if entry.response else b""
        return failure(Answer(status, httpx.Headers(), outcome))
    fits = binary is not None and binary.resource_type == "Binary" and f"Binary/{binary.id}" == name
    if status != HTTPStatus.OK or binary is None or not fits or binary.data is None:
        return None
    if len(binary.data) > limit:
        return ProviderError(ProviderErrorCode.TOO_LARGE, f"the attachment is larger than {limit} bytes")
    return Fetched(binary.data, line(binary.content_type))


def _is(outcome: Fetched | ProviderError | None, *codes: ProviderErrorCode) -> bool:
    return isinstance(outcome, ProviderError) and outcome.code in codes
