"""Hints again for every job that is due: whatever Redis has lost is found within seconds."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.core import work
from app.core.resources import Resources
from app.core.signals import Outbox

log = structlog.get_logger(__name__)

INTERVAL = 1.0


async def sweep(resources: Resources, do_here: Callable[[UUID], Awaitable[None]]) -> int:
    """One round. Where Redis is away, the jobs are done in this process without it."""
    async with resources.db.transaction() as session:
        due = await work.due(session)
    if due and not await resources.db.signals.send(Outbox(hints=due)):
        for work_id in due:
            await do_here(work_id)
    return len(due)


async def sweep_for_ever(resources: Resources, do_here: Callable[[UUID], Awaitable[None]]) -> None:
    while True:
        try:
            await sweep(resources, do_here)
        except (SQLAlchemyError, OSError) as error:
            log.warning("sweeper.failed", error=type(error).__name__)
        await asyncio.sleep(INTERVAL)
