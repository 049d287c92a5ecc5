"""Real parts for every test: a PostgreSQL cluster and a Valkey of this run's own, a database cloned for each test, real
servers on free ports."""

import asyncio
import contextlib
import shutil
import socket
import tempfile
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest
import uvicorn
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app import migrations
from app.cli.client import Client
from app.core.embedded import postgres, valkey
from app.core.resources import Resources, open_resources
from app.core.settings import Settings
from app.main import create_app
from sandbox.ehr.app import create_app as create_ehr
from sandbox.ehr.store import Store as EhrStore
from sandbox.platform.app import create_app as create_platform
from sandbox.platform.store import Store as PlatformStore
from sandbox.serve import serving
from tasks.broker import Worker
from tests import factories

SHARED = Path(__file__).parent.parent.parent / "shared"
SECRET = "a secret of the tests, and of nothing else in the world"
TEMPLATE = "template_healthrecords"


@dataclass(frozen=True, slots=True)
class Services:
    """The run's own servers. `database(name)` is the address of a database on the cluster."""

    postgres_url: str
    redis_url: str

    def database(self, name: str) -> str:
        return self.postgres_url.replace("/healthrecords?", f"/{name}?")

    async def sql(self, statement: str) -> None:
        engine = create_async_engine(self.database("postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool)
        async with engine.connect() as connection:
            await connection.execute(text(statement))
        await engine.dispose()


@pytest.fixture(scope="session")
def services() -> Generator[Services]:
    folder = Path(tempfile.mkdtemp(prefix="hr-"))
    with postgres.start(folder, fsync=False) as pg, valkey.start(folder) as vk:
        found = Services(pg.url, vk.url)
        asyncio.run(found.sql(f"CREATE DATABASE {TEMPLATE}"))
        migrations.upgrade(found.database(TEMPLATE))
        yield found
    postgres.erase(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def settings(services: Services, tmp_path: Path) -> AsyncGenerator[Settings]:
    """Settings of an installation with a migrated, empty database of its own."""
    name = f"test_{uuid4().hex}"
    await services.sql(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield Settings(
        database_url=services.database(name),
        redis_url=services.redis_url,
        port=free_port(),
        data_dir=tmp_path / "data",
        secret_key=SECRET,
        demo=True,
        pool_size=8,
        worker_threads=4,
    )
    await services.sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def resources(settings: Settings) -> AsyncGenerator[Resources]:
    async with open_resources(settings) as opened:
        yield opened


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.asynccontextmanager
async def serve_app(settings: Settings) -> AsyncGenerator[str]:
    """The product's web server, with lifespan and sockets, in this loop."""
    config = uvicorn.Config(
        create_app(settings), port=settings.port, log_level="warning", access_log=False, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # pyright: ignore[reportAttributeAccessIssue]
    task = asyncio.create_task(server.serve())
    while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{settings.port}"
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def server(settings: Settings) -> AsyncGenerator[str]:
    async with serve_app(settings) as url:
        yield url


@pytest.fixture
async def worker(resources: Resources) -> AsyncGenerator[Worker]:
    """A worker in this loop; tests that kill one start a process of their own."""
    working = Worker(resources, threads=4)
    await working.start()
    yield working
    await working.stop()


@dataclass
class Sandbox:
    """Both servers of the sandbox, open to anybody, with their stores at hand."""

    ehr_url: str
    platform_url: str
    ehr: EhrStore
    platform: PlatformStore
    folder: Path
    key: tuple[str, str] = field(default=("key", "secret"))

    @property
    def fhir(self) -> str:
        return f"{self.ehr_url}/fhir"


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncGenerator[Sandbox]:
    folder = tmp_path / "sandbox"
    folder.mkdir()
    with (
        contextlib.closing(EhrStore(folder / "ehr.sqlite")) as ehr,
        contextlib.closing(PlatformStore(folder / "platform.sqlite")) as platform,
    ):
        ehr.set_open(True)
        platform.register_key("key", "secret")
        platform.set_processing_ms(20)
        async with serving(create_ehr(ehr)) as ehr_url, serving(create_platform(platform)) as platform_url:
            yield Sandbox(ehr_url, platform_url, ehr, platform, folder)


@dataclass(frozen=True, slots=True)
class People:
    """One of each role, and a second dietician; all with `factories.PASSWORD`."""

    dietician: factories.Person
    other_dietician: factories.Person
    practitioner: factories.Person
    patient: factories.Person
    admin: factories.Person


@pytest.fixture
async def people(resources: Resources) -> People:
    async with resources.db.transaction() as session:
        return People(
            dietician=await factories.person(session, "DIETICIAN"),
            other_dietician=await factories.person(session, "DIETICIAN"),
            practitioner=await factories.person(session, "PRACTITIONER"),
            patient=await factories.person(session, "PATIENT"),
            admin=await factories.person(session, "ADMIN"),
        )


SignIn = Callable[[factories.Person | None], "asyncio.Future[Client]"]


@pytest.fixture
async def sign_in(server: str) -> AsyncGenerator[Callable[..., object]]:
    """`await sign_in(person)`: a client of the real server; `await sign_in(None)` one that has not signed in."""
    async with AsyncExitStack() as stack:

        async def signed_in(person: factories.Person | None) -> Client:
            client = await stack.enter_async_context(Client(server))
            if person is not None:
                await client.sign_in(person.email, factories.PASSWORD)
            return client

        yield signed_in
