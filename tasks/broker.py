"""The worker process: Dramatiq's threads take hints from Redis and hand them to one event loop."""

import asyncio
import signal
import sys
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from uuid import UUID

import dramatiq
import structlog
from sqlalchemy.orm import configure_mappers

from app.core.resources import Resources, open_resources
from app.core.settings import Settings
from app.core.signals import create_broker, queue_of
from tasks import connections, patients, sync
from tasks.runtime import Job, perform
from tasks.sweeper import sweep_for_ever

log = structlog.get_logger(__name__)

JOBS: dict[str, Job] = {**connections.JOBS, **patients.JOBS, **sync.JOBS}
STOP_SECONDS = 2
POLL_MILLISECONDS = 100
"""How long an idle worker lets a hint lie, and how long stopping waits for its threads."""


class Worker:
    """Runs jobs in the loop that it was made in. `threads` is how many at once."""

    def __init__(self, resources: Resources, threads: int) -> None:
        self._resources = resources
        self._loop = asyncio.get_running_loop()
        self._slots = asyncio.Semaphore(threads)
        self._running: set[asyncio.Task[None]] = set()
        self._stopping = False
        # Messages only point at rows: no retries, no delays, no results, no age limit of Dramatiq's own.
        self._broker = create_broker(resources.settings.redis_url)
        for kind in JOBS:
            dramatiq.actor(actor_name=kind, queue_name=queue_of(kind), broker=self._broker)(self._take)
        self._consumer = dramatiq.Worker(self._broker, worker_threads=threads, worker_timeout=POLL_MILLISECONDS)

    async def start(self) -> None:
        await asyncio.to_thread(self._consumer.start)
        self._sweeper = asyncio.create_task(sweep_for_ever(self._resources, self.do_here))

    async def stop(self) -> None:
        """Takes no more, gives back what is under way, waits for the threads."""
        self._stopping = True
        self._sweeper.cancel()
        for task in tuple(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await asyncio.to_thread(self._consumer.stop, STOP_SECONDS * 1000)
        await asyncio.to_thread(self._broker.close)

    def _take(self, work_id: str) -> None:
        """Called by a thread of Dramatiq's with a message; waits until the loop has done the job."""
        if self._stopping:
            return
        with suppress(CancelledError):
            asyncio.run_coroutine_threadsafe(self._do(UUID(work_id)), self._loop).result()

    async def do_here(self, work_id: UUID) -> None:
        """Starts a job without a message, as soon as there is room."""
        task = asyncio.create_task(self._do(work_id))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _do(self, work_id: UUID) -> None:
        task = asyncio.current_task()
        if self._stopping or task is None:
            return
        self._running.add(task)
        try:
            async with self._slots:
                await perform(self._resources, JOBS, work_id)
        finally:
            self._running.discard(task)


async def run_worker(settings: Settings, *, ready: Callable[[], None] | None = None, watch_stdin: bool = False) -> None:
    """Works until SIGTERM or SIGINT, or until the parent that holds our standard input is gone."""
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
        await worker.stop()
    log.info("worker.stopped")


async def _watch_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    class EndOfInput(asyncio.Protocol):
        def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
            stop.set()

    await loop.connect_read_pipe(EndOfInput, sys.stdin)
