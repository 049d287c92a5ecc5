"""What the sync engine asks of a care platform. No platform offers idempotency by itself: our `reference` travels with
every document, and is looked up after an ambiguous outcome before anything is sent again."""

from collections.abc import Collection, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from app.core.blobs import Stored
from app.core.gate import OPEN, Gate


class PlatformKind(StrEnum):
    """The care platforms that we speak to."""

    NONE = "NONE"
    CAREPATRON = "CAREPATRON"
    HEALTHIE = "HEALTHIE"


class PlatformErrorCode(StrEnum):
    """Every way in which a platform can fail us. `domain/sync/catalogue.py` has words and steps for each."""

    UNREACHABLE = "PLATFORM_UNREACHABLE"
    ADDRESS_REFUSED = "PLATFORM_ADDRESS_REFUSED"
    TIMEOUT = "PLATFORM_TIMEOUT"
    UNAUTHORIZED = "PLATFORM_UNAUTHORIZED"
    NOT_FOUND = "PLATFORM_NOT_FOUND"
    REFUSED = "PLATFORM_REFUSED"
    TOO_LARGE = "PLATFORM_TOO_LARGE"
    FULL = "PLATFORM_FULL"
    NOT_SUPPORTED = "PLATFORM_NOT_SUPPORTED"
    THROTTLED = "PLATFORM_THROTTLED"
    UNAVAILABLE = "PLATFORM_UNAVAILABLE"
    BAD_RESPONSE = "PLATFORM_BAD_RESPONSE"


RETRYABLE = frozenset(
    {
        PlatformErrorCode.UNREACHABLE,
        PlatformErrorCode.TIMEOUT,
        PlatformErrorCode.THROTTLED,
        PlatformErrorCode.UNAVAILABLE,
    }
)
OF_THE_DOCUMENT = frozenset({PlatformErrorCode.REFUSED, PlatformErrorCode.TOO_LARGE})
"""Said of one document and for good: the same file meets the same answer, however often it is offered."""
OF_THE_PLATFORM = frozenset(
    {
        PlatformErrorCode.UNAUTHORIZED,
        PlatformErrorCode.ADDRESS_REFUSED,
        PlatformErrorCode.NOT_FOUND,
        PlatformErrorCode.FULL,
        PlatformErrorCode.NOT_SUPPORTED,
    }
)
"""What one document met, every other would meet too."""


