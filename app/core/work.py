"""Work is a row. A job is asked for in the transaction of the change that needs it; a message only says that it is due.

Whoever does the work claims the row in one statement: a lease on the database's clock, a fence that grows with each
claim, the attempt counted before anything is done. Every later write of the claimant checks the fence, so a worker that
was thought dead can do no harm when it wakes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Index, Select, and_, case, event, func, or_, select, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from app.core import page
from app.core.db import Base, outbox

LEASE = timedelta(seconds=6)
HEARTBEAT_SECONDS = 1.0
HINT_AGAIN = timedelta(seconds=3)
MAX_ATTEMPTS = 3
WAIT_AT_MOST = timedelta(hours=1)
"""Without progress, for something that was not even asked: such waiting uses up no attempt, but has an end."""
UNKNOWN_ERROR = "WORKER_FAILED"


_CODE = re.compile(r"([A-Z]+(?:_[A-Z]+)+): ")


class Work(Base):
    """A job: `kind` is `context.verb`, `subject_id` the row that it is about."""

    __tablename__ = "work"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
    kind: Mapped[str]
    subject_id: Mapped[UUID]
    due_at: Mapped[datetime] = mapped_column(server_default=func.now())
    lease_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(BigInteger, server_default="0")
    attempts: Mapped[int] = mapped_column(server_default="0")
    """Since the last progress: a long job that keeps moving never runs out of them."""
    max_attempts: Mapped[int] = mapped_column(server_default=str(MAX_ATTEMPTS))
    hinted_at: Mapped[datetime | None]
    silent: Mapped[int] = mapped_column(server_default="0")
    """How many attempts since the last progress ended without a word: whoever made them is dead."""
    waiting_since: Mapped[datetime | None]
    """When it was first put off without having asked anybody, since the last progress."""
    last_error: Mapped[str | None]
    """`CODE: detail`."""
    done_at: Mapped[datetime | None]
    dead_at: Mapped[datetime | None]
    replayed_at: Mapped[datetime | None]
    """When somebody had a dead letter done after all, and who."""
    replayed_by: Mapped[UUID | None]

    @property
    def error_code(self) -> str:
        """The code of the last failure; its detail may repeat what another system said, and is not for everybody."""
        found = _CODE.match(self.last_error or "")
        return found[1] if found else UNKNOWN_ERROR


def is_open() -> ColumnElement[bool]:
    return and_(Work.done_at.is_(None), Work.dead_at.is_(None))


def is_free() -> ColumnElement[bool]:
    return or_(Work.lease_until.is_(None), Work.lease_until < func.clock_timestamp())


Index("uq_work_open_subject", Work.kind, Work.subject_id, unique=True, postgresql_where=is_open())
Index("ix_work_due", Work.due_at, postgresql_where=is_open())


def is_dead_letter() -> ColumnElement[bool]:
    return and_(Work.dead_at.is_not(None), Work.replayed_at.is_(None))


Index("ix_work_dead", Work.dead_at, Work.id, postgresql_where=is_dead_letter())
DEAD_LETTERS = page.Order("deadLetters", ((Work.dead_at, datetime), (Work.id, UUID)), descending=True)


@dataclass(slots=True)
class Claim:
    """The right to do a job until the lease ends. `attempt` counts from the last progress."""

    id: UUID
    kind: str
    subject_id: UUID
    fence: int
    attempt: int
    max_attempts: int
    silent: int = 0
    may_wait: bool = True
    """Whether it may be put off once more for something that was not even asked."""

    @property
    def last(self) -> bool:
        """After this attempt there is no other."""
        return self.attempt >= self.max_attempts

    @property
    def exhausted(self) -> bool:
        """All attempts were used up without a word from whoever made them: only abandoning is left."""
        return self.attempt > self.max_attempts


class LeaseLost(Exception):
    """Somebody else holds the work now, or it was ended meanwhile: drop everything, write nothing."""


async def ask(
    session: AsyncSession,
    kind: str,
    subject_id: UUID,
    *,
    max_attempts: int = MAX_ATTEMPTS,
    after: timedelta = timedelta(),
) -> UUID | None:
    """Asks for a job; None where the same one is open already. One that was asked for later, and was not begun, is brought
    forward."""
    wanted = insert(Work).values(
        kind=kind, subject_id=subject_id, max_attempts=max_attempts, due_at=func.clock_timestamp() + after
    )
    work_id = await session.scalar(
        wanted.on_conflict_do_update(
            index_elements=[Work.kind, Work.subject_id],
            index_where=is_open(),
            set_={"due_at": wanted.excluded.due_at, "hinted_at": None},
            # A second of grace: of two who ask at once, the second does not bring anything forward.
            where=and_(Work.attempts == 0, Work.due_at > wanted.excluded.due_at + timedelta(seconds=1)),
        ).returning(Work.id)
    )
    if work_id is not None and not after:
        outbox(session).hints[work_id] = kind
    return work_id


def _silent() -> ColumnElement[int]:
    # A lease that is still there has run out: nobody gave the job back.
    return Work.silent + case((Work.lease_until.is_not(None), 1), else_=0)


def _suspect() -> ColumnElement[bool]:
    return and_(Work.attempts + 1 == Work.max_attempts, _silent() > 0)


def _to_be_had(work_id: UUID) -> ColumnElement[bool]:
    return and_(Work.id == work_id, is_open(), is_free(), Work.due_at <= func.clock_timestamp())


async def is_suspect(session: AsyncSession, work_id: UUID) -> bool:
    """Whether whoever tried a due and free job before is dead, and there is one attempt left: that is made where it can
    take nobody along, and where nobody can take it along."""
    return await session.scalar(select(Work.id).where(_to_be_had(work_id), _suspect())) is not None


async def claim(session: AsyncSession, work_id: UUID, *, alone: bool = False) -> Claim | None:
    """Takes the job if it is due and free; a suspect only where nothing else is done in this process. The attempt is
    counted here, before any work, so that a job that kills its process is counted too."""
    waited = func.clock_timestamp() - Work.waiting_since
    found = await session.execute(
        update(Work)
        .where(_to_be_had(work_id), true() if alone else ~_suspect())
        .values(
            lease_until=func.clock_timestamp() + LEASE,
            fence=Work.fence + 1,
            attempts=Work.attempts + 1,
            silent=_silent(),
        )
        .returning(Work, func.coalesce(waited < WAIT_AT_MOST, True))
    )
    row = found.one_or_none()
    if row is None:
        return None
    job, may_wait = row
    return Claim(
        id=job.id,
        kind=job.kind,
        subject_id=job.subject_id,
        fence=job.fence,
        attempt=job.attempts,
        max_attempts=job.max_attempts,
        silent=job.silent,
        may_wait=may_wait,
    )


def _held(claim: Claim) -> ColumnElement[bool]:
    return and_(Work.id == claim.id, Work.fence == claim.fence, is_open())


async def hold(session: AsyncSession, claim: Claim, *, progress: bool = False) -> None:
    """Extends the lease and locks the row until the transaction ends. First statement of every write of a claimant.

    With `progress` the attempts start again: what was done will not have to be done twice."""
    values: dict[str, object] = {"lease_until": func.clock_timestamp() + LEASE}
    if progress:
        values |= {"attempts": 1, "silent": 0, "waiting_since": None}

        def start_again(_session: object) -> None:
            claim.attempt, claim.silent, claim.may_wait = 1, 0, True

        # What is rolled back was no progress.
        event.listen(session.sync_session, "after_commit", start_again, once=True)
    await _checked(session, claim, values)


async def finish(session: AsyncSession, claim: Claim) -> None:
    await _checked(session, claim, {"done_at": func.clock_timestamp(), "lease_until": None, "last_error": None})


async def postpone(session: AsyncSession, claim: Claim, seconds: float, error: str, *, waiting: bool = False) -> None:
    """Tries again later. No worker is held meanwhile. With `waiting` nobody was asked: that uses up no attempt."""
    values: dict[str, object] = {**_given_back(seconds), "last_error": error}
    if waiting:
        values |= {"attempts": _one_less(), "waiting_since": func.coalesce(Work.waiting_since, func.clock_timestamp())}
    await _checked(session, claim, values)


async def bury(session: AsyncSession, claim: Claim, error: str) -> None:
    """A dead letter: kept, seen, replayable."""
    await _checked(session, claim, {"dead_at": func.clock_timestamp(), "lease_until": None, "last_error": error})


async def release(session: AsyncSession, claim: Claim, seconds: float = 0) -> None:
    """Gives the job back unused: a worker that is asked to stop takes no attempt with it."""
    await _checked(session, claim, {**_given_back(seconds), "attempts": _one_less()})


def _given_back(seconds: float) -> dict[str, object]:
    due = func.clock_timestamp() + timedelta(seconds=seconds)
    return {"due_at": due, "lease_until": None, "hinted_at": None}


def _one_less() -> ColumnElement[int]:
    return func.greatest(Work.attempts - 1, 0)


async def _checked(session: AsyncSession, claim: Claim, values: dict[str, object]) -> None:
    held = await session.scalar(update(Work).where(_held(claim)).values(**values).returning(Work.id))
    if held is None:
        raise LeaseLost(str(claim.id))


async def call_up(session: AsyncSession, claim: Claim) -> bool:
    """Brings forward what this claimant gave back for later, if nobody has had it since."""
    return await _bring_forward(session, _held(claim))


async def hurry(session: AsyncSession, kind: str, subject_id: UUID) -> bool:
    """Brings forward what waits for its next look, and for nothing else: no attempt of it has failed."""
    return await _bring_forward(
        session, Work.kind == kind, Work.subject_id == subject_id, is_open(), Work.attempts == 0
    )


async def _bring_forward(session: AsyncSession, *which: ColumnElement[bool]) -> bool:
    found = await session.execute(
        update(Work)
        .where(*which, Work.lease_until.is_(None), Work.due_at > func.clock_timestamp())
        .values(due_at=func.clock_timestamp(), hinted_at=None)
        .returning(Work.id, Work.kind)
        .execution_options(synchronize_session=False)
    )
    rows = found.all()
    outbox(session).hints.update({row.id: row.kind for row in rows})
    return bool(rows)


async def close_subject(session: AsyncSession, kind: str, subject_id: UUID) -> None:
    """Ends an open job from outside: its claimant loses the lease at its next write or heartbeat."""
    await session.execute(
        update(Work)
        .where(Work.kind == kind, Work.subject_id == subject_id, is_open())
        .values(done_at=func.clock_timestamp(), lease_until=None)
    )


async def due(session: AsyncSession, limit: int = 500) -> dict[UUID, str]:
    """Marks and returns open jobs that are due and free and of which nobody was told lately."""
    stale = or_(Work.hinted_at.is_(None), Work.hinted_at < func.clock_timestamp() - HINT_AGAIN)
    ready = (
        select(Work.id)
        .where(is_open(), is_free(), Work.due_at <= func.clock_timestamp(), stale)
        .order_by(Work.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = await session.execute(
        update(Work)
        .where(Work.id.in_(ready))
        .values(hinted_at=func.clock_timestamp())
        .returning(Work.id, Work.kind)
        .execution_options(synchronize_session=False)
    )
    return {row.id: row.kind for row in rows}


async def next_due(session: AsyncSession) -> float | None:
    """Seconds until the next job is due that is not yet; None where there is none."""
    waiting = select(func.min(Work.due_at)).where(is_open(), Work.due_at > func.clock_timestamp())
    seconds = func.extract("epoch", waiting.scalar_subquery() - func.clock_timestamp())
    found = await session.scalar(select(seconds))
    return None if found is None else float(found)


async def census(session: AsyncSession) -> Sequence[tuple[str, str, int]]:
    """How many jobs of each kind are due, leased, waiting for their time, or dead."""
    state = case(
        (Work.dead_at.is_not(None), "dead"),
        (~is_free(), "leased"),
        (Work.due_at <= func.clock_timestamp(), "due"),
        else_="waiting",
    ).label("state")
    rows = await session.execute(
        select(Work.kind, state, func.count())
        .where(Work.done_at.is_(None), Work.replayed_at.is_(None))
        .group_by(Work.kind, state)
    )
    return [(row[0], row[1], row[2]) for row in rows]


def dead_letters() -> Select[Work]:
    """Jobs that were given up and that nobody has had done since."""
    return select(Work).where(is_dead_letter())


async def get_dead_letter(session: AsyncSession, work_id: UUID) -> Work | None:
    """One that was given up, replayed or not."""
    return await session.scalar(select(Work).where(Work.id == work_id, Work.dead_at.is_not(None)))


async def dead_letter(session: AsyncSession, work_id: UUID) -> Work | None:
    """The same, locked until the transaction ends."""
    return await session.scalar(select(Work).where(Work.id == work_id, Work.dead_at.is_not(None)).with_for_update())


async def is_open_for(session: AsyncSession, kind: str, subject_id: UUID) -> bool:
    found = select(Work.id).where(Work.kind == kind, Work.subject_id == subject_id, is_open())
    return await session.scalar(found) is not None


async def note_replayed(session: AsyncSession, letter: Work, by: UUID) -> None:
    """The letter stays as it is, for the record, and is listed no more."""
    letter.replayed_by = by
    letter.replayed_at = await session.scalar(select(func.clock_timestamp()))
    await session.flush()
