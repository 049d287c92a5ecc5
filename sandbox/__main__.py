"""`python -m sandbox --ehr-port 18110 --platform-port 18301 --data .data/sandbox [--open] [--fault missing-next]`."""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvicorn

from sandbox.ehr.store import Store
from sandbox.faults.rules import WrongRules
from sandbox.serve import EHR_FILE, serve


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox", description="An EHR and a care platform to develop against."
    )
    parser.add_argument("--ehr-port", type=int, default=18110)
    parser.add_argument("--platform-port", type=int, default=18301)
    parser.add_argument("--data", type=Path, default=Path(".data/sandbox"))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument(
        "--open",
        action="store_true",
        default=bool(os.environ.get("SANDBOX_OPEN")),
        help="the EHR answers callers without credentials from now on (also: SANDBOX_OPEN=1)",
    )
    for server in ("fault", "platform-fault"):
        parser.add_argument(
            f"--{server}",
            action="append",
            default=[],
            type=_rule,
            metavar="RULE",
            help=f"a fault of the {'EHR' if server == 'fault' else 'platform'}: its name, or a rule as JSON",
        )
    options = parser.parse_args(arguments)
    if options.open:
        store = Store(options.data / EHR_FILE)
        store.set_open(True)
        store.close()
    loops = uvicorn.Config("", loop="auto").get_loop_factory()
    with asyncio.Runner(loop_factory=loops) as runner, suppress(asyncio.CancelledError):
        runner.run(_until_signalled(options))


def _rule(text: str) -> dict[str, Any]:
    if not text.startswith("{"):
        return {"fault": text}
    rule: dict[str, Any] = json.loads(text)
    return rule


async def _until_signalled(options: argparse.Namespace) -> None:
    """Ended by SIGTERM or SIGINT, which is how a sandbox is meant to end: status 0."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def end(*_: object) -> None:
        if task:
            loop.call_soon_threadsafe(task.cancel)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    try:
        await serve(
            options.data,
            options.ehr_port,
            options.platform_port,
            host=options.host,
            ready=_announce,
            ehr_faults=options.fault,
            platform_faults=options.platform_fault,
        )
    except WrongRules as wrong:
        sys.exit(str(wrong))


def _announce(ehr: str, platform: str) -> None:
    sys.stdout.write(f"EHR {ehr}\nPlatform {platform}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
