"""Live streams: listen, replay, follow; once, in order, whatever happens to the pokes."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from app.core import events, live
from app.core.db import outbox
from app.core.events import Event, Happened
from app.core.resources import Resources

STREAM = "trial/live"
PATIENCE = 20
NEVER = 3600.0


async def append(resources: Resources, number: int = 1, *, poke: bool = True) -> None:
    async with resources.db.transaction() as session:
        await events.append(session, STREAM, [Happened("THING")] * number)
        if not poke:
            outbox(session).pokes.clear()


async def events_of(resources: Resources, stream: str, after: int) -> AsyncGenerator[Event]:
    """The events of a stream one by one."""
    async with aclosing(resources.live.follow(resources.db, stream, after)) as batches:
        async for batch in batches:
            for event in batch:
                yield event


@asynccontextmanager
async def following(resources: Resources, after: int = 0) -> AsyncGenerator[AsyncIterator[Event]]:
    async with aclosing(events_of(resources, STREAM, after)) as followed:
        yield followed


async def take(followed: AsyncIterator[Event], number: int) -> list[int]:
    async with asyncio.timeout(PATIENCE):
        return [(await anext(followed)).seq for _ in range(number)]


async def waiting(resources: Resources, number: int = 1) -> None:
    """Until so many followers have read everything and listen."""
    async with asyncio.timeout(PATIENCE):
        while sum(len(waiters) for waiters in resources.live._waiting.values()) < number:  # noqa: ASYNC110 - it says nothing of it
            await asyncio.sleep(0.01)


async def test_a_follower_sees_what_was_and_then_what_comes_once_and_in_order(resources: Resources) -> None:
    await append(resources, 3)
    async with following(resources) as followed:
        assert await take(followed, 3) == [1, 2, 3]
        await append(resources, 2)
        await append(resources)
        assert await take(followed, 3) == [4, 5, 6]


async def test_a_follower_begins_after_the_seq_that_it_names(resources: Resources) -> None:
    await append(resources, 5)
    async with following(resources, after=3) as followed:
        await append(resources)
        assert await take(followed, 3) == [4, 5, 6]


async def test_a_replay_longer_than_a_batch_is_whole(resources: Resources) -> None:
    number = live.BATCH * 2 + 7
    await append(resources, number)
    async with following(resources) as followed:
        assert await take(followed, number) == list(range(1, number + 1))


async def test_a_poke_wakes_a_follower_without_any_re_read(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "RE_READ_SECONDS", NEVER)
    async with following(resources) as followed:
        first = asyncio.create_task(take(followed, 1))
        await waiting(resources)
        while not first.done():
            # The reader subscribes on its own time: what was poked before that is found by its first look.
            await append(resources)
            await asyncio.sleep(0.05)
        assert await first == [1]


async def test_a_lost_poke_is_healed_by_the_slow_re_read(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "RE_READ_SECONDS", 0.2)
    async with following(resources) as followed:
        await append(resources)
        assert await take(followed, 1) == [1]
        coming = asyncio.create_task(take(followed, 2))
        await asyncio.sleep(0)
        await append(resources, 2, poke=False)
        assert await coming == [2, 3]


async def test_after_a_lost_connection_everybody_looks(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "RE_READ_SECONDS", NEVER)
    async with following(resources) as followed:
        await append(resources)
        assert await take(followed, 1) == [1]
        coming = asyncio.create_task(take(followed, 1))
        await append(resources, poke=False)
        redis = resources.db.signals.redis
        while not coming.done():
            await redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            await asyncio.sleep(0.3)
        assert await coming == [2]


async def test_many_followers_of_one_stream_all_see_all(resources: Resources) -> None:
    await append(resources, 2)

    async def one() -> list[int]:
        async with following(resources) as followed:
            return await take(followed, 6)

    followers = [asyncio.create_task(one()) for _ in range(60)]
    await waiting(resources, 60)
    for _ in range(4):
        await append(resources)
    assert await asyncio.gather(*followers) == [[1, 2, 3, 4, 5, 6]] * 60


async def test_followers_of_other_streams_are_left_alone(resources: Resources) -> None:
    async with aclosing(events_of(resources, "trial/other", 0)) as other, following(resources) as mine:
        quiet = asyncio.create_task(anext(other))
        await append(resources)
        assert await take(mine, 1) == [1]
        assert not quiet.done()
        quiet.cancel()
        assert isinstance((await asyncio.gather(quiet, return_exceptions=True))[0], asyncio.CancelledError)


async def test_whoever_stops_following_leaves_no_waiter_behind(resources: Resources) -> None:
    await append(resources)
    async with following(resources) as followed:
        await take(followed, 1)
        assert resources.live._waiting
    assert not resources.live._waiting

    async def one() -> None:
        async with following(resources, after=1) as followed:
            await anext(followed)

    task = asyncio.create_task(one())
    await waiting(resources)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not resources.live._waiting
