"""What the sync engine asks of a care platform. No platform offers idempotency by itself: our `reference` travels with
every document, and is looked up after an ambiguous outcome before anything is sent again."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class PlatformKind(StrEnum):
    """The care platforms that we speak to."""

    NONE = "NONE"
    CAREPATRON = "CAREPATRON"


class PlatformErrorCode(StrEnum):
    """Every way in which a platform can fail us. `domain/sync/catalogue.py` has words and steps for each."""

    UNREACHABLE = "PLATFORM_UNREACHABLE"
    TIMEOUT = "PLATFORM_TIMEOUT"
    UNAUTHORIZED = "PLATFORM_UNAUTHORIZED"
    NOT_FOUND = "PLATFORM_NOT_FOUND"
    REFUSED = "PLATFORM_REFUSED"
    TOO_LARGE = "PLATFORM_TOO_LARGE"
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


class PlatformError(Exception):
    """An exchange with the platform failed. `ambiguous`: it may have taken effect, so look before sending again."""

    def __init__(
        self, code: PlatformErrorCode, detail: str, *, retry_after: float | None = None, ambiguous: bool = False
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.retry_after = retry_after
        self.ambiguous = ambiguous

    @property
    def retryable(self) -> bool:
        return self.code in RETRYABLE


class ReceiptState(StrEnum):
    """How far a document has come at the platform."""

    PENDING = "PENDING"
    SENDING = "SENDING"
    PROCESSING = "PROCESSING"
    CONFIRMED = "CONFIRMED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class PlatformConnection:
    """The platform's address and our key to it (HTTP basic: `username` is the API key)."""

    kind: PlatformKind
    base_url: str = ""
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    vendor: str = "healthrecords (support@healthrecords.invalid)"


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
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The platform's own id of what it took, and whether it has finished with it."""

    attachment_id: str
    reference: str
    state: ReceiptState


class CarePlatform(Protocol):
    """A platform, connected. Every method raises `PlatformError` and nothing else."""

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
        """Whether the platform has finished processing what it took."""
        ...


class ConnectPlatform(Protocol):
    """Opens a platform for as long as the context lasts."""

    def __call__(self, connection: PlatformConnection) -> AbstractAsyncContextManager[CarePlatform]: ...
