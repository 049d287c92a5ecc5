"""The three-way comparison: what is sent, taken over, left alone, or left to a person."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.connectors.provider.port import PatientField
from app.domain.conflicts import rules
from app.domain.conflicts.rules import Verdict, merge, same, weigh, without_effect

NAME, BORN, EMAIL, PHONE, ADDRESS = PatientField
TODAY = date(2026, 11, 20)
EMPTY = dict.fromkeys(PatientField, "")


def stored(values: dict[PatientField, str]) -> dict[str, str]:
    return {name.value: value for name, value in values.items()}


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "edited", "verdict"),
    [
        ("a", "a", "a", False, Verdict.SAME),
        ("a", "b", "b", True, Verdict.SAME),
        ("a", "b", "a", True, Verdict.SEND),
        ("a", "", "a", True, Verdict.SEND),
        ("", "b", "", True, Verdict.SEND),
        ("a", "a", "b", False, Verdict.TAKE),
        ("a", "a", "", False, Verdict.TAKE),
        ("a", "a", "b", True, Verdict.TAKE),
        ("a", "", "b", False, Verdict.TAKE),
        ("a", "b", "c", True, Verdict.CLASH),
        ("a", "", "c", True, Verdict.CLASH),
        ("a", "b", "", True, Verdict.CLASH),
        ("a", "b", "c", False, Verdict.CLASH),
        ("a", "b", "a", False, Verdict.KEEP),
        (None, "b", "a", False, Verdict.KEEP),
        (None, "", "a", False, Verdict.TAKE),
        (None, "b", "", False, Verdict.KEEP),
    ],
)
def test_a_field_is_weighed(base: str | None, ours: str, theirs: str, edited: bool, verdict: Verdict) -> None:
    assert weigh(NAME, base, ours, theirs, edited=edited) is verdict


VALUES = st.sampled_from(["", "a", "b", "c"])


@given(st.none() | VALUES, VALUES, VALUES, st.booleans())
def test_neither_side_ever_loses_what_only_it_has_changed(
    base: str | None, ours: str, theirs: str, edited: bool
) -> None:
    verdict = weigh(NAME, base, ours, theirs, edited=edited)
    if verdict is Verdict.SEND:
        assert edited
        assert theirs == base != ours, "the provider changed nothing since we agreed"
    if verdict is Verdict.TAKE:
        assert ours in (base, ""), "nothing that was edited here is given up"
        assert not (edited and base is not None and ours != base)
    if verdict is Verdict.SAME:
        assert ours == theirs


@pytest.mark.parametrize(
    ("name", "one", "other", "equal"),
    [
        (PHONE, "+44 (0)20 7946-0958", "+4402079460958", True),
        (PHONE, "tel:+44207", "+44 207", True),
        (PHONE, "+44207", "+44208", False),
        (EMAIL, "Ana@Example.test", "ana@example.test", True),
        (ADDRESS, "12 High St,\nLeeds", "12 high st, Leeds", True),
        (ADDRESS, "12 High St, Leeds", "12 High St, York", False),
        (NAME, "Ana  Silva", "Ana Silva", True),
        (NAME, "Ana Silva", "ana silva", False),
        (NAME, "José", "Jose\u0301", True),
        (BORN, "1980-05-03", "1980", True),
        (BORN, "1980-05-03", "1981", False),
        (BORN, "1980-05-03", "", False),
    ],
)
def test_the_same_value_is_recognised_in_other_writing(name: PatientField, one: str, other: str, equal: bool) -> None:
    assert same(name, one, other) is same(name, other, one) is equal


def test_a_merge_sorts_the_fields() -> None:
    base = {**EMPTY, NAME: "Ana", PHONE: "1", EMAIL: "a@b.test", ADDRESS: "x"}
    ours = {**base, PHONE: "2", ADDRESS: "y"}
    theirs = {**base, EMAIL: "c@d.test", ADDRESS: "z"}
    found = merge(stored(base), {PHONE: "1", ADDRESS: "x"}, ours, theirs, TODAY)
    assert (found.send, found.take, found.clash) == ({PHONE: "2"}, {EMAIL: "c@d.test"}, {ADDRESS})
    assert found.settled >= {NAME, EMAIL}


def test_before_anything_was_agreed_on_the_base_is_what_was_seen_when_it_was_edited() -> None:
    ours = {**EMPTY, NAME: "Ana", PHONE: "2", EMAIL: "new@b.test"}
    theirs = {**EMPTY, NAME: "Anna", PHONE: "1", EMAIL: "other@b.test", ADDRESS: "x"}
    found = merge(None, {PHONE: "1", EMAIL: "a@b.test"}, ours, theirs, TODAY)
    assert (found.send, found.take, found.clash) == ({PHONE: "2"}, {ADDRESS: "x"}, {EMAIL})


@pytest.mark.parametrize(
    ("name", "value"),
    [(BORN, "1980"), (BORN, "1780-01-01"), (BORN, "x"), (NAME, ""), (EMAIL, "nobody"), (NAME, "x" * 201)],
)
def test_a_value_that_cannot_be_kept_here_is_not_taken_over(name: PatientField, value: str) -> None:
    ours = {**EMPTY, NAME: "Ana", BORN: "1999-01-01", EMAIL: "a@b.test"}
    found = merge(stored(ours), {}, ours, {**ours, name: value}, TODAY)
    assert (found.take, found.clash, found.send) == ({}, set(), {})


def test_what_a_server_took_without_effect_is_noticed() -> None:
    before = {**EMPTY, PHONE: "1", EMAIL: "a@b.test"}
    after = {**before, PHONE: "+ 2"}
    assert without_effect({PHONE: "+2"}, before, after) == []
    assert without_effect({PHONE: "3"}, before, after) == [PHONE]
    assert without_effect({EMAIL: ""}, before, after) == [EMAIL]
    assert without_effect({EMAIL: ""}, before, {**after, EMAIL: "older@b.test"}) == []


def test_fields_are_named_for_people() -> None:
    assert rules.words([ADDRESS, NAME]) == "name, postal address"
