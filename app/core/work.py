"""Work is a row. A job is asked for in the transaction of the change that needs it; a message only says that it is due.

Whoever does the work claims the row in one statement: a lease on the database's clock, a fence that grows with each
claim, the attempt counted before anything is done. Every later write of the claimant checks the fence, so a worker that
was thought dead can do no harm when it wakes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Index, and_, case, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, outbox

LEASE = timedelta(seconds=6)
HEARTBEAT_SECONDS = 1.0
HINT_AGAIN = timedelta(seconds=3)
MAX_ATTEMPTS = 3


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
    last_error: Mapped[str | None]
    done_at: Mapped[datetime | None]
    dead_at: Mapped[datetime | None]


def is_open() -> ColumnElement[bool]:
    return and_(Work.done_at.is_(None), Work.dead_at.is_(None))


def is_free() -> ColumnElement[bool]:
    return or_(Work.lease_until.is_(None), Work.lease_until < func.clock_timestamp())


Index("uq_work_open_subject", Work.kind, Work.subject_id, unique=True, postgresql_where=is_open())
Index("ix_work_due", Work.due_at, postgresql_where=is_open())


@dataclass(slots=True)
class Claim:
    """The right to do a job until the lease ends. `attempt` counts from the last progress."""

    id: UUID
    kind: str
    subject_id: UUID
    fence: int
    attempt: int
    max_attempts: int

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


async def ask(session: AsyncSession, kind: str, subject_id: UUID, *, max_attempts: int = MAX_ATTEMPTS) -> UUID | None:
    """Asks for a job; None where the same one is open already."""
    work_id = await session.scalar(
        insert(Work)
        .values(kind=kind, subject_id=subject_id, max_attempts=max_attempts)
        .on_conflict_do_nothing(index_elements=[Work.kind, Work.subject_id], index_where=is_open())
        .returning(Work.id)
    )
    if work_id is not None:
        outbox(session).hints[work_id] = kind
    return work_id


async def claim(session: AsyncSession, work_id: UUID) -> Claim | None:
    """Takes the job if it is due and free. The attempt is counted here, before any work, so that a job that kills its
    process is counted too."""
    row = await session.scalar(
        update(Work)
        .where(Work.id == work_id, is_open(), is_free(), Work.due_at <= func.clock_timestamp())
        .values(lease_until=func.clock_timestamp() + LEASE, fence=Work.fence + 1, attempts=Work.attempts + 1)
        .returning(Work)
    )
    if row is None:
        return None
    return Claim(
        id=row.id,
        kind=row.kind,
        subject_id=row.subject_id,
        fence=row.fence,
        attempt=row.attempts,
        max_attempts=row.max_attempts,
    )


def _held(claim: Claim) -> ColumnElement[bool]:
    return and_(Work.id == claim.id, Work.fence == claim.fence, is_open())


async def hold(session: AsyncSession, claim: Claim, *, progress: bool = False) -> None:
    """Extends the lease and locks the row until the transaction ends. First statement of every write of a claimant.

    With `progress` the attempts start again: what was done will not have to be done twice."""
    values: dict[str, object] = {"lease_until": func.clock_timestamp() + LEASE}
    if progress:
        values["attempts"] = claim.attempt = 1
    await _checked(session, claim, values)


async def finish(session: AsyncSession, claim: Claim) -> None:
    await _checked(session, claim, {"done_at": func.clock_timestamp(), "lease_until": None, "last_error": None})


async def postpone(session: AsyncSession, claim: Claim, seconds: float, error: str) -> None:
    """Tries again later. No worker is held meanwhile."""
    due = func.clock_timestamp() + timedelta(seconds=seconds)
    await _checked(session, claim, {"due_at": due, "lease_until": None, "hinted_at": None, "last_error": error})


async def bury(session: AsyncSession, claim: Claim, error: str) -> None:
    """A dead letter: kept, seen, replayable."""
    await _checked(session, claim, {"dead_at": func.clock_timestamp(), "lease_until": None, "last_error": error})


async def release(session: AsyncSession, claim: Claim) -> None:
    """Gives the job back unused: a worker that is asked to stop takes no attempt with it."""
    await _checked(
        session, claim, {"lease_until": None, "hinted_at": None, "attempts": func.greatest(Work.attempts - 1, 0)}
    )


async def _checked(session: AsyncSession, claim: Claim, values: dict[str, object]) -> None:
    held = await session.scalar(update(Work).where(_held(claim)).values(**values).returning(Work.id))
    if held is None:
        raise LeaseLost(str(claim.id))


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


async def census(session: AsyncSession) -> Sequence[tuple[str, str, int]]:
    """How many jobs of each kind are due, leased, waiting for their time, or dead."""
    state = case(
        (Work.dead_at.is_not(None), "dead"),
        (~is_free(), "leased"),
        (Work.due_at <= func.clock_timestamp(), "due"),
        else_="waiting",
    ).label("state")
    rows = await session.execute(
        select(Work.kind, state, func.count()).where(Work.done_at.is_(None)).group_by(Work.kind, state)
    )
    return [(row[0], row[1], row[2]) for row in rows]
