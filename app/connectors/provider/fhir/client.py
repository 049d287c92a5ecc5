"""A Primary Healthcare Provider that speaks FHIR R4."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import httpx

from app.connectors.guard import Resolver, look_up
from app.connectors.http import open_client
from app.connectors.provider.fhir import attachments, mapping, patients, probe
from app.connectors.provider.fhir.auth import Session
from app.connectors.provider.fhir.batch import Batches
from app.connectors.provider.fhir.bundles import read_page, read_resource
from app.connectors.provider.fhir.paging import Paging, Wanted
from app.connectors.provider.fhir.resources import Patient
from app.connectors.provider.fhir.search import Manner, facts
from app.connectors.provider.fhir.transport import FHIR_JSON, Transport, bad_response, decode, failure, resolve
from app.connectors.provider.port import (
    Attachment,
    Connection,
    Entry,
    Fetched,
    Page,
    PatientField,
    Probed,
    Provider,
    ProviderError,
    ProviderErrorCode,
    ProviderPatient,
    Strategy,
)
from app.core.spool import Spool

USER_AGENT = "healthrecords/0.1"
RESOURCE_TYPES = ("DocumentReference", "DiagnosticReport")
FETCHES_AT_ONCE = 8

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
        self._room = attachments.room(connection.limits, connection.spool or Spool(Path(tempfile.gettempdir())))
        known = connection.strategy
        self._manners = {it: Manner.of(known.search(it)) for it in RESOURCE_TYPES}
        self._paging = Paging(connection, session, self._manners)
        self._batches = Batches(session, known.batch)
        self._identities: dict[tuple[str, str], str] = {}
        self.surprised = False

    @property
    def learnt(self) -> Strategy:
        return Strategy(
            searches=facts(self._manners),
            page_size=self._paging.size if self._paging.shrunk else self._connection.strategy.page_size,
            batch=self._batches.works,
        )

    async def patient(self, patient_id: str) -> ProviderPatient:
        url = resolve(self._base, f"Patient/{_checked_id(patient_id)}")
        answer = await self._session.ask(url, FHIR_JSON, cap=self._connection.limits.page_bytes)
        if problem := failure(answer):
            raise problem
        resource = decode(answer, Patient, "Patient")
        try:
            found = mapping.patient(resource)
        except mapping.Unfit as error:
            raise bad_response(f"a Patient with {error}") from error
        if resource.id == patient_id:
            # A server that merges patients answers with another: that one's identifiers are not our patient's.
            self._identities |= mapping.identities(resource)
            return patients.held(found, answer)
        return found

    async def update_patient(self, patient: ProviderPatient, changes: Mapping[PatientField, str]) -> ProviderPatient:
        found = await patients.update(self._session, patient, changes)
        return found or await self.patient(patient.reference.removeprefix("Patient/"))

    async def page(
        self, resource_type: str, patient_id: str, *, since: datetime | None = None, link: str | None = None
    ) -> Page:
        if resource_type not in self._manners:
            raise ProviderError(ProviderErrorCode.NOT_SUPPORTED, f"{resource_type[:50]} is not listed")
        wanted = Wanted(resource_type, _checked_id(patient_id), since)
        try:
            answer, restarted = await self._paging.answer(wanted, link)
        except ProviderError as error:
            self.surprised = self.surprised or error.code is ProviderErrorCode.NOT_SUPPORTED
            raise
        work = (answer, resource_type, self._base, self._identities)
        large = len(answer.body) > _QUICK_BYTES
        page = await asyncio.to_thread(read_page, *work) if large else read_page(*work)
        applied = self._paging.applied(wanted, page.since_applied)
        return replace(page, since_applied=applied, restarted=restarted)

    async def fetch(self, attachment: Attachment) -> Fetched:
        return await attachments.fetch(self._session, attachment, self._file_hosts, self._room)

    async def read(self, reference: str) -> Entry:
        resource_type, _, identity = reference.partition("/")
        if resource_type not in RESOURCE_TYPES:
            raise ProviderError(ProviderErrorCode.NOT_FOUND, "the reference is none of a document")
        url = resolve(self._base, f"{resource_type}/{_checked_id(identity)}")
        answer = await self._session.ask(url, FHIR_JSON, cap=self._connection.limits.page_bytes)
        if problem := failure(answer):
            raise problem
        return read_resource(answer, resource_type, self._base)

    async def fetch_many(self, attachments: Sequence[Attachment]) -> list[Fetched | ProviderError]:
        found = await self._batches.fetch(attachments)
        gate = asyncio.Semaphore(FETCHES_AT_ONCE)

        async def outcome(place: int) -> Fetched | ProviderError:
            if place in found:
                return found[place]
            async with gate:
                try:
                    return await self.fetch(attachments[place])
                except ProviderError as error:
                    return error

        return await asyncio.gather(*(outcome(place) for place in range(len(attachments))))

    async def probe(self, patient_id: str | None = None) -> Probed:
        if patient_id is not None:
            _checked_id(patient_id)
        return await probe.probe(self._session, self._connection, RESOURCE_TYPES, patient_id)


def _checked_id(patient_id: str) -> str:
    if not mapping.valid_id(patient_id):
        raise ProviderError(ProviderErrorCode.NOT_FOUND, "the patient's id is none that a FHIR server could have")
    return patient_id


def base_url(address: str) -> httpx.URL:
    """A connection's address. Raises `ProviderError` for one that is none."""
    try:
        url = httpx.URL(address.strip().rstrip("/"))
    except (httpx.InvalidURL, ValueError) as error:
        raise ProviderError(ProviderErrorCode.UNREACHABLE, "the base address is no address") from error
    if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.query or url.fragment:
        detail = "the base address must be http or https, with no user name and no query"
        raise ProviderError(ProviderErrorCode.UNREACHABLE, detail)
    return url


@asynccontextmanager
async def connect(connection: Connection, *, resolver: Resolver = look_up) -> AsyncGenerator[Provider, None]:
    """Opens a provider; nothing is sent yet. Raises `ProviderError` for an address that is none."""
    base = base_url(connection.base_url)
    limits = connection.limits
    async with open_client(
        connect_seconds=limits.connect_seconds,
        read_seconds=limits.read_seconds,
        user_agent=USER_AGENT,
        allow=connection.networks,
        resolver=resolver,
    ) as client:
        yield FhirProvider(connection, Session(connection, base, Transport(client, limits, connection.gate)))
