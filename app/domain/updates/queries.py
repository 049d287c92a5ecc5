"""Reads of subscriptions, of their notifications, and of what is due."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    case,
    cast,
    exists,
    extract,
    false,
    func,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.domain.connections.models import Provider
from app.domain.documents.models import DocumentSource
from app.domain.identity.policies import Actor
from app.domain.patients.models import Patient
from app.domain.sync.models import (
    OPEN_STATUSES,
    RunMode,
    RunStatus,
    RunTrigger,
    Severity,
    SyncFailure,
    SyncRun,
)
from app.domain.updates import rules
from app.domain.updates.models import PatientUpdate, Subscription, SubscriptionNotification, SubscriptionStatus
from app.domain.updates.policies import readable
from app.domain.updates.rules import History

NOW = func.clock_timestamp()
TRY_AGAIN = timedelta(minutes=30)
"""How long a change waits for another run after one that failed."""
LATE = timedelta(seconds=15)
"""How long a missing event may still be on its way."""
SPREAD_PAUSE = timedelta(minutes=5)
"""Notifications that name nobody lead to all patients no more often than this."""
CHECK_ACTIVE = timedelta(hours=1)
CHECK_OTHER = timedelta(minutes=10)
DONE = (RunStatus.SUCCEEDED, RunStatus.SUCCEEDED_WITH_GAPS)


@dataclass(frozen=True, slots=True)
class Due:
    """A patient whose turn it is; `scheduled` where it is the schedule's, not only a change."""

    marks: PatientUpdate
    provider: Provider
    scheduled: bool


# What people see.


async def by_providers(
    session: AsyncSession, actor: Actor, provider_ids: Sequence[UUID]
) -> dict[UUID, list[Subscription]]:
    rows = await session.scalars(
        select(Subscription)
        .where(Subscription.provider_id.in_(provider_ids), Subscription.deleted_at.is_(None), readable(actor))
        .order_by(Subscription.resource_type)
    )
    found: dict[UUID, list[Subscription]] = {}
    for row in rows:
        found.setdefault(row.provider_id, []).append(row)
    return found


async def next_turns(session: AsyncSession, _actor: Actor, patient_ids: Sequence[UUID]) -> dict[UUID, datetime]:
    """For patients that the caller sees already: when the schedule synchronises them next."""
    every = Provider.sync_every_minutes
    after = func.coalesce(PatientUpdate.attempted_at, PatientUpdate.created_at, func.now())
    rows = await session.execute(
        select(Patient.id, every, after)
        .join(Provider, Provider.id == Patient.primary_provider_id)
        .outerjoin(PatientUpdate, PatientUpdate.patient_id == Patient.id)
        .where(Patient.id.in_(patient_ids), every.is_not(None), _connected())
    )
    return {patient_id: rules.next_turn(patient_id, minutes, begun) for patient_id, minutes, begun in rows if minutes}


# What hooks and workers ask; no person stands behind it.


async def subscription(session: AsyncSession, subscription_id: UUID) -> Subscription | None:
    return await session.scalar(
        select(Subscription).where(Subscription.id == subscription_id, Subscription.deleted_at.is_(None))
    )


async def subscription_locked(session: AsyncSession, subscription_id: UUID) -> Subscription:
    statement = select(Subscription).where(Subscription.id == subscription_id).with_for_update()
    return (await session.scalars(statement.execution_options(populate_existing=True))).one()


async def subscriptions_locked(session: AsyncSession, provider_id: UUID) -> Sequence[Subscription]:
    rows = await session.scalars(
        select(Subscription).where(Subscription.provider_id == provider_id).order_by(Subscription.id).with_for_update()
    )
    return rows.all()


async def provider_locked(session: AsyncSession, provider_id: UUID) -> Provider | None:
    return await session.scalar(
        select(Provider).where(Provider.id == provider_id, Provider.deleted_at.is_(None)).with_for_update()
    )


async def unhandled(session: AsyncSession, subscription_id: UUID, limit: int) -> Sequence[SubscriptionNotification]:
    """The next events whose patients are to be found. Those that name nobody wait until all patients may be asked again."""
    row = SubscriptionNotification
    named = or_(row.focus != "", row.subject != "")
    pausing = exists().where(Subscription.id == subscription_id, Subscription.spread_at > NOW - SPREAD_PAUSE)
    rows = await session.scalars(
        select(row)
        .where(row.subscription_id == subscription_id, row.handled_at.is_(None), or_(named, ~pausing))
        .order_by(row.id)
        .limit(limit)
    )
    return rows.all()


