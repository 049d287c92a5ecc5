"""`graphql/` is the contract between server, console, command line and tests."""

from pathlib import Path

import pytest
from graphql import FragmentDefinitionNode, FragmentSpreadNode, OperationDefinitionNode, Visitor, parse, validate, visit

from app import operations
from app.schema import schema
from tests.architecture.source import ROOT

FOLDER = ROOT / "graphql"
FILES = sorted(FOLDER.rglob("*.graphql"))
CONTEXTS = {path.name for path in (ROOT / "app" / "domain").iterdir() if path.is_dir()} | {"shared", "work"}


def definition(path: Path) -> OperationDefinitionNode | FragmentDefinitionNode:
    (found,) = parse(path.read_text()).definitions
    assert isinstance(found, OperationDefinitionNode | FragmentDefinitionNode)
    return found


OPERATIONS = [path for path in FILES if isinstance(definition(path), OperationDefinitionNode)]
FRAGMENTS = [path for path in FILES if path not in OPERATIONS]


class Spreads(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: object) -> None:
        self.names.add(node.name.value)


def spreads(text: str) -> set[str]:
    found = Spreads()
    visit(parse(text), found)
    return found.names


@pytest.mark.parametrize("path", FILES, ids=lambda it: it.stem)
def test_a_file_holds_one_definition_of_its_own_name(path: Path) -> None:
    assert len(parse(path.read_text()).definitions) == 1, f"{path.name}: one definition a file"
    found = definition(path)
    assert found.name is not None, f"{path.name}: name the operation {path.stem}"
    assert found.name.value == path.stem, f"{path.name}: file and definition carry one name"


@pytest.mark.parametrize("path", OPERATIONS, ids=lambda it: it.stem)
def test_an_operation_is_valid_with_its_fragments(path: Path) -> None:
    whole = operations.operation(path.stem)
    errors = validate(schema._schema, parse(whole))
    assert not errors, f"{path.name}: " + "; ".join(error.message for error in errors)
    assert whole.startswith(path.read_text()), f"{path.name}: the operation comes first, its fragments follow"


def test_every_fragment_is_used() -> None:
    used = {name for path in FILES for name in spreads(path.read_text())}
    found = [f"{path.name}: use it or delete it" for path in FRAGMENTS if path.stem not in used]
    assert not found, "\n" + "\n".join(found)


def test_every_file_is_reachable_by_its_name() -> None:
    assert sorted(operations.paths().values()) == FILES, "two files carry one name, or one lies too deep"


def test_every_file_lies_in_the_folder_of_a_context() -> None:
    found = [
        f"{path.relative_to(ROOT)}: move it to one of {sorted(CONTEXTS)}"
        for path in FILES
        if path.parent.name not in CONTEXTS
    ]
    assert not found, "\n" + "\n".join(found)


def test_nothing_in_the_folder_shadows_the_library() -> None:
    others = [path for path in FOLDER.rglob("*") if path.is_file() and path.suffix != ".graphql"]
    assert not others, f"only .graphql files: a module here would shadow graphql-core: {others}"
