"""One installation for a whole folder of tests: they keep apart by having people of their own, not databases of their own."""

from collections.abc import AsyncGenerator
from uuid import uuid4

import pytest
import structlog

from app.core.resources import Resources, open_resources
from app.core.settings import Settings
from tests.conftest import SECRET, TEMPLATE, Services, free_port, serve_app


@pytest.fixture(scope="session")
async def settings(services: Services, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Settings]:
    name = f"test_{uuid4().hex}"
    await services.sql(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield Settings(
        database_url=services.database(name),
        redis_url=services.redis_url,
        port=free_port(),
        data_dir=tmp_path_factory.mktemp("data"),
        secret_key=SECRET,
        pool_size=8,
        worker_threads=4,
    )
    await services.sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session", autouse=True)
def short_logs() -> None:
    """A defect's traceback, without the locals of every frame that would bury the report."""
    structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()])


@pytest.fixture(scope="session")
async def resources(settings: Settings) -> AsyncGenerator[Resources]:
    async with open_resources(settings) as opened:
        yield opened


@pytest.fixture(scope="session")
async def server(settings: Settings) -> AsyncGenerator[str]:
    async with serve_app(settings) as url:
        yield url