class PlatformError(Exception):
    """An exchange with the platform failed. `ambiguous`: it may have taken effect, so look before sending again. `detail` is
    for people and logs: never the platform's own words, which may repeat a patient's data."""

    def __init__(
        self,
        code: PlatformErrorCode,
        detail: str,
        *,
        retry_after: float | None = None,
        ambiguous: bool = False,
        asked: bool = True,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.retry_after = retry_after
        self.ambiguous = ambiguous
        self.asked = asked
        """Whether the platform was asked at all. Where the gate was closed it was not, and no attempt is used up."""

    @property
    def retryable(self) -> bool:
        return self.code in RETRYABLE

    @property
    def of_one_document(self) -> bool:
        """Whether it says nothing about the documents beside this one."""
        return not self.retryable and self.code not in OF_THE_PLATFORM


class ReceiptState(StrEnum):
    """How far a document has come at the platform, and whether it is there still."""

    PENDING = "PENDING"
    SENDING = "SENDING"
    PROCESSING = "PROCESSING"
    CONFIRMED = "CONFIRMED"
    FAILED = "FAILED"
    ARCHIVING = "ARCHIVING"
    ARCHIVED = "ARCHIVED"
    REMOVED = "REMOVED"


@dataclass(frozen=True, slots=True)
class PlatformConnection:
    """The platform's address and our key to it. `username` is the API key; Healthie knows no password."""

    kind: PlatformKind
    base_url: str = ""
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    vendor: str = "healthrecords (support@healthrecords.invalid)"
    networks: tuple[str, ...] = ()
    """Those networks (CIDR) besides the public ones that the platform and its storage may lie in."""
    gate: Gate = field(default=OPEN, repr=False, compare=False)
    """What every request to the platform passes first. Its storage is another service, and none of its business."""


@dataclass(frozen=True, slots=True)
class PlatformLimits:
    """What a platform takes, so that what it would refuse is not sent. None: nothing is known of a limit."""

    max_bytes: int | None = None
    description_characters: int | None = None
    metadata_characters: int | None = None
    content_types: frozenset[str] | None = None
    requests_per_second: float | None = None

    def refusal(self, size: int, content_type: str) -> PlatformError | None:
        """What the platform would say to a file, said before it is sent."""
        if self.max_bytes is not None and size > self.max_bytes:
            detail = f"the file has {size} bytes, the platform takes {self.max_bytes}"
            return PlatformError(PlatformErrorCode.TOO_LARGE, detail)
        media_type = content_type.partition(";")[0].strip().lower()
        if self.content_types is not None and media_type not in self.content_types:
            return PlatformError(PlatformErrorCode.REFUSED, f"the platform takes no files of the type {media_type}")
        return None


@dataclass(frozen=True, slots=True)
class PlatformPatient:
    """A patient as we hand it over; `reference` is our own id for it."""

    reference: str
    first_name: str
    last_name: str
    birth_date: str = ""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One file of a document on its way: `reference` is unique for document, version and file."""

    reference: str
    filename: str
    content_type: str
    description: str
    """At most 255 characters; longer ones are cut."""
    data: bytes | Stored = field(repr=False)
    """A large file is handed over piece by piece, out of our store."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The platform's own id of what it took, and whether it has finished with it."""

    attachment_id: str
    reference: str
    state: ReceiptState


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs at the platform from what we know of one patient."""

    confirmed: frozenset[str] = frozenset()
    """Ids of ours that are there and that the platform has finished with."""
    removed: frozenset[str] = frozenset()
    """Ids of ours that the list does not show any more."""
    added: frozenset[str] = frozenset()
    """Ids of what others have put there since the moment that was asked for."""


@dataclass(frozen=True, slots=True)
class Watching:
    """How the platform tells us of changes."""

    active: bool
    secret: str | None = field(default=None, repr=False)
    """What it signs with, where it says so; else an administrator enters it on both sides."""
    mended: bool = False
    """It had stopped, and was set going again."""


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A platform's message as it arrived. Header names are in small letters."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """What a verified message says. It is only a reason to look: nothing in it is taken for a fact."""

    key: str
    """The same for a message that is sent twice."""
    kind: str
    attachment_id: str | None = None
    platform_patient_id: str | None = None


class WebhookRefused(Exception):
    """A message that is not the platform's, or not of now. The reason is for our log, not for the sender."""


class CarePlatform(Protocol):
    """A platform, connected. Every method raises `PlatformError` and nothing else."""

    @property
    def limits(self) -> PlatformLimits: ...

    async def ensure_patient(self, patient: PlatformPatient, known_id: str | None = None) -> str:
        """The platform's id of the patient: found by our reference, or created."""
        ...

    async def find(self, platform_patient_id: str, references: set[str]) -> dict[str, Receipt]:
        """What the platform already has of these references."""
        ...

    async def put(self, platform_patient_id: str, document: Outgoing) -> Receipt:
        """Hands a document over. After an `ambiguous` error, `find` before calling again."""
        ...

    async def confirm(self, attachment_id: str) -> ReceiptState:
        """Whether the platform has finished processing what it took. NOT_FOUND where it has it no more."""
        ...

    async def archive(self, attachment_id: str) -> None:
        """Takes a document out of the patient's record there. One that is gone already is no error: to ask twice does no
        harm."""
        ...

    async def changes(self, platform_patient_id: str, known: Collection[str], since: datetime | None) -> Changes:
        """What became of the `known` ids, and what others added since."""
        ...

    async def watch(self, url: str) -> Watching:
        """Sees to it that the platform tells us of changes at this address of ours, where that can be asked of it."""
        ...


class ConnectPlatform(Protocol):
    """Opens a platform for as long as the context lasts."""

    def __call__(self, connection: PlatformConnection) -> AbstractAsyncContextManager[CarePlatform]: ...


class VerifyWebhook(Protocol):
    """Tells a platform's message from anybody else's. Raises `WebhookRefused`."""

    def __call__(self, request: WebhookRequest, secret: str, now: datetime) -> WebhookEvent: ...
