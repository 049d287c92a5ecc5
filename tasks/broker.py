"""The worker process: Dramatiq's threads take hints from Redis and hand them to one event loop."""

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager, suppress
from uuid import UUID

import dramatiq
import structlog
from sqlalchemy.orm import configure_mappers

from app.core.gate import Crowded
from app.core.process import exit_within, limit_memory
from app.core.resources import Resources, open_resources
from app.core.settings import Settings
from app.core.signals import create_broker, queue_of
from tasks import conflicts, connections, documents, exports, notifications, patients, platforms, sync, updates
from tasks.runtime import Job, perform
from tasks.sweeper import sweep_for_ever

log = structlog.get_logger(__name__)

JOBS: dict[str, Job] = {
    **connections.JOBS,
    **platforms.JOBS,
    **patients.JOBS,
    **documents.JOBS,
    **sync.JOBS,
    **updates.JOBS,
    **exports.JOBS,
    **conflicts.JOBS,
    **notifications.JOBS,
}
STOP_SECONDS = 2
GIVE_BACK_SECONDS = 10
EXIT_SECONDS = 25
POLL_MILLISECONDS = 100
"""How long an idle worker lets a hint lie, how long stopping waits for its threads, and for its jobs to be given back. What
is not back by then has a lease that ends."""


class Worker:
    """Runs jobs in the loop that it was made in. `threads` is how many at once."""

    def __init__(self, resources: Resources, threads: int) -> None:
        self._resources = resources
        self._loop = asyncio.get_running_loop()
        self._threads = threads
        self._slots = asyncio.Semaphore(threads)
        self._under_way: dict[UUID, asyncio.Task[None]] = {}
        self._stopping = False
        self._alone: UUID | None = None
        self._own: set[asyncio.Task[None]] = set()
        # Messages only point at rows: no retries, no delays, no results, no age limit of Dramatiq's own.
        self._broker = create_broker(resources.settings.redis_url)
        for kind in JOBS:
            dramatiq.actor(actor_name=kind, queue_name=queue_of(kind), broker=self._broker)(self._take)
        self._consumer = dramatiq.Worker(self._broker, worker_threads=threads, worker_timeout=POLL_MILLISECONDS)

    async def start(self) -> None:
        await asyncio.to_thread(self._consumer.start)
        self._sweeper = asyncio.create_task(sweep_for_ever(self._resources, self))
        self._rounds = asyncio.create_task(updates.round_for_ever(self._resources))

    async def stop(self) -> None:
        """Takes no more, gives back what is under way, waits for the threads."""
        self._stopping = True
        self._sweeper.cancel()
        self._rounds.cancel()
        await self._give_back(self._under_way)
        await asyncio.to_thread(self._consumer.stop, STOP_SECONDS * 1000)
        await asyncio.to_thread(self._broker.close)

    def _take(self, work_id: str) -> None:
        """Called by a thread of Dramatiq's with a message; waits until the loop has done the job."""
        if self._stopping:
            return
        with suppress(CancelledError):
            asyncio.run_coroutine_threadsafe(self._do(UUID(work_id)), self._loop).result()

    def room(self) -> int:
        """How many jobs could begin at once."""
        return 0 if self._stopping or self._alone else max(self._threads - len(self._under_way), 0)

    def do_here(self, work_id: UUID) -> None:
        """Starts a job without a message, as soon as there is a place."""
        task = asyncio.create_task(self._do(work_id))
        self._own.add(task)
        task.add_done_callback(self._own.discard)

    async def _do(self, work_id: UUID) -> None:
        task = asyncio.current_task()
        if task is None or self._stopping or self._alone or work_id in self._under_way:
            return
        self._under_way[work_id] = task
        try:
            async with self._slots:
                await perform(self._resources, JOBS, work_id, self.quarantine)
        finally:
            del self._under_way[work_id]

    @asynccontextmanager
    async def quarantine(self, work_id: UUID) -> AsyncGenerator[None]:
        """For a job that has taken its process along before: the others are given back first, and none begins meanwhile."""
        if self._alone or self._stopping:
            raise Crowded(str(work_id))
        self._alone = work_id
        try:
            log.warning("worker.quarantine", work=str(work_id), given_back=len(self._under_way) - 1)
            await self._give_back({other: task for other, task in self._under_way.items() if other != work_id})
            yield
        finally:
            self._alone = None

    async def _give_back(self, jobs: dict[UUID, asyncio.Task[None]]) -> None:
        tasks = list(jobs.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=GIVE_BACK_SECONDS)


async def run_worker(settings: Settings, *, ready: Callable[[], None] | None = None, watch_stdin: bool = False) -> None:
    """Works until SIGTERM or SIGINT, or until the parent that holds our standard input is gone."""
    limit_memory(settings.worker_memory_mb)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if watch_stdin:
        await _watch_stdin(loop, stop)
    configure_mappers()
    async with open_resources(settings) as resources:
        await resources.reader.start()
        worker = Worker(resources, settings.worker_threads)
        await worker.start()
        log.info("worker.started", threads=settings.worker_threads)
        if ready:
            ready()
        await stop.wait()
        exit_within(EXIT_SECONDS)
        await worker.stop()
    log.info("worker.stopped")


async def _watch_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    class EndOfInput(asyncio.Protocol):
        def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
            stop.set()

    await loop.connect_read_pipe(EndOfInput, sys.stdin)
