"""The run of a synchronisation: fetch outside, record inside, a page at a time."""

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

from app.connectors.provider import connect
from app.connectors.provider.port import Provider, ProviderError, ProviderErrorCode
from app.core import work
from app.core.resources import Resources
from app.core.work import Claim
from app.domain.connections import commands as connections
from app.domain.connections import queries as connection_queries
from app.domain.documents.storing import Origin
from app.domain.patients import queries as patients
from app.domain.sync import catalogue, queries, recording
from app.domain.sync.models import RunMode, RunStage
from app.domain.sync.recording import Listed, Problem
from app.domain.sync.rules import Scope
from tasks.conflicts import read_patient
from tasks.runtime import may_try_again, try_again
from tasks.sync import listing, publishing
from tasks.sync.comparing import compare
from tasks.sync.learning import remembering
from tasks.sync.listing import Memory
from tasks.sync.patience import patiently
from tasks.sync.supplied import Supplied, source_of
from tasks.sync.trip import Target, Trip, recording_as

MISSING = (ProviderErrorCode.NOT_FOUND, ProviderErrorCode.GONE)
HIDDEN = (ProviderErrorCode.NOT_SUPPORTED, ProviderErrorCode.FORBIDDEN)


CROWDED_SECONDS = 10.0
"""To come back costs the provider a request or two."""


class PatientUnknown(Exception):
    """The provider has no patient under this id."""


async def synchronise(resources: Resources, claim: Claim) -> None:
    with ExitStack() as seat:
        trip = await _prepare(resources, claim, seat)
        resource_types = await _fetch(resources, claim, trip)
    if resource_types is None:
        return
    if trip.target is not None:
        with resources.gates.seat(connections.platform_key(trip.target.platform_id), CROWDED_SECONDS):
            await publishing.publish(resources, claim, trip, trip.target)
    async with resources.db.transaction() as session:
        await work.finish(session, claim)
        await recording.finish(session, trip.run.id, resource_types)


async def _fetch(resources: Resources, claim: Claim, trip: Trip) -> Sequence[str] | None:
    """The provider's side of the run; None where it has ended the run."""
    try:
        async with connect(trip.source) as opened, remembering(resources, trip, opened):
            provider = await source_of(resources, trip, opened)
            await _verify_patient(resources, claim, provider, trip)
            async with recording_as(resources, claim) as session:
                await recording.enter(session, trip.run.id, RunStage.LISTING)
            scope = await _scope(resources, trip, provider)
            await _list_all(resources, claim, trip, provider, scope)
            await compare(resources, claim, trip, provider)
            return scope.listings
    except PatientUnknown as unknown:
        await _fail(resources, claim, trip, catalogue.PATIENT_UNKNOWN, str(unknown))
        return None
    except ProviderError as error:
        if error.retryable:
            raise try_again(claim, error) from error
        await _fail(resources, claim, trip, error.code, error.detail)
        return None


async def _prepare(resources: Resources, claim: Claim, seat: ExitStack) -> Trip:
    """Takes a place at the provider too, for as long as `seat` lasts; where there is none, the run has not begun."""
    async with resources.db.transaction() as session:
        await work.hold(session, claim)
        run = await recording.begin(session, claim.subject_id)
        patient = await patients.patient(session, run.patient_id)
        provider = await connection_queries.provider(session, run.provider_id)
        assert patient is not None
        assert provider is not None
        seat.enter_context(resources.gates.seat(connections.provider_key(provider.id)))
        platform = await connection_queries.platform(session, patient.platform_id) if patient.platform_id else None
        limit, networks = resources.settings.max_attachment_bytes, resources.settings.networks
        return Trip(
            run=run,
            patient=patient,
            origin=Origin(patient.id, patient.user_id, provider.id, provider.name, run.id),
            source=connections.connection(provider, resources.vault, limit, networks, resources.spool, resources.gates),
            target=Target(
                platform.id, connections.platform_connection(platform, resources.vault, networks, resources.gates)
            )
            if platform
            else None,
        )


async def _verify_patient(resources: Resources, claim: Claim, provider: Provider, trip: Trip) -> None:
    try:
        await patiently(partial(read_patient, resources, claim, trip.run, provider))
    except ProviderError as error:
        if error.code in MISSING:
            raise PatientUnknown(error.detail) from error
        # A server may hide the Patient resource and still list documents.
        if error.code not in HIDDEN:
            raise


async def _list_all(resources: Resources, claim: Claim, trip: Trip, provider: Provider, scope: Scope) -> None:
    """Every resource type. One that cannot be had for good is a gap, and the others go on; where none can, the run fails."""
    memory = await listing.remember(resources, trip, scope.listings)
    refused = [await _list(resources, claim, trip, provider, memory, it) for it in scope.listings]
    async for listed in listing.named(resources, claim, trip, provider, memory, scope.references):
        await _store(resources, claim, trip, memory, listed)
    errors = [error for error in refused if error is not None]
    async with resources.db.reading() as session:
        if errors and not await queries.pages(session, trip.run.id):
            raise errors[0]


async def _scope(resources: Resources, trip: Trip, provider: Provider) -> Scope:
    """What is to be listed: everything, or what another run has left undone. What an export says was deleted is looked at."""
    if isinstance(provider, Supplied):
        return Scope(onward=provider.resource_types, references=tuple(sorted(provider.deleted)))
    if trip.run.mode is not RunMode.RETRY:
        return Scope(onward=provider.resource_types)
    async with resources.db.reading() as session:
        return await queries.retry_scope(session, trip.run, provider.resource_types)


async def _list(
    resources: Resources,
    claim: Claim,
    trip: Trip,
    provider: Provider,
    memory: Memory,
    resource_type: str,
) -> ProviderError | None:
    """All pages of one type from where the run stands; what stood in the way for good."""
    refused: ProviderError | None = None
    try:
        async for listed in listing.pages(resources, claim, trip, provider, memory, resource_type):
            await _store(resources, claim, trip, memory, listed)
        return None
    except listing.Looped as looped:
        problem = Problem(resource_type, catalogue.LISTING_LOOPED, str(looped))
    except ProviderError as error:
        if may_try_again(claim, error):
            raise
        problem, refused = Problem(resource_type, error.code, error.detail), error
    async with recording_as(resources, claim) as session:
        await recording.give_up_listing(session, trip.run.id, problem)
    return refused


async def _store(resources: Resources, claim: Claim, trip: Trip, memory: Memory, listed: Listed) -> None:
    """A page with all that belongs to it, in one transaction: from here on it is never fetched again."""
    async with recording_as(resources, claim, progress=True) as session:
        await recording.record_page(session, trip.origin, listed, publishes=trip.target is not None)
    memory.note(listed)


async def _fail(resources: Resources, claim: Claim, trip: Trip, code: str, detail: str) -> None:
    async with resources.db.transaction() as session:
        await work.finish(session, claim)
        await recording.fail(session, trip.run.id, code, detail)
