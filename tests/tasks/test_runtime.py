"""How jobs end that do not end well: attempts, waiting, dead letters, quarantine."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import nullcontext
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import work
from app.core.gate import Crowded
from app.core.resources import Resources
from app.core.work import Claim
from tasks.broker import JOBS, Worker
from tasks.runtime import Job, TryLater, perform
from tasks.sweeper import LOOKED_AT, sweep

KIND = "trial.job"
Run = Callable[[Resources, Claim], Awaitable[None]]


async def asked(resources: Resources, kind: str = KIND, *, max_attempts: int = work.MAX_ATTEMPTS) -> UUID:
    async with resources.db.transaction() as session:
        work_id = await work.ask(session, kind, uuid4(), max_attempts=max_attempts)
    assert work_id is not None
    return work_id


async def row(resources: Resources, work_id: UUID) -> work.Work:
    async with resources.db.reading() as session:
        found = await session.get(work.Work, work_id)
    assert found is not None
    return found


async def sql(resources: Resources, statement: str) -> None:
    async with resources.db.transaction() as session:
        await session.execute(text(statement))


def raising(error: BaseException) -> Run:
    async def run(_resources: Resources, _claim: Claim) -> None:
        raise error

    return run


async def done(resources: Resources, claim: Claim) -> None:
    async with resources.db.transaction() as session:
        await work.finish(session, claim)


async def tried(resources: Resources, work_id: UUID, job: Job, **given: Any) -> work.Work:
    """One attempt, however long it should have waited."""
    await sql(resources, "UPDATE work SET due_at = now() WHERE due_at > now()")
    await perform(resources, {KIND: job}, work_id, **given)
    return await row(resources, work_id)


async def test_work_of_an_unknown_kind_is_a_dead_letter_that_says_so(resources: Resources) -> None:
    work_id = await asked(resources, "trial.of_another_version")
    await perform(resources, {}, work_id)
    found = await row(resources, work_id)
    assert found.dead_at is not None
    assert found.error_code == "WORK_UNKNOWN"
    assert "trial.of_another_version" in (found.last_error or "")


@pytest.mark.parametrize(
    "error", [KeyError("x"), MemoryError(), OSError(28, "No space left on device"), RecursionError(), TimeoutError()]
)
async def test_a_job_that_raises_is_a_dead_letter_after_its_attempts(resources: Resources, error: Exception) -> None:
    work_id, told = await asked(resources), list[str]()

    async def tell(_session: AsyncSession, _subject: UUID, code: str, _detail: str) -> None:
        told.append(code)

    job = Job(run=raising(error), postpone=tell, abandon=tell)
    for attempt in (1, 2):
        found = await tried(resources, work_id, job)
        assert (found.attempts, found.dead_at, found.lease_until) == (attempt, None, None)
    found = await tried(resources, work_id, job)
    assert found.dead_at is not None
    assert found.error_code == "WORKER_FAILED"
    assert told == ["WORKER_FAILED"] * 3


async def test_a_database_that_is_away_is_nobodys_failure(resources: Resources) -> None:
    work_id = await asked(resources)
    away = OperationalError("SELECT 1", {}, ConnectionRefusedError())
    found = await tried(resources, work_id, Job(run=raising(away)))
    assert (found.last_error, found.lease_until is not None, found.dead_at) == (None, True, None)


async def test_waiting_for_what_was_not_asked_uses_up_no_attempt(resources: Resources) -> None:
    work_id, told = await asked(resources), list[str]()

    async def tell(_session: AsyncSession, _subject: UUID, code: str, _detail: str) -> None:
        told.append(code)

    later = TryLater("PROVIDER_UNAVAILABLE", "not asked at all", 30, waiting=True)
    for _ in range(6):
        found = await tried(resources, work_id, Job(run=raising(later), postpone=tell))
        assert (found.attempts, found.dead_at) == (0, None)
    async with resources.db.reading() as session:
        wait = await session.scalar(text("SELECT extract(epoch FROM due_at - now()) FROM work"))
    assert 29 < wait <= 31.5
    assert told == ["PROVIDER_UNAVAILABLE"] * 6


async def test_waiting_without_progress_ends_after_an_hour(resources: Resources) -> None:
    work_id = await asked(resources)
    later = Job(run=raising(TryLater("PROVIDER_UNAVAILABLE", "not asked at all", 30, waiting=True)))
    await tried(resources, work_id, later)
    await sql(resources, "UPDATE work SET waiting_since = waiting_since - interval '59 minutes'")
    assert (await tried(resources, work_id, later)).dead_at is None
    await sql(resources, "UPDATE work SET waiting_since = waiting_since - interval '2 minutes'")
    found = await tried(resources, work_id, later)
    assert found.dead_at is not None
    assert found.error_code == "PROVIDER_UNAVAILABLE"


async def test_progress_gives_waiting_a_new_hour(resources: Resources) -> None:
    work_id = await asked(resources)
    later = TryLater("PROVIDER_UNAVAILABLE", "not asked at all", 30, waiting=True)

    async def run(resources: Resources, claim: Claim) -> None:
        async with resources.db.transaction() as session:
            await work.hold(session, claim, progress=True)
        assert claim.may_wait
        raise later

    await tried(resources, work_id, Job(run=raising(later)))
    await sql(resources, "UPDATE work SET waiting_since = waiting_since - interval '2 hours'")
    assert (await tried(resources, work_id, Job(run=run))).dead_at is None


async def test_a_place_that_others_have_costs_nothing_and_tells_nobody(resources: Resources) -> None:
    work_id = await asked(resources)
    for _ in range(5):
        await tried(resources, work_id, Job(run=raising(Crowded("providers/1", 5))))
    found = await row(resources, work_id)
    assert (found.attempts, found.last_error, found.waiting_since, found.lease_until) == (0, None, None, None)


async def test_who_found_no_place_is_called_as_soon_as_there_is_one(resources: Resources) -> None:
    first, later = [await asked(resources) for _ in range(2)]
    waiting = "SELECT due_at > now() FROM work WHERE id = :id"

    async def waits(work_id: UUID) -> bool:
        async with resources.db.reading() as session:
            return bool(await session.scalar(text(waiting), {"id": work_id}))

    async def busy(_resources: Resources, claim: Claim) -> None:
        with resources.gates.seat("providers/1"):
            for work_id in (first, later):
                await perform(resources, {KIND: Job(run=raising(Crowded("providers/1", 60)))}, work_id)
            # Somebody else has had it since, and was told to come later: that is not for us to shorten.
            await sql(resources, f"UPDATE work SET due_at = now() WHERE id = '{first}'")
            await perform(resources, {KIND: Job(run=raising(TryLater("AWAY", "later", 60)))}, first)
            assert [await waits(it) for it in (first, later)] == [True, True]
        await done(resources, claim)

    holder = await asked(resources)
    await perform(resources, {KIND: Job(run=busy)}, holder)
    assert [await waits(it) for it in (first, later)] == [True, False]


async def test_a_farewell_that_fails_does_not_bring_the_job_back_for_ever(resources: Resources) -> None:
    work_id = await asked(resources, max_attempts=1)

    async def abandon(*_: Any) -> None:
        raise IntegrityError("INSERT", {}, ValueError("of our own"))

    found = await tried(resources, work_id, Job(run=raising(ValueError("x")), abandon=abandon))
    assert found.dead_at is not None


async def test_who_was_in_the_way_of_giving_a_job_up_does_not_keep_its_subject_from_hearing_of_it(
    resources: Resources,
) -> None:
    work_id, told = await asked(resources, max_attempts=1), list[str]()

    class Deadlock(Exception):
        sqlstate = "40P01"

    async def abandon(_session: AsyncSession, _subject: UUID, code: str, _detail: str) -> None:
        told.append(code)
        if len(told) == 1:
            raise DBAPIError("UPDATE", {}, Deadlock())

    job = Job(run=raising(ValueError("x")), abandon=abandon)
    assert (await tried(resources, work_id, job)).dead_at is None
    await sql(resources, "UPDATE work SET lease_until = now() - interval '1 second'")
    assert (await tried(resources, work_id, job)).dead_at is not None
    assert told == ["WORKER_FAILED"] * 2


async def test_only_the_last_attempt_after_a_silent_death_is_made_alone(resources: Resources) -> None:
    work_id, alone = await asked(resources), list[int]()

    def quarantine(wanted: UUID) -> Any:
        assert wanted == work_id
        alone.append(1)
        return nullcontext()

    for attempt in (1, 2, 3):
        assert alone == []
        if attempt == 3:
            await tried(resources, work_id, Job(run=done), quarantine=quarantine)
            break
        async with resources.db.transaction() as session:
            await work.claim(session, work_id)
        await sql(resources, "UPDATE work SET lease_until = now() - interval '1 second'")
    assert alone == [1]
    assert (await row(resources, work_id)).done_at is not None


async def test_who_finds_the_quarantine_taken_is_a_suspect_still(resources: Resources) -> None:
    work_id = await asked(resources, max_attempts=2)
    async with resources.db.transaction() as session:
        await work.claim(session, work_id)
    await sql(resources, "UPDATE work SET lease_until = now() - interval '1 second'")

    def taken(_: UUID) -> Any:
        raise Crowded("taken")

    found = await tried(resources, work_id, Job(run=raising(AssertionError("it was begun"))), quarantine=taken)
    assert (found.attempts, found.fence, found.last_error) == (1, 1, None)
    async with resources.db.transaction() as session:
        assert await work.claim(session, work_id) is None
        assert await work.is_suspect(session, work_id)
        assert await work.claim(session, work_id, alone=True) is not None


@pytest.fixture
def jobs() -> Generator[dict[str, Job]]:
    """The worker's own jobs, and what a test adds."""
    yield JOBS
    JOBS.pop(KIND, None)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the jobs change it
            await asyncio.sleep(0.01)


