"""Live streams: listen first, then replay, then follow. One Redis reader a process wakes everybody in memory."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Sequence
from contextlib import contextmanager, suppress
from typing import cast

import redis.asyncio
import structlog
from redis.exceptions import RedisError

from app.core import events
from app.core.db import Database
from app.core.signals import CHANNEL

log = structlog.get_logger(__name__)

RE_READ_SECONDS = 2.0
"""How late an event may be when its poke was lost."""
BATCH = 50


class Live:
    def __init__(self, redis_url: str) -> None:
        # No read time-out: this one connection waits for pokes all its life; the ping notices a dead peer.
        self._redis = redis.asyncio.Redis.from_url(
            redis_url, socket_timeout=None, socket_connect_timeout=1, health_check_interval=15
        )
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._reader: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._reader = asyncio.create_task(self._read_for_ever(), name="live-reader")

    async def stop(self) -> None:
        if self._reader:
            self._reader.cancel()
            with suppress(asyncio.CancelledError):
                await self._reader
        await self._redis.aclose()

    async def _read_for_ever(self) -> None:
        pause = 0.1
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as pubsub:
                    await pubsub.subscribe(CHANNEL)
                    pause = 0.1
                    self._wake_all()
                    messages = cast("AsyncIterator[dict[str, bytes]]", pubsub.listen())
                    async for message in messages:
                        self._wake(message["data"].partition(b" ")[2].decode())
            except (RedisError, OSError) as error:
                log.warning("live.reader_lost", error=type(error).__name__)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 2.0)

    def _wake(self, stream: str) -> None:
        for waiter in self._waiting.get(stream, ()):
            waiter.set()

    def _wake_all(self) -> None:
        """After a reconnect nobody knows what was missed: everybody looks."""
        for stream in tuple(self._waiting):
            self._wake(stream)

    @contextmanager
    def _listening(self, stream: str) -> Generator[asyncio.Event]:
        waiter = asyncio.Event()
        self._waiting[stream].add(waiter)
        try:
            yield waiter
        finally:
            self._waiting[stream].discard(waiter)
            if not self._waiting[stream]:
                del self._waiting[stream]

    async def follow(self, db: Database, stream: str, after: int) -> AsyncGenerator[Sequence[events.Event]]:
        """Every event of a stream after a `seq`, once and in order, as they come together, for as long as the caller reads.
        An empty batch says that nothing has come for a while: a moment to look whether to go on."""
        with self._listening(stream) as poked:
            while True:
                poked.clear()
                async with db.reading() as session:
                    batch = await events.after(session, stream, after, BATCH)
                yield batch
                if batch:
                    after = batch[-1].seq
                if len(batch) < BATCH:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(poked.wait(), RE_READ_SECONDS)
