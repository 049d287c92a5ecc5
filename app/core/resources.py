"""What a process holds while it runs. Made inside the event loop that uses it, closed with it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.core.blobs import Blobs
from app.core.crypto import Vault
from app.core.db import Database, create_engine
from app.core.live import Live
from app.core.reader import Reader
from app.core.settings import Settings
from app.core.signals import Signals


@dataclass(frozen=True, slots=True)
class Resources:
    settings: Settings
    db: Database
    live: Live
    blobs: Blobs
    vault: Vault
    reader: Reader


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncGenerator[Resources]:
    vault = Vault(settings.secret_key)
    signals = Signals(settings.redis_url)
    engine = create_engine(settings.database_url, settings.pool_size)
    live = Live(settings.redis_url)
    live.start()
    reader = Reader()
    try:
        yield Resources(settings, Database(engine, signals), live, Blobs(settings.blobs), vault, reader)
    finally:
        await live.stop()
        await reader.close()
        await engine.dispose()
        await signals.close()
