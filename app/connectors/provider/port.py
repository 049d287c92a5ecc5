"""What the sync engine asks of a Primary Healthcare Provider, whatever it speaks.

A `Provider` is opened for one connection and one run: `async with connect(connection) as provider`. It holds no
database and no domain object; everything that crosses this line is defined here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from app.core.gate import OPEN, Gate
from app.core.spool import Content, Spool, Spooled


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
    page_bytes: int = 8 * 1024 * 1024
    attachment_bytes: int = 50 * 1024 * 1024


class SinceFilter(StrEnum):
    """What a server does with `_lastUpdated`."""

    UNKNOWN = "UNKNOWN"
    APPLIED = "APPLIED"
    IGNORED = "IGNORED"
    REFUSED = "REFUSED"


@dataclass(frozen=True, slots=True)
class SearchFacts:
    """How a server takes a search for one resource type: `post` where GET is refused, `status` where it is demanded."""

    resource_type: str
    since: SinceFilter = SinceFilter.UNKNOWN
    post: bool = False
    status: bool = False


@dataclass(frozen=True, slots=True)
class Strategy:
    """What is known of a server, tried out by a probe or learnt by a run. What it does not name is not known yet."""

    searches: tuple[SearchFacts, ...] = ()
    page_size: int | None = None
    """No page is asked for with more resources than this, whatever the connection says."""
    batch: bool | None = None
    """Whether a batch Bundle of reads is answered at the base."""

    def search(self, resource_type: str) -> SearchFacts:
        found = (it for it in self.searches if it.resource_type == resource_type)
        return next(found, SearchFacts(resource_type))


@dataclass(frozen=True, slots=True)
class Connection:
    """A provider's address and our key to it. `file_hosts` are the further `host:port` that attachments may lie at;
    `networks` (CIDR) those networks besides the public ones that any of it may lie in."""

    base_url: str
    auth: Auth = Auth()
    file_hosts: tuple[str, ...] = ()
    page_size: int = 50
    limits: Limits = Limits()
    strategy: Strategy = Strategy()
    networks: tuple[str, ...] = ()
    spool: Spool | None = field(default=None, repr=False, compare=False)
    """Where large files go while they arrive; the system's folder for temporary files if not given."""
    gate: Gate = field(default=OPEN, repr=False, compare=False)
    """What every request to the provider passes first."""


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
    ADDRESS_REFUSED = "PROVIDER_ADDRESS_REFUSED"
    CONFLICT = "PROVIDER_CONFLICT"
    INVALID = "PROVIDER_INVALID"


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

    def __init__(
        self, code: ProviderErrorCode, detail: str, *, retry_after: float | None = None, asked: bool = True
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.retry_after = retry_after
        """Seconds that the provider asked us to wait (RFC 9110, 10.2.3), if it did."""
        self.asked = asked
        """Whether the provider was asked at all. Where the gate was closed it was not, and no attempt is used up."""

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
    code: ProviderErrorCode | None = None
    """Where it is the exchange that failed, and not the resource."""


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
    """Whether `_lastUpdated` was really applied: a probe has shown that it is, or the `self` link says so."""
    restarted: bool = False
    """The page that was asked for could not be had: this is the first one of a new listing, and its links lead through it
    all. What was listed before may come again."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """An attachment's bytes and the type that the server declared for them (empty where it declared none). A large one
    lies in `file`, which whoever fetched it closes; `data` is empty then."""

    data: bytes = field(repr=False)
    content_type: str
    file: Spooled | None = None

    @property
    def content(self) -> Content:
        return self.data if self.file is None else self.file

    def close(self) -> None:
        if self.file is not None:
            self.file.close()


@dataclass(frozen=True, slots=True)
class Capability:
    """A line of the capability card: what the server really does, with the reason for a «no»."""

    name: str
    supported: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Probed:
    """A server tried out: the card for people, and the facts for the next run."""

    card: tuple[Capability, ...]
    strategy: Strategy


PATIENT_UPDATE = "Patient update (If-Match)"
"""The line of the capability card that says whether details can be written back."""


class PatientField(StrEnum):
    """The details of a patient that a provider holds too."""

    NAME = "name"
    BIRTH_DATE = "birth_date"
    EMAIL = "email"
    PHONE = "phone"
    ADDRESS = "address"


@dataclass(frozen=True, slots=True)
class ProviderPatient:
    """Who the provider says that the patient is; birth date in ISO 8601, possibly partial.

    `details` has every field, empty where the provider holds nothing; `version_id` is empty where the server keeps no
    versions; `resource` is what was read, for an update that leaves the rest of it alone."""

    reference: str
    name: str
    birth_date: str
    version_id: str = ""
    details: Mapping[PatientField, str] = field(default_factory=dict[PatientField, str], repr=False)
    resource: bytes = field(default=b"", repr=False)


class Provider(Protocol):
    """A provider, connected. Every method raises `ProviderError` and nothing else."""

    resource_types: tuple[str, ...]
    """What is listed for a patient, in this order; the first is the leading provenance of a note that stands in several."""

    async def patient(self, patient_id: str) -> ProviderPatient:
        """Reads the patient. `NOT_FOUND` or `GONE` where the provider knows none under this id."""
        ...

    async def update_patient(self, patient: ProviderPatient, changes: Mapping[PatientField, str]) -> ProviderPatient:
        """Changes some details of the patient as it was read, and nothing else; the patient as it is then.

        `CONFLICT` where it is no longer what was read, `INVALID` where the values are not accepted, `FORBIDDEN` or
        `NOT_SUPPORTED` where nothing may be changed. After `TIMEOUT` or `UNREACHABLE` it may have been changed or not."""
        ...

    async def page(
        self, resource_type: str, patient_id: str, *, since: datetime | None = None, link: str | None = None
    ) -> Page:
        """The first page of a patient's resources of a type (changed after `since`), or the page that `link` names.

        A link to another origin is refused with `BAD_RESPONSE`. A page that is too large is asked for again in smaller
        parts; where `link` has expired, or no smaller part of it can be asked for, the listing begins anew (`restarted`)."""
        ...

    async def read(self, reference: str) -> Entry:
        """One resource by its reference. `GONE` where it was deleted, `NOT_FOUND` where there is none."""
        ...

    async def fetch(self, attachment: Attachment) -> Fetched:
        """The attachment's bytes; inline ones at once. `HOST_REFUSED` where its address is not allowed, `TOO_LARGE` over the limit."""
        ...

    async def fetch_many(self, attachments: Sequence[Attachment]) -> list[Fetched | ProviderError]:
        """What `fetch` gives or raises for each, in their order; small files of the server's own in few exchanges."""
        ...

    async def probe(self, patient_id: str | None = None) -> Probed:
        """What this server does, tried out rather than believed, with a patient where there is one. Never writes."""
        ...

    @property
    def learnt(self) -> Strategy:
        """What is known of the server by now: the connection's strategy, and what this connection has met with since."""
        ...

    @property
    def surprised(self) -> bool:
        """Whether the server has refused a listing as not supported: what is known of it may be wrong by now."""
        ...
