"""How a job is done: claimed, kept alive, ended. The same for every kind of work."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import work
from app.core.db import unavailable
from app.core.resources import Resources
from app.core.work import Claim, LeaseLost

log = structlog.get_logger(__name__)

DEFAULT_DELAY = 2.0


class TryLater(Exception):
    """A job cannot be done now. `code` says why; whoever is told has steps for it."""

    def __init__(self, code: str, detail: str, seconds: float) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Job:
    """`run` does the work and ends it with `work.finish` in the transaction of its last effects. `postpone` records that
    it will be tried again, `abandon` that it will not: both in the transaction that settles the row."""

    run: Callable[[Resources, Claim], Awaitable[None]]
    postpone: Callable[[AsyncSession, UUID, str, str], Awaitable[object]] | None = None
    abandon: Callable[[AsyncSession, UUID, str, str], Awaitable[object]] | None = None


async def perform(resources: Resources, jobs: dict[str, Job], work_id: UUID) -> None:
    """Does a due job, or nothing where somebody else has it. Never raises but when it is cancelled."""
    try:
        async with resources.db.transaction() as session:
            claim = await work.claim(session, work_id)
        if claim is None:
            return
        job = jobs[claim.kind]
        if claim.exhausted:
            await _give_up(resources, job, claim, "WORKER_FAILED", "every attempt ended without a word")
            return
        await _attempt(resources, job, claim)
    except LeaseLost:
        log.info("work.lease_lost", work=str(work_id))
    except (SQLAlchemyError, OSError) as error:
        # The database is away: the lease runs out, and the sweeper takes the job up again.
        log.warning("work.interrupted", work=str(work_id), error=type(error).__name__)


async def _attempt(resources: Resources, job: Job, claim: Claim) -> None:
    doing = asyncio.ensure_future(job.run(resources, claim))
    beating = asyncio.create_task(_heartbeat(resources, claim, doing))
    try:
        await doing
    except TryLater as later:
        await _settle(resources, job, claim, later)
    except asyncio.CancelledError:
        if not doing.done():
            doing.cancel()
            with suppress(asyncio.CancelledError):
                await doing
        if beating.done() and not beating.cancelled():
            raise LeaseLost(str(claim.id)) from None
        await asyncio.shield(_release(resources, claim))
        raise
    except LeaseLost:
        raise
    except Exception as error:
        if unavailable(error):
            raise
        log.exception("work.failed", kind=claim.kind, work=str(claim.id))
        await _settle(resources, job, claim, TryLater("WORKER_FAILED", type(error).__name__, DEFAULT_DELAY))
    finally:
        beating.cancel()


async def _heartbeat(resources: Resources, claim: Claim, doing: "asyncio.Future[None]") -> None:
    """Keeps the lease; where it is gone (cancelled from outside, or taken over), stops the work at once."""
    while True:
        await asyncio.sleep(work.HEARTBEAT_SECONDS)
        try:
            async with resources.db.transaction() as session:
                await work.hold(session, claim)
        except LeaseLost:
            doing.cancel()
            return
        except (SQLAlchemyError, OSError) as error:
            log.warning("work.heartbeat_missed", work=str(claim.id), error=type(error).__name__)


async def _settle(resources: Resources, job: Job, claim: Claim, later: TryLater) -> None:
    if claim.last:
        await _give_up(resources, job, claim, later.code, later.detail)
        return
    async with resources.db.transaction() as session:
        await work.postpone(session, claim, later.seconds, str(later))
        if job.postpone:
            await job.postpone(session, claim.subject_id, later.code, later.detail)


async def _give_up(resources: Resources, job: Job, claim: Claim, code: str, detail: str) -> None:
    async with resources.db.transaction() as session:
        await work.bury(session, claim, f"{code}: {detail}")
        if job.abandon:
            await job.abandon(session, claim.subject_id, code, detail)


async def _release(resources: Resources, claim: Claim) -> None:
    with suppress(LeaseLost):
        async with resources.db.transaction() as session:
            await work.release(session, claim)
