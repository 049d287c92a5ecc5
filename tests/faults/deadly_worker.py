"""A worker with more kinds of work: one does no harm, the others raise, kill their process, or devour its memory."""

import asyncio
import os
import resource
import signal

from app.core import work
from app.core.logs import configure
from app.core.resources import Resources
from app.core.settings import settings
from app.core.work import Claim
from tasks.broker import JOBS, run_worker
from tasks.runtime import Job

HARMLESS, RAISING, DEADLY, GREEDY = "faults.harmless", "faults.raising", "faults.deadly", "faults.greedy"
ROOM = 2 << 30
"""Bytes of address space that this process may have more than it begins with: a container's limit, in small."""


async def do_no_harm(resources: Resources, claim: Claim) -> None:
    await asyncio.sleep(0.02)
    async with resources.db.transaction() as session:
        await work.finish(session, claim)


async def fail(_resources: Resources, _claim: Claim) -> None:
    raise LookupError("as always")


async def die(_resources: Resources, _claim: Claim) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def devour(_resources: Resources, _claim: Claim) -> None:
    bytearray(4 << 30)


def limit_memory() -> None:
    pages = int(open("/proc/self/statm").read().split()[0])  # noqa: PTH123, SIM115 - gone with the process
    limit = pages * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    configure()
    JOBS[HARMLESS] = Job(run=do_no_harm)
    JOBS[RAISING] = Job(run=fail)
    JOBS[DEADLY] = Job(run=die)
    JOBS[GREEDY] = Job(run=devour)
    limit_memory()
    asyncio.run(run_worker(settings()))
