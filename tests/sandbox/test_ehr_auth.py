import json
import time
import uuid
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from sandbox.ehr.app import create_app
from sandbox.ehr.scopes import allows, granted
from sandbox.ehr.store import Store
from sandbox.serve import serving

from .conftest import document

EC_KEY = ec.generate_private_key(ec.SECP384R1())
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
JWKS = {
    "keys": [
        json.loads(ECAlgorithm.to_jwk(EC_KEY.public_key())) | {"kid": "ec"},
        json.loads(RSAAlgorithm.to_jwk(RSA_KEY.public_key())) | {"kid": "rsa"},
    ]
}
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@pytest.fixture
async def locked(ehr_store: Store) -> AsyncGenerator[httpx.AsyncClient]:
    """A client, without credentials, of an EHR that demands them; its base is the server's root."""
    ehr_store.set_open(False)
    ehr_store.put_many([document(1), {"resourceType": "Patient", "id": "p1"}])
    ehr_store.register_client("dietician", "smart", jwks=JWKS, scopes="system/DocumentReference.rs system/Patient.read")
    async with serving(create_app(ehr_store)) as url, httpx.AsyncClient(base_url=url) as client:
        yield client


async def ask(client: httpx.AsyncClient, scope: str = "system/*.read", **change: Any) -> httpx.Response:
    """A request for a token; `change` alters the assertion's claims (None drops one), its key, algorithm or kid."""
    key, algorithm, kid = change.pop("key", EC_KEY), change.pop("algorithm", "ES384"), change.pop("kid", "ec")
    claims = {"iss": "dietician", "sub": "dietician", "aud": f"{str(client.base_url).rstrip('/')}/auth/token"}
    claims |= {"exp": int(time.time()) + 240, "jti": str(uuid.uuid4())} | change
    claims = {name: value for name, value in claims.items() if value is not None}
    assertion = jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid} if kid else None)
    form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
    return await client.post("/auth/token", data=form | {"scope": scope})


async def test_discovery_needs_no_credentials_and_names_the_token_endpoint(locked: httpx.AsyncClient) -> None:
    smart = (await locked.get("/fhir/.well-known/smart-configuration")).json()
    statement = (await locked.get("/fhir/metadata")).json()
    token = f"{str(locked.base_url).rstrip('/')}/auth/token"
    assert smart["token_endpoint"] == token
    assert statement["rest"][0]["security"]["extension"][0]["extension"] == [{"url": "token", "valueUri": token}]
    assert {"RS384", "ES384"} == set(smart["token_endpoint_auth_signing_alg_values_supported"])


@pytest.mark.parametrize(("key", "algorithm", "kid"), [(EC_KEY, "ES384", "ec"), (RSA_KEY, "RS384", "rsa")])
async def test_an_assertion_buys_a_token_with_the_registered_scopes_only(
    locked: httpx.AsyncClient, key: Any, algorithm: str, kid: str
) -> None:
    response = await ask(locked, key=key, algorithm=algorithm, kid=kid)
    token = response.json()
    assert response.headers["cache-control"] == "no-store"
    assert (token["token_type"], token["expires_in"]) == ("bearer", 300)
    assert set(token["scope"].split()) == {"system/DocumentReference.rs", "system/Patient.rs"}
    bearer = {"Authorization": f"Bearer {token['access_token']}"}
    assert (await locked.get("/fhir/DocumentReference/p1-d0001", headers=bearer)).status_code == 200
    refused = await locked.get("/fhir/Observation?patient=p1", headers=bearer)
    assert (refused.status_code, refused.json()["issue"][0]["code"]) == (403, "forbidden")
    written = await locked.put("/fhir/DocumentReference/p1-d0001", json=document(1), headers=bearer)
    assert written.status_code == 403


async def test_a_false_assertion_is_refused(locked: httpx.AsyncClient) -> None:
    stranger = ec.generate_private_key(ec.SECP384R1())
    cases: list[dict[str, Any]] = [
        {"key": stranger},
        {"sub": "somebody"},
        {"iss": "somebody", "sub": "somebody"},
        {"aud": "https://elsewhere.example/token"},
        {"exp": int(time.time()) - 60},
        {"exp": int(time.time()) + 900},
        {"exp": None},
        {"jti": None},
        {"kid": None},
        {"kid": "unknown"},
        {"kid": "rsa"},
        {"key": "x" * 64, "algorithm": "HS384"},
    ]
    for case in cases:
        response = await ask(locked, **case)
        assert (response.status_code, response.json()["error"]) == (401, "invalid_client"), case