async def patients_named(session: AsyncSession, provider_id: UUID, subject: str) -> set[UUID]:
    """Those who are this person at the provider: nobody, one, or one of each of several dieticians."""
    rows = await session.scalars(
        select(Patient.id).where(
            Patient.primary_provider_id == provider_id,
            Patient.provider_patient_id == subject.removeprefix("Patient/"),
            Patient.deleted_at.is_(None),
        )
    )
    return {*rows}


async def patients_with(session: AsyncSession, provider_id: UUID, reference: str) -> set[UUID]:
    """Those who have a document from this resource."""
    rows = await session.scalars(
        select(DocumentSource.patient_id)
        .join(Patient, Patient.id == DocumentSource.patient_id)
        .where(
            DocumentSource.provider_id == provider_id,
            DocumentSource.reference == reference,
            Patient.primary_provider_id == provider_id,
            Patient.deleted_at.is_(None),
        )
    )
    return {*rows}


async def arrived(session: AsyncSession, row: Subscription) -> int:
    """How many of the events that are not settled have been received."""
    table = SubscriptionNotification
    return (
        await session.scalar(
            select(func.count()).where(
                table.subscription_id == row.id,
                table.generation == row.generation,
                table.event_number > row.settled_event,
                table.event_number <= row.last_event,
            )
        )
        or 0
    )


async def unsettled(session: AsyncSession) -> Sequence[UUID]:
    """Subscriptions with events that are overdue, or only not settled yet."""
    rows = await session.scalars(
        select(Subscription.id).where(
            Subscription.last_event > Subscription.settled_event,
            Subscription.counted_at < NOW - LATE,
            Subscription.status != SubscriptionStatus.OFF,
        )
    )
    return rows.all()


async def waiting(session: AsyncSession) -> Sequence[UUID]:
    """Subscriptions with notifications that nobody has taken up."""
    row = SubscriptionNotification
    named = or_(row.focus != "", row.subject != "", Subscription.spread_at.is_(None))
    rows = await session.scalars(
        select(Subscription.id)
        .join(row, row.subscription_id == Subscription.id)
        .where(row.handled_at.is_(None), or_(named, Subscription.spread_at < NOW - SPREAD_PAUSE))
        .distinct()
    )
    return rows.all()


async def unchecked(session: AsyncSession) -> Sequence[UUID]:
    """Subscriptions of which the provider has not been asked for too long; those that are off until they are gone there."""
    row = Subscription
    patience = case((row.status == SubscriptionStatus.ACTIVE, CHECK_ACTIVE), else_=CHECK_OTHER)
    rows = await session.scalars(
        select(row.id).where(
            or_(row.checked_at.is_(None), row.checked_at < NOW - patience),
            or_(row.status != SubscriptionStatus.OFF, row.remote_id.is_not(None)),
            row.deleted_at.is_(None),
        )
    )
    return rows.all()


async def open_automatic_runs(session: AsyncSession) -> int:
    row = SyncRun
    return (
        await session.scalar(
            select(func.count()).where(row.status.in_(OPEN_STATUSES), row.trigger == RunTrigger.AUTOMATIC)
        )
        or 0
    )


async def due(session: AsyncSession, limit: int, *, schedules: bool) -> Sequence[UUID]:
    """Marks whose patients are to be synchronised now: first those of whom a change is known, then by the schedule where that
    is looked at: it means to look at every patient."""
    row = PatientUpdate
    rows = await session.scalars(
        _candidates(select(row.id), schedules=schedules)
        .order_by(row.changed_at.is_(None), row.attempted_at.asc().nulls_first(), row.id)
        .limit(limit)
    )
    return rows.all()


async def still_due(session: AsyncSession, mark_id: UUID) -> Due | None:
    """The same, for one of them and locked; None where somebody else is at it."""
    statement = select(PatientUpdate, Provider, _turn_has_come()).where(PatientUpdate.id == mark_id)
    statement = _candidates(statement, schedules=True).with_for_update(of=PatientUpdate, skip_locked=True)
    found = (await session.execute(statement.execution_options(populate_existing=True))).first()
    return Due(*found) if found else None


