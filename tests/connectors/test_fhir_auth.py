"""Proving ourselves: a real token endpoint that checks the signature, and what happens when a token is refused."""

import asyncio
import base64
import time
from collections.abc import Callable

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.responses import JSONResponse, Response

from app.connectors.provider import connect
from app.connectors.provider.fhir.scopes import missing
from app.connectors.provider.port import (
    Attachment,
    Auth,
    AuthKind,
    Connection,
    Limits,
    ProviderError,
    ProviderErrorCode,
)
from app.core.settings import LOOPBACK
from tests.connectors.scripted import Asked, Scripted, bundle, fhir, outcome

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

CURVE_KEY = ec.generate_private_key(ec.SECP384R1())
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PATIENT = {"resourceType": "Patient", "id": "p"}


def _pem(key: PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _smart(key: PrivateKey = CURVE_KEY, token_url: str = "") -> Auth:
    return Auth(AuthKind.SMART_BACKEND, client_id="us", private_key=_pem(key), key_id="k1", token_url=token_url)


class TokenEndpoint:
    """Checks the assertion as SMART Backend Services want it checked, and gives numbered tokens."""

    def __init__(self, server: Scripted, key: PrivateKey = CURVE_KEY, algorithm: str = "ES384") -> None:
        self.server = server
        self.public = key.public_key()
        self.algorithm = algorithm
        self.lifetime: object = 300
        self.given = 0
        self.wanted = 0
        self.seen: set[str] = set()
        self.audience = f"{server.origin}/token"
        server.on("POST /token", self.answer)
        server.on("GET /fhir/.well-known/smart-configuration", JSONResponse({"token_endpoint": self.audience}))

    def answer(self, asked: Asked) -> Response:
        form = asked.form
        claims = jwt.decode(
            form["client_assertion"],
            self.public,  # pyright: ignore[reportArgumentType]
            algorithms=[self.algorithm],
            audience=self.audience,
            options={"require": ["exp", "iss", "sub", "aud", "jti"]},
        )
        assert jwt.get_unverified_header(form["client_assertion"])["kid"] == "k1"
        assert claims["iss"] == claims["sub"] == "us"
        assert claims["exp"] - time.time() <= 300
        assert claims["jti"] not in self.seen
        self.seen.add(claims["jti"])
        assert form["grant_type"] == "client_credentials"
        assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        assert "system/DocumentReference.rs" in form["scope"]
        self.given += 1
        return JSONResponse({"access_token": f"t{self.given}", "token_type": "bearer", "expires_in": self.lifetime})

    def guard(self, *accepted: str) -> Callable[[Asked], Response]:
        def guarded(asked: Asked) -> Response:
            good = asked.headers.get("authorization") in {f"Bearer {token}" for token in accepted}
            return fhir(PATIENT) if good else Response("", 401)

        return guarded


def _connection(server: Scripted, auth: Auth) -> Connection:
    return Connection(
        server.base, auth, limits=Limits(connect_seconds=2, read_seconds=5, total_seconds=10), networks=LOOPBACK
    )


async def _refused(server: Scripted, auth: Auth) -> ProviderError:
    async with connect(_connection(server, auth)) as provider:
        with pytest.raises(ProviderError) as caught:
            await provider.patient("p")
    return caught.value


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        (Auth(), None),
        (Auth(AuthKind.BEARER, token=" abc\n"), "Bearer abc"),
        (Auth(AuthKind.BASIC, username="ü", password="p:w"), f"Basic {base64.b64encode('ü:p:w'.encode()).decode()}"),
    ],
)
async def test_a_fixed_header_goes_with_every_request(server: Scripted, auth: Auth, header: str | None) -> None:
    server.on("GET /fhir/Patient/p", fhir(PATIENT))
    async with connect(_connection(server, auth)) as provider:
        await provider.patient("p")
    assert server.asked[0].headers.get("authorization") == header


@pytest.mark.parametrize("token", ["a\nb", "tökn"])
async def test_a_token_that_no_header_can_carry_is_refused_unsent(server: Scripted, token: str) -> None:
    error = await _refused(server, Auth(AuthKind.BEARER, token=token))
    assert (error.code, server.asked) == (ProviderErrorCode.UNAUTHORIZED, [])
    assert token not in str(error)


