"""What one measurement says."""

from dataclasses import dataclass, field


class Wrong(Exception):
    """What was measured did not do the work that it was measured for."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds on the clock, and processor seconds by process. `run_seconds`: the run alone, by the database's clock."""

    seconds: float
    cpu: dict[str, float] = field(default_factory=dict[str, float])
    run_seconds: float | None = None
