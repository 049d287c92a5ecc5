"""Alembic's entry. Whoever runs it from code gives the address; the command line takes the environment's."""

import asyncio

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.core.settings import settings
from app.domain.tables import metadata


def migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, compare_type=True)
    with context.begin_transaction():
        # Two starting processes migrate one after the other.
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(716253)")
        context.run_migrations()


async def run(url: str) -> None:
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
        await connection.commit()
    await engine.dispose()


asyncio.run(run(context.config.attributes.get("url") or settings().database_url))
