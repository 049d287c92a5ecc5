"""How much of a fault a test brings about: a little with every test run, the numbers of the table with `make faults`."""

import os
from typing import TypeVar

FULL = os.environ.get("FAULTS") == "full"
SEED = 20260101

T = TypeVar("T")


def scaled(short: T, full: T) -> T:
    return full if FULL else short


def percentile(values: list[float], share: float) -> float:
    """The smallest value that `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * int(share * 100) // 100) - 1))]
