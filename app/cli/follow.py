"""`healthrecords sync`: ask for a run and watch it, through a lost connection too."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from app.cli.client import ApiError, Client

RECONNECTS = 20
ENDS = {"SUCCEEDED": 0, "SUCCEEDED_WITH_GAPS": 2, "FAILED": 1, "CANCELLED": 1}


@dataclass(frozen=True, slots=True)
class Wanted:
    url: str
    email: str
    password: str
    patient: str
    full: bool
    follow: bool


class Shown(Protocol):
    """How progress is shown: a bar at a terminal, lines elsewhere, JSON for programs."""

    def event(self, event: dict[str, Any]) -> None: ...
    def said(self, words: str) -> None: ...
    def ended(self, run: dict[str, Any], failures: list[dict[str, Any]]) -> None: ...


class Json:
    def event(self, event: dict[str, Any]) -> None:
        print(json.dumps(event), flush=True)  # noqa: T201

    def said(self, words: str) -> None:
        print(json.dumps({"message": words}), flush=True)  # noqa: T201

    def ended(self, run: dict[str, Any], failures: list[dict[str, Any]]) -> None:
        print(json.dumps({"run": run, "failures": failures}), flush=True)  # noqa: T201


class Lines:
    """Plain lines: one where the stage or the ten per cent change."""

    def __init__(self) -> None:
        self._last: tuple[Any, ...] = ()
        self._console = Console(highlight=False, soft_wrap=True)

    def event(self, event: dict[str, Any]) -> None:
        run = event["run"]
        step = (run["stage"], run["percent"] // 10)
        if step != self._last:
            self._last = step
            self._console.print(f"{run['percent']:3d} %  {run['stage'].lower():<11} {_counts(run)}")

    def said(self, words: str) -> None:
        self._console.print(words)

    def ended(self, run: dict[str, Any], failures: list[dict[str, Any]]) -> None:
        self._console.print(f"{run['status']}: {_counts(run)}")
        if run["error"]:
            self._console.print(f"{run['error']['code']}: {run['error']['message']}")
            self._steps(run["error"]["steps"])
        for failure in failures:
            self._console.print(f"- {failure['reference']}: {failure['message']} ({failure['code']})")
            self._steps(failure["steps"])

    def _steps(self, steps: list[str]) -> None:
        for step in steps:
            self._console.print(f"    · {step}")


class Bar(Lines):
    """A live bar."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress
        self._console = progress.console
        self._task = progress.add_task("queued", total=100, words="")

    def event(self, event: dict[str, Any]) -> None:
        run = event["run"]
        self._progress.update(
            self._task, description=run["stage"].lower(), completed=run["percent"], words=_counts(run)
        )


def _counts(run: dict[str, Any]) -> str:
    counts = run["counts"]
    shown = [f"{counts['discovered']} of {counts['expected']} listed"]
    shown += [
        f"{counts[name]} {name}"
        for name in ("created", "updated", "unchanged", "withdrawn", "failed", "published")
        if counts[name]
    ]
    return " · ".join(shown)


def shown(*, as_json: bool) -> Any:
    """A context manager that gives what fits the terminal."""

    @contextmanager
    def plain() -> Any:
        yield Json() if as_json else Lines()

    @contextmanager
    def bar() -> Any:
        columns = (
            TextColumn("{task.description:>11}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[words]}"),
        )
        with Progress(*columns) as progress:
            yield Bar(progress)

    return plain() if as_json or not sys.stdout.isatty() else bar()


async def synchronise(wanted: Wanted, showing: Any) -> int:
    """0 for a complete success, 2 for one with gaps, 1 for anything else."""
    try:
        async with Client(wanted.url) as client:
            await client.sign_in(wanted.email, wanted.password)
            patient = await _find(client, wanted.patient)
            mode = "FULL" if wanted.full else "INCREMENTAL"
            payload = await client.change("PatientSync", "patientSync", patientId=patient["id"], mode=mode)
            run = payload["syncRun"]
            with showing as screen:
                screen.said(f"{patient['name']}: run {run['id']} is {run['status'].lower()}.")
                return await _watch(client, run["id"], screen) if wanted.follow else 0
    except ApiError as error:
        Console(stderr=True).print(f"{error.code}: {error}", markup=False)
    except httpx.TransportError as error:
        Console(stderr=True).print(f"UNREACHABLE: {wanted.url} does not answer ({type(error).__name__}).", markup=False)
    return 1


async def _find(client: Client, words: str) -> dict[str, Any]:
    data = await client.ask("PatientList", first=5, search=words)
    found = [edge["node"] for edge in data["patients"]["edges"]]
    if not found and (node := (await client.ask("PatientGet", id=words))["patient"]):
        return node
    if len(found) != 1:
        names = ", ".join(it["name"] for it in found) or "nobody"
        raise ApiError("NOT_FOUND" if not found else "AMBIGUOUS", f"«{words}» fits {names}.")
    return found[0]


async def _watch(client: Client, run_id: str, screen: Shown) -> int:
    async with aclosing(_events(client, run_id, screen)) as happened:
        async for event in happened:
            screen.event(event)
    run = (await client.ask("SyncRunGet", id=run_id))["syncRun"]
    screen.ended(run, [edge["node"] for edge in run["failures"]["edges"]])
    return ENDS.get(run["status"], 1)


async def _events(client: Client, run_id: str, screen: Shown) -> AsyncGenerator[dict[str, Any], None]:
    """Every event once: after a lost connection the stream goes on behind the last `seq`."""
    seq, lost = 0, 0
    while True:
        try:
            async with aclosing(client.follow("SyncProgress", runId=run_id, after=seq)) as stream:
                async for data in stream:
                    event = data["syncProgress"]
                    seq, lost = event["seq"], 0
                    yield event
            return
        except (httpx.TransportError, ApiError) as error:
            lost += 1
            if lost > RECONNECTS or (isinstance(error, ApiError) and error.code != "UNAVAILABLE"):
                raise
            screen.said("Connection lost, trying again …")
            await asyncio.sleep(min(0.2 * lost, 2))
