"""What a process holds while it runs. Made inside the event loop that uses it, closed with it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.core.blobs import Blobs
from app.core.crypto import Vault
from app.core.db import Database, create_engine
from app.core.gates import Gates
from app.core.live import Live
from app.core.reader import Reader
from app.core.settings import Settings
from app.core.signals import Signals
from app.core.spool import Spool


@dataclass(frozen=True, slots=True)
class Resources:
    settings: Settings
    db: Database
    live: Live
    blobs: Blobs
    vault: Vault
    reader: Reader
    gates: Gates
    spool: Spool


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncGenerator[Resources]:
    vault = Vault(settings.secret_key)
    signals = Signals(settings.redis_url)
    engine = create_engine(settings.database_url, settings.pool_size)
    live = Live(settings.redis_url)
    live.start()
    reader = Reader()
    spool = Spool(settings.spool)
    await asyncio.to_thread(spool.sweep)
    try:
        # Half of a worker's places: who waits for one slow connection leaves room for those who ask another.
        gates = Gates(engine, seats=max(1, settings.worker_threads // 2))
        yield Resources(settings, Database(engine, signals), live, Blobs(settings.blobs), vault, reader, gates, spool)
    finally:
        await live.stop()
        await reader.close()
        await engine.dispose()
        await signals.close()
