"""Work is a row: claimed by one, counted before it is done, taken over when its lease ends."""

import asyncio
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from app.core import work
from app.core.db import outbox
from app.core.resources import Resources
from app.core.work import Claim, LeaseLost

KIND = "trial.job"


async def asked(resources: Resources, *, max_attempts: int = work.MAX_ATTEMPTS) -> UUID:
    async with resources.db.transaction() as session:
        work_id = await work.ask(session, KIND, uuid4(), max_attempts=max_attempts)
    assert work_id is not None
    return work_id


async def claimed(resources: Resources, work_id: UUID) -> Claim | None:
    async with resources.db.transaction() as session:
        return await work.claim(session, work_id)


async def taken(resources: Resources, work_id: UUID) -> Claim:
    claim = await claimed(resources, work_id)
    assert claim is not None
    return claim


async def sql(resources: Resources, statement: str) -> None:
    async with resources.db.transaction() as session:
        await session.execute(text(statement))


async def expire(resources: Resources) -> None:
    await sql(resources, "UPDATE work SET lease_until = clock_timestamp() - interval '1 second'")


async def row(resources: Resources, work_id: UUID) -> work.Work:
    async with resources.db.reading() as session:
        found = await session.get(work.Work, work_id)
    assert found is not None
    return found


async def due(resources: Resources, **given: int) -> dict[UUID, str]:
    async with resources.db.transaction() as session:
        return await work.due(session, **given)


async def test_an_attempt_is_counted_before_any_work_is_done(resources: Resources) -> None:
    work_id = await asked(resources)
    claim = await taken(resources, work_id)
    assert (claim.attempt, (await row(resources, work_id)).attempts) == (1, 1)
    assert claim.kind == KIND
    assert not claim.last


async def test_a_claim_excludes_others_while_it_is_leased(resources: Resources) -> None:
    work_id = await asked(resources)
    await taken(resources, work_id)
    assert await claimed(resources, work_id) is None
    assert (await row(resources, work_id)).attempts == 1


async def test_of_many_who_claim_at_once_one_gets_it(resources: Resources) -> None:
    work_id = await asked(resources)
    claims = await asyncio.gather(*(claimed(resources, work_id) for _ in range(8)))
    assert len([claim for claim in claims if claim]) == 1
    assert (await row(resources, work_id)).fence == 1


async def test_when_the_lease_ends_another_gets_in_and_the_first_can_write_nothing(resources: Resources) -> None:
    work_id = await asked(resources)
    first = await taken(resources, work_id)
    await expire(resources)
    second = await taken(resources, work_id)
    assert (second.fence, second.attempt) == (first.fence + 1, 2)

    async with resources.db.transaction() as session:
        for write in (work.hold, work.finish, work.release):
            with pytest.raises(LeaseLost):
                await write(session, first)
        with pytest.raises(LeaseLost):
            await work.postpone(session, first, 1, "late")
        with pytest.raises(LeaseLost):
            await work.bury(session, first, "late")
    found = await row(resources, work_id)
    assert (found.fence, found.done_at, found.dead_at, found.last_error) == (2, None, None, None)


async def test_what_a_late_worker_wrote_beside_goes_with_its_transaction(resources: Resources) -> None:
    work_id = await asked(resources)
    first = await taken(resources, work_id)
    await expire(resources)
    await taken(resources, work_id)
    subject = uuid4()

    async def late() -> None:
        async with resources.db.transaction() as session:
            await work.ask(session, "trial.effect", subject)
            await work.hold(session, first)

    with pytest.raises(LeaseLost):
        await late()
    async with resources.db.reading() as session:
        assert await session.scalar(text("SELECT count(*) FROM work WHERE kind = 'trial.effect'")) == 0


async def test_an_expired_lease_that_nobody_took_over_is_still_good(resources: Resources) -> None:
    work_id = await asked(resources)
    claim = await taken(resources, work_id)
    await expire(resources)
    async with resources.db.transaction() as session:
        await work.hold(session, claim)
    assert await claimed(resources, work_id) is None


async def test_progress_gives_back_the_attempts(resources: Resources) -> None:
    work_id = await asked(resources)
    await taken(resources, work_id)
    await expire(resources)
    claim = await taken(resources, work_id)
    async with resources.db.transaction() as session:
        await work.hold(session, claim)
    assert (await row(resources, work_id)).attempts == 2
    async with resources.db.transaction() as session:
        await work.hold(session, claim, progress=True)
    assert ((await row(resources, work_id)).attempts, claim.attempt) == (1, 1)


async def test_progress_that_is_rolled_back_was_none(resources: Resources) -> None:
    work_id = await asked(resources)
    await taken(resources, work_id)
    await expire(resources)
    claim = await taken(resources, work_id)

    async def lost() -> None:
        async with resources.db.transaction() as session:
            await work.hold(session, claim, progress=True)
            assert (claim.attempt, claim.silent) == (2, 1)
            raise ValueError("something else went wrong")

    with pytest.raises(ValueError, match="something else"):
        await lost()
    assert (claim.attempt, claim.silent) == (2, 1)
    assert (await row(resources, work_id)).attempts == 2


async def test_a_replayed_letter_counts_as_dead_no_more(resources: Resources) -> None:
    claim = await taken(resources, await asked(resources))
    async with resources.db.transaction() as session:
        await work.bury(session, claim, "no hope")
    async with resources.db.transaction() as session:
        letter = await work.dead_letter(session, claim.id)
        assert letter is not None
        assert letter.error_code == work.UNKNOWN_ERROR
        await work.note_replayed(session, letter, uuid4())
    async with resources.db.reading() as session:
        assert await work.census(session) == []
        assert (await session.scalars(work.dead_letters())).all() == []


