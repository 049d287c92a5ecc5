"""Jobs of the conflicts context: details that were edited here go to the provider, and what was changed there comes back."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.provider import connect, for_updates
from app.connectors.provider.port import (
    PATIENT_UPDATE,
    Connection,
    PatientField,
    Provider,
    ProviderError,
    ProviderErrorCode,
    ProviderPatient,
)
from app.core import work
from app.core.resources import Resources
from app.core.work import Claim
from app.domain.conflicts import queries, recording, rules
from app.domain.conflicts.events import GAVE_UP
from app.domain.connections import commands as connections
from app.domain.connections import queries as connection_queries
from app.domain.patients import commands as patient_commands
from app.domain.patients import queries as patients
from app.domain.patients.events import EDITED
from app.domain.patients.models import Patient
from app.domain.sync import catalogue
from app.domain.sync.models import SyncRun
from tasks.runtime import Job, may_try_again, try_again

TURNS = 5
"""How often a record that changes under our hands is read and merged again, before a person decides."""
REFUSALS = (ProviderErrorCode.FORBIDDEN, ProviderErrorCode.NOT_SUPPORTED)
UNKNOWN = (ProviderErrorCode.NOT_FOUND, ProviderErrorCode.GONE)

Link = tuple[UUID | None, str | None]


@dataclass(frozen=True, slots=True)
class Trip:
    """What an exchange needs to know, read at its beginning. `refused` says why the provider is not to be asked."""

    patient_id: UUID
    link: Link
    provider_id: UUID
    provider_patient_id: str
    source: Connection
    refused: str


class Moot(Exception):
    """The patient is gone, or has another provider now: nothing is to be told."""


async def tell_provider(resources: Resources, claim: Claim) -> None:
    trip = await _prepare(resources, claim)
    if trip is None:
        await _finish(resources, claim)
        return
    try:
        await _try(resources, claim, trip)
    except Moot:
        await _finish(resources, claim)


async def _finish(resources: Resources, claim: Claim) -> None:
    """There is nothing to tell. Whoever has edited since we looked found this job still open, and asked for no other."""
    async with resources.db.transaction() as session:
        patient = await patients.patient_locked(session, claim.subject_id)
        await work.finish(session, claim)
        if patient is not None and patient.edited_details and None not in _link(patient):
            await patient_commands.send_details(session, patient, {})


async def _try(resources: Resources, claim: Claim, trip: Trip) -> None:
    try:
        with resources.gates.seat(connections.provider_key(trip.provider_id)):
            async with connect(trip.source) as provider:
                await _exchange(resources, claim, trip, provider)
    except ProviderError as error:
        if may_try_again(claim, error):
            raise try_again(claim, error) from error
        async with _recording(resources, claim, trip, done=True) as (session, patient):
            await recording.fail(session, patient, _code(error), error.detail)


def _code(error: ProviderError) -> str:
    if error.code in UNKNOWN:
        return catalogue.PATIENT_UNKNOWN
    if error.code in REFUSALS or "invalid_scope" in error.detail:
        return catalogue.DETAILS_REFUSED
    return error.code


async def _prepare(resources: Resources, claim: Claim) -> Trip | None:
    async with resources.db.reading() as session:
        patient = await patients.patient(session, claim.subject_id)
        if patient is None or not patient.edited_details or patient.primary_provider_id is None:
            return None
        provider = await connection_queries.provider(session, patient.primary_provider_id)
        held = await queries.held(session, patient)
    if provider is None or patient.provider_patient_id is None:
        return None
    insist = held is not None and held.insist
    limit, networks = resources.settings.max_attachment_bytes, resources.settings.networks
    return Trip(
        patient_id=patient.id,
        link=_link(patient),
        provider_id=provider.id,
        provider_patient_id=patient.provider_patient_id,
        source=for_updates(
            connections.connection(provider, resources.vault, limit, networks, resources.spool, resources.gates)
        ),
        refused="" if insist else _ruled_out(provider.capabilities),
    )


def _ruled_out(card: list[dict[str, Any]]) -> str:
    """The capability card's reason why nothing can be updated there; empty where it says no such thing."""
    return next((line["detail"] for line in card if line["name"] == PATIENT_UPDATE and not line["supported"]), "")


def _link(patient: Patient) -> Link:
    return patient.primary_provider_id, patient.provider_patient_id


@asynccontextmanager
async def _recording(
    resources: Resources, claim: Claim, trip: Trip, *, done: bool
) -> AsyncGenerator[tuple[AsyncSession, Patient]]:
    """A transaction of the claimant's. The patient first, then the work row: an edit locks them in this order too."""
    async with resources.db.transaction() as session:
        patient = await patients.patient_locked(session, trip.patient_id)
        await (work.finish if done else work.hold)(session, claim)
        if patient is None or _link(patient) != trip.link:
            raise Moot
        yield session, patient


