"""What a measurement runs on: PostgreSQL (with fsync) and Valkey for the whole run; database, stores and processes fresh
for each measurement."""

import asyncio
import shutil
import socket
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen
from uuid import uuid4

import redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app import migrations
from app.connectors.provider.port import Auth, AuthKind
from app.core.embedded import postgres, valkey
from app.core.settings import Settings
from app.domain.connections.rules import checked_auth
from bench.documents import Mix, fill
from bench.processes import Process, running

TEMPLATE = "bench_template"
SECRET = "a secret of the benchmark, and of nothing else"
CLIENT_ID = "healthrecords-bench"


@dataclass(frozen=True, slots=True)
class Stage:
    """`auth` are the credentials that the engine and the bare loops share; `latency` (ms) is how late the sandbox
    answers."""

    folder: Path
    postgres_url: str
    redis_url: str
    auth: Auth
    documents: int
    latency: float
    mix: Mix

    def database(self, name: str) -> str:
        return self.postgres_url.replace("/healthrecords?", f"/{name}?")


@dataclass(frozen=True, slots=True)
class Sandbox:
    process: Process
    fhir: str
    platform: str


@dataclass(frozen=True, slots=True)
class Installation:
    """The product with an empty database and its web server and worker."""

    settings: Settings
    web: Process
    worker: Process


@contextmanager
def raised(parent: Path, documents: int, latency: float = 0) -> Generator[Stage]:
    """A folder on the disk of `parent`, the services in it, a migrated template database, and filled stores to copy."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=parent.resolve()))
    auth = checked_auth(Auth(kind=AuthKind.SMART_BACKEND, client_id=CLIENT_ID))
    try:
        (folder / "filled").mkdir()
        mix = fill(folder / "filled", auth, documents)
        with postgres.start(folder) as pg, valkey.start(folder) as vk:
            stage = Stage(folder, pg.url, vk.url, auth, documents, latency, mix)
            _sql(stage, f"CREATE DATABASE {TEMPLATE}")
            migrations.upgrade(stage.database(TEMPLATE))
            yield stage
    finally:
        postgres.erase(folder)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def sandbox(stage: Stage) -> Generator[Sandbox]:
    """EHR and platform in one process, on copies of the filled stores."""
    folder = Path(tempfile.mkdtemp(prefix="sandbox-", dir=stage.folder))
    shutil.copytree(stage.folder / "filled", folder, dirs_exist_ok=True)
    words = ["sandbox", "--ehr-port", "0", "--platform-port", "0", "--data", str(folder)]
    if stage.latency:
        words = ["bench.far", "--latency", str(stage.latency), "--data", str(folder)]

    def announced(log: str) -> bool:
        return "EHR " in log and "Platform " in log and log.endswith("\n")

    with running(folder, "sandbox", words, {}, announced) as process:
        addresses = dict(line.split() for line in process.log.read_text().splitlines())
        yield Sandbox(process, addresses["EHR"], addresses["Platform"])
    shutil.rmtree(folder)


@contextmanager
def database(stage: Stage) -> Generator[Settings]:
    """Settings of an installation whose database is a clone of the template, and whose files lie in a new folder."""
    name = f"bench_{uuid4().hex}"
    folder = Path(tempfile.mkdtemp(prefix="data-", dir=stage.folder))
    with redis.Redis.from_url(stage.redis_url) as queue:
        queue.flushall()
    _sql(stage, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    try:
        yield Settings(
            database_url=stage.database(name),
            redis_url=stage.redis_url,
            port=_free_port(),
            data_dir=folder,
            secret_key=SECRET,
        )
    finally:
        _sql(stage, f"DROP DATABASE {name} WITH (FORCE)")
        shutil.rmtree(folder)


@contextmanager
def installation(settings: Settings) -> Generator[Installation]:
    env = {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "PORT": str(settings.port),
        "HEALTHRECORDS_DATA_DIR": str(settings.data_dir),
        "HEALTHRECORDS_SECRET_KEY": settings.secret_key,
        "HEALTHRECORDS_PUBLIC_URL": settings.base_url,
    }

    def answers(_log: str) -> bool:
        try:
            with urlopen(f"{settings.base_url}/readyz", timeout=1) as answer:
                return answer.status == 200
        except (URLError, OSError):
            return False

    with ExitStack() as stack:
        words = ("app.cli", "serve", "--graceful", "1")
        web = stack.enter_context(running(settings.data_dir, "web", words, env, answers))
        words = ("app.cli", "worker", "--until-stdin-closes")
        up = "worker.started"
        worker = stack.enter_context(running(settings.data_dir, "worker", words, env, lambda log: up in log))
        yield Installation(settings, web, worker)


def _sql(stage: Stage, statement: str) -> None:
    async def execute() -> None:
        url = stage.database("postgres")
        engine = create_async_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        async with engine.connect() as connection:
            await connection.execute(text(statement))
        await engine.dispose()

    asyncio.run(execute())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
