"""A worker with one more kind of work: whoever does it dies of it."""

import asyncio
import os
import signal

from app.core.logs import configure
from app.core.resources import Resources
from app.core.settings import settings
from app.core.work import Claim
from tasks.broker import JOBS, run_worker
from tasks.runtime import Job

DEADLY = "faults.deadly"


async def die(_resources: Resources, _claim: Claim) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    configure()
    JOBS[DEADLY] = Job(run=die)
    asyncio.run(run_worker(settings()))
