"""Hints and pokes: sent after the commit, and missed by nobody for long."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, closing
from uuid import UUID, uuid4

import pytest

from app.core import events, work
from app.core.db import Database
from app.core.events import Happened
from app.core.resources import Resources
from app.core.signals import CHANNEL, Outbox, Signals, queue_of
from tests.conftest import free_port

PATIENCE = 20


@asynccontextmanager
async def signals(url: str) -> AsyncGenerator[Signals]:
    opened = Signals(url)
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
def away() -> str:
    return f"redis://127.0.0.1:{free_port()}/0"


@pytest.fixture
def mute() -> Iterator[str]:
    """A server that takes connections and never says a word."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


def full() -> Outbox:
    return Outbox(hints={uuid4(): "trial.job"}, pokes={"trial/1": 1})


@pytest.mark.parametrize("box", [full(), Outbox(hints={uuid4(): "trial.job"}), Outbox(pokes={"trial/1": 1})])
async def test_where_redis_is_away_sending_says_so_and_never_raises(away: str, box: Outbox) -> None:
    async with signals(away) as opened, asyncio.timeout(PATIENCE):
        assert await opened.send(box) is False


async def test_where_redis_is_mute_sending_gives_up(mute: str) -> None:
    async with signals(mute) as opened, asyncio.timeout(PATIENCE):
        assert await opened.send(full()) is False


async def test_after_a_failure_nobody_waits_for_redis_again_at_once(away: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with signals(away) as opened:
        await opened.send(full())

        async def tried(*_: object) -> None:
            raise AssertionError("left alone for a while")

        monkeypatch.setattr(opened.redis, "publish", tried)
        found = [await opened.send(full()) for _ in range(50)]
    assert found == [False] * 50


async def test_it_is_tried_again_once_the_pause_is_over(resources: Resources) -> None:
    async with signals(resources.settings.redis_url) as opened:
        opened._silent_until = float("inf")
        assert await opened.send(full()) is False
        opened._silent_until = 0
        assert await opened.send(full()) is True


async def test_a_transaction_commits_though_redis_is_away(resources: Resources, away: str) -> None:
    subject = uuid4()
    async with signals(away) as lame, asyncio.timeout(PATIENCE):
        db = Database(resources.db.engine, lame)
        async with db.transaction() as session:
            work_id = await work.ask(session, "trial.job", subject)
            await events.append(session, "trial/1", [Happened("THING")])
    async with resources.db.transaction() as session:
        assert await work.due(session) == {work_id: "trial.job"}
        assert await events.last_seq(session, "trial/1") == 1


async def test_nothing_to_send_is_sent_without_redis(away: str) -> None:
    async with signals(away) as opened:
        assert await opened.send(Outbox()) is True


async def test_a_poke_names_the_stream_and_its_seq(resources: Resources) -> None:
    stream = f"trial/{uuid4()} with a space"
    async with resources.db.signals.redis.pubsub(ignore_subscribe_messages=True) as pubsub:
        await pubsub.subscribe(CHANNEL)
        await pubsub.get_message(timeout=PATIENCE)
        assert await resources.db.signals.send(Outbox(pokes={stream: 7}))
        async with asyncio.timeout(PATIENCE):
            heard = [b""]
            while not heard[-1].endswith(stream.encode()):
                heard.append((await anext(pubsub.listen()))["data"])
        assert heard[-1] == f"7 {stream}".encode()


async def test_a_hint_is_a_message_that_carries_the_id(resources: Resources) -> None:
    kind, work_id = f"trial{uuid4().hex}.job", uuid4()
    broker = resources.db.signals.broker
    assert await resources.db.signals.send(Outbox(hints={work_id: kind}))
    consumer = await asyncio.to_thread(broker.consume, queue_of(kind), 1, 5000)
    message = await asyncio.to_thread(next, consumer)
    assert message is not None
    assert (message.actor_name, UUID(message.args[0])) == (kind, work_id)
    await asyncio.to_thread(consumer.ack, message)
    await asyncio.to_thread(consumer.close)


async def rolled_back(resources: Resources) -> None:
    async with resources.db.transaction() as session:
        await events.append(session, "trial/rolled-back", [Happened("THING")])
        raise RuntimeError("no")


async def test_what_is_rolled_back_is_never_sent(resources: Resources) -> None:
    async with resources.db.signals.redis.pubsub(ignore_subscribe_messages=True) as pubsub:
        await pubsub.subscribe(CHANNEL)
        await pubsub.get_message(timeout=PATIENCE)
        with pytest.raises(RuntimeError, match="no"):
            await rolled_back(resources)
        await resources.db.signals.send(Outbox(pokes={"trial/end": 1}))
        async with asyncio.timeout(PATIENCE):
            async for message in pubsub.listen():
                assert not message["data"].endswith(b"rolled-back")
                if message["data"].endswith(b"trial/end"):
                    break
