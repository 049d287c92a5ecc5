"""Certifying a server: our own connector, used as a synchronisation uses it, and some questions besides."""

import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx

from app.connectors.http import open_client
from app.connectors.provider.certify import files, listing, server, since, writing
from app.connectors.provider.certify.card import Card, Group, Line
from app.connectors.provider.certify.listing import Listed
from app.connectors.provider.certify.reads import Reads
from app.connectors.provider.certify.watching import Watching
from app.connectors.provider.fhir.auth import Session
from app.connectors.provider.fhir.client import USER_AGENT, FhirProvider
from app.connectors.provider.fhir.patients import for_updates
from app.connectors.provider.port import Connection, ProviderError, ProviderErrorCode, Strategy
from app.core.spool import Spool

CAPABILITIES, PATIENT = Group("Capabilities"), Group("Patient")

Told = Callable[[Line], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """`connection` is to the server under test; `deleted` a resource that the user knows to be deleted there; `files` how
    many attachments of each kind are fetched. Only with `write` is anything changed there, and put back."""

    connection: Connection
    patient_id: str = ""
    deleted: str = ""
    files: int = 10
    write: bool = False


@dataclass(slots=True)
class Certifying:
    """One certification. `told` hears of each line as it comes."""

    wanted: Wanted
    session: Session
    transport: Watching
    client: httpx.AsyncClient
    told: Told
    patient_id: str = ""
    strategy: Strategy = field(default_factory=Strategy)
    lines: list[Line] = field(default_factory=list[Line])

    def add(self, *lines: Line) -> None:
        for line in lines:
            self.lines.append(line)
            self.told(line)

    async def guard(self, group: str, work: Awaitable[list[Line]]) -> None:
        """An exchange that fails is a line too."""
        try:
            self.add(*await work)
        except ProviderError as error:
            self.add(Group(group).no("Answers", f"{error.code}: {error.detail}", needed=True))

    @property
    def provider(self) -> FhirProvider:
        """As the next run would have it: with what the probe has found out."""
        return FhirProvider(replace(self.wanted.connection, strategy=self.strategy), self.session)


async def certify(wanted: Wanted, told: Told = lambda _: None) -> Card:
    """Tries everything, one thing after the other. A server that fails is a line of the card, never an error."""
    began = time.monotonic()
    async with _opened(wanted, told) as running:
        await _all(running)
    return Card(
        str(running.session.base),
        running.patient_id,
        tuple(running.lines),
        running.transport.requests,
        round(time.monotonic() - began, 1),
    )


@asynccontextmanager
async def _opened(wanted: Wanted, told: Told) -> AsyncGenerator[Certifying]:
    limits = wanted.connection.limits
    with tempfile.TemporaryDirectory(prefix="certify-") as folder:
        connection = replace(wanted.connection, spool=Spool(Path(folder)))
        async with open_client(
            connect_seconds=limits.connect_seconds,
            read_seconds=limits.read_seconds,
            user_agent=USER_AGENT,
            allow=connection.networks,
        ) as client:
            transport = Watching(client, limits)
            session = Session(connection, httpx.URL(connection.base_url.strip().rstrip("/")), transport)
            yield Certifying(replace(wanted, connection=connection), session, transport, client, told)


async def _all(running: Certifying) -> None:
    answers, lines = await server.reached(running.session)
    running.add(*lines)
    if not answers:
        return
    running.patient_id = running.wanted.patient_id or await server.somebody(running.session)
    if not await _probed(running):
        return
    asking = Reads(running.session, running.patient_id)
    if running.patient_id:
        await _chart(running, asking)
    else:
        words = "none was found to try it on: name one with --patient"
        running.add(PATIENT.no("A patient", words, needed=True))
    await running.guard("Errors", asking.errors())
    await running.guard("Errors", asking.deleted(running.wanted.deleted))
    if running.wanted.write and running.patient_id:
        await running.guard("Writing", _written(running))
    running.add(running.transport.line(server.GROUP))


async def _probed(running: Certifying) -> bool:
    try:
        probed = await running.provider.probe(running.patient_id or None)
    except ProviderError as error:
        refused = error.code in (ProviderErrorCode.UNAUTHORIZED, ProviderErrorCode.FORBIDDEN)
        running.add(CAPABILITIES.no("Authentication" if refused else "Answers", error.detail, needed=True))
        return False
    running.strategy = probed.strategy
    running.add(*map(CAPABILITIES.probed, probed.card))
    return True


async def _chart(running: Certifying, asking: Reads) -> None:
    provider, patient_id = running.provider, running.patient_id
    await running.guard("Patient", _patient(provider, patient_id))
    charts: list[Listed] = []
    for resource_type in provider.resource_types:
        found = await listing.listing(provider, resource_type, patient_id, files=running.wanted.files)
        running.add(*listing.lines(found, patient_id))
        if not found.complaint:
            filter_ = running.strategy.search(resource_type).since
            running.add(await since.truth(provider, found, patient_id, filter_))
        charts.append(found)
    attachments = [it for found in charts for it in found.attachments]
    await running.guard("Files", files.lines(provider, running.session.base, attachments, running.wanted.files))
    await running.guard("Versions", asking.versions(charts))


async def _patient(provider: FhirProvider, patient_id: str) -> list[Line]:
    """A server may hide the Patient, and list the documents all the same."""
    name = "Read"
    try:
        found = await provider.patient(patient_id)
    except ProviderError as error:
        unknown = error.code in (ProviderErrorCode.NOT_FOUND, ProviderErrorCode.GONE)
        return [PATIENT.no(name, f"Patient/{patient_id}: {error.detail}", needed=unknown)]
    other = found.reference != f"Patient/{patient_id}"
    complaint = f"asked for Patient/{patient_id}, got {found.reference}" if other else ""
    return [PATIENT.judge(name, complaint, f"Patient/{patient_id} can be read", needed=True)]


async def _written(running: Certifying) -> list[Line]:
    """With the scopes for it, and no others."""
    connection = for_updates(running.wanted.connection)
    session = Session(connection, running.session.base, running.transport)
    return await writing.lines(FhirProvider(connection, session), session, running.patient_id)