def _candidates(statement: Select[*tuple[Any, ...]], *, schedules: bool) -> Select[*tuple[Any, ...]]:
    row = PatientUpdate
    under_way = exists().where(SyncRun.patient_id == row.patient_id, SyncRun.status.in_(OPEN_STATUSES))
    changed = row.changed_at.is_not(None) & or_(
        row.attempted_at.is_(None), row.attempted_at < row.changed_at, row.attempted_at < NOW - TRY_AGAIN
    )
    return (
        statement.join(Patient, Patient.id == row.patient_id)
        .join(Provider, Provider.id == Patient.primary_provider_id)
        .where(_connected(), or_(changed, _turn_has_come()) if schedules else changed, ~under_way)
    )


def _connected() -> ColumnElement[bool]:
    return Patient.deleted_at.is_(None) & Provider.deleted_at.is_(None) & Patient.provider_patient_id.is_not(None)


def _turn_has_come() -> ColumnElement[bool]:
    """Whether the patient's turn has come since the last attempt: `rules.next_turn` in SQL, in whole seconds."""
    seconds = Provider.sync_every_minutes * 60
    # The last 32 bits of the id, as in `rules.phase`.
    bits: ColumnElement[int] = literal_column("('x' || right(patient_updates.patient_id::text, 8))::bit(32)::bigint")
    now = cast(extract("epoch", func.now()), BigInteger)
    begun = now - (now - bits % seconds) % seconds
    since = func.coalesce(PatientUpdate.attempted_at, PatientUpdate.created_at)
    return func.coalesce(since < func.to_timestamp(begun), false())


async def history(session: AsyncSession, marks: PatientUpdate, provider: Provider) -> History:
    row = SyncRun
    reference_of_listing = func.strpos(SyncFailure.reference, "/") == 0
    hole = exists().where(SyncFailure.run_id == row.id, SyncFailure.severity == Severity.FAILURE, reference_of_listing)
    gap = or_(hole, row.error_code.is_not(None) & (row.status == RunStatus.SUCCEEDED_WITH_GAPS))
    ended = (
        select(
            row.created_at,
            (row.mode == RunMode.FULL).label("full"),
            row.compared_at.is_not(None).label("compared"),
            gap.label("gap"),
        )
        .join(Patient, Patient.id == row.patient_id)
        .where(
            row.patient_id == marks.patient_id,
            row.provider_id == provider.id,
            row.provider_patient_id == Patient.provider_patient_id,
            row.finished_at.is_not(None),
        )
        .subquery()
    )
    latest = func.max(ended.c.created_at)
    found = await session.execute(
        select(
            latest.filter(ended.c.full),
            latest.filter(ended.c.compared & ~ended.c.gap),
            latest.filter(ended.c.gap),
        )
    )
    return History(*found.one())


def made_good(
    mark: InstrumentedAttribute[datetime | None], modes: Collection[RunMode], *, compared: bool = False
) -> ColumnElement[bool]:
    """Whether a run of one of these modes that began after a mark has ended well; `compared`: having held everything here against
    its listing, as only such a one says that something is gone."""
    row = SyncRun
    return mark.is_not(None) & exists().where(
        row.patient_id == PatientUpdate.patient_id,
        row.status.in_(DONE),
        row.mode.in_(modes),
        # What an export shows may be older than the change.
        row.export_id.is_(None),
        row.started_at >= mark,
        row.compared_at.is_not(None) if compared else true(),
    )


def marks(condition: ColumnElement[bool]) -> Select[UUID]:
    """Rows to change, without those that somebody else is changing: their turn comes in the next round."""
    return select(PatientUpdate.id).where(condition).with_for_update(skip_locked=True)


def patients_of(provider_id: UUID, wanted: Collection[UUID] | None = None) -> Select[UUID]:
    """Those of the wanted (else all) who are connected to a provider, in an order that is the same for all who lock them."""
    statement = select(Patient.id).where(
        Patient.primary_provider_id == provider_id,
        Patient.provider_patient_id.is_not(None),
        Patient.deleted_at.is_(None),
    )
    if wanted is not None:
        statement = statement.where(Patient.id.in_(wanted))
    return statement.order_by(Patient.id)


def unenrolled() -> Select[UUID]:
    """Patients who have a schedule and no row yet that it is kept in."""
    return (
        select(Patient.id)
        .join(Provider, Provider.id == Patient.primary_provider_id)
        .where(
            _connected(),
            Provider.sync_every_minutes.is_not(None),
            ~exists().where(PatientUpdate.patient_id == Patient.id),
        )
        .order_by(Patient.id)
    )


async def alone(session: AsyncSession) -> bool:
    """Whether no other worker does the round at this moment; true until the transaction ends."""
    return bool(await session.scalar(select(func.pg_try_advisory_xact_lock(func.hashtextextended("updates/round", 0)))))
