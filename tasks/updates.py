"""Jobs of the updates context: subscriptions at providers, their notifications, and the round that time brings about."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.provider.fhir.subscriptions import Remote, Subscriptions, Wanted, connect
from app.connectors.provider.port import ProviderError, ProviderErrorCode
from app.core import work
from app.core.resources import Resources
from app.core.work import Claim
from app.domain.connections import commands as connections
from app.domain.connections import queries as connection_queries
from app.domain.connections.models import Provider
from app.domain.updates import commands, queries, recording, rules
from app.domain.updates.events import NOTIFIED, RECONCILE
from app.domain.updates.models import Subscription, SubscriptionNotification, SubscriptionStatus
from tasks.runtime import Job, may_try_again, try_again

log = structlog.get_logger(__name__)

INTERVAL = 2.0
SCHEDULES_EACH = 5
"""Every so many rounds the schedules are looked at too."""
AT_ONCE = 20
"""How many automatic runs are open at a time, over all connections."""
BATCH = 100
GONE = (ProviderErrorCode.NOT_FOUND, ProviderErrorCode.GONE)


@dataclass(frozen=True, slots=True)
class Found:
    """Whom an event is about; None where it may be anybody."""

    notification: SubscriptionNotification
    patients: set[UUID] | None


async def reconcile(resources: Resources, claim: Claim) -> None:
    """Makes the Subscription at the provider what ours says, and records how it stands there."""
    row, provider = await _subscription(resources, claim.subject_id)
    if row is None or provider is None:
        await _finish(resources, claim)
        return
    try:
        async with _connected(resources, provider) as remote:
            if row.status is SubscriptionStatus.OFF:
                if row.remote_id is not None:
                    await remote.delete(row.remote_id)
                found = None
            else:
                found = await _established(resources, remote, row)
    except ProviderError as error:
        if may_try_again(claim, error):
            raise try_again(claim, error) from error
        async with _recording(resources, claim) as session:
            await recording.unreachable(session, row.id, error.code, error.detail)
        return
    async with _recording(resources, claim) as session:
        await (recording.stands(session, row.id, found) if found else recording.gone(session, row.id))
    await ask_for_runs(resources, schedules=False)


async def _established(resources: Resources, remote: Subscriptions, row: Subscription) -> Remote:
    endpoint = commands.endpoint(row.id, resources.settings.base_url)
    secret = commands.secret_of(row, resources.vault)
    wanted = Wanted(row.resource_type, endpoint, f"{rules.SECRET_HEADER}: {secret}")
    found = await remote.read(row.remote_id) if row.remote_id else None
    if found is not None:
        # `checked_at` is empty when somebody has just turned it on.
        if found.status == "active" and found.endpoint in ("", endpoint) and row.checked_at is not None:
            return found
        if found.status in recording.STOPPED:
            # Known before the renewal: what it has not told meanwhile is looked for as soon as it tells again.
            async with resources.db.transaction() as session:
                await recording.stopped(session, row.id, found)
        try:
            return await remote.renew(wanted, found.id)
        except ProviderError as error:
            if error.code not in GONE:
                raise
    async with resources.db.transaction() as session:
        await recording.renewing(session, row.id)
    return await remote.establish(wanted)


async def notified(resources: Resources, claim: Claim) -> None:
    """Finds whom notifications are about and marks them; then asks for the runs that are due."""
    row, provider = await _subscription(resources, claim.subject_id)
    if row is None or provider is None:
        await _finish(resources, claim)
        return
    async with _connected(resources, provider) as remote:
        finished = False
        while not finished:
            async with resources.db.reading() as session:
                waiting = await queries.unhandled(session, row.id, BATCH)
            found = [await _whose(resources, claim, remote, provider.id, it) for it in waiting]
            finished = await _mark(resources, claim, row, found)
    await ask_for_runs(resources, schedules=False)


async def _whose(
    resources: Resources, claim: Claim, remote: Subscriptions, provider_id: UUID, it: SubscriptionNotification
) -> Found:
    """By what the notification says, by the documents that we have, by the resource itself: in this order."""
    subject: str | None = it.subject
    if not subject and it.focus:
        async with resources.db.reading() as session:
            if known := await queries.patients_with(session, provider_id, it.focus):
                return Found(it, known)
        try:
            subject = await remote.subject(it.focus)
        except ProviderError as error:
            if may_try_again(claim, error):
                raise try_again(claim, error) from error
            # It cannot be said whose it is: it may be anybody's.
            return Found(it, None)
    if subject == "" and not it.focus:
        return Found(it, None)
    async with resources.db.reading() as session:
        return Found(it, await queries.patients_named(session, provider_id, subject) if subject else set())


async def _mark(resources: Resources, claim: Claim, row: Subscription, found: Sequence[Found]) -> bool:
    """Marks the patients; whether that was all. Events that arrive meanwhile are seen here, or bring about new work."""
    async with resources.db.transaction() as session:
        subscription = await queries.subscription_locked(session, row.id)
        for removed in (False, True):
            these = [it for it in found if it.notification.removed is removed]
            everybody = any(it.patients is None for it in these)
            named = {patient for it in these for patient in it.patients or ()}
            if everybody:
                subscription.spread_at = recording.NOW
                await session.flush()
            if everybody or named:
                await recording.mark(session, row.provider_id, None if everybody else named, removed=removed)
        ignored = sum(it.patients == set() for it in found)
        await recording.handled(session, subscription, [it.notification for it in found], ignored=ignored)
        await session.flush()
        more = bool(await queries.unhandled(session, row.id, 1))
        await (work.hold(session, claim, progress=bool(found)) if more else work.finish(session, claim))
    return not more


async def ask_for_runs(resources: Resources, *, schedules: bool = True) -> int:
    """Asks for the automatic runs that are due, as many as may be open; of several workers one does so at a time."""
    asked = 0
    async with resources.db.transaction() as guard:
        if not await queries.alone(guard):
            return 0
        room = AT_ONCE - await queries.open_automatic_runs(guard)
        for mark_id in await queries.due(guard, room, schedules=schedules) if room > 0 else ():
            # A transaction for each: whoever holds several patients at once could wait for somebody who waits for them.
            async with resources.db.transaction() as session:
                asked += await recording.ask_for_run(session, mark_id) is not None
    return asked


async def one_round(resources: Resources, *, schedules: bool = True) -> None:
    """Everything that nobody asks for but time."""
    async with resources.db.transaction() as session:
        if schedules:
            await recording.enrol(session)
        await recording.settle(session)
        await recording.purge(session)
        overdue = await queries.unsettled(session)
    for subscription_id in overdue:
        async with resources.db.transaction() as session:
            await recording.find_gap(session, subscription_id)
    async with resources.db.transaction() as session:
        for kind, ids in ((RECONCILE, await queries.unchecked(session)), (NOTIFIED, await queries.waiting(session))):
            for subscription_id in sorted(ids):
                await work.ask(session, kind, subscription_id)
    await ask_for_runs(resources, schedules=schedules)


async def round_for_ever(resources: Resources) -> None:
    for number in itertools.count():
        try:
            await one_round(resources, schedules=number % SCHEDULES_EACH == 0)
        except (SQLAlchemyError, OSError) as error:
            log.warning("updates.round_failed", error=type(error).__name__)
        except Exception:
            # One defect must not stop every schedule of the installation.
            log.exception("updates.round_broken")
        await asyncio.sleep(INTERVAL)


async def _subscription(resources: Resources, subscription_id: UUID) -> tuple[Subscription | None, Provider | None]:
    async with resources.db.reading() as session:
        row = await queries.subscription(session, subscription_id)
        return row, await connection_queries.provider(session, row.provider_id) if row else None


@asynccontextmanager
async def _connected(resources: Resources, provider: Provider) -> AsyncGenerator[Subscriptions]:
    settings = resources.settings
    wanted = connections.connection(
        provider, resources.vault, settings.max_attachment_bytes, settings.networks, resources.spool, resources.gates
    )
    async with connect(wanted) as opened:
        yield opened


@asynccontextmanager
async def _recording(resources: Resources, claim: Claim) -> AsyncGenerator[AsyncSession]:
    """The last transaction of a job. The subscription is locked before the work row: notifications lock them so too."""
    async with resources.db.transaction() as session:
        yield session
        await work.finish(session, claim)


async def _finish(resources: Resources, claim: Claim) -> None:
    async with resources.db.transaction() as session:
        await work.finish(session, claim)


JOBS = {
    RECONCILE: Job(run=reconcile, abandon=recording.unreachable),
    NOTIFIED: Job(run=notified, abandon=recording.surrender),
}
