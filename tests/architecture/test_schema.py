"""The schema is the public documentation: everything in it is described, every root field says who may ask."""

import os
from collections.abc import Iterator

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    build_schema,
    find_breaking_changes,
    is_introspection_type,
    is_specified_directive,
)

from app.api.kit.permission import Anyone, SignedIn
from app.cli.main import EXPORTS
from app.schema import schema, sdl
from tests.architecture.source import ROOT, git

core = schema._schema
ALLOWED = ROOT / "docs" / "breaking-changes.md"
PERMISSIONS = {Anyone, SignedIn}
OPEN = {"sessionCreate", "sessionRefresh"}
"""What a caller without a session may ask for: signing in."""


def described() -> Iterator[tuple[str, str | None]]:
    """Every place of the schema that a reader may wonder about, with its words."""
    for name, shown in core.type_map.items():
        if is_introspection_type(shown):
            continue
        yield name, shown.description
        match shown:
            case GraphQLObjectType() | GraphQLInterfaceType():
                for field_name, field in shown.fields.items():
                    yield f"{name}.{field_name}", field.description
                    for argument_name, argument in field.args.items():
                        yield f"{name}.{field_name}({argument_name}:)", argument.description
            case GraphQLInputObjectType():
                for field_name, input_field in shown.fields.items():
                    yield f"{name}.{field_name}", input_field.description
            case GraphQLEnumType():
                for value_name, value in shown.values.items():
                    yield f"{name}.{value_name}", value.description
            case _:
                continue
    for directive in core.directives:
        if not is_specified_directive(directive):
            yield f"@{directive.name}", directive.description


def test_everything_in_the_schema_is_described() -> None:
    found = [f"{place}: give it a `description=`" for place, words in described() if not (words or "").strip()]
    assert not found, "\n" + "\n".join(found)


def test_a_description_is_a_sentence() -> None:
    found = [
        f"{place}: «{words}»; begin with a capital, end with a full stop"
        for place, words in described()
        if words and place in core.type_map and not is_builtin(place) and words.strip()[-1] not in ".`»)"
    ]
    assert not found, "\n" + "\n".join(found)


def is_builtin(name: str) -> bool:
    return name in {"String", "Int", "Float", "Boolean", "ID", "DateTime", "Date", "UUID", "JSON"}


@pytest.mark.parametrize("root", ["Query", "Mutation", "Subscription"])
def test_every_root_field_says_who_may_ask(root: str) -> None:
    shown = core.type_map[root]
    assert isinstance(shown, GraphQLObjectType)
    assert shown.fields
    found: list[str] = []
    for name, field in shown.fields.items():
        classes = set(field.extensions["strawberry-definition"].permission_classes)
        if not classes & PERMISSIONS:
            found.append(f"{root}.{name}: give it `permission_classes=[…]` of app/api/kit/permission.py")
        elif Anyone in classes and name not in OPEN:
            found.append(f"{root}.{name}: is open to anybody; use SignedIn, or add it to OPEN here with the reason")
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("path", EXPORTS, ids=lambda it: it.name)
def test_the_committed_export_is_what_the_code_says(path: object) -> None:
    file = next(it for it in EXPORTS if it == path)
    assert file.read_text() == EXPORTS[file](), f"{file.name} is stale: run `make schema` and look at the difference"


def test_nothing_that_clients_rely_on_is_broken_unannounced() -> None:
    base = os.environ.get("HEALTHRECORDS_SCHEMA_BASE", "HEAD")
    before = git("show", f"{base}:schema.graphql")
    if before is None:
        pytest.skip(f"no git checkout, or no schema.graphql at {base}")
    allowed = ALLOWED.read_text() if ALLOWED.exists() else ""
    found = [
        f"{change.description} Keep the old and mark it deprecated, or add this sentence to docs/breaking-changes.md."
        for change in find_breaking_changes(build_schema(before), build_schema(sdl()))
        if change.description not in allowed
    ]
    assert not found, "\n" + "\n".join(found)


def test_a_field_that_disappears_would_be_noticed() -> None:
    before = build_schema("type Query { a: String b: String }")
    changes = find_breaking_changes(before, build_schema("type Query { a: String }"))
    assert [change.description for change in changes] == ["Field Query.b was removed."]
