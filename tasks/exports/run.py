"""An export, a step at a time: asked for, waited for, read, handed to its patients' runs. Whoever waits holds no worker."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from app.connectors.provider.bulk import Waiting
from app.connectors.provider.fhir.client import RESOURCE_TYPES
from app.connectors.provider.port import ProviderError, ProviderErrorCode
from app.core import work
from app.core.resources import Resources
from app.core.work import Claim
from app.domain.connections import commands as connections
from app.domain.connections import queries as connection_queries
from app.domain.sync import catalogue
from app.domain.sync import commands as sync
from app.domain.sync.models import RunMode
from app.domain.updates.exports import queries, recording
from app.domain.updates.exports.models import Export, ExportState
from tasks.exports.loading import load
from tasks.exports.trip import Trip, Turned
from tasks.runtime import may_try_again, try_again

GONE = (ProviderErrorCode.NOT_FOUND, ProviderErrorCode.GONE)
LONGEST = 24 * 3600.0
"""Seconds that a provider may take to prepare an export."""
FIRST_POLL, LAST_POLL = 1.0, 300.0
POLLS_IN_TIME = 10
"""Where a provider does not say when to ask again, a tenth of the time that it has taken so far."""
AT_ONCE = 16
"""Runs that an export has under way."""
LOOK_AGAIN, LOOK_LATER = 1.0, 3.0
"""Seconds until the next look at the runs, where something has changed since the last one, and where not."""
CLEAR_AGAIN = 5.0

Step = Callable[[Trip], Awaitable[bool]]
"""Whether nothing is to be done any more for now: the job is finished, or given back."""


async def export(resources: Resources, claim: Claim) -> None:
    """Goes on from the state that the export is in, whoever brought it there."""
    over = False
    while not over:
        trip = await _trip(resources, claim)
        step = STEPS.get(trip.row.state, _clear)
        try:
            over = await step(trip)
        except Turned:
            continue
        except ProviderError as error:
            if may_try_again(claim, error):
                raise try_again(claim, error) from error
            await _fail(trip, error.code, error.detail)


async def _trip(resources: Resources, claim: Claim) -> Trip:
    async with resources.db.reading() as session:
        row = await queries.export(session, claim.subject_id)
        assert row is not None
        provider = await connection_queries.provider(session, row.provider_id)
        assert provider is not None
    limit, networks = resources.settings.max_attachment_bytes, resources.settings.networks
    source = connections.connection(provider, resources.vault, limit, networks, resources.spool, resources.gates)
    return Trip(resources, claim, row, source)


async def _start(trip: Trip) -> bool:
    async with trip.provider() as provider:
        address = await provider.export_start(trip.row.group_id, trip.row.since)
        try:
            async with trip.recording() as (session, row):
                recording.started(row, address)
                await session.flush()
                await work.release(session, trip.claim, FIRST_POLL)
        except Turned:
            with suppress(ProviderError):
                # It ends at the provider by itself, sooner or later.
                await provider.export_cancel(address)
            raise
    return True


async def _poll(trip: Trip) -> bool:
    address = _address(trip.row)
    async with trip.resources.db.reading() as session:
        age = await queries.age(session, trip.row.id)
    if age > LONGEST:
        await _fail(trip, ProviderErrorCode.TIMEOUT, "the provider has not finished the export within a day")
        return False
    usual = min(max(age / POLLS_IN_TIME, FIRST_POLL), LAST_POLL)
    try:
        async with trip.provider() as provider:
            found = await provider.export_status(address)
    except ProviderError as error:
        if error.code in GONE:
            await _fail(trip, catalogue.EXPORT_EXPIRED, error.detail)
            return False
        if error.code is not ProviderErrorCode.THROTTLED and error.asked:
            raise
        # Who asks too often, or is kept from asking, waits: that uses up no attempt.
        found = Waiting(error.retry_after, trip.row.progress)
    async with trip.recording() as (session, row):
        if isinstance(found, Waiting):
            recording.waits(row, found.progress)
            await session.flush()
            await work.release(session, trip.claim, max(found.seconds or usual, FIRST_POLL))
            return True
        await recording.ready(session, row, found, RESOURCE_TYPES)
    return False


async def _load(trip: Trip) -> bool:
    with trip.resources.gates.seat(connections.provider_key(trip.row.provider_id)):
        async with trip.provider() as provider:
            await load(trip, provider)
            async with trip.recording() as (session, row):
                lost = await queries.lost(session, row.id)
                if lost is None:
                    await recording.loaded(session, row)
                else:
                    recording.fail(row, lost, "no file of the export could be had")
    return False


async def _store(trip: Trip) -> bool:
    """A run for each patient, some at a time. They are runs like any other, but for where their pages come from."""
    if trip.row.address is not None:
        await _forget(trip)
    async with trip.recording(progress=False) as (session, row):
        before = row.patients_done
        census = await recording.settle(session, row)
        if not census.pending and census.ended == census.runs:
            await recording.finish(session, row)
            return False
        room = AT_ONCE - (census.runs - census.ended)
        startable = await queries.startable(session, row, max(room, 0))
    for patient_id in startable:
        # A transaction for each: whoever holds several patients at once could wait for somebody who waits for them.
        async with trip.resources.db.transaction() as session:
            await sync.request_automatic(session, patient_id, RunMode.INCREMENTAL, export_id=trip.row.id)
    moved = bool(startable) or census.ended > before
    async with trip.recording(progress=moved) as (session, row):
        await work.release(session, trip.claim, LOOK_AGAIN if moved else LOOK_LATER)
    return True


async def _clear(trip: Trip) -> bool:
    """After the end: nothing stays at the provider, and nothing here that no run takes any more."""
    if trip.row.address is not None:
        await _forget(trip)
    done = False
    while not done:
        async with trip.recording(progress=False) as (session, row):
            done = await recording.clear(session, row.id)
    async with trip.recording() as (session, row):
        if await queries.runs_under_way(session, row.id):
            await work.release(session, trip.claim, CLEAR_AGAIN)
        else:
            await work.finish(session, trip.claim)
    return True


async def _forget(trip: Trip) -> None:
    """Tells the provider that its files are not needed any more. One that does not care keeps them until they expire."""
    with suppress(ProviderError):
        async with trip.provider() as provider:
            await provider.export_cancel(_address(trip.row))
    async with trip.recording() as (_, row):
        row.address = None


async def _fail(trip: Trip, code: str, detail: str) -> None:
    with suppress(Turned):
        # Somebody has stopped it at this moment: then it has not failed.
        async with trip.recording() as (_, row):
            recording.fail(row, code, detail)


def _address(row: Export) -> str:
    assert row.address is not None
    return row.address


STEPS: dict[ExportState, Step] = {
    ExportState.REQUESTED: _start,
    ExportState.PREPARING: _poll,
    ExportState.LOADING: _load,
    ExportState.STORING: _store,
}
