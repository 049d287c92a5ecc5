"""Events are rows: `seq` is contiguous in each stream and grows in the order of commits, because the stream's counter
stays locked until the transaction ends. They carry ids only; readers look at the rows with their own rights."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Json, outbox


class EventStream(Base):
    __tablename__ = "event_stream"

    stream: Mapped[str] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger)


class Event(Base):
    __tablename__ = "event"

    stream: Mapped[str] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str]
    ids: Mapped[Json]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


APPEND = text(
    """
    WITH added AS (
      SELECT * FROM unnest(CAST(:kinds AS text[]), CAST(:ids AS text[])) WITH ORDINALITY AS a (kind, ids, place)
    ), counted AS (
      INSERT INTO event_stream AS s (stream, seq) SELECT CAST(:stream AS text), count(*) FROM added
      ON CONFLICT (stream) DO UPDATE SET seq = s.seq + excluded.seq
      RETURNING seq
    ), written AS (
      INSERT INTO event (stream, seq, kind, ids)
      SELECT :stream, counted.seq - (SELECT count(*) FROM added) + place, kind, CAST(ids AS jsonb) FROM added, counted
    )
    SELECT seq FROM counted
    """
)
"""Counter and events in one statement: whole pages are told of in one go."""


@dataclass(frozen=True, slots=True)
class Happened:
    """What happened, and to which rows: `{"document": id}`."""

    kind: str
    ids: dict[str, UUID] = field(default_factory=dict[str, UUID])


async def append(session: AsyncSession, stream: str, happened: Sequence[Happened]) -> int:
    """Adds to a stream and returns its last `seq`. A transaction that writes to several streams does so in one order
    (the run's before the watcher's), or two of them could wait for each other."""
    words = {
        "stream": stream,
        "kinds": [str(it.kind) for it in happened],
        "ids": [json.dumps({name: str(row) for name, row in it.ids.items()}) for it in happened],
    }
    last: int = (await session.execute(APPEND, words)).scalar_one()
    if happened:
        outbox(session).pokes[stream] = last
    return last


async def after(session: AsyncSession, stream: str, seq: int, limit: int = 200) -> Sequence[Event]:
    """The next events of a stream, in order."""
    rows = await session.scalars(
        select(Event).where(Event.stream == stream, Event.seq > seq).order_by(Event.seq).limit(limit)
    )
    return rows.all()


async def last_seq(session: AsyncSession, stream: str) -> int:
    return await session.scalar(select(EventStream.seq).where(EventStream.stream == stream)) or 0
