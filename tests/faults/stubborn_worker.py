"""A worker with two more kinds of work: one waits, and stops when it is told to; the other does not listen."""

import asyncio
import time

from app.core.logs import configure
from app.core.resources import Resources
from app.core.settings import settings
from app.core.work import Claim
from tasks.broker import JOBS, run_worker
from tasks.runtime import Job

PATIENT, STUBBORN = "faults.patient", "faults.stubborn"


async def wait(_resources: Resources, _claim: Claim) -> None:
    await asyncio.sleep(300)


async def hang(_resources: Resources, _claim: Claim) -> None:
    """A thread that nobody can interrupt, as one that waits for a disk which is gone."""
    await asyncio.to_thread(time.sleep, 300)


if __name__ == "__main__":
    configure()
    JOBS[PATIENT] = Job(run=wait)
    JOBS[STUBBORN] = Job(run=hang)
    asyncio.run(run_worker(settings()))
