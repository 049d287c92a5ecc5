"""What makes a patient's record sound."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.core.errors import ErrorCode, Refusal
from app.domain.patients import rules
from tests.domain.rows import refusal_of

TODAY = date(2026, 11, 20)


def test_a_name_is_tidied() -> None:
    assert rules.checked_name("  Amara \n  Okafor ") == "Amara Okafor"
    assert rules.checked_name("n" * 200) == "n" * 200


@pytest.mark.parametrize("name", ["", " \t\n ", "n" * 201])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(Refusal) as refused:
        rules.checked_name(name)
    assert refusal_of(refused) == (ErrorCode.INVALID, ("name",))


@pytest.mark.parametrize(
    ("given", "kept"),
    [(None, None), ("", None), ("  ", None), (" Amara@Example.Test ", "amara@example.test"), ("ü@ö.test", "ü@ö.test")],
)
def test_an_address_is_kept_in_small_letters_or_not_at_all(given: str | None, kept: str | None) -> None:
    assert rules.checked_email(given) == kept


@pytest.mark.parametrize("email", ["amara", "a@b", "@b.c", "a b@c.d", "a@b@c.d", "a@b.c d", "a" * 250 + "@b.cd"])
def test_what_is_no_address_is_refused(email: str) -> None:
    with pytest.raises(Refusal) as refused:
        rules.checked_email(email)
    assert refusal_of(refused) == (ErrorCode.INVALID, ("email",))


@pytest.mark.parametrize("born", [None, date(1880, 1, 1), TODAY])
def test_a_birth_date_lies_in_a_human_past(born: date | None) -> None:
    assert rules.checked_birth_date(born, TODAY) == born


@pytest.mark.parametrize("born", [date(1879, 12, 31), date(2026, 11, 21), date.min, date.max])
def test_a_birth_date_outside_is_refused(born: date) -> None:
    with pytest.raises(Refusal) as refused:
        rules.checked_birth_date(born, TODAY)
    assert refusal_of(refused) == (ErrorCode.INVALID, ("birthDate",))


def test_texts_and_lists_have_an_end() -> None:
    assert rules.checked_text(None, "notes") is None
    assert rules.checked_text("x" * rules.MAX_TEXT, "notes") == "x" * rules.MAX_TEXT
    assert rules.checked_items([" tree  nuts ", "", "  ", "milk"], "allergies") == ["tree nuts", "milk"]
    assert rules.checked_items(None, "allergies") == []
    with pytest.raises(Refusal) as refused:
        rules.checked_text("x" * (rules.MAX_TEXT + 1), "notes")
    assert refused.value.field == ("notes",)
    for items in (["x"] * (rules.MAX_ITEMS + 1), ["x" * (rules.MAX_NAME + 1)]):
        with pytest.raises(Refusal) as refused:
            rules.checked_items(items, "allergies")
        assert refused.value.field == ("dietaryPreferences", "allergies")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Zoë Ångström", "zoe  angstrom"),
        ("O'Brien, Mary-Jane", "o brien mary jane"),
        ("STRAẞE", "strasse"),
        ("Ⅳ. Karl", "iv karl"),
        ("Jose\u0301", "José"),
    ],
)
def test_a_name_is_the_same_however_it_is_written(one: str, other: str) -> None:
    assert rules.same_name(one) == rules.same_name(other)


@pytest.mark.parametrize(("one", "other"), [("Amara Okafor", "Okafor Amara"), ("Ann", "Anna"), ("李明", "李敏")])
def test_two_names_are_two(one: str, other: str) -> None:
    assert rules.same_name(one) != rules.same_name(other)


@hypothesis_settings(derandomize=True, max_examples=100, database=None, deadline=None)
@given(st.text(max_size=40))
def test_comparing_a_name_is_settled_after_once(name: str) -> None:
    once = rules.same_name(name)
    assert rules.same_name(once) == once
    assert rules.same_name(f"  {name} ") == once


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("Amara Okafor", ("Amara", "Okafor")),
        ("Amara van der Berg", ("Amara van der", "Berg")),
        ("Cher", ("Cher", "Cher")),
    ],
)
def test_a_platform_is_given_two_names(name: str, parts: tuple[str, str]) -> None:
    assert rules.name_parts(name) == parts
