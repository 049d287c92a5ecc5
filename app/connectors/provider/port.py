"""What the sync engine asks of a Primary Healthcare Provider, whatever it speaks.

A `Provider` is opened for one connection and one run: `async with connect(connection) as provider`. It holds no
database and no domain object; everything that crosses this line is defined here.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class AuthKind(StrEnum):
    """How we prove ourselves to a provider."""

    NONE = "NONE"
    BEARER = "BEARER"
    BASIC = "BASIC"
    SMART_BACKEND = "SMART_BACKEND"


@dataclass(frozen=True, slots=True)
class Auth:
    """`BEARER` needs `token`; `BASIC` `username` and `password`; `SMART_BACKEND` `client_id`, `private_key` (PEM, P-384
    or RSA), `key_id`, and optionally `token_url` (else discovered) and `scope`."""

    kind: AuthKind = AuthKind.NONE
    token: str = field(default="", repr=False)
    username: str = ""
    password: str = field(default="", repr=False)
    client_id: str = ""
    private_key: str = field(default="", repr=False)
    key_id: str = ""
    token_url: str = ""
    scope: str = "system/Patient.rs system/DocumentReference.rs system/DiagnosticReport.rs system/Binary.rs"


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes that one exchange may take."""

    connect_seconds: float = 3
    read_seconds: float = 10
    total_seconds: float = 60
    page_bytes: int = 64 * 1024 * 1024
    attachment_bytes: int = 50 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Connection:
    """A provider's address and our key to it. `file_hosts` are the further `host:port` that attachments may lie at."""

    base_url: str
    auth: Auth = Auth()
    file_hosts: tuple[str, ...] = ()
    page_size: int = 50
    limits: Limits = Limits()


class ProviderErrorCode(StrEnum):
    """Every way in which a provider can fail us. `domain/sync/catalogue.py` has words and steps for each."""

    UNREACHABLE = "PROVIDER_UNREACHABLE"
    TIMEOUT = "PROVIDER_TIMEOUT"
    UNAUTHORIZED = "PROVIDER_UNAUTHORIZED"
    FORBIDDEN = "PROVIDER_FORBIDDEN"
    NOT_FOUND = "PROVIDER_NOT_FOUND"
    GONE = "PROVIDER_GONE"
    THROTTLED = "PROVIDER_THROTTLED"
    UNAVAILABLE = "PROVIDER_UNAVAILABLE"
    NOT_SUPPORTED = "PROVIDER_NOT_SUPPORTED"
    BAD_RESPONSE = "PROVIDER_BAD_RESPONSE"
    TOO_LARGE = "PROVIDER_TOO_LARGE"
    HOST_REFUSED = "ATTACHMENT_HOST_REFUSED"


RETRYABLE = frozenset(
    {
        ProviderErrorCode.UNREACHABLE,
        ProviderErrorCode.TIMEOUT,
        ProviderErrorCode.THROTTLED,
        ProviderErrorCode.UNAVAILABLE,
    }
)


