"""How a job is done: claimed, kept alive, ended. The same for every kind of work."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import work
from app.core.db import is_contended, unavailable
from app.core.gate import Crowded
from app.core.resources import Resources
from app.core.work import Claim, LeaseLost
from app.domain.sync.rules import delay

log = structlog.get_logger(__name__)

DEFAULT_DELAY = 2.0
SPREAD_SECONDS = 1.0


class TryLater(Exception):
    """A job cannot be done now. `code` says why; whoever is told has steps for it. `waiting`: nobody was asked at all, so
    that no attempt is used up; that goes well for an hour without progress (`work.WAIT_AT_MOST`)."""

    def __init__(self, code: str, detail: str, seconds: float, *, waiting: bool = False) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.seconds = seconds
        self.waiting = waiting


class Failure(Protocol):
    """An error of a connector's. `asked`: whether the other side was asked at all."""

    @property
    def code(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def retry_after(self) -> float | None: ...
    @property
    def asked(self) -> bool: ...
    @property
    def retryable(self) -> bool: ...


def may_try_again(claim: Claim, error: Failure) -> bool:
    """Whether another attempt is worth it and to be had. Who was not asked has cost none: such waiting has an end of its
    own."""
    return error.retryable and (not claim.last if error.asked else claim.may_wait)


def try_again(claim: Claim, error: Failure) -> TryLater:
    """To be raised: when the other side wants to be asked again, or when it is reasonable."""
    return TryLater(error.code, error.detail, delay(claim.attempt, error.retry_after), waiting=not error.asked)


@dataclass(frozen=True, slots=True)
class Job:
    """`run` does the work and ends it with `work.finish` in the transaction of its last effects. `postpone` records that
    it will be tried again, `abandon` that it will not: both in the transaction that settles the row."""

    run: Callable[[Resources, Claim], Awaitable[None]]
    postpone: Callable[[AsyncSession, UUID, str, str], Awaitable[object]] | None = None
    abandon: Callable[[AsyncSession, UUID, str, str], Awaitable[object]] | None = None


Quarantine = Callable[[UUID], AbstractAsyncContextManager[None]]
"""Where a job is done alone. Raises `Crowded` where another one is."""


async def perform(
    resources: Resources, jobs: dict[str, Job], work_id: UUID, quarantine: Quarantine = lambda _: nullcontext()
) -> None:
    """Does a due job, or nothing where somebody else has it. Never raises but when it is cancelled."""
    try:
        if not await _claim_and_do(resources, jobs, work_id):
            # Nothing is counted before everybody else is out of the way.
            async with quarantine(work_id):
                await _claim_and_do(resources, jobs, work_id, alone=True)
        await _call_up(resources)
    except Crowded:
        log.info("work.quarantine_taken", work=str(work_id))
    except LeaseLost:
        log.info("work.lease_lost", work=str(work_id))
    except Exception as error:
        # The lease runs out, and the sweeper takes the job up again.
        if unavailable(error):
            log.warning("work.interrupted", work=str(work_id), error=type(error).__name__)
        else:
            log.exception("work.unsettled", work=str(work_id))


async def _claim_and_do(resources: Resources, jobs: dict[str, Job], work_id: UUID, *, alone: bool = False) -> bool:
    """False where this is a suspect, and we are not alone."""
    claiming = asyncio.ensure_future(_claim(resources, work_id, alone=alone))
    try:
        claim, suspect = await asyncio.shield(claiming)
    except asyncio.CancelledError:
        # It may be ours by now: then it is given back like any other.
        claim, _ = await claiming
        if claim is not None:
            await _release(resources, claim)
        raise
    if claim is None:
        return not suspect
    job = jobs.get(claim.kind)
    if job is None:
        detail = f"this worker knows no work of the kind {claim.kind}"
        await _surely(_give_up(resources, None, claim, "WORK_UNKNOWN", detail))
    elif claim.exhausted:
        await _surely(_give_up(resources, job, claim, "WORKER_FAILED", "every attempt ended without a word"))
    else:
        await _attempt(resources, job, claim)
    return True


async def _claim(resources: Resources, work_id: UUID, *, alone: bool) -> tuple[Claim | None, bool]:
    async with resources.db.transaction() as session:
        claim = await work.claim(session, work_id, alone=alone)
        return claim, claim is None and not alone and await work.is_suspect(session, work_id)


async def _surely(ending: Coroutine[Any, Any, None]) -> None:
    """Whoever is asked to stop while a job is being ended ends it first."""
    task = asyncio.ensure_future(ending)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def _attempt(resources: Resources, job: Job, claim: Claim) -> None:
    doing = asyncio.ensure_future(job.run(resources, claim))
    beating = asyncio.create_task(_heartbeat(resources, claim, doing))
    try:
        await doing
    except TryLater as later:
        await _surely(_settle(resources, job, claim, later))
    except Crowded as crowded:
        seconds = crowded.seconds * random.uniform(1, 2)  # noqa: S311 - spreading load
        await _surely(_release(resources, claim, seconds))
        resources.gates.turned_away(crowded.what, claim)
    except asyncio.CancelledError:
        if not doing.done():
            doing.cancel()
            with suppress(asyncio.CancelledError):
                await doing
        if beating.done() and not beating.cancelled():
            raise LeaseLost(str(claim.id)) from None
        await _surely(_release(resources, claim))
        raise
    except LeaseLost:
        raise
    except Exception as error:
        # An OSError may be the job's own: where the database is away too, settling it will say so.
        if isinstance(error, SQLAlchemyError) and unavailable(error):
            raise
        log.exception("work.failed", kind=claim.kind, work=str(claim.id))
        failed = TryLater("WORKER_FAILED", type(error).__name__, DEFAULT_DELAY)
        await _surely(_settle(resources, job, claim, failed))
    finally:
        beating.cancel()


async def _heartbeat(resources: Resources, claim: Claim, doing: "asyncio.Future[None]") -> None:
    """Keeps the lease; where it is gone (cancelled from outside, or taken over), stops the work at once; where it cannot be
    kept, before somebody else may take the job: what is being sent outside must not be sent twice."""
    clock = asyncio.get_running_loop().time
    longest = work.LEASE.total_seconds() - work.HEARTBEAT_SECONDS
    kept = clock()
    while clock() < kept + longest:
        await asyncio.sleep(work.HEARTBEAT_SECONDS)
        asked = clock()
        try:
            async with asyncio.timeout_at(kept + longest), resources.db.transaction() as session:
                await work.hold(session, claim)
            kept = asked
        except LeaseLost:
            break
        except (SQLAlchemyError, OSError) as error:
            log.warning("work.heartbeat_missed", work=str(claim.id), error=type(error).__name__)
    doing.cancel()


async def _settle(resources: Resources, job: Job, claim: Claim, later: TryLater) -> None:
    if not claim.may_wait if later.waiting else claim.last:
        await _give_up(resources, job, claim, later.code, later.detail)
        return
    # Whoever waits for the same gate does not come at the same moment, and never early.
    spread = random.uniform(0, SPREAD_SECONDS) if later.waiting else 0  # noqa: S311 - spreading load
    async with resources.db.transaction() as session:
        await work.postpone(session, claim, later.seconds + spread, str(later), waiting=later.waiting)
        if job.postpone:
            await job.postpone(session, claim.subject_id, later.code, later.detail)


async def _give_up(resources: Resources, job: Job | None, claim: Claim, code: str, detail: str) -> None:
    abandon = job.abandon if job else None
    try:
        async with resources.db.transaction() as session:
            await work.bury(session, claim, f"{code}: {detail}")
            if abandon:
                await abandon(session, claim.subject_id, code, detail)
    except Exception as error:
        if abandon is None or isinstance(error, LeaseLost) or unavailable(error) or is_contended(error):
            # When the lease has run out, whoever takes the job up comes here again.
            raise
        # Else it would come back for ever: better a dead letter of which its subject does not know.
        log.exception("work.abandon_failed", kind=claim.kind, work=str(claim.id))
        async with resources.db.transaction() as session:
            await work.bury(session, claim, f"{code}: {detail}")


async def _release(resources: Resources, claim: Claim, seconds: float = 0) -> None:
    with suppress(LeaseLost):
        async with resources.db.transaction() as session:
            await work.release(session, claim, seconds)


async def _call_up(resources: Resources) -> None:
    """Whose place was taken need not wait once there is one: for each that has become free, the first who was turned away."""
    for key in resources.gates.freed():
        called = False
        while not called and (claim := resources.gates.next_in_line(key)):
            async with resources.db.transaction() as session:
                called = await work.call_up(session, claim)