async def _exchange(resources: Resources, claim: Claim, trip: Trip, provider: Provider) -> None:
    """Read, merge, write, for as long as somebody else is faster. An attempt that was killed after its write had taken effect
    leaves our values at the provider: the comparison finds them, and nothing is written twice."""
    wanted: dict[PatientField, str] = {}
    found: ProviderPatient | None = None
    for turn in range(TURNS):
        await asyncio.sleep(random.uniform(0, 0.1) * turn)  # noqa: S311 - spreading load
        revision = await _revision(resources, trip)
        found = await _read(provider, trip)
        compared = await _compare(resources, claim, trip, found, revision)
        if compared is None:
            continue
        wanted = compared
        if not wanted:
            return
        if trip.refused:
            raise ProviderError(ProviderErrorCode.NOT_SUPPORTED, f"the capability card says: {trip.refused}")
        try:
            after = await provider.update_patient(found, wanted)
        except ProviderError as error:
            if error.code is not ProviderErrorCode.CONFLICT:
                raise
            continue
        await _record(resources, claim, trip, wanted, found, after, revision + 1)
        return
    if not wanted or found is None:
        raise ProviderError(ProviderErrorCode.UNAVAILABLE, "somebody else compares this patient all the time")
    async with _recording(resources, claim, trip, done=True) as (session, patient):
        await recording.clash(session, patient, wanted, found)


async def _revision(resources: Resources, trip: Trip) -> int:
    async with resources.db.reading() as session:
        patient = await patients.patient(session, trip.patient_id)
        held = await queries.held(session, patient) if patient else None
        return held.revision if held else 0


async def _read(provider: Provider, trip: Trip) -> ProviderPatient:
    found = await provider.patient(trip.provider_patient_id)
    if not found.details:
        # A server that merges patients answers with another one: that record is not ours to change.
        raise ProviderError(ProviderErrorCode.NOT_FOUND, "the server answered with a record of another id")
    return found


async def _compare(
    resources: Resources, claim: Claim, trip: Trip, found: ProviderPatient, revision: int
) -> dict[PatientField, str] | None:
    async with resources.db.transaction() as session:
        patient = await patients.patient_locked(session, trip.patient_id)
        if patient is None or _link(patient) != trip.link:
            raise Moot
        wanted = await recording.compare(session, patient, found, revision)
        await (work.hold if wanted or wanted is None else work.finish)(session, claim)
        return wanted


async def _record(
    resources: Resources,
    claim: Claim,
    trip: Trip,
    wanted: dict[PatientField, str],
    before: ProviderPatient,
    after: ProviderPatient,
    revision: int,
) -> None:
    async with _recording(resources, claim, trip, done=True) as (session, patient):
        if await recording.sent(session, patient, wanted, before, after, revision):
            # Edited while we were sending: the row of this job is closed, so there is room for another.
            await patient_commands.send_details(session, patient, {})


async def read_patient(resources: Resources, claim: Claim, run: SyncRun, provider: Provider) -> None:
    """A run's look at the patient: what was changed at the provider alone is taken over. Raises `ProviderError`."""
    async with resources.db.reading() as session:
        patient = await patients.patient(session, run.patient_id)
        held = await queries.held(session, patient) if patient else None
    found = await provider.patient(run.provider_patient_id)
    if not found.details:
        return
    async with resources.db.transaction() as session:
        await work.hold(session, claim)
        patient = await patients.patient_locked(session, run.patient_id)
        if patient is None or _link(patient) != (run.provider_id, run.provider_patient_id):
            return
        waiting = await recording.compare(session, patient, found, held.revision if held else 0)
        if waiting and (held is None or rules.heals(held.error_code)):
            await patient_commands.send_details(session, patient, {})


async def gave_up(session: AsyncSession, patient_id: UUID, _code: str, _detail: str) -> None:
    """Asked for rather than done: here the work row is locked already, and the patient comes before it."""
    await work.ask(session, GAVE_UP, patient_id)


async def record_giving_up(resources: Resources, claim: Claim) -> None:
    async with resources.db.transaction() as session:
        patient = await patients.patient_locked(session, claim.subject_id)
        await work.finish(session, claim)
        if patient is not None and patient.edited_details and patient.primary_provider_id is not None:
            await recording.fail(session, patient, catalogue.WORKER_FAILED, "every attempt ended without a word")


JOBS = {EDITED: Job(run=tell_provider, abandon=gave_up), GAVE_UP: Job(run=record_giving_up)}
