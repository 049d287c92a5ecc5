"""A Primary Healthcare Provider that speaks FHIR R4."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime

import httpx

from app.connectors.http import Answer, open_client
from app.connectors.provider.fhir import attachments, mapping, probe
from app.connectors.provider.fhir.auth import Session
from app.connectors.provider.fhir.bundles import read_page
from app.connectors.provider.fhir.resources import Patient
from app.connectors.provider.fhir.search import Manner, search
from app.connectors.provider.fhir.transport import FHIR_JSON, Transport, bad_response, decode, failure, resolve
from app.connectors.provider.port import (
    Attachment,
    Capability,
    Connection,
    Fetched,
    Page,
    Provider,
    ProviderError,
    ProviderErrorCode,
    ProviderPatient,
)

USER_AGENT = "healthrecords/0.1"
RESOURCE_TYPES = ("DocumentReference", "DiagnosticReport")

# Pages above this are decoded in a thread: they would hold up everything else on the loop.
_QUICK_BYTES = 256 * 1024


class FhirProvider:
    """`Provider` over FHIR R4 REST."""

    resource_types: tuple[str, ...] = RESOURCE_TYPES

    def __init__(self, connection: Connection, session: Session) -> None:
        self._connection = connection
        self._session = session
        self._base = session.base
        self._file_hosts = attachments.allowed(connection.file_hosts)
        self._manners = {resource_type: Manner() for resource_type in RESOURCE_TYPES}

    async def patient(self, patient_id: str) -> ProviderPatient:
        url = resolve(self._base, f"Patient/{_checked_id(patient_id)}")
        answer = await self._session.ask(url, FHIR_JSON, cap=self._connection.limits.page_bytes)
        if problem := failure(answer):
            raise problem
        try:
            return mapping.patient(decode(answer, Patient, "Patient"))
        except mapping.Unfit as error:
            raise bad_response(f"a Patient with {error}") from error

    async def page(
        self, resource_type: str, patient_id: str, *, since: datetime | None = None, link: str | None = None
    ) -> Page:
        answer = await (self._linked(link) if link else self._first(resource_type, patient_id, since))
        if len(answer.body) > _QUICK_BYTES:
            return await asyncio.to_thread(read_page, answer, resource_type, self._base)
        return read_page(answer, resource_type, self._base)

    async def _first(self, resource_type: str, patient_id: str, since: datetime | None) -> Answer:
        manner = self._manners.get(resource_type)
        if manner is None:
            raise ProviderError(ProviderErrorCode.NOT_SUPPORTED, f"{resource_type[:50]} is not listed")
        query = {"patient": _checked_id(patient_id), "_count": str(self._connection.page_size)}
        return await search(self._session, resource_type, query, since, manner)

    async def _linked(self, link: str) -> Answer:
        answer = await self._session.ask(resolve(self._base, link), FHIR_JSON, cap=self._connection.limits.page_bytes)
        if problem := failure(answer):
            raise problem
        return answer

    async def fetch(self, attachment: Attachment) -> Fetched:
        return await attachments.fetch(self._session, attachment, self._file_hosts)

    async def probe(self) -> list[Capability]:
        return await probe.probe(self._session, self._connection.auth)


def _checked_id(patient_id: str) -> str:
    if not mapping.valid_id(patient_id):
        raise ProviderError(ProviderErrorCode.NOT_FOUND, "the patient's id is none that a FHIR server could have")
    return patient_id


def _base_url(address: str) -> httpx.URL:
    try:
        url = httpx.URL(address.strip().rstrip("/"))
    except (httpx.InvalidURL, ValueError) as error:
        raise ProviderError(ProviderErrorCode.UNREACHABLE, "the base address is no address") from error
    if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.query or url.fragment:
        detail = "the base address must be http or https, with no user name and no query"
        raise ProviderError(ProviderErrorCode.UNREACHABLE, detail)
    return url


@asynccontextmanager
async def connect(connection: Connection) -> AsyncGenerator[Provider, None]:
    """Opens a provider; nothing is sent yet. Raises `ProviderError` for an address that is none."""
    base = _base_url(connection.base_url)
    limits = connection.limits
    async with open_client(
        connect_seconds=limits.connect_seconds, read_seconds=limits.read_seconds, user_agent=USER_AGENT
    ) as client:
        yield FhirProvider(connection, Session(connection, base, Transport(client, limits)))
