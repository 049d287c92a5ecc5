"""What goes through Redis: hints that work is due and pokes that a stream has grown. Losing one costs time, never data."""

import asyncio
import time
from dataclasses import dataclass, field
from uuid import UUID

import dramatiq
import redis.asyncio
import structlog
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import DramatiqError
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

CHANNEL = "healthrecords:live"
NAMESPACE = "healthrecords"
PAUSE_AFTER_FAILURE = 1.0


@dataclass(slots=True)
class Outbox:
    """Collected while a transaction runs, sent after it has committed."""

    hints: dict[UUID, str] = field(default_factory=dict[UUID, str])
    pokes: dict[str, int] = field(default_factory=dict[str, int])


def queue_of(kind: str) -> str:
    """A kind of work is `context.verb`; a context is a queue."""
    return kind.partition(".")[0]


def create_broker(redis_url: str, middleware: list[dramatiq.Middleware] | None = None) -> RedisBroker:
    """Heartbeat and maintenance are set close, so that a dead worker's messages do not linger: rows hold the truth anyway."""
    return RedisBroker(
        url=redis_url,
        namespace=NAMESPACE,
        middleware=middleware or [],
        heartbeat_timeout=15_000,
        maintenance_chance=10_000,
        socket_timeout=5,
        socket_connect_timeout=1,
    )


class Signals:
    """The sending side. Never raises: when Redis is away, the sweeper and the slow re-read do its job."""

    def __init__(self, redis_url: str) -> None:
        self.redis = redis.asyncio.Redis.from_url(redis_url, socket_timeout=1, socket_connect_timeout=0.5)
        self.broker = create_broker(redis_url)
        self._silent_until = 0.0

    async def send(self, box: Outbox) -> bool:
        """Whether everything went out. After a failure Redis is left alone for a second, so that no caller waits for it."""
        if not (box.hints or box.pokes):
            return True
        if time.monotonic() < self._silent_until:
            return False
        try:
            for stream, seq in box.pokes.items():
                await self.redis.publish(CHANNEL, f"{seq} {stream}")
            if box.hints:
                await asyncio.to_thread(self._hint, box.hints)
        except (RedisError, DramatiqError, OSError) as error:
            self._silent_until = time.monotonic() + PAUSE_AFTER_FAILURE
            log.warning("signals.unsent", error=type(error).__name__)
            return False
        return True

    def _hint(self, hints: dict[UUID, str]) -> None:
        for work_id, kind in hints.items():
            queue = queue_of(kind)
            self.broker.declare_queue(queue)
            self.broker.enqueue(
                dramatiq.Message(queue_name=queue, actor_name=kind, args=(str(work_id),), kwargs={}, options={})
            )

    async def ping(self) -> None:
        """Raises where Redis is away."""
        await self.redis.ping()

    async def close(self) -> None:
        await self.redis.aclose()
        await asyncio.to_thread(self.broker.close)