class ProviderError(Exception):
    """An exchange with the provider failed. `detail` is for an administrator: never a token, never a patient's data."""

    def __init__(self, code: ProviderErrorCode, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.retry_after = retry_after
        """Seconds that the provider asked us to wait (RFC 9110, 10.2.3), if it did."""

    @property
    def retryable(self) -> bool:
        return self.code in RETRYABLE


class DocumentType(StrEnum):
    """What a document is, in a dietician's words. Mapped from LOINC and from DiagnosticReport categories."""

    LAB_REPORT = "LAB_REPORT"
    PROGRESS_NOTE = "PROGRESS_NOTE"
    PHYSICAL_ASSESSMENT = "PHYSICAL_ASSESSMENT"
    NUTRITION_NOTE = "NUTRITION_NOTE"
    REFERRAL_LETTER = "REFERRAL_LETTER"
    DISCHARGE_SUMMARY = "DISCHARGE_SUMMARY"
    CONSULTATION_NOTE = "CONSULTATION_NOTE"
    EMERGENCY_NOTE = "EMERGENCY_NOTE"
    PROCEDURE_NOTE = "PROCEDURE_NOTE"
    PATHOLOGY_REPORT = "PATHOLOGY_REPORT"
    IMAGING_REPORT = "IMAGING_REPORT"
    CARE_SUMMARY = "CARE_SUMMARY"
    LETTER = "LETTER"
    OTHER = "OTHER"


class ResourceStatus(StrEnum):
    """FHIR R4 DocumentReference.status; a DiagnosticReport's is mapped onto it (cancelled counts as entered in error)."""

    CURRENT = "current"
    SUPERSEDED = "superseded"
    ENTERED_IN_ERROR = "entered-in-error"


@dataclass(frozen=True, slots=True)
class Attachment:
    """FHIR R4 Attachment: bytes inline, or an absolute `url` (relative ones are resolved against the base).

    `declared_sha1` is the base64 of Attachment.hash, `declared_size` its size in bytes: both may be wrong."""

    content_type: str = ""
    title: str = ""
    data: bytes | None = field(default=None, repr=False)
    url: str = ""
    declared_size: int | None = None
    declared_sha1: str = ""

    @property
    def empty(self) -> bool:
        return self.data is None and not self.url


@dataclass(frozen=True, slots=True)
class Relation:
    """FHIR R4 DocumentReference.relatesTo: `code` is replaces, transforms, signs or appends; `target` e.g. `DocumentReference/1`."""

    code: str
    target: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One resource of a listing. `digest` is the SHA-256 of the resource without `meta` and without raw attachment URLs'
    volatile query strings: equal digests mean that nothing has changed, whatever `version_id` says."""

    reference: str
    """`DocumentReference/abc`, relative to the base."""
    resource_type: str
    version_id: str
    last_updated: datetime | None
    digest: bytes
    subject: str
    """`Patient/abc`, relative to the base where it lies there; empty where the resource names none."""
    status: ResourceStatus
    type: DocumentType
    title: str
    date: datetime | None
    author: str
    attachments: tuple[Attachment, ...] = ()
    relations: tuple[Relation, ...] = ()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An entry that could not be decoded, or an OperationOutcome in place of one: a gap, with its reason."""

    reference: str
    reason: str


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a search. `next` is the provider's own link, followed as it stands; None on the last page."""

    entries: tuple[Entry, ...]
    unreadable: tuple[Unreadable, ...]
    next: str | None
    total: int | None
    server_time: datetime | None
    """The provider's clock (the Date header): what the incremental cursor is made of."""
    since_applied: bool
    """Whether the `self` link shows that `_lastUpdated` was really applied."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """An attachment's bytes and the type that the server declared for them (empty where it declared none)."""

    data: bytes = field(repr=False)
    content_type: str


@dataclass(frozen=True, slots=True)
class Capability:
    """A line of the capability card: what the server really does, with the reason for a «no»."""

    name: str
    supported: bool
    detail: str


@dataclass(frozen=True, slots=True)
class ProviderPatient:
    """Who the provider says that the patient is; birth date in ISO 8601, possibly partial."""

    reference: str
    name: str
    birth_date: str


class Provider(Protocol):
    """A provider, connected. Every method raises `ProviderError` and nothing else."""

    resource_types: tuple[str, ...]
    """What is listed for a patient, in this order; the first is the leading provenance of a note that stands in several."""

    async def patient(self, patient_id: str) -> ProviderPatient:
        """Reads the patient. `NOT_FOUND` or `GONE` where the provider knows none under this id."""
        ...

    async def page(
        self, resource_type: str, patient_id: str, *, since: datetime | None = None, link: str | None = None
    ) -> Page:
        """The first page of a patient's resources of a type (changed after `since`), or the page that `link` names.

        A link to another origin is refused with `BAD_RESPONSE`."""
        ...

    async def fetch(self, attachment: Attachment) -> Fetched:
        """The attachment's bytes; inline ones at once. `HOST_REFUSED` where its address is not allowed, `TOO_LARGE` over the limit."""
        ...

    async def probe(self) -> list[Capability]:
        """What this server does, tried out rather than believed."""
        ...
