"""The run of a synchronisation: fetch outside, record inside, a page at a time."""

from app.connectors.provider import connect
from app.connectors.provider.port import Provider, ProviderError, ProviderErrorCode
from app.core import work
from app.core.resources import Resources
from app.core.work import Claim
from app.domain.connections import commands as connections
from app.domain.connections import queries as connection_queries
from app.domain.documents.recording import Origin
from app.domain.patients import queries as patients
from app.domain.sync import catalogue, queries, recording, rules
from app.domain.sync.models import RunStage
from app.domain.sync.recording import Problem
from tasks.runtime import TryLater
from tasks.sync import listing, publishing
from tasks.sync.trip import Target, Trip, recording_as

MISSING = (ProviderErrorCode.NOT_FOUND, ProviderErrorCode.GONE)
HIDDEN = (ProviderErrorCode.NOT_SUPPORTED, ProviderErrorCode.FORBIDDEN)


class PatientUnknown(Exception):
    """The provider has no patient under this id."""


async def synchronise(resources: Resources, claim: Claim) -> None:
    trip = await _prepare(resources, claim)
    try:
        async with connect(trip.source) as provider:
            await _verify_patient(provider, trip)
            async with recording_as(resources, claim) as session:
                await recording.enter(session, trip.run.id, RunStage.LISTING)
            await _list_all(resources, claim, trip, provider)
            await _compare(resources, claim, trip, provider)
            resource_types = provider.resource_types
    except PatientUnknown as unknown:
        await _fail(resources, claim, trip, catalogue.PATIENT_UNKNOWN, str(unknown))
        return
    except ProviderError as error:
        if error.retryable:
            raise TryLater(error.code, error.detail, rules.delay(claim.attempt, error.retry_after)) from error
        await _fail(resources, claim, trip, error.code, error.detail)
        return
    if trip.target is not None:
        await publishing.publish(resources, claim, trip, trip.target)
    async with resources.db.transaction() as session:
        await work.finish(session, claim)
        await recording.finish(session, trip.run.id, resource_types)


async def _prepare(resources: Resources, claim: Claim) -> Trip:
    async with resources.db.transaction() as session:
        await work.hold(session, claim)
        run = await recording.begin(session, claim.subject_id)
        patient = await patients.patient(session, run.patient_id)
        provider = await connection_queries.provider(session, run.provider_id)
        assert patient is not None
        assert provider is not None
        platform = await connection_queries.platform(session, patient.platform_id) if patient.platform_id else None
        limit = resources.settings.max_attachment_bytes
        return Trip(
            run=run,
            patient=patient,
            origin=Origin(patient.id, patient.user_id, provider.id, provider.name, run.id),
            source=connections.connection(provider, resources.vault, limit),
            target=Target(platform.id, connections.platform_connection(platform, resources.vault))
            if platform
            else None,
        )


async def _verify_patient(provider: Provider, trip: Trip) -> None:
    try:
        await provider.patient(trip.run.provider_patient_id)
    except ProviderError as error:
        if error.code in MISSING:
            raise PatientUnknown(error.detail) from error
        # A server may hide the Patient resource and still list documents.
        if error.code not in HIDDEN:
            raise


async def _list_all(resources: Resources, claim: Claim, trip: Trip, provider: Provider) -> None:
    """Every resource type. One that cannot be had for good is a gap, and the others go on; where none can, the run fails."""
    refused = [await _list(resources, claim, trip, provider, it) for it in provider.resource_types]
    errors = [error for error in refused if error is not None]
    async with resources.db.reading() as session:
        if errors and not await queries.pages(session, trip.run.id):
            raise errors[0]


async def _list(
    resources: Resources, claim: Claim, trip: Trip, provider: Provider, resource_type: str
) -> ProviderError | None:
    """All pages of one type from where the run stands; what stood in the way for good."""
    refused: ProviderError | None = None
    try:
        async for listed in listing.pages(resources, claim, trip, provider, resource_type):
            async with recording_as(resources, claim, progress=True) as session:
                await recording.record_page(session, trip.origin, listed, publishes=trip.target is not None)
        return None
    except listing.Looped as looped:
        problem = Problem(resource_type, catalogue.LISTING_LOOPED, str(looped))
    except ProviderError as error:
        if error.retryable and not claim.last:
            raise
        problem, refused = Problem(resource_type, error.code, error.detail), error
    async with recording_as(resources, claim) as session:
        await recording.give_up_listing(session, trip.run.id, problem)
    return refused


async def _compare(resources: Resources, claim: Claim, trip: Trip, provider: Provider) -> None:
    """After a complete listing of everything: what is gone at the provider is withdrawn here."""
    async with recording_as(resources, claim) as session:
        run = await recording.enter(session, trip.run.id, RunStage.STORING)
        pages = await queries.pages(session, trip.run.id)
        if rules.withdraws(run, pages, provider.resource_types):
            await recording.withdraw(session, trip.origin)


async def _fail(resources: Resources, claim: Claim, trip: Trip, code: str, detail: str) -> None:
    async with resources.db.transaction() as session:
        await work.finish(session, claim)
        await recording.fail(session, trip.run.id, code, detail)
