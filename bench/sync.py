"""Rounds of one synchronisation each, our engine and the bare loops in turn, so that a busy machine slows both."""

import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import bare, engine
from bench.documents import Mix
from bench.measured import Measured
from bench.stage import Stage, raised

MEASURES: dict[str, tuple[str, Callable[[Stage], Measured]]] = {
    "A1": ("engine, into our records", partial(engine.measure, publish=False)),
    "B1": ("bare loop: same pages and files, one at a time", bare.sequential),
    "A3": ("the same, watched live by a subscriber", partial(engine.measure, publish=False, watched=True)),
    "A2": ("engine, into our records and the platform", partial(engine.measure, publish=True)),
    "B2": ("bare loop: the same, and each file to the platform", bare.publishing),
    "B8": ("bare loop: eight files at a time", bare.eight_at_once),
}
RATIOS = (("B1", "A1"), ("B1", "A3"), ("B2", "A2"), ("B8", "A1"))
"""Time of the first over time of the second, in the same round. 1 is as fast as the bare loop, 0.5 half as fast."""
MEANT = ("B1", "A1")
"""The ratio of which the project's target speaks."""


@dataclass(frozen=True, slots=True)
class Spread:
    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Result:
    documents: int
    rounds: int
    latency: float
    mix: Mix
    measured: dict[str, list[Measured]]

    def seconds(self, name: str) -> Spread:
        return Spread.of([it.seconds for it in self.measured[name]])

    def run_seconds(self, name: str) -> Spread | None:
        values = [it.run_seconds for it in self.measured[name] if it.run_seconds is not None]
        return Spread.of(values) if values else None

    def cpu(self, name: str) -> dict[str, Spread]:
        processes = dict.fromkeys(process for it in self.measured[name] for process in it.cpu)
        return {process: Spread.of([it.cpu[process] for it in self.measured[name]]) for process in processes}

    def ratio(self, bare_name: str, ours: str) -> Spread:
        pairs = zip(self.measured[bare_name], self.measured[ours], strict=True)
        return Spread.of([loop.seconds / own.seconds for loop, own in pairs])

    def cpu_ratio(self, bare_name: str, ours: str) -> Spread | None:
        """The bare loop's processor time over the worker's: steadier than the clock where others are busy too."""
        pairs = zip(self.measured[bare_name], self.measured[ours], strict=True)
        found = [loop.cpu["loop"] / own.cpu["worker"] for loop, own in pairs if own.cpu.get("worker")]
        return Spread.of(found) if found else None


def run(folder: Path, documents: int, rounds: int, latency: float) -> Result:
    measured: dict[str, list[Measured]] = {name: [] for name in MEASURES}
    with raised(folder, documents, latency) as stage:
        for number in range(1, rounds + 1):
            for name, (_, measure) in MEASURES.items():
                found = measure(stage)
                measured[name].append(found)
                sys.stderr.write(f"round {number} of {rounds}: {name} {found.seconds:.2f} s\n")
    return Result(documents, rounds, latency, stage.mix, measured)
