"""What the tests of faults measure: kept while they run, and written into `docs/reliability.md` by `make faults`."""

import json
import os
import platform
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.faults.scale import FULL
from tests.faults.table import ROWS, Row

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "reliability.md"
KEPT = ROOT / "docs" / "reliability.json"
BEGIN, END = "<!-- figures: written by `make faults` -->", "<!-- end of the figures -->"


@dataclass
class Figures:
    """Figures by the row of the table that they belong to. A row that was not measured this time keeps its last ones."""

    taken: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    began: float = field(default_factory=time.monotonic)

    def note(self, row: str, **values: float | str) -> None:
        """`note("killed-worker", kills=50, lost=0)`; a name's underscores are shown as spaces."""
        assert row in {it.name for it in ROWS}, row
        self.taken.setdefault(row, {}).update(
            {name: round(value, 2) if isinstance(value, float) else value for name, value in values.items()}
        )

    def write(self) -> None:
        """Only what was measured at full scale is told to anybody."""
        if not (FULL and self.taken):
            return
        kept: dict[str, Any] = json.loads(KEPT.read_text()) if KEPT.exists() else {}
        machine = f"{os.cpu_count()} processors, Python {platform.python_version()}"
        for row, values in self.taken.items():
            kept[row] = {"on": datetime.now(UTC).date().isoformat(), "machine": machine, "figures": values}
        KEPT.write_text(json.dumps(dict(sorted(kept.items())), indent=2) + "\n")
        if PAGE.exists():
            PAGE.write_text(filled(PAGE.read_text(), kept))


def filled(page: str, kept: dict[str, Any]) -> str:
    """The page with a new table between its two marks."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{table(kept)}{END}{rest.partition(END)[2]}"


def table(kept: dict[str, Any]) -> str:
    lines = ["| fault | expectation | measured | on | again |", "|---|---|---|---|---|"]
    lines += [_line(row, kept.get(row.name)) for row in ROWS]
    return "\n".join(lines) + "\n"


def _line(row: Row, found: dict[str, Any] | None) -> str:
    measured = ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in (found or {"figures": {}})["figures"].items()
    )
    return (
        f"| {row.fault} | {row.expectation} | {measured or row.instead} | {found['on'] if found else '–'} "
        f"| `make faults ARGS=\"-k '{row.again}'\"` |"
    )
