"""PostgreSQL: the only truth. One request field or one unit of work is one transaction, and the edge commits it."""

import enum
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg import PostgresError
from sqlalchemy import DateTime, Enum, MetaData, Text, Uuid, event, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.core.errors import ErrorCode, Refusal
from app.core.ids import uuid7
from app.core.signals import Outbox, Signals

CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}

Json = dict[str, Any]


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=CONVENTION)
    type_annotation_map = {  # noqa: RUF012 - declared by SQLAlchemy as a plain class attribute
        datetime: DateTime(timezone=True),
        UUID: Uuid(),
        str: Text(),
        Json: JSONB(),
        enum.Enum: Enum(enum.Enum, native_enum=False, length=40, create_constraint=True),
    }


class Record:
    """What every table of the domain carries. Soft-deleted rows are hidden by each context's `visible`."""

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
    deleted_at: Mapped[datetime | None]


class BulkRecord(Record):
    """A record that is written many at a time: its id is made here and its defaults are not read back, so that a flush is
    one batch a table. Whoever needs `created_at` of a new row refreshes it."""

    __mapper_args__ = {"eager_defaults": False}  # noqa: RUF012 - declared by SQLAlchemy as a plain class attribute

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7, server_default=func.uuidv7())


def outbox(session: AsyncSession) -> Outbox:
    """What is to be told to other processes once this transaction has committed."""
    box: Outbox = session.info.setdefault("outbox", Outbox())
    return box


async def copy(
    session: AsyncSession, table: type[Base], columns: Sequence[str], rows: Sequence[Sequence[object]]
) -> None:
    """Adds many rows by COPY. Columns that are not named get their defaults; JSON is passed as text."""
    if not rows:
        return
    connection = await session.connection()
    raw = (await connection.get_raw_connection()).driver_connection
    assert raw is not None
    try:
        await raw.copy_records_to_table(table.__tablename__, records=rows, columns=columns)
    except PostgresError as error:
        # The driver's own error, in the shape that everybody here knows.
        raise DBAPIError(f"COPY {table.__tablename__}", None, error) from error


async def one_at_a_time(session: AsyncSession, key: str) -> None:
    """Whoever does this with the same key comes one after the other, until the transaction ends."""
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})


UNREACHABLE = (OperationalError, InterfaceError, PoolTimeoutError, ConnectionError, OSError)


def unavailable(error: BaseException) -> Refusal | None:
    """The refusal that a caller sees when the database is away or overloaded; None for any other error."""
    if isinstance(error, DBAPIError):
        # 08…: the connection broke; 57P01 to 57P05: starting up, shutting down; 53300: too many connections (PostgreSQL,
        # appendix A).
        state = str(getattr(error.orig, "sqlstate", ""))
        away = error.connection_invalidated or isinstance(error, UNREACHABLE) or state.startswith(("08", "57P", "533"))
    else:
        away = isinstance(error, UNREACHABLE)
    if away:
        return Refusal(ErrorCode.UNAVAILABLE, "The records cannot be reached at the moment. Please try again shortly.")
    return None


CONTENDED = ("40P01", "55P03")
"""Deadlock detected, lock not available in time (PostgreSQL, appendix A)."""


def is_contended(error: BaseException) -> bool:
    """Whether a transaction failed only because of others at the same rows: the next one may do better."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", "") in CONTENDED


class Database:
    """The engine of one event loop, and the two ways to use it."""

    def __init__(self, engine: AsyncEngine, signals: Signals) -> None:
        self.engine = engine
        self.signals = signals
        self._sessions = async_sessionmaker(engine, expire_on_commit=False, autoflush=False)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncSession]:
        """Commits when the block ends well, then sends the hints and pokes that were collected on the way."""
        async with self._sessions() as session:
            async with session.begin():
                yield session
            box = outbox(session)
        await self.signals.send(box)

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncSession]:
        """A session for one read; nothing that happens in it is kept."""
        async with self._sessions() as session:
            yield session

    async def ping(self) -> None:
        async with self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))


def create_engine(url: str, pool_size: int) -> AsyncEngine:
    """A bounded pool: a caller who waits over two seconds for a connection is refused rather than queued."""
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=2,
        # What is bound to a statement is health data, and errors end in logs.
        hide_parameters=True,
        connect_args={
            "timeout": 5,
            "server_settings": {
                "application_name": "healthrecords",
                "client_connection_check_interval": "500ms",
                "statement_timeout": "30s",
                "lock_timeout": "10s",
                "idle_in_transaction_session_timeout": "30s",
            },
        },
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    return engine


def _refuse_closed(connection: DBAPIConnection, _record: object, _proxy: object) -> None:
    """A connection that the server has closed is not handed out: the pool makes another. asyncpg knows without asking; a
    ping would cost three round trips a transaction."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError
