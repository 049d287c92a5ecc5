"""What makes a connection usable."""

import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from app.connectors.provider.port import Auth, AuthKind, Capability
from app.core.errors import ErrorCode, Refusal
from app.domain.connections import rules
from app.domain.connections.models import HealthStatus
from tests.domain.rows import refusal_of


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://ehr.example.test/fhir", "https://ehr.example.test/fhir"),
        ("  http://ehr.example.test:8080/fhir/// ", "http://ehr.example.test:8080/fhir"),
        ("HTTPS://Ehr.example.test", "https://Ehr.example.test"),
        ("http://127.0.0.1:1", "http://127.0.0.1:1"),
        ("http://[::1]:8080/fhir", "http://[::1]:8080/fhir"),
    ],
)
def test_an_address_is_kept_without_its_last_slash(given: str, kept: str) -> None:
    assert rules.checked_url(given, "baseUrl") == kept


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ehr.example.test",
        "/fhir",
        "ftp://ehr.example.test",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://",
        "http:///fhir",
        "http://user@ehr.example.test",
        "http://user:word@ehr.example.test",
        "http://ehr.example.test/fhir?a=b",
        "http://ehr.example.test/fhir#a",
        "http://ehr.example.test:0/",
        "http://ehr.example.test:99999/",
        "http://ehr.example.test:port/",
        "http://[::1/fhir",
        "http://an ehr.example.test/fhir",
        "http://ehr.example.test/a b",
        "http://ehr.example.test/\u0000",
        "http://ehr.example.test/" + "a" * 3000,
    ],
)
def test_what_is_no_plain_address_is_refused_with_its_field(url: str) -> None:
    with pytest.raises(Refusal) as refused:
        rules.checked_url(url, "baseUrl")
    assert refusal_of(refused) == (ErrorCode.INVALID, ("baseUrl",))


@pytest.mark.parametrize(
    ("auth", "field"),
    [
        (Auth(AuthKind.BEARER), "token"),
        (Auth(AuthKind.BASIC, password="p"), "username"),
        (Auth(AuthKind.BASIC, username="u"), "password"),
        (Auth(AuthKind.SMART_BACKEND), "client_id"),
    ],
)
def test_half_a_key_is_refused_by_the_name_of_what_is_missing(auth: Auth, field: str) -> None:
    with pytest.raises(Refusal) as refused:
        rules.checked_auth(auth)
    assert refusal_of(refused) == (ErrorCode.INVALID, ("auth", field))
    assert field in refused.value.message


@pytest.mark.parametrize(
    "auth",
    [Auth(), Auth(AuthKind.BEARER, token="t"), Auth(AuthKind.BASIC, username="u", password="p")],
    ids=lambda it: it.kind,
)
def test_a_whole_key_is_kept_as_it_is(auth: Auth) -> None:
    assert rules.checked_auth(auth) == auth
    assert rules.load_auth(rules.dump_auth(auth)) == auth


def test_a_smart_client_without_a_key_gets_one_whose_public_half_verifies() -> None:
    auth = rules.checked_auth(Auth(AuthKind.SMART_BACKEND, client_id="records"))
    shown = rules.public_jwk(auth)
    assert (shown["alg"], shown["kid"], shown["use"]) == ("ES384", auth.key_id, "sig")
    assert auth.key_id != rules.checked_auth(Auth(AuthKind.SMART_BACKEND, client_id="records")).key_id
    assert "d" not in shown
    signed = jwt.encode({"sub": "records"}, auth.private_key, "ES384")
    assert jwt.decode(signed, jwt.PyJWK(shown).key, algorithms=["ES384"]) == {"sub": "records"}
    assert rules.checked_auth(auth) == auth


def test_an_rsa_key_of_the_administrators_own_is_shown_for_rs384() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    auth = rules.checked_auth(Auth(AuthKind.SMART_BACKEND, client_id="records", private_key=pem, key_id="mine"))
    assert auth.private_key == pem
    shown = rules.public_jwk(auth)
    assert (shown["kty"], shown["alg"], shown["kid"]) == ("RSA", "RS384", "mine")
    assert not {"d", "p", "q", "dp", "dq", "qi"} & set(shown)


def test_a_key_of_another_kind_is_refused() -> None:
    pem = ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(Refusal) as refused:
        rules.public_jwk(Auth(AuthKind.SMART_BACKEND, client_id="records", private_key=pem))
    assert refused.value.code is ErrorCode.INVALID


def test_what_an_older_version_kept_beside_is_passed_over() -> None:
    stored = json.loads(rules.dump_auth(Auth(AuthKind.BEARER, token="t")))
    assert rules.load_auth(json.dumps(stored | {"forgotten": 1}).encode()) == Auth(AuthKind.BEARER, token="t")


def test_a_server_is_degraded_only_by_what_is_essential() -> None:
    essential = Capability("DocumentReference search", True, "")
    assert rules.health_of([essential, Capability("_lastUpdated", False, "ignored")]) is HealthStatus.HEALTHY
    assert rules.health_of([Capability("DiagnosticReport search", False, "403")]) is HealthStatus.DEGRADED
