"""What was sealed opens only where it belongs; a token is good for one purpose and for a while."""

import base64
import json

import jwt
import pytest

from app.core.crypto import NONCE_BYTES, Vault

SECRET = "one secret of an installation, long enough"
ROW = "providers/1"


@pytest.fixture
def vault() -> Vault:
    return Vault(SECRET)


def test_what_was_sealed_opens_again_also_after_a_restart(vault: Vault) -> None:
    sealed = vault.seal(b"a key", ROW)
    assert Vault(SECRET).open(sealed, ROW) == b"a key"
    assert b"a key" not in sealed


def test_sealing_twice_gives_two_ciphertexts(vault: Vault) -> None:
    assert vault.seal(b"a key", ROW) != vault.seal(b"a key", ROW)


@pytest.mark.parametrize("position", [0, NONCE_BYTES, -1])
def test_an_altered_ciphertext_does_not_open(vault: Vault, position: int) -> None:
    sealed = bytearray(vault.seal(b"a key", ROW))
    sealed[position] ^= 1
    with pytest.raises(ValueError, match="altered"):
        vault.open(bytes(sealed), ROW)


@pytest.mark.parametrize("length", [0, 1, NONCE_BYTES, NONCE_BYTES + 8])
def test_a_shortened_ciphertext_does_not_open(vault: Vault, length: int) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the library's words differ by length
        vault.open(vault.seal(b"a key", ROW)[:length], ROW)


def test_a_ciphertext_moved_to_another_row_does_not_open(vault: Vault) -> None:
    with pytest.raises(ValueError, match="moved"):
        vault.open(vault.seal(b"a key", ROW), "providers/2")


def test_another_installation_opens_nothing_and_believes_nothing(vault: Vault) -> None:
    other = Vault(SECRET + "!")
    with pytest.raises(ValueError, match="another key"):
        other.open(vault.seal(b"a key", ROW), ROW)
    assert other.verify(vault.sign({}, "access", 60), "access") is None


def test_a_short_secret_is_refused_by_the_name_of_its_setting() -> None:
    with pytest.raises(ValueError, match="HEALTHRECORDS_SECRET_KEY"):
        Vault("x" * 31)


def test_a_token_carries_its_claims(vault: Vault) -> None:
    claims = vault.verify(vault.sign({"sub": "me"}, "access", 60), "access")
    assert claims is not None
    assert claims["sub"] == "me"


@pytest.mark.parametrize("audience", ["file", "", "access "])
def test_a_token_for_another_purpose_is_refused(vault: Vault, audience: str) -> None:
    assert vault.verify(vault.sign({"sub": "me"}, "access", 60), audience) is None


@pytest.mark.parametrize("seconds", [0, -1, -3600])
def test_an_expired_token_is_refused(vault: Vault, seconds: int) -> None:
    assert vault.verify(vault.sign({"sub": "me"}, "access", seconds), "access") is None


def part(claims: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


def test_a_forged_token_is_refused(vault: Vault) -> None:
    header, body, signature = vault.sign({"sub": "me"}, "access", 60).split(".")
    other = part({"sub": "somebody else", "aud": "access", "exp": 4102444800})
    forged = [
        f"{header}.{other}.{signature}",
        f"{part({'alg': 'none', 'typ': 'JWT'})}.{other}.",
        f"{header}.{body}.{signature[::-1]}",
        jwt.encode({"aud": "access"}, SECRET, "HS256"),
        "",
        "a.b.c",
        "ünïcode",
    ]
    assert [vault.verify(token, "access") for token in forged] == [None] * len(forged)
