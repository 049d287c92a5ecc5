"""Finds every job that is due, and does it here: whatever Redis has lost is found within seconds, with or without Redis."""

import asyncio
from typing import Protocol
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.core import work
from app.core.resources import Resources

log = structlog.get_logger(__name__)

INTERVAL = 1.0
SHORTEST = 0.05
"""Seconds from one look to the next: none is later than the first one, and what is due sooner is not waited for longer."""
LOOKED_AT = 8
"""Jobs for each free place: most of those that are due for somebody else's reason are put back at once."""


class Places(Protocol):
    """Who does the jobs."""

    def room(self) -> int:
        """How many jobs could begin at once."""
        ...

    def do_here(self, work_id: UUID) -> None:
        """Starts a job as soon as there is a place."""
        ...


async def sweep(resources: Resources, places: Places) -> int:
    """One round. Who has no room does not look: others may have some, and what is marked as taken waits for it."""
    room = places.room()
    if room <= 0:
        return 0
    async with resources.db.transaction() as session:
        due = await work.due(session, room * LOOKED_AT)
    for work_id in due:
        places.do_here(work_id)
    return len(due)


async def _pause(resources: Resources) -> float:
    async with resources.db.reading() as session:
        seconds = await work.next_due(session)
    return INTERVAL if seconds is None else min(max(seconds, SHORTEST), INTERVAL)


async def sweep_for_ever(resources: Resources, places: Places) -> None:
    while True:
        pause = INTERVAL
        try:
            await sweep(resources, places)
            pause = await _pause(resources)
        except (SQLAlchemyError, OSError) as error:
            log.warning("sweeper.failed", error=type(error).__name__)
        await asyncio.sleep(pause)
