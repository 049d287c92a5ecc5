"""What tests of whole runs share: a connected patient, a run followed to its end, a worker in a process of its own, layers
that slow a server down or spoil its answers, and a look at what was really stored."""

import asyncio
import contextlib
import os
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import text
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.kit import ids
from app.cli.client import Client
from app.core.db import outbox
from app.core.gates import Known
from app.core.resources import Resources
from app.core.settings import Settings
from tests import factories
from tests.conftest import People, Sandbox

ROOT = Path(__file__).parent.parent
SignIn = Callable[[factories.Person], Awaitable[Client]]
START_SECONDS = 30


async def connected(
    resources: Resources,
    people: People,
    patient_id: str,
    *,
    fhir: str,
    platform: str | None = None,
    **given: Any,
) -> str:
    """A patient of the dietician's with a provider, and with a platform where one is given; the id that clients see."""
    async with resources.db.transaction() as session:
        provider = await factories.provider(session, resources.vault, fhir, **given)
        platform_id = await factories.platform(session, resources.vault, platform) if platform else None
        row = await factories.patient(
            session,
            people.dietician,
            primary_provider_id=provider.id,
            provider_patient_id=patient_id,
            platform_id=platform_id,
        )
    return ids.encode("Patient", row.id)


async def connected_to(resources: Resources, people: People, sandbox: Sandbox, patient_id: str, **given: Any) -> str:
    return await connected(resources, people, patient_id, fhir=sandbox.fhir, platform=sandbox.platform_url, **given)


async def start_run(client: Client, patient: str, **variables: Any) -> str:
    payload = await client.change("PatientSync", "patientSync", patientId=patient, **variables)
    return payload["syncRun"]["id"]


async def follow(client: Client, run_id: str) -> list[dict[str, Any]]:
    """Every event of a run until it has ended."""
    return [data["syncProgress"] async for data in client.follow("SyncProgress", runId=run_id)]


async def run_as_it_stands(client: Client, run_id: str) -> dict[str, Any]:
    """The run with `failures` as a plain list."""
    run = (await client.ask("SyncRunGet", id=run_id))["syncRun"]
    return run | {"failures": [edge["node"] for edge in run["failures"]["edges"]]}


async def ended(client: Client, run_id: str, seconds: float = 60) -> dict[str, Any]:
    """The run once it has ended, with its `events`."""
    events = await asyncio.wait_for(follow(client, run_id), seconds)
    return await run_as_it_stands(client, run_id) | {"events": events}


async def run_to_end(client: Client, patient: str, seconds: float = 60, **variables: Any) -> dict[str, Any]:
    return await ended(client, await start_run(client, patient, **variables), seconds)


@dataclass
class Layer:
    """Stands before a server: counts, slows down, and answers in its place where `rule` says so."""

    app: ASGIApp
    pause: float = 0
    rule: Callable[[str], Response | None] = lambda _: None
    asked: Counter[str] = field(default_factory=Counter[str])
    """`GET /fhir/DocumentReference?patient=…` → how often."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            query = scope["query_string"].decode()
            words = f"{scope['method']} {scope['path']}{'?' if query else ''}{query}"
            self.asked[words] += 1
            await asyncio.sleep(self.pause)
            if answer := self.rule(words):
                await answer(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def listed(self) -> Counter[str]:
        """The pages of listings that were asked for."""
        return Counter({words: n for words, n in self.asked.items() if "?" in words and "/Binary" not in words})


async def swallow(app: ASGIApp, scope: Scope, receive: Receive) -> None:
    """Lets a server do its work and loses its answer."""

    async def nowhere(message: Message) -> None:
        del message

    await app(scope, receive, nowhere)


class WorkerProcess:
    """`healthrecords worker`, or another module that runs one, to be killed."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process = process
        self.log = log

    async def ready(self) -> None:
        async with asyncio.timeout(START_SECONDS):
            while "worker.started" not in self.log.read_text():
                assert self.process.returncode is None, self.log.read_text()
                await asyncio.sleep(0.02)

    async def end(self, signal_number: int) -> int:
        """Sends a signal and waits until the process is gone; its exit code."""
        with contextlib.suppress(ProcessLookupError):
            # It has ended by itself.
            self.process.send_signal(signal_number)
        return await asyncio.wait_for(self.process.wait(), 15)


