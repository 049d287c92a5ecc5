"""The product's sources, parsed once for all checks."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
FOLDERS = ("app", "tasks", "seeds", "sandbox")


@dataclass(frozen=True, slots=True)
class Source:
    """A file: `path` relative to the project, with forward slashes."""

    path: str
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    def at(self, node: ast.AST) -> str:
        return f"{self.path}:{getattr(node, 'lineno', 1)}"


@lru_cache
def sources() -> tuple[Source, ...]:
    paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    return tuple(parsed(path.relative_to(ROOT).as_posix(), path.read_text()) for path in paths)


def parsed(path: str, text: str) -> Source:
    return Source(path, text, ast.parse(text))


def calls(source: Source) -> Iterator[tuple[ast.Call, str, ast.expr | None]]:
    """Every call, the last part of what is called, and what it is called on (None for a plain name)."""
    for node in ast.walk(source.tree):
        match node:
            case ast.Call(func=ast.Attribute(value=on, attr=name)):
                yield node, name, on
            case ast.Call(func=ast.Name(id=name)):
                yield node, name, None
            case _:
                continue


def functions(source: Source) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def git(*words: str) -> str | None:
    """What git answers; None where this is no checkout, or where it knows no such thing."""
    try:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=False, timeout=60)
    except FileNotFoundError:
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None