@pytest.mark.parametrize(("key", "algorithm"), [(CURVE_KEY, "ES384"), (RSA_KEY, "RS384")])
async def test_a_signed_assertion_gets_a_token_which_is_kept(server: Scripted, key: PrivateKey, algorithm: str) -> None:
    endpoint = TokenEndpoint(server, key, algorithm)
    server.on("GET /fhir/Patient/p", endpoint.guard("t1"))
    async with connect(_connection(server, _smart(key))) as provider:
        await asyncio.gather(*(provider.patient("p") for _ in range(10)))
    assert endpoint.given == 1
    assert server.paths().count("GET /fhir/Patient/p") == 10


async def test_a_refused_token_is_renewed_once_for_all_who_hold_it(server: Scripted) -> None:
    endpoint = TokenEndpoint(server)
    server.on("GET /fhir/Patient/p", endpoint.guard("t2"))
    async with connect(_connection(server, _smart())) as provider:
        await asyncio.gather(*(provider.patient("p") for _ in range(10)))
    assert endpoint.given == 2


@pytest.mark.parametrize(("code", "status"), [("expired", 401), ("login", 401), ("expired", 403), ("expired", 400)])
async def test_a_token_that_expires_in_mid_run_is_renewed_once(server: Scripted, code: str, status: int) -> None:
    endpoint = TokenEndpoint(server)

    def guarded(asked: Asked) -> Response:
        good = asked.headers.get("authorization") == f"Bearer t{endpoint.wanted}"
        return fhir(PATIENT) if good else outcome(code, status)

    endpoint.wanted = 1
    server.on("GET /fhir/Patient/p", guarded)
    async with connect(_connection(server, _smart())) as provider:
        await provider.patient("p")
        endpoint.wanted = 2
        await provider.patient("p")
        await provider.patient("p")
    assert endpoint.given == 2
    assert server.paths().count("GET /fhir/Patient/p") == 4


async def test_what_is_forbidden_to_us_costs_no_new_token(server: Scripted) -> None:
    endpoint = TokenEndpoint(server)
    server.on("GET /fhir/Patient/p", outcome("forbidden", 403))
    assert (await _refused(server, _smart())).code is ProviderErrorCode.FORBIDDEN
    assert endpoint.given == 1


async def test_one_token_serves_all_questions_of_a_run(server: Scripted) -> None:
    endpoint = TokenEndpoint(server)
    server.on("GET /fhir/Patient/p", endpoint.guard("t1"))
    server.on("GET /fhir/DocumentReference", bundle())
    server.on("GET /fhir/Binary/1", Response("a"))
    async with connect(_connection(server, _smart())) as provider:
        await provider.patient("p")
        await provider.page("DocumentReference", "p")
        await provider.fetch_many([Attachment(url=f"{server.base}/Binary/1")] * 3)
    assert endpoint.given == 1


async def test_a_server_that_refuses_every_token_is_asked_twice(server: Scripted) -> None:
    endpoint = TokenEndpoint(server)
    server.on("GET /fhir/Patient/p", Response("", 401))
    assert (await _refused(server, _smart())).code is ProviderErrorCode.UNAUTHORIZED
    assert (endpoint.given, server.paths().count("GET /fhir/Patient/p")) == (2, 2)


async def test_a_fixed_token_that_is_refused_is_not_sent_again(server: Scripted) -> None:
    server.on("GET /fhir/Patient/p", Response("", 401))
    assert (await _refused(server, Auth(AuthKind.BEARER, token="x"))).code is ProviderErrorCode.UNAUTHORIZED
    assert len(server.asked) == 1


async def test_a_token_that_has_run_out_is_renewed_before_it_is_refused(server: Scripted) -> None:
    endpoint = TokenEndpoint(server)
    endpoint.lifetime = 0.2
    server.on("GET /fhir/Patient/p", endpoint.guard("t1", "t2"))
    async with connect(_connection(server, _smart())) as provider:
        await provider.patient("p")
        await asyncio.sleep(0.3)
        await provider.patient("p")
    assert endpoint.given == 2
    assert [asked.headers.get("authorization") for asked in server.asked if asked.path.endswith("/p")] == [
        "Bearer t1",
        "Bearer t2",
    ]