@dataclass
class Workers:
    """Starts worker processes of one installation; none outlives the test."""

    settings: Settings
    folder: Path
    started: list[WorkerProcess] = field(default_factory=list[WorkerProcess])

    async def start(self, module: str = "app.cli", *words: str, wait: bool = True) -> WorkerProcess:
        log = self.folder / f"worker-{len(self.started)}.log"
        with log.open("wb") as sink:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                module,
                *(words or (("worker",) if module == "app.cli" else ())),
                cwd=ROOT,
                env=os.environ | environment(self.settings),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
            )
        worker = WorkerProcess(process, log)
        self.started.append(worker)
        if wait:
            await worker.ready()
        return worker

    async def end_all(self) -> None:
        for worker in self.started:
            if worker.process.returncode is None:
                worker.process.kill()
            await worker.process.wait()


@contextlib.asynccontextmanager
async def workers(settings: Settings, folder: Path) -> AsyncGenerator[Workers]:
    started = Workers(settings, folder)
    try:
        yield started
    finally:
        await started.end_all()


def environment(settings: Settings) -> dict[str, str]:
    return {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "PORT": str(settings.port),
        "HEALTHRECORDS_SECRET_KEY": settings.secret_key,
        "HEALTHRECORDS_DATA_DIR": str(settings.data_dir),
        "HEALTHRECORDS_WORKER_THREADS": str(settings.worker_threads),
        "HEALTHRECORDS_POOL_SIZE": str(settings.pool_size),
    }


@dataclass(frozen=True, slots=True)
class Books:
    """What the database says, past the API."""

    resources: Resources

    async def all(self, statement: str, **values: Any) -> Sequence[Any]:
        async with self.resources.db.reading() as session:
            return (await session.execute(text(statement), values)).all()

    async def column(self, statement: str, **values: Any) -> list[Any]:
        return [row[0] for row in await self.all(statement, **values)]

    async def one(self, statement: str, **values: Any) -> Any:
        return (await self.column(statement, **values))[0]

    async def until(self, statement: str, wanted: Callable[[Any], bool], seconds: float = 30, **values: Any) -> Any:
        """Waits until a value is as wanted, and returns it."""
        async with asyncio.timeout(seconds):
            while not wanted(found := await self.one(statement, **values)):  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.01)
        return found

    @contextlib.asynccontextmanager
    async def no_pauses(self, attempts: int = 99) -> AsyncGenerator[None]:
        """What is to be tried again later is tried again at once, and at most so often."""

        async def hurry() -> None:
            while True:
                async with self.resources.db.transaction() as session:
                    due = text(
                        "UPDATE work SET due_at = now(), hinted_at = NULL"
                        " WHERE due_at > now() AND done_at IS NULL AND dead_at IS NULL RETURNING id, kind"
                    )
                    outbox(session).hints.update({row.id: row.kind for row in await session.execute(due)})
                    fewer = text("UPDATE work SET max_attempts = :n WHERE max_attempts > :n AND done_at IS NULL")
                    await session.execute(fewer, {"n": attempts})
                    await session.execute(text("UPDATE gates SET probe_at = NULL, paused_until = NULL, failures = 0"))
                for gate in self.resources.gates._gates.values():
                    # A worker in this process need not believe for a second what was so a moment ago.
                    gate._known = Known()
                await asyncio.sleep(0.2)

        hurrying = asyncio.create_task(hurry())
        try:
            yield
        finally:
            hurrying.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                # We have just cancelled it.
                await hurrying

    async def end_leases(self) -> None:
        """As if the time of a lease had passed: only when whoever held one is dead."""
        async with self.resources.db.transaction() as session:
            await session.execute(
                text("UPDATE work SET lease_until = now(), hinted_at = NULL WHERE lease_until > now()")
            )

    async def assert_streams_are_contiguous(self) -> None:
        rows = await self.all(
            "SELECT s.stream, s.seq, (SELECT array_agg(e.seq ORDER BY e.seq) FROM event e WHERE e.stream = s.stream)"
            " FROM event_stream s"
        )
        assert rows
        for stream, last, seqs in rows:
            assert seqs == list(range(1, last + 1)), stream


def row_id(gid: str) -> UUID:
    """The row behind an id that clients see."""
    found = ids.split(gid)
    assert found is not None
    return found[1]


def processes_that_know(path: Path) -> list[str]:
    """The command lines of the other processes here that have a path in their words or their environment."""
    mark, found = os.fsencode(path), list[str]()
    for folder in Path("/proc").glob("[0-9]*"):
        if folder.name == str(os.getpid()):
            continue
        with contextlib.suppress(OSError):
            # It has just ended, or belongs to somebody else.
            words = (folder / "cmdline").read_bytes()
            if mark in words or mark in (folder / "environ").read_bytes():
                found.append(os.fsdecode(words.replace(b"\0", b" ")))
    return found
