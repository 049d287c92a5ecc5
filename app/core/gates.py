"""One token bucket and one breaker for each connection, shared by all processes: a row, changed by single statements on the
database's clock.

A process takes tokens in handfuls, so that a thousand requests cost a score of statements. Failures are written at once;
successes only where they reset something. Each answer of the row is believed for a second."""

import asyncio
import math
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import TextClause, func, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base
from app.core.gate import Closed, Crowded, Outcome, Passage
from app.core.work import Claim

log = structlog.get_logger(__name__)

PER_SECOND = 400.0
BURST_SECONDS = 5.0
"""Requests, and how much of them may be saved up, where nothing is known of a limit: this only keeps us from running away. A
server that says 429 tunes it down. Where a limit is known, a second's worth is saved up."""
IN_FLIGHT = 8
"""Requests of one process to one connection at the same time."""
HANDFUL_SECONDS = 0.5
GATHERING_SECONDS = 0.125
BELIEVED_SECONDS = 1.0
FAILURES = 5
"""In a row, of all processes together: then the breaker opens."""
FIRST_PROBE_SECONDS = 5.0
PROBE_SECONDS = 30.0
"""From one request to a connection that is out of order to the next."""
LONGEST_WAIT = 3600.0
LONGEST_JITTER = 300.0
MENDING_SECONDS = 60.0
"""In which a halved pace doubles again."""
SLOWEST = 1 / 256
PATIENCE_SECONDS = 2.0
"""A pause that the other side asked for is sat out where it is no longer; the next token is worth more."""
TOKEN_PATIENCE_SECONDS = 10.0
LINE = 200
"""Jobs of one process that are remembered to wait for a place at one connection."""


class GateRow(Base):
    """The state of one gate. `pace` is the share of the full rate since `slowed_at`; `probe_at` is set while the breaker is
    open: the moment from which one request may try."""

    __tablename__ = "gates"

    key: Mapped[str] = mapped_column(primary_key=True)
    tokens: Mapped[float]
    granted: Mapped[float] = mapped_column(server_default="0")
    """What the last one who asked was given."""
    refilled_at: Mapped[datetime] = mapped_column(server_default=func.now())
    pace: Mapped[float] = mapped_column(server_default="1")
    slowed_at: Mapped[datetime] = mapped_column(server_default=func.now())
    failures: Mapped[int] = mapped_column(server_default="0")
    pauses: Mapped[int] = mapped_column(server_default="0")
    """How often in a row the other side has asked for one."""
    paused_until: Mapped[datetime | None]
    throttled: Mapped[bool] = mapped_column(server_default="false")
    """Whether it was for our pace that it asked."""
    probe_at: Mapped[datetime | None]


MAKE = text("INSERT INTO gates (key, tokens) VALUES (:key, greatest(CAST(:burst AS float8), 1)) ON CONFLICT DO NOTHING")

TAKE = text(
    """
    UPDATE gates SET (tokens, granted, refilled_at, probe_at) = (
      SELECT greatest(there - given, 0), given, greatest(refilled_at, now()),
        CASE WHEN given > 0 AND probe_at <= now() THEN now() + make_interval(secs => :probe_seconds) ELSE probe_at END
      FROM (
        SELECT there, CASE WHEN coalesce(greatest(paused_until, probe_at) > now(), false) THEN 0
          WHEN probe_at <= now() THEN 1
          ELSE least(floor(there), ceil(rate * :handful)) END AS given
        FROM (
          SELECT rate,
            least(greatest(rate * :burst_seconds, 1), tokens + greatest(0, extract(epoch FROM now() - refilled_at)::float8) * rate) AS there
          FROM (
            SELECT CAST(:per_second AS float8)
              * least(1, pace * power(2, extract(epoch FROM now() - slowed_at)::float8 / :mending)) AS rate
          ) AS paced
        ) AS filled
      ) AS decided
    )
    WHERE key = :key
    RETURNING granted, CAST(:per_second AS float8) * least(1, pace) * :handful AS wanted, granted > 0 AND old.probe_at IS NOT NULL AS probes, failures > 0 OR pauses > 0 AS marked,
      coalesce(old.probe_at > now(), false) AS broken,
      coalesce(greatest(old.paused_until, old.probe_at) > now(), false) AS closed,
      throttled AND NOT coalesce(old.probe_at > now(), false) AS throttled,
      CASE WHEN greatest(old.paused_until, old.probe_at) > now()
        THEN extract(epoch FROM greatest(old.paused_until, old.probe_at) - now())::float8
        ELSE greatest(1 - tokens, 0) / CAST(:per_second AS float8) / least(1, pace) END AS seconds
    """
)
"""No join and no subquery of its own on the table: whoever had to wait for the row reckons with what it has become."""

