"""The sandbox, but far away: `python -m bench.far --data FOLDER --latency MILLISECONDS`. Every answer waits so long first,
as it does between real servers."""

import argparse
import asyncio
import contextlib
import sys
from pathlib import Path

import uvloop
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.ehr.app import create_app as create_ehr
from sandbox.ehr.store import Store as EhrStore
from sandbox.platform.app import create_app as create_platform
from sandbox.platform.store import Store as PlatformStore
from sandbox.serve import EHR_FILE, PLATFORM_FILE, serving


def delayed(app: ASGIApp, seconds: float) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(seconds)
        await app(scope, receive, send)

    return answer


async def serve(data: Path, seconds: float) -> None:
    with (
        contextlib.closing(EhrStore(data / EHR_FILE)) as ehr_store,
        contextlib.closing(PlatformStore(data / PLATFORM_FILE)) as platform_store,
    ):
        async with (
            serving(delayed(create_ehr(ehr_store), seconds)) as ehr,
            serving(delayed(create_platform(platform_store), seconds)) as platform,
        ):
            sys.stdout.write(f"EHR {ehr}/fhir\nPlatform {platform}\n")
            sys.stdout.flush()
            await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--latency", type=float, required=True)
    options = parser.parse_args()
    uvloop.run(serve(options.data, options.latency / 1000))