async def test_an_assertion_works_once(locked: httpx.AsyncClient) -> None:
    assert (await ask(locked, jti="once")).status_code == 200
    again = await ask(locked, jti="once")
    assert (again.status_code, again.json()["error"]) == (401, "invalid_client")


async def test_malformed_token_requests_have_oauth_errors(locked: httpx.AsyncClient) -> None:
    wrong = await locked.post("/auth/token", data={"grant_type": "password"})
    assert (wrong.status_code, wrong.json()["error"]) == (400, "unsupported_grant_type")
    bare = await locked.post("/auth/token", data={"grant_type": "client_credentials"})
    assert (bare.status_code, bare.json()["error"]) == (400, "invalid_request")
    nothing = await ask(locked, scope="openid patient/Patient.read")
    assert (nothing.status_code, nothing.json()["error"]) == (400, "invalid_scope")


async def test_missing_wrong_and_expired_credentials_are_told_apart(
    locked: httpx.AsyncClient, ehr_store: Store
) -> None:
    missing = await locked.get("/fhir/Patient/p1")
    assert (missing.status_code, missing.json()["issue"][0]["code"]) == (401, "login")
    assert missing.headers["www-authenticate"].startswith("Bearer")
    token = (await ask(locked)).json()["access_token"]
    ehr_store.clients.expire_tokens()
    expired = await locked.get("/fhir/Patient/p1", headers={"Authorization": f"Bearer {token}"})
    assert (expired.status_code, expired.json()["issue"][0]["code"]) == (401, "expired")
    for value in ("Bearer wrong", "Basic ???", "Basic d3Jvbmc6d3Jvbmc=", "Negotiate x"):
        wrong = await locked.get("/fhir/Patient/p1", headers={"Authorization": value})
        assert (wrong.status_code, wrong.json()["issue"][0]["code"]) == (401, "login"), value


async def test_static_tokens_and_passwords_work_within_their_scopes(
    locked: httpx.AsyncClient, ehr_store: Store
) -> None:
    ehr_store.register_client("static", "bearer", secret="long-lived", scopes="system/Patient.read")
    ehr_store.register_client("user", "basic", secret="pass:word", scopes="system/*.cruds")
    bearer = {"Authorization": "Bearer long-lived"}
    assert (await locked.get("/fhir/Patient/p1", headers=bearer)).status_code == 200
    assert (await locked.get("/fhir/DocumentReference?patient=p1", headers=bearer)).status_code == 403
    assert (await locked.get("/fhir/DocumentReference?patient=p1", auth=("user", "pass:word"))).status_code == 200
    assert (await locked.delete("/fhir/Patient/p1", auth=("user", "pass:word"))).status_code == 204
    assert (await locked.get("/fhir/Patient/p1", auth=("user", "wrong"))).status_code == 401


async def test_each_entry_of_a_batch_needs_its_scope(locked: httpx.AsyncClient) -> None:
    token = (await ask(locked)).json()["access_token"]
    entries = [{"request": {"method": "GET", "url": url}} for url in ("Patient/p1", "Observation?patient=p1")]
    response = await locked.post(
        "/fhir",
        json={"resourceType": "Bundle", "type": "batch", "entry": entries},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert [entry["response"]["status"] for entry in response.json()["entry"]] == ["200 OK", "403"]


def test_scopes_are_the_common_part_of_asked_and_registered() -> None:
    registered = ["system/DocumentReference.rs", "system/Patient.*"]
    assert granted(["system/*.read"], registered) == ("system/DocumentReference.rs", "system/Patient.rs")
    assert granted(["system/Patient.read", "system/Patient.cu"], registered) == (
        "system/Patient.read",
        "system/Patient.cu",
    )
    assert (
        granted(["system/Observation.rs", "user/Patient.rs", "system/Patient.", "system/Patient.sr"], registered) == ()
    )
    assert granted(["system/Patient.rs?gender=male"], registered) == ()
    assert granted(["system/Patient.rs"], ["system/*.r"]) == ("system/Patient.r",)


def test_scopes_allow_by_type_and_letter() -> None:
    assert allows(["system/*.read"], "Patient", "s")
    assert allows(["system/Patient.write"], "Patient", "d")
    assert not allows(["system/Patient.write"], "Patient", "r")
    assert not allows(["system/Patient.r"], "Patient", "s")
    assert not allows(["system/PatientX.rs", "patient/Patient.rs"], "Patient", "r")
