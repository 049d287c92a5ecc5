"""The table of faults, the tests and the page that tells of them belong together."""

import ast
import re
from functools import lru_cache
from pathlib import Path

import pytest

from tests.faults.figures import BEGIN, END, PAGE, filled
from tests.faults.scale import percentile
from tests.faults.table import ROWS, Row

FOLDERS = [Path(__file__).parent, *(Path(__file__).parent.parent / name for name in ("api", "core", "tasks"))]


@lru_cache
def all_tests() -> set[str]:
    trees = [ast.parse(path.read_text()) for folder in FOLDERS for path in folder.glob("test_*.py")]
    return {
        node.name
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_fault_has_tests(row: Row) -> None:
    assert row.tests
    for wanted in row.tests:
        assert any(name.startswith(wanted) for name in all_tests()), wanted


def test_every_fault_stands_on_the_page_with_the_command_to_repeat_it() -> None:
    shown = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    for row in ROWS:
        assert re.search(rf"^\| {re.escape(row.fault)} \|.*make faults", shown, re.MULTILINE), row.name


def test_new_figures_replace_the_old_ones_and_leave_the_rest_of_the_page() -> None:
    page = f"Before.\n{BEGIN}\n| old |\n{END}\nAfter.\n"
    kept = {ROWS[0].name: {"on": "2026-01-01", "figures": {"kills": 50, "lost": 0}}}

    found = filled(page, kept)

    assert found.startswith(f"Before.\n{BEGIN}\n| fault |")
    assert found.endswith(f"{END}\nAfter.\n")
    assert "kills 50, lost 0" in found
    assert "| old |" not in found
    assert filled(found, kept) == found


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([float(n) for n in range(1, 101)], 0.95) == 95.0
    assert percentile([7.0], 0.95) == 7.0