REPORT = text(
    """
    UPDATE gates SET
      failures = CASE WHEN :failed THEN failures + 1 ELSE 0 END,
      probe_at = CASE
        WHEN :failed AND probe_at IS NULL AND failures + 1 >= :limit THEN now() + make_interval(secs => :first_probe)
        WHEN :probe AND NOT :failed THEN NULL
        ELSE probe_at END,
      pauses = CASE
        WHEN paused_until > now() OR (:failed AND NOT :pausing) THEN pauses
        WHEN :pausing THEN pauses + 1 ELSE 0 END,
      paused_until = CASE
        WHEN NOT :pausing THEN paused_until
        WHEN CAST(:wait AS float8) IS NOT NULL
          THEN greatest(paused_until, now() + make_interval(secs => CAST(:wait AS float8)))
        WHEN paused_until > now() THEN paused_until
        ELSE now() + make_interval(secs => :jitter * least(:longest_jitter, power(2, least(pauses, 20)))) END,
      throttled = CASE WHEN :pausing THEN :slowing ELSE throttled END,
      pace = CASE WHEN :slowing AND NOT coalesce(paused_until > now(), false)
        THEN greatest(:slowest, least(1, pace * power(2, extract(epoch FROM now() - slowed_at)::float8 / :mending)) / 2)
        ELSE pace END,
      slowed_at = CASE WHEN :slowing AND NOT coalesce(paused_until > now(), false) THEN now() ELSE slowed_at END
    WHERE key = :key
    RETURNING failures > 0 OR pauses > 0 AS marked, coalesce(probe_at > now(), false) AS broken,
      coalesce(greatest(paused_until, probe_at) > now(), false) AS closed,
      throttled AND NOT coalesce(probe_at > now(), false) AS throttled,
      coalesce(extract(epoch FROM greatest(paused_until, probe_at) - now())::float8, 0) AS seconds
    """
)
"""Of several requests that meet one pause only the first is counted: the others were on their way when it began."""


@dataclass(slots=True)
class Known:
    """What the row said last. `until` and `opens_at` are of this process's clock."""

    until: float = 0
    tokens: int = 0
    refills_at: float = 0
    """Where the row had little left: when it is worth asking for more, several at once."""
    broken: bool = False
    throttled: bool = False
    opens_at: float = 0
    marked: bool = False
    """Whether a success has something to reset."""


