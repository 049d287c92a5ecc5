"""The house rules that a linter does not know."""

import ast
import re
from collections.abc import Callable, Iterator

import pytest

from tests.architecture.source import ROOT, Source, calls, functions, git, parsed, sources

MAX_FILE = 400
MAX_FUNCTION = 40
UNFINISHED = re.compile(r"\b(TODO|FIXME)\b")
# Put together here, so that this file does not name what no file may name.
REGISTRIES = ("pypi org", "pythonhosted org", "npmjs org", "npmjs com", "yarnpkg com")
HOST = re.compile("|".join(words.replace(" ", "[.]") for words in REGISTRIES))
MACHINE_PATH = re.compile(r"(?<![\w.\-/}])/(work|root|home)/[\w.]")

Check = Callable[[Source], Iterator[str]]


def ends_transactions(source: Source) -> Iterator[str]:
    if source.path == "app/core/db.py" or source.path.startswith("app/migrations/"):
        return
    for node, name, on in calls(source):
        if name in ("commit", "rollback") and on is not None:
            yield f"{source.at(node)}: the edge ends transactions; use `db.transaction()` instead of `.{name}()`"


def selects(source: Source) -> Iterator[str]:
    if source.path.startswith(("app/core/", "seeds/")) or source.name in ("queries.py", "policies.py"):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sqlalchemy"):
            for alias in node.names:
                if alias.name == "select":
                    yield f"{source.at(node)}: move the read into the context's queries.py and call it from here"
    for node, name, on in calls(source):
        if name == "select" and isinstance(on, ast.Name) and on.id in ("sa", "sqlalchemy"):
            yield f"{source.at(node)}: move the read into the context's queries.py and call it from here"


def publishes(source: Source) -> Iterator[str]:
    """Modules of ours may have a function `publish`; what a client of Redis offers is for one file only."""
    if source.path == "app/core/signals.py":
        return
    ours = {
        alias.asname or alias.name
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in ("app", "tasks")
        for alias in node.names
    }
    for node, name, on in calls(source):
        if name in ("publish", "spublish") and on is not None and not (isinstance(on, ast.Name) and on.id in ours):
            yield f"{source.at(node)}: put it into the outbox (`core.events.append`); only core/signals.py publishes"


def hidden_imports(source: Source) -> Iterator[str]:
    for function in functions(source):
        for node in ast.walk(function):
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield f"{source.at(node)}: import at the top of the file; a cycle means that something lies too high"


def long_functions(source: Source) -> Iterator[str]:
    if source.path.startswith("app/migrations/versions/"):
        return
    for function in functions(source):
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        if lines >= MAX_FUNCTION:
            yield f"{source.at(function)}: {function.name} has {lines} lines; name a part of it and take it out"


def long_file(source: Source) -> Iterator[str]:
    lines = len(source.text.splitlines())
    if lines >= MAX_FILE:
        yield f"{source.path}: {lines} lines; it holds more than one concept: give one of them a file"


def swallowed(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler) and all(_does_nothing(it) for it in node.body):
            yield f"{source.at(node)}: say why with `contextlib.suppress(NarrowError)` and a comment, or handle it"


def _does_nothing(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def prints(source: Source) -> Iterator[str]:
    if source.path.startswith("app/cli/"):
        return
    for node, name, on in calls(source):
        if name == "print" and on is None:
            yield f"{source.at(node)}: log it with structlog; only the command line prints"


def unfinished(source: Source) -> Iterator[str]:
    for number, line in enumerate(source.text.splitlines(), start=1):
        if UNFINISHED.search(line):
            yield f"{source.path}:{number}: finish it, or leave it out"


CHECKS: tuple[Check, ...] = (
    ends_transactions,
    selects,
    publishes,
    hidden_imports,
    long_functions,
    long_file,
    swallowed,
    prints,
    unfinished,
)
OFFENCES: dict[Check, str] = {
    ends_transactions: "async def f(session):\n    await session.commit()\n",
    selects: "from sqlalchemy import func, select\n",
    publishes: "async def f(client):\n    await client.redis.publish('channel', '1')\n",
    hidden_imports: "def f():\n    import json\n    return json\n",
    long_functions: "def f():\n" + "    x = 1\n" * MAX_FUNCTION,
    long_file: "x = 1\n" * MAX_FILE,
    swallowed: "try:\n    x = 1\nexcept ValueError:\n    pass\n",
    prints: "print('hello')\n",
    unfinished: "# TO" + "DO: later\n",
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda it: it.__name__)
def test_the_house_rule_is_kept(check: Check) -> None:
    found = [line for source in sources() for line in check(source)]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("check", CHECKS, ids=lambda it: it.__name__)
def test_the_house_rule_notices_an_offence(check: Check) -> None:
    assert list(check(parsed("app/domain/somewhere/commands.py", OFFENCES[check])))


def test_tests_stay_below_the_length_of_a_file_too() -> None:
    lengths = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in (ROOT / "tests").rglob("*.py")}
    found = [f"{path}: {lines} lines; split it by promise" for path, lines in lengths.items() if lines >= MAX_FILE]
    assert not found, "\n" + "\n".join(found)


def committed_texts() -> Iterator[tuple[str, str]]:
    listed = git("ls-files", "--cached", "--others", "--exclude-standard")
    if listed is None:
        pytest.skip("not a git checkout: which files are the project's is not known")
    for name in listed.splitlines():
        path = ROOT / name
        if path.is_file() and path.stat().st_size < 5_000_000:
            yield name, path.read_bytes().decode("utf-8", errors="ignore")


@pytest.mark.parametrize(
    ("pattern", "advice"),
    [
        (HOST, "leave the registry to whoever installs: write the lock file without hosts"),
        (MACHINE_PATH, "name it relative to the project, or make it a setting"),
    ],
    ids=["package registries", "paths of one machine"],
)
def test_no_file_depends_on_where_it_was_written(pattern: re.Pattern[str], advice: str) -> None:
    found = [
        f"{name}:{text.count(chr(10), 0, hit.start()) + 1}: {hit.group()!r}; {advice}"
        for name, text in committed_texts()
        for hit in pattern.finditer(text)
    ]
    assert not found, "\n" + "\n".join(found)
