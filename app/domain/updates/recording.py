"""What hooks and workers record: notifications, how subscriptions stand, what is due for patients."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import structlog
from sqlalchemy import delete, func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.provider.fhir.notifications import Event, Notification, NotificationKind
from app.connectors.provider.fhir.subscriptions import Remote
from app.core import work
from app.core.ids import uuid7
from app.domain.sync import catalogue
from app.domain.sync import commands as sync
from app.domain.sync.models import RunMode, SyncRun
from app.domain.updates import queries, rules
from app.domain.updates.events import NOTIFIED, RECONCILE
from app.domain.updates.models import PatientUpdate, Subscription, SubscriptionNotification, SubscriptionStatus

log = structlog.get_logger(__name__)

NOW = func.clock_timestamp()
KEPT = timedelta(days=30)
"""How long notifications are kept."""
FORGOTTEN = timedelta(days=7)
"""A change that no run could take up for so long is left to the schedule."""
STOPPED = ("error", "off")
"""R4 Subscription.status: the server sends nothing any more."""
LISTING = (RunMode.INCREMENTAL, RunMode.FULL)


async def hear(session: AsyncSession, subscription_id: UUID, heard: Notification, proof: str) -> bool:
    """A notification whose sender is proven: its new events are kept, and work for them is asked for, in this transaction.
    `proof` is the signature, or empty. False where it comes from another Subscription than ours."""
    # Locked first, so that whoever finishes the work for this subscription sees these events or leaves them to new work.
    row = await queries.subscription_locked(session, subscription_id)
    foreign = row.remote_id is not None and heard.subscription not in ("", row.remote_id)
    if foreign or row.status is SubscriptionStatus.OFF:
        return False
    row.last_heard_at = NOW
    _count(row, heard)
    await session.flush()
    if heard.status in STOPPED:
        _break(row, heard.status, "")
        await session.flush()
        await work.ask(session, RECONCILE, row.id)
    else:
        await _activate(session, row)
    if heard.kind is NotificationKind.EVENT and await _keep(session, row, heard.events, proof):
        await work.ask(session, NOTIFIED, row.id)
    return True


def _count(row: Subscription, heard: Notification) -> None:
    numbers = [event.number for event in heard.events if event.number is not None]
    if not numbers and heard.so_far is None:
        return
    top = max(*numbers, heard.so_far or 0, 0)
    if row.last_event is None:
        row.settled_event = min(numbers) - 1 if numbers else top
        row.last_event, row.counted_at = top, NOW
    elif heard.kind is NotificationKind.HANDSHAKE and top < row.last_event:
        # The provider counts anew: its numbers mean other events from now on.
        row.generation += 1
        row.last_event = row.settled_event = top
    elif top > row.last_event:
        row.last_event, row.counted_at = top, NOW


async def _keep(session: AsyncSession, row: Subscription, events: Sequence[Event], proof: str) -> bool:
    """Whether any of them is new."""
    rows = [
        {
            "id": uuid7(),
            "subscription_id": row.id,
            "key": _key(row, event, proof),
            "generation": row.generation,
            "event_number": event.number,
            "focus": event.focus,
            "subject": event.subject,
            "removed": event.removed,
        }
        for event in events
    ]
    if not rows:
        return False
    added = insert(SubscriptionNotification).on_conflict_do_nothing().returning(SubscriptionNotification.id)
    return bool((await session.scalars(added, rows)).all())


def _key(row: Subscription, event: Event, proof: str) -> str:
    if event.number is not None:
        return f"{row.generation}/{event.number}"
    if event.focus and event.version:
        return f"{event.focus}/_history/{event.version}"
    return f"{event.focus} {proof or uuid4()}"


async def _activate(session: AsyncSession, row: Subscription) -> None:
    """From now on the provider tells us. What changed before, while it did not, is looked for once."""
    if row.status in (SubscriptionStatus.ACTIVE, SubscriptionStatus.OFF):
        return
    row.status = SubscriptionStatus.ACTIVE
    row.error_code = row.error_detail = None
    await session.flush()
    await mark(session, row.provider_id)


def _break(row: Subscription, status: str, why: str) -> None:
    if row.status is not SubscriptionStatus.OFF:
        row.status = SubscriptionStatus.ERROR
        row.error_code = catalogue.SUBSCRIPTION_STOPPED
        row.error_detail = f"the provider says: {status}{why and ', '}{why}"


async def mark(
    session: AsyncSession,
    provider_id: UUID,
    patients: Collection[UUID] | None = None,
    *,
    removed: bool = False,
    suspect: bool = False,
) -> None:
    """Something has changed for these patients of a provider, or for all: a run that begins after now takes it up."""
    names = ["patient_id", "changed_at", *(["removed_at"] if removed else []), *(["suspect_at"] if suspect else [])]
    moments = [NOW for _ in names[1:]]
    wanted = insert(PatientUpdate).from_select(
        names, queries.patients_of(provider_id, patients).add_columns(*moments), include_defaults=False
    )
    await session.execute(
        wanted.on_conflict_do_update(
            index_elements=[PatientUpdate.patient_id], set_={name: wanted.excluded[name] for name in names[1:]}
        )
    )


# What workers record of the provider's answers.


async def stopped(session: AsyncSession, subscription_id: UUID, remote: Remote) -> None:
    """The provider sends nothing any more, and has not told us so."""
    _break(await queries.subscription_locked(session, subscription_id), remote.status, remote.error)


async def renewing(session: AsyncSession, subscription_id: UUID) -> None:
    """Before the provider is asked for a new Subscription: it will count from the beginning, perhaps before it answers."""
    row = await queries.subscription_locked(session, subscription_id)
    row.remote_id = row.last_event = row.settled_event = None
    row.generation += 1
    if row.status is not SubscriptionStatus.OFF:
        row.status = SubscriptionStatus.REQUESTED


async def stands(session: AsyncSession, subscription_id: UUID, remote: Remote) -> None:
    """How the Subscription stands at the provider. A handshake may have come before this answer: then it is active."""
    row = await queries.subscription_locked(session, subscription_id)
    row.remote_id, row.checked_at = remote.id, None if row.status is SubscriptionStatus.OFF else NOW
    if remote.status in STOPPED:
        _break(row, remote.status, remote.error)
        return
    row.error_code = row.error_detail = None
    if remote.status == "active":
        await _activate(session, row)
    elif row.status is SubscriptionStatus.ERROR:
        row.status = SubscriptionStatus.REQUESTED


async def gone(session: AsyncSession, subscription_id: UUID) -> None:
    """Turned off here, and deleted at the provider."""
    row = await queries.subscription_locked(session, subscription_id)
    # Somebody may have turned it on again meanwhile: then the next round sees to it.
    row.remote_id, row.checked_at = None, NOW if row.status is SubscriptionStatus.OFF else None
    row.error_code = row.error_detail = None


async def unreachable(session: AsyncSession, subscription_id: UUID, code: str, detail: str) -> None:
    """The provider could not be asked, or refused. Its notifications, if it goes on to send them, are as welcome as before."""
    row = await queries.subscription_locked(session, subscription_id)
    row.checked_at, row.error_code, row.error_detail = NOW, code, detail
    if row.status is SubscriptionStatus.REQUESTED:
        row.status = SubscriptionStatus.ERROR


async def handled(
    session: AsyncSession, row: Subscription, notifications: Sequence[SubscriptionNotification], *, ignored: int
) -> None:
    row.ignored += ignored
    await session.execute(
        update(SubscriptionNotification)
        .where(SubscriptionNotification.id.in_([it.id for it in notifications]))
        .values(handled_at=NOW)
    )


async def surrender(session: AsyncSession, subscription_id: UUID, _code: str, _detail: str) -> None:
    """It cannot be found out whom the waiting notifications are about: all patients are looked at."""
    row = await queries.subscription_locked(session, subscription_id)
    await mark(session, row.provider_id)
    await session.execute(
        update(SubscriptionNotification)
        .where(SubscriptionNotification.subscription_id == row.id, SubscriptionNotification.handled_at.is_(None))
        .values(handled_at=NOW)
        .execution_options(synchronize_session=False)
    )


# The round: what time brings about.


async def enrol(session: AsyncSession) -> None:
    """Whoever has a schedule gets a row to keep it in."""
    await session.execute(
        insert(PatientUpdate)
        .from_select(["patient_id"], queries.unenrolled(), include_defaults=False)
        .on_conflict_do_nothing()
    )


async def settle(session: AsyncSession) -> None:
    """Marks that runs have made good, and those that no run could, are taken away."""
    row = PatientUpdate
    for mark_, modes in (
        (row.changed_at, LISTING),
        (row.removed_at, (RunMode.FULL,)),
        (row.suspect_at, (RunMode.FULL,)),
    ):
        made_good = queries.made_good(mark_, modes, compared=mark_ is row.removed_at)
        await session.execute(
            update(row)
            .where(row.id.in_(queries.marks(mark_.is_not(None) & (made_good | (mark_ < NOW - FORGOTTEN)))))
            .values({mark_: None})
            .execution_options(synchronize_session=False)
        )


async def find_gap(session: AsyncSession, subscription_id: UUID) -> bool:
    """Whether events have not arrived that should have: then all patients of the connection are looked at."""
    row = await queries.subscription_locked(session, subscription_id)
    if row.last_event is None or row.settled_event is None:
        return False
    missing = row.last_event - row.settled_event - await queries.arrived(session, row)
    row.settled_event = row.last_event
    if missing <= 0:
        return False
    row.gaps += 1
    await session.flush()
    log.warning("updates.gap", subscription=str(row.id), missing=missing)
    await mark(session, row.provider_id, suspect=True)
    return True


async def ask_for_run(session: AsyncSession, mark_id: UUID) -> SyncRun | None:
    """The automatic run that is due for a patient, if it still is and nobody else asks for it at this moment."""
    found = await queries.still_due(session, mark_id)
    if found is None:
        return None
    history = await queries.history(session, found.marks, found.provider)
    mode = rules.mode(found.provider, found.marks, history, datetime.now(UTC), scheduled=found.scheduled)
    found.marks.attempted_at = NOW
    await session.flush()
    return await sync.request_automatic(session, found.marks.patient_id, mode)


async def purge(session: AsyncSession) -> None:
    """Notifications that are old and done. What they led to stands in the runs and in the history."""
    row = SubscriptionNotification
    await session.execute(
        delete(row)
        .where(row.created_at < NOW - KEPT, row.handled_at.is_not(None))
        .execution_options(synchronize_session=False)
    )
