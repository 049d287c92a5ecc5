"""A result as a table for people, and as JSON for programs."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bench.storing import Pair
from bench.sync import MEANT, MEASURES, RATIOS, Result, Spread


def as_text(result: Result) -> str:
    machine = f"{os.cpu_count()} processors, Python {platform.python_version()}"
    far = f"; every answer of the EHR and of the platform {result.latency:g} ms late" if result.latency else ""
    files = ", ".join(f"{count} {name}" for name, count in result.mix.formats.items())
    lines = [
        f"One synchronisation of {result.documents} documents of one patient; rounds: {result.rounds}; {machine}{far}.",
        f"Files: {files}; {result.mix.bytes / 1e6:.1f} MB.",
        "",
        f"{'':4}{'':52}{'seconds: median (min–max)':>28}  processor seconds, median",
    ]
    for name, (words, _) in MEASURES.items():
        cpu = "  ".join(f"{process} {spread.median:.2f}" for process, spread in result.cpu(name).items())
        lines.append(f"{name:4}{words:52}{_shown(result.seconds(name)):>28}  {cpu or '–'}")
        if alone := result.run_seconds(name):
            lines.append(f"{'':4}{'  of that the run itself, by the database’s clock':52}{_shown(alone):>28}")
    lines += ["", f"{'':4}{'':52}{'ratio: median (min–max)':>28}"]
    for loop, ours in RATIOS:
        mark = "  ← the target: at least 0.7" if (loop, ours) == MEANT else ""
        lines.append(f"{'':4}{f'time of {loop} / time of {ours}':52}{_shown(result.ratio(loop, ours)):>28}{mark}")
        if by_cpu := result.cpu_ratio(loop, ours):
            lines.append(f"{'':4}{'  the same by processor time, loop / worker':52}{_shown(by_cpu):>28}")
    return "\n".join(lines)


BESIDE = {
    "ingest": ("First storing of {} documents beside one COPY of the same rows", 0.9),
    "resync": ("Finding that none of {} documents has changed beside one look-up by the mapper each", 100),
}


def of_pairs(what: str, documents: int, pairs: Sequence[Pair], *, as_json: bool) -> str:
    """The yardstick's time over ours, round by round."""
    words, target = BESIDE[what]
    spread = Spread.of([pair.ratio for pair in pairs])
    if as_json:
        return json.dumps(
            {"what": what, "documents": documents, "ratio": asdict(spread), "rounds": [*map(asdict, pairs)]}
        )
    return f"{words.format(documents)}: {_shown(spread)} in {len(pairs)} rounds; the target is at least {target:g}."


def _shown(spread: Spread) -> str:
    return f"{spread.median:.2f} ({spread.least:.2f}–{spread.most:.2f})"


def as_json(result: Result) -> dict[str, Any]:
    return {
        "documents": result.documents,
        "rounds": result.rounds,
        "latency_ms": result.latency,
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "mix": asdict(result.mix),
        "measures": {
            name: {
                "what": words,
                "seconds": asdict(result.seconds(name)),
                "cpu_seconds": {process: asdict(spread) for process, spread in result.cpu(name).items()},
                "rounds": [asdict(it) for it in result.measured[name]],
            }
            for name, (words, _) in MEASURES.items()
        },
        "ratios": {
            f"{loop}/{ours}": {
                "seconds": asdict(result.ratio(loop, ours)),
                "cpu": asdict(by_cpu) if (by_cpu := result.cpu_ratio(loop, ours)) else None,
            }
            for loop, ours in RATIOS
        },
        "meant": "/".join(MEANT),
    }