async def test_a_token_address_that_was_entered_needs_no_discovery(server: Scripted, elsewhere: Scripted) -> None:
    endpoint = TokenEndpoint(elsewhere)
    server.on("GET /fhir/Patient/p", endpoint.guard("t1"))
    async with connect(_connection(server, _smart(token_url=endpoint.audience))) as provider:
        await provider.patient("p")
    assert server.paths() == ["GET /fhir/Patient/p"]


async def test_discovery_does_not_send_us_to_another_host(server: Scripted, elsewhere: Scripted) -> None:
    told = JSONResponse({"token_endpoint": f"{elsewhere.origin}/token"})
    server.on("GET /fhir/.well-known/smart-configuration", told)
    assert (await _refused(server, _smart())).code is ProviderErrorCode.UNAUTHORIZED
    assert elsewhere.asked == []


@pytest.mark.parametrize(
    ("reply", "code", "word"),
    [
        (JSONResponse({"error": "invalid_client"}, 400), ProviderErrorCode.UNAUTHORIZED, "invalid_client"),
        (JSONResponse({"error": "Jane Doe"}, 401), ProviderErrorCode.UNAUTHORIZED, "401"),
        (Response("<html>", 404), ProviderErrorCode.UNAUTHORIZED, "404"),
        (Response("", 503, {"Retry-After": "1"}), ProviderErrorCode.UNAVAILABLE, "503"),
        (Response("", 429), ProviderErrorCode.THROTTLED, "429"),
        (JSONResponse({"access_token": ""}), ProviderErrorCode.BAD_RESPONSE, "token"),
        (JSONResponse({"access_token": "a\nb"}), ProviderErrorCode.BAD_RESPONSE, "token"),
        (JSONResponse([]), ProviderErrorCode.BAD_RESPONSE, "token"),
        (Response("<html>Sign in</html>"), ProviderErrorCode.BAD_RESPONSE, "login"),
    ],
)
async def test_a_token_that_is_not_given_says_why(
    server: Scripted, reply: Response, code: ProviderErrorCode, word: str
) -> None:
    TokenEndpoint(server)
    server.on("POST /token", reply)
    error = await _refused(server, _smart())
    assert error.code is code
    assert word in error.detail
    assert "Jane" not in error.detail


@pytest.mark.parametrize(
    "pem", ["", "no key", _pem(ec.generate_private_key(ec.SECP256R1())), _pem(ed25519.Ed25519PrivateKey.generate())]
)
async def test_a_key_of_another_kind_is_refused_with_the_reason(server: Scripted, pem: str) -> None:
    TokenEndpoint(server)
    auth = Auth(AuthKind.SMART_BACKEND, client_id="us", private_key=pem)
    error = await _refused(server, auth)
    assert error.code is ProviderErrorCode.UNAUTHORIZED
    assert "key" in error.detail


async def test_no_smart_configuration_is_said_plainly(server: Scripted) -> None:
    server.on("GET /fhir/.well-known/smart-configuration", JSONResponse({}))
    assert (await _refused(server, _smart())).code is ProviderErrorCode.BAD_RESPONSE


@pytest.mark.parametrize(
    ("asked", "granted", "lacking"),
    [
        ("system/Patient.rs system/Binary.rs", "system/*.rs", []),
        ("system/Patient.rs", "system/*.read", []),
        ("system/Patient.read", "system/Patient.cruds", []),
        ("system/Patient.rs", "system/Patient.r", ["system/Patient.rs"]),
        ("system/Patient.rs", "user/Patient.rs", ["system/Patient.rs"]),
        ("system/DocumentReference.rs", "system/DocumentReference.rs?category=x", ["system/DocumentReference.rs"]),
        ("system/Patient.rs launch", "launch", ["system/Patient.rs"]),
    ],
)
def test_a_narrower_scope_is_noticed(asked: str, granted: str, lacking: list[str]) -> None:
    assert missing(asked, granted) == lacking


@pytest.mark.parametrize("told", [10**400, "9" * 400, -1, "soon", None])
async def test_a_lifetime_that_no_token_has_breaks_nothing(server: Scripted, told: object) -> None:
    endpoint = TokenEndpoint(server)
    endpoint.lifetime = told
    server.on("GET /fhir/Patient/p", endpoint.guard("t1"))
    async with connect(_connection(server, _smart())) as provider:
        await provider.patient("p")
        await provider.patient("p")
    assert endpoint.given == 1
