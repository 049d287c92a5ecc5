"""`python -m bench [sync|ingest|resync] [--documents N] [--rounds 3] [--latency MS] [--json]`."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import report, storing, sync
from bench.measured import Wrong

DOCUMENTS = {"sync": 1000, "ingest": 1000, "resync": 10_000}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Compares our engine with a bare loop, in turn. The ratios count; seconds are this machine's.",
    )
    parser.add_argument(
        "what",
        nargs="?",
        choices=[*DOCUMENTS],
        default="sync",
        help="a whole synchronisation beside a bare loop; first storing beside a COPY; finding nothing new beside the mapper",
    )
    parser.add_argument("--documents", type=_positive, help="1,000; for resync 10,000")
    parser.add_argument("--rounds", type=_positive, default=3)
    parser.add_argument("--latency", type=float, default=0, metavar="MS", help="how late EHR and platform answer")
    parser.add_argument("--folder", type=Path, default=Path(".data"), help="on the disk that is to be measured")
    parser.add_argument("--json", action="store_true", help="as JSON")
    options = parser.parse_args(arguments)
    documents = options.documents or DOCUMENTS[options.what]
    if options.what != "sync":
        pairs = getattr(storing, options.what)(options.folder, documents, options.rounds)
        print(report.of_pairs(options.what, documents, pairs, as_json=options.json))
        return 0
    try:
        result = sync.run(options.folder, documents, options.rounds, options.latency)
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