async def test_a_job_that_kills_its_worker_every_time_is_exhausted(resources: Resources) -> None:
    work_id = await asked(resources, max_attempts=2)
    seen: list[tuple[bool, bool]] = []
    for _ in range(3):
        async with resources.db.transaction() as session:
            claim = await work.claim(session, work_id, alone=True)
        assert claim is not None
        seen.append((claim.last, claim.exhausted))
        await expire(resources)
    assert seen == [(False, False), (True, False), (True, True)]


async def test_the_same_job_is_asked_for_once_while_it_is_open(resources: Resources) -> None:
    subject = uuid4()
    async with resources.db.transaction() as session:
        first = await work.ask(session, KIND, subject)
        again = await work.ask(session, KIND, subject)
        other = await work.ask(session, "trial.other", subject)
        assert list(outbox(session).hints) == [first, other]
    assert again is None
    assert None not in (first, other)


async def test_two_who_ask_at_once_ask_for_one_job(resources: Resources) -> None:
    subject = uuid4()

    async def ask() -> UUID | None:
        async with resources.db.transaction() as session:
            return await work.ask(session, KIND, subject)

    found = await asyncio.gather(*(ask() for _ in range(6)))
    assert len([it for it in found if it]) == 1


@pytest.mark.parametrize("end", ["finish", "bury", "close"])
async def test_a_job_that_has_ended_can_be_asked_for_again(resources: Resources, end: str) -> None:
    work_id = await asked(resources)
    claim = await taken(resources, work_id)
    async with resources.db.transaction() as session:
        match end:
            case "finish":
                await work.finish(session, claim)
            case "bury":
                await work.bury(session, claim, "hopeless")
            case _:
                await work.close_subject(session, KIND, claim.subject_id)
    assert await claimed(resources, work_id) is None
    async with resources.db.transaction() as session:
        assert await work.ask(session, KIND, claim.subject_id) not in (None, work_id)


async def test_a_postponed_job_waits_for_its_time_and_keeps_its_attempts(resources: Resources) -> None:
    work_id = await asked(resources)
    claim = await taken(resources, work_id)
    async with resources.db.transaction() as session:
        await work.postpone(session, claim, 60, "the provider is tired")
    assert await claimed(resources, work_id) is None
    assert await due(resources) == {}
    await sql(resources, "UPDATE work SET due_at = clock_timestamp()")
    again = await taken(resources, work_id)
    assert again.attempt == 2
    assert (await row(resources, work_id)).last_error == "the provider is tired"


async def test_a_job_given_back_costs_no_attempt_and_is_free_at_once(resources: Resources) -> None:
    work_id = await asked(resources)
    claim = await taken(resources, work_id)
    async with resources.db.transaction() as session:
        await work.release(session, claim)
    assert (await row(resources, work_id)).attempts == 0
    assert (await taken(resources, work_id)).attempt == 1


async def test_a_dead_letter_is_kept_and_counted_and_never_hinted(resources: Resources) -> None:
    work_id = await asked(resources)
    claim = await taken(resources, work_id)
    async with resources.db.transaction() as session:
        await work.bury(session, claim, "WORKER_FAILED: no hope")
    assert await due(resources) == {}
    assert (await row(resources, work_id)).last_error == "WORKER_FAILED: no hope"
    async with resources.db.reading() as session:
        assert await work.census(session) == [(KIND, "dead", 1)]


async def test_a_job_closed_from_outside_is_lost_to_its_claimant(resources: Resources) -> None:
    claim = await taken(resources, await asked(resources))
    async with resources.db.transaction() as session:
        await work.close_subject(session, KIND, claim.subject_id)
    with pytest.raises(LeaseLost):
        async with resources.db.transaction() as session:
            await work.hold(session, claim)


async def test_the_sweep_names_a_due_job_and_then_leaves_it_alone_for_a_while(resources: Resources) -> None:
    work_id = await asked(resources)
    assert await due(resources) == {work_id: KIND}
    assert await due(resources) == {}
    await sql(resources, "UPDATE work SET hinted_at = clock_timestamp() - interval '1 minute'")
    assert await due(resources) == {work_id: KIND}


async def test_the_sweep_does_not_name_what_somebody_works_on(resources: Resources) -> None:
    work_id = await asked(resources)
    await taken(resources, work_id)
    assert await due(resources) == {}
    await expire(resources)
    assert await due(resources) == {work_id: KIND}


async def test_the_sweep_takes_the_oldest_first_and_no_more_than_it_may(resources: Resources) -> None:
    ids = [await asked(resources) for _ in range(3)]
    assert set(await due(resources, limit=2)) == set(ids[:2])
    assert await due(resources) == {ids[2]: KIND}


async def test_two_sweepers_share_the_jobs_between_them(resources: Resources) -> None:
    ids = {await asked(resources) for _ in range(12)}
    swept = await asyncio.gather(*(due(resources) for _ in range(4)))
    assert sorted(work_id for found in swept for work_id in found) == sorted(ids)


async def test_the_census_tells_the_states_apart(resources: Resources) -> None:
    first, second, _ = [await asked(resources) for _ in range(3)]
    await taken(resources, first)
    waiting = await taken(resources, second)
    async with resources.db.transaction() as session:
        await work.postpone(session, waiting, 60, "later")
    async with resources.db.reading() as session:
        found = {state: number for _, state, number in await work.census(session)}
    assert found == {"leased": 1, "waiting": 1, "due": 1}
