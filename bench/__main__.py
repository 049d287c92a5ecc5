"""`python -m bench sync [--documents 1000] [--rounds 3] [--latency MS] [--json]`."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import report, sync
from bench.measured import Wrong


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Compares our engine with a bare loop, in turn. The ratios count; seconds are this machine's.",
    )
    parser.add_argument("what", nargs="?", choices=["sync"], default="sync", help="what to measure")
    parser.add_argument("--documents", type=_positive, default=1000)
    parser.add_argument("--rounds", type=_positive, default=3)
    parser.add_argument("--latency", type=float, default=0, metavar="MS", help="how late EHR and platform answer")
    parser.add_argument("--folder", type=Path, default=Path(".data"), help="on the disk that is to be measured")
    parser.add_argument("--json", action="store_true", help="as JSON")
    options = parser.parse_args(arguments)
    try:
        result = sync.run(options.folder, options.documents, options.rounds, options.latency)
    except Wrong as wrong:
        sys.stderr.write(f"{wrong}\n")
        return 1
    print(json.dumps(report.as_json(result), indent=2) if options.json else report.as_text(result))
    return 0


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


if __name__ == "__main__":
    sys.exit(main())
