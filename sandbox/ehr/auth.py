"""SMART Backend Services (http://hl7.org/fhir/smart-app-launch/backend-services.html), bearer and basic credentials."""

import time
from typing import Any
from urllib.parse import parse_qsl

import jwt
from starlette.requests import Request
from starlette.responses import JSONResponse

from sandbox.ehr.clients import TOKEN_SECONDS, Client, Clients
from sandbox.ehr.outcome import Refused
from sandbox.ehr.scopes import granted
from sandbox.ehr.store import Store
from sandbox.http import basic_credentials, capped, origin

ALGORITHMS = ("RS384", "ES384")
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST_ASSERTION = 300
GRANT_PATH = "/auth/token"

EVERYTHING = Client("", ("system/*.cruds",))


class TokenRefused(Exception):
    """`error` is one of RFC 6749, section 5.2."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


def authenticate(store: Store, authorization: str | None) -> Client:
    """The caller, by its Authorization header.

    Raises:
        Refused: 401 with the issue code `login` or `expired`.
    """
    if not authorization:
        if store.is_open():
            return EVERYTHING
        raise _unauthenticated("login", "Credentials are missing", "")
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        found = store.clients.bearer(value.strip())
        if found and found[1]:
            raise _unauthenticated("expired", "The token has expired", ', error="invalid_token"')
        if found:
            return found[0]
    elif (pair := basic_credentials(authorization)) and (client := store.clients.basic(*pair)):
        return client
    raise _unauthenticated("login", "The credentials are not valid", ', error="invalid_token"')


def _unauthenticated(code: str, diagnostics: str, more: str) -> Refused:
    return Refused(401, code, diagnostics, {"WWW-Authenticate": f'Bearer realm="fhir"{more}'})


async def issue_token(store: Store, request: Request) -> JSONResponse:
    """`POST /auth/token`: a client assertion for a bearer token."""
    headers = {"Cache-Control": "no-store", "Pragma": "no-cache"}
    try:
        form = dict(parse_qsl((await capped(request, 65_536).body()).decode("utf-8", "replace")))
        client = _asserted(store.clients, form, origin(request) + GRANT_PATH)
        scopes = _granted(client, form.get("scope", ""))
    except TokenRefused as refused:
        status = 401 if refused.error == "invalid_client" else 400
        return JSONResponse({"error": refused.error, "error_description": refused.description}, status, headers)
    token = store.clients.issue(client.client_id, scopes)
    return JSONResponse(
        {"access_token": token, "token_type": "bearer", "expires_in": TOKEN_SECONDS, "scope": " ".join(scopes)},
        headers=headers,
    )


def _granted(client: Client, asked: str) -> tuple[str, ...]:
    scopes = granted(asked.split(), client.scopes)
    if not scopes:
        raise TokenRefused("invalid_scope", "None of the scopes that were asked for is registered for this client")
    return scopes


def _asserted(clients: Clients, form: dict[str, str], token_url: str) -> Client:
    if form.get("grant_type") != "client_credentials":
        raise TokenRefused("unsupported_grant_type", "grant_type must be client_credentials")
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        raise TokenRefused("invalid_request", f"client_assertion_type must be {ASSERTION_TYPE}")
    assertion = form.get("client_assertion", "")
    try:
        header = jwt.get_unverified_header(assertion)
        issuer = str(jwt.decode(assertion, options={"verify_signature": False}).get("iss", ""))
        found = clients.smart(issuer)
        if not found:
            raise TokenRefused("invalid_client", "The assertion's iss is not a registered client")
        claims = jwt.decode(
            assertion,
            _key(found[1], header),
            algorithms=ALGORITHMS,
            audience=token_url,
            options={"require": ["iss", "sub", "aud", "exp", "jti"]},
        )
    except jwt.PyJWTError as error:
        raise TokenRefused("invalid_client", f"The assertion is refused: {error}") from error
    _check_claims(clients, claims, issuer)
    return found[0]


def _check_claims(clients: Clients, claims: dict[str, Any], issuer: str) -> None:
    if claims["sub"] != issuer:
        raise TokenRefused("invalid_client", "iss and sub must both be the client_id")
    if claims["exp"] > time.time() + LONGEST_ASSERTION:
        raise TokenRefused("invalid_client", "exp is more than five minutes ahead")
    if not claims["jti"] or not clients.first_use(issuer, str(claims["jti"]), float(claims["exp"])):
        raise TokenRefused("invalid_client", "This jti was used before")


def _key(jwks: dict[str, Any], header: dict[str, Any]) -> Any:
    """The registered public key that the assertion's header names by `kid`."""
    kid = header.get("kid")
    if not kid:
        raise TokenRefused("invalid_client", "The assertion's header has no kid")
    for key in jwt.PyJWKSet.from_dict(jwks).keys:
        if key.key_id == kid and key.key_type == ("RSA" if header.get("alg") == "RS384" else "EC"):
            return key.key
    raise TokenRefused("invalid_client", f"No registered key fits kid {str(kid)[:64]!r} and its algorithm")