class SharedGate:
    """`Gate` on a row. One for each key and process."""

    def __init__(self, engine: AsyncEngine, key: str) -> None:
        self.per_second = PER_SECOND
        self.burst_seconds = BURST_SECONDS
        self._engine = engine
        self._key = key
        self._room = asyncio.Semaphore(IN_FLIGHT)
        self._turn = asyncio.Lock()
        self._known = Known()
        self._reports = 0

    @asynccontextmanager
    async def passing(self) -> AsyncGenerator[Passage]:
        self._refuse()
        async with self._room:
            probe = await self._enter()
            passage = Passage()
            try:
                yield passage
            finally:
                # Before the room is given on: whoever comes next knows what came of this one.
                await self._leave(passage, probe=probe)

    def _refuse(self) -> None:
        """Raises `Closed` where that was known a moment ago."""
        known, now = self._known, time.monotonic()
        left = known.opens_at - now
        if now < known.until and left > (0 if known.broken else PATIENCE_SECONDS):
            raise Closed(left, throttled=known.throttled)

    async def _enter(self) -> bool:
        """Takes a token; whether it is that of a probe."""
        async with self._turn:
            while True:
                self._refuse()
                known, now = self._known, time.monotonic()
                if known.tokens and now < known.until and now >= known.opens_at:
                    known.tokens -= 1
                    return False
                if now < known.refills_at:
                    await asyncio.sleep(known.refills_at - now)
                    continue
                row = await self._take()
                if row is None:
                    continue
                if row.probes:
                    # What was granted is this one request: the next must look again.
                    self._known.tokens = 0
                    return True
                if row.closed:
                    self._refuse()
                elif row.seconds > TOKEN_PATIENCE_SECONDS:
                    raise Closed(row.seconds, throttled=True)
                if not row.granted:
                    await asyncio.sleep(row.seconds)

    async def _take(self) -> Any:
        """What the row says; None where something was reported meanwhile, and the answer may be older than that."""
        reports = self._reports
        words = {
            "key": self._key,
            "per_second": self.per_second,
            "burst_seconds": self.burst_seconds,
            "mending": MENDING_SECONDS,
            "handful": HANDFUL_SECONDS,
            "probe_seconds": PROBE_SECONDS,
        }
        row = await self._row(TAKE, words)
        if row is None:
            await self._row(MAKE, {"key": self._key, "burst": self.per_second * self.burst_seconds})
            row = await self._row(TAKE, words)
        if self._reports != reports and not row.probes:
            return None
        self._learn(row, tokens=math.floor(row.granted))
        if not (row.closed or row.probes) and row.granted < row.wanted:
            self._known.refills_at = time.monotonic() + GATHERING_SECONDS
        return row

    async def _leave(self, passage: Passage, *, probe: bool) -> None:
        outcome = passage.outcome
        if outcome is None or (outcome is Outcome.WELL and not probe and not self._known.marked):
            return
        pausing = outcome in (Outcome.THROTTLED, Outcome.OVERLOADED)
        words = {
            "key": self._key,
            "failed": outcome in (Outcome.FAILED, Outcome.OVERLOADED),
            "pausing": pausing,
            "slowing": outcome is Outcome.THROTTLED,
            "probe": probe,
            "wait": min(passage.wait, LONGEST_WAIT) if pausing and passage.wait is not None else None,
            "jitter": random.uniform(0.5, 1),  # noqa: S311 - spreading load, not guarding a secret
            "limit": FAILURES,
            "first_probe": FIRST_PROBE_SECONDS,
            "longest_jitter": LONGEST_JITTER,
            "slowest": SLOWEST,
            "mending": MENDING_SECONDS,
        }
        try:
            row = await self._row(REPORT, words)
        except (SQLAlchemyError, OSError) as error:
            # The answer is here, and worth more than this note of it.
            log.warning("gate.unreported", key=self._key, error=type(error).__name__)
            return
        self._reports += 1
        if row is not None:
            self._learn(row, tokens=self._known.tokens)

    def _learn(self, row: Any, *, tokens: int) -> None:
        now = time.monotonic()
        self._known = Known(
            until=now + BELIEVED_SECONDS,
            tokens=0 if row.closed else tokens,
            broken=row.broken,
            throttled=row.throttled,
            opens_at=now + row.seconds if row.closed else 0,
            marked=row.marked,
        )

    async def _row(self, statement: TextClause, words: Mapping[str, object]) -> Any:
        async with self._engine.connect() as connection:
            result = await connection.execute(statement, words)
            return result.first() if result.returns_rows else None


class Gates:
    """The gates of one process. `seats` is how many of its jobs may be at one connection at the same time: the others' places
    are kept for those who wait for somebody else."""

    def __init__(self, engine: AsyncEngine, seats: int) -> None:
        # A statement is a transaction of its own: one round trip.
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._gates: dict[str, SharedGate] = {}
        self._seats = seats
        self._taken: Counter[str] = Counter()
        self._waiting: dict[str, dict[UUID, Claim]] = defaultdict(dict)
        self._freed: list[str] = []

    def of(self, key: str, per_second: float | None = None) -> SharedGate:
        """The gate of this key. `per_second` is what the other side is known to bear."""
        gate = self._gates.get(key) or self._gates.setdefault(key, SharedGate(self._engine, key))
        gate.per_second, gate.burst_seconds = (per_second, 1.0) if per_second else (PER_SECOND, BURST_SECONDS)
        return gate

    @contextmanager
    def seat(self, key: str, seconds: float = 1.0) -> Generator[None]:
        """A place for a job that will be busy with this connection. Raises `Crowded` where there are none left: to come back
        in `seconds` or somewhat later."""
        if self._taken[key] >= self._seats:
            raise Crowded(key, seconds)
        self._taken[key] += 1
        try:
            yield
        finally:
            self._taken[key] -= 1
            if self._waiting[key]:
                self._freed.append(key)

    def turned_away(self, key: str, claim: Claim) -> None:
        """Somebody who found no place, and has given the job back. Beyond so many they come back by themselves only."""
        if len(self._waiting[key]) < LINE:
            self._waiting[key][claim.id] = claim

    def freed(self) -> list[str]:
        """The keys of the places that have become free since the last call while somebody waited."""
        keys, self._freed = self._freed, []
        return keys

    def next_in_line(self, key: str) -> Claim | None:
        """Who was turned away first and has not been called since."""
        waiting = self._waiting[key]
        return waiting.pop(next(iter(waiting))) if waiting else None
