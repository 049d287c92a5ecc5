"""Passwords are kept as argon2id; an unknown account costs what a known one does."""

import asyncio

import pytest

from app.core.passwords import hash_password, verify_password


async def test_the_right_password_and_no_other_is_accepted() -> None:
    stored = await hash_password("Grüße 123")
    assert await verify_password(stored, "Grüße 123")
    for wrong in ("Grüße 12", "grüße 123", "", "Grüße 123 "):
        assert not await verify_password(stored, wrong)


async def test_only_a_salted_argon2id_hash_is_kept() -> None:
    first, second = await asyncio.gather(hash_password("the same"), hash_password("the same"))
    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert first != second


@pytest.mark.parametrize("password", ["", "anything", "nobody has this password"])
async def test_an_account_that_does_not_exist_has_no_password(password: str) -> None:
    assert not await verify_password(None, password)


@pytest.mark.parametrize("stored", ["", "plain text", "$argon2id$", "$2b$12$abcdefghijklmnopqrstuv"])
async def test_what_is_no_hash_matches_nothing(stored: str) -> None:
    assert not await verify_password(stored, stored)


async def test_many_at_once_are_all_answered() -> None:
    stored = await hash_password("one")
    found = await asyncio.gather(*(verify_password(stored, word) for word in ("one", "two") * 6))
    assert found == [True, False] * 6
