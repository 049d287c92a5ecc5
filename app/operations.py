"""The operation documents in `graphql/`: what first-party clients send, word for word."""

import re
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "graphql"
SPREAD = re.compile(r"\.\.\.\s*(?!on\b)(\w+)")


@lru_cache
def paths() -> dict[str, Path]:
    """Every operation and fragment by its name, which is its file's."""
    return {path.stem: path for path in sorted(FOLDER.glob("*/*.graphql"))}


@lru_cache
def operation(name: str) -> str:
    """An operation with the fragments that it uses, each once."""
    parts: dict[str, str] = {}
    wanted = [name]
    while wanted:
        part = wanted.pop()
        if part not in parts:
            parts[part] = paths()[part].read_text()
            wanted += SPREAD.findall(parts[part])
    return "\n".join(parts.values())