async def all_done(resources: Resources, *wanted: UUID) -> None:
    async with asyncio.timeout(20):
        for work_id in wanted:
            while (await row(resources, work_id)).done_at is None:  # noqa: ASYNC110 - a worker writes it
                await asyncio.sleep(0.02)


async def test_a_suspect_is_alone_and_the_others_lose_nothing(resources: Resources, jobs: dict[str, Job]) -> None:
    under_way, most, alone = set[UUID](), 0, asyncio.Event()
    innocents = [await asked(resources) for _ in range(3)]
    suspect = await asked(resources, max_attempts=2)
    async with resources.db.transaction() as session:
        await work.claim(session, suspect)

    async def run(resources: Resources, claim: Claim) -> None:
        nonlocal most
        under_way.add(claim.id)
        most = max(most, len(under_way))
        try:
            if claim.id == suspect:
                assert under_way == {suspect}
                alone.set()
                await asyncio.sleep(0.3)
                assert under_way == {suspect}
            elif not alone.is_set():
                await asyncio.sleep(60)
            await done(resources, claim)
        finally:
            under_way.discard(claim.id)

    jobs[KIND] = Job(run=run)
    worker = Worker(resources, threads=4)
    await worker.start()
    try:
        await until(lambda: len(under_way) == 3)
        await sql(resources, f"UPDATE work SET lease_until = now() - interval '1 second' WHERE id = '{suspect}'")
        await until(alone.is_set)
        await all_done(resources, *innocents, suspect)
    finally:
        await worker.stop()
    assert most == 3
    for it in innocents:
        assert (await row(resources, it)).attempts == 1


