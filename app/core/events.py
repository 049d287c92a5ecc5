"""Events are rows: `seq` is contiguous in each stream and grows in the order of commits, because the stream's counter
stays locked until the transaction ends. They carry ids only; readers look at the rows with their own rights."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, func, select
from sqlalchemy.dialects.postgresql import insert
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


@dataclass(frozen=True, slots=True)
class Happened:
    """What happened, and to which rows: `{"document": id}`."""

    kind: str
    ids: dict[str, UUID] = field(default_factory=dict[str, UUID])


async def append(session: AsyncSession, stream: str, happened: Sequence[Happened]) -> int:
    """Adds to a stream and returns its last `seq`. A transaction that writes to several streams does so in one order
    (the run's before the watcher's), or two of them could wait for each other."""
    count = len(happened)
    last = await session.scalar(
        insert(EventStream)
        .values(stream=stream, seq=count)
        .on_conflict_do_update(index_elements=[EventStream.stream], set_={"seq": EventStream.seq + count})
        .returning(EventStream.seq)
    )
    if last is None or not count:
        return last or 0
    rows = [
        {"stream": stream, "seq": last - count + i, "kind": it.kind, "ids": {k: str(v) for k, v in it.ids.items()}}
        for i, it in enumerate(happened, start=1)
    ]
    await session.execute(insert(Event), rows)
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