class Busy:
    """A worker with so much room; what it was given to do."""

    def __init__(self, room: int) -> None:
        self._room = room
        self.given: list[UUID] = []

    def room(self) -> int:
        return self._room

    def do_here(self, work_id: UUID) -> None:
        self.given.append(work_id)


async def test_who_has_no_room_marks_nothing_as_taken(resources: Resources) -> None:
    work_id = await asked(resources)
    full, free = Busy(0), Busy(1)
    assert await sweep(resources, full) == 0
    assert (await row(resources, work_id)).hinted_at is None
    assert await sweep(resources, free) == 1
    assert free.given == [work_id]
    assert await sweep(resources, free) == 0


async def test_a_sweep_takes_up_about_as_much_as_there_is_room(resources: Resources) -> None:
    for _ in range(LOOKED_AT + 3):
        await asked(resources)
    free = Busy(1)
    await sweep(resources, free)
    assert len(free.given) == LOOKED_AT


async def test_a_job_that_is_under_way_is_not_begun_a_second_time(resources: Resources, jobs: dict[str, Job]) -> None:
    begun, going = list[UUID](), asyncio.Event()

    async def run(resources: Resources, claim: Claim) -> None:
        begun.append(claim.id)
        await going.wait()
        await done(resources, claim)

    jobs[KIND] = Job(run=run)
    work_id = await asked(resources)
    worker = Worker(resources, threads=2)
    for _ in range(50):
        worker.do_here(work_id)
    await until(lambda: begun == [work_id])
    assert worker.room() == 1
    going.set()
    await all_done(resources, work_id)
    assert begun == [work_id]
    assert worker.room() == 2


async def test_who_is_stopped_at_any_moment_gives_back_what_it_has(resources: Resources) -> None:
    """Also in the middle of the claim, whose end nobody waits for any more."""

    async def wait(_resources: Resources, _claim: Claim) -> None:
        await asyncio.sleep(60)

    for number in range(25):
        work_id = await asked(resources)
        performing = asyncio.create_task(perform(resources, {KIND: Job(run=wait)}, work_id))
        await asyncio.sleep(number * 0.0006)
        performing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await performing
        found = await row(resources, work_id)
        assert (found.attempts, found.lease_until) == (0, None), number
