"""How we prove ourselves, and a session that does it for every request to the server's own origin, and no other."""

import asyncio
import base64
import time
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Protocol
from urllib.parse import urlencode

import httpx
import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from app.connectors.http import Answer, Room
from app.connectors.provider.fhir.resources import SmartConfiguration, Token, TokenError
from app.connectors.provider.fhir.transport import (
    FHIR_JSON,
    Transport,
    bad_response,
    decode,
    failure,
    resolve,
    same_origin,
)
from app.connectors.provider.port import Auth, AuthKind, Connection, ProviderError, ProviderErrorCode

TOKEN_BYTES = 1024 * 1024
ASSERTION_SECONDS = 240
RENEW_BEFORE_SECONDS = 30
UNTOLD_LIFETIME_SECONDS = 300
LONGEST_LIFETIME_SECONDS = 86_400
P384_BITS = 384


def _refused(detail: str) -> ProviderError:
    return ProviderError(ProviderErrorCode.UNAUTHORIZED, detail)


class Credentials(Protocol):
    """Makes the Authorization header. Raises `ProviderError`."""

    async def header(self) -> str:
        """The header's value; empty where there is none to send."""
        ...

    async def renew(self, stale: str) -> bool:
        """Whether asking again is worth it, now that the server has refused `stale`."""
        ...

    async def granted(self) -> str | None:
        """The scopes that we were given; None where this kind knows no scopes."""
        ...


class Fixed:
    """No authorisation, a bearer token, or a user name and password: the same for every request."""

    def __init__(self, auth: Auth) -> None:
        match auth.kind:
            case AuthKind.BEARER:
                self._header = f"Bearer {auth.token.strip()}"
            case AuthKind.BASIC:
                pair = f"{auth.username}:{auth.password}".encode()
                self._header = f"Basic {base64.b64encode(pair).decode('ascii')}"
            case _:
                self._header = ""

    async def header(self) -> str:
        if not (self._header.isascii() and self._header.isprintable()):
            raise _refused("the token holds characters that no header can carry")
        return self._header

    async def renew(self, stale: str) -> bool:
        return stale != self._header

    async def granted(self) -> str | None:
        return None


class SmartBackend:
    """SMART Backend Services (SMART App Launch 2.2, 5): a signed assertion for a token of a few minutes."""

    def __init__(self, connection: Connection, base: httpx.URL, transport: Transport) -> None:
        self._auth = connection.auth
        self._base = base
        self._transport = transport
        self._one_at_a_time = asyncio.Lock()
        self._header = ""
        self._renew_at = 0.0
        self._granted = ""

    async def header(self) -> str:
        if time.monotonic() >= self._renew_at:
            async with self._one_at_a_time:
                if time.monotonic() >= self._renew_at:
                    await self._obtain()
        return self._header

    async def renew(self, stale: str) -> bool:
        async with self._one_at_a_time:
            if stale == self._header:
                await self._obtain()
        return True

    async def granted(self) -> str | None:
        await self.header()
        return self._granted

    async def _obtain(self) -> None:
        url = await self._token_url()
        form = {
            "grant_type": "client_credentials",
            "scope": self._auth.scope,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion(self._auth, str(url)),
        }
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        content = urlencode(form).encode()
        answer = await self._transport.send("POST", url, headers, cap=TOKEN_BYTES, content=content)
        if problem := _token_failure(answer):
            raise problem
        token = decode(answer, Token, "token")
        if not token.access_token or not (token.access_token.isascii() and token.access_token.isprintable()):
            raise bad_response("the token endpoint answered without a usable access token")
        lifetime = _lifetime(token.expires_in)
        # A token that lives for less than a minute is used for half its time, else it would never be used at all.
        self._renew_at = time.monotonic() + max(lifetime - RENEW_BEFORE_SECONDS, lifetime / 2)
        self._header = f"Bearer {token.access_token}"
        self._granted = self._auth.scope if token.scope is None else token.scope

    async def _token_url(self) -> httpx.URL:
        if self._auth.token_url:
            return resolve(self._base, self._auth.token_url)
        found = await smart_configuration(self._base, self._transport)
        if not found.token_endpoint:
            raise bad_response("the SMART configuration names no token endpoint")
        url = resolve(self._base, found.token_endpoint)
        if not same_origin(url, self._base):
            # What a server says must not send us, with our signature, wherever it likes.
            raise _refused(f"the token endpoint lies at another host ({url.host}): enter its address as the token URL")
        return url


async def smart_configuration(base: httpx.URL, transport: Transport) -> SmartConfiguration:
    """SMART App Launch 2.2, 8: what lies at `/.well-known/smart-configuration`. Raises `ProviderError`."""
    url = resolve(base, ".well-known/smart-configuration")
    answer = await transport.send("GET", url, {"Accept": "application/json"}, cap=TOKEN_BYTES)
    if problem := failure(answer):
        raise problem
    return decode(answer, SmartConfiguration, "SMART configuration")


def assertion(auth: Auth, audience: str) -> str:
    """The signed claim of who we are (RFC 7523), by ES384 or RS384 as the key is. Any other key is `UNAUTHORIZED`."""
    try:
        key = load_pem_private_key(auth.private_key.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _refused("the private key is not an unencrypted PEM key") from error
    if isinstance(key, EllipticCurvePrivateKey) and key.key_size == P384_BITS:
        algorithm = "ES384"
    elif isinstance(key, RSAPrivateKey):
        algorithm = "RS384"
    else:
        raise _refused("the private key is neither RSA nor of the curve P-384")
    now = int(time.time())
    claims: dict[str, object] = {
        "iss": auth.client_id,
        "sub": auth.client_id,
        "aud": audience,
        "iat": now,
        "exp": now + ASSERTION_SECONDS,
        "jti": str(uuid.uuid4()),
    }
    headers = {"kid": auth.key_id} if auth.key_id else None
    return jwt.encode(claims, key, algorithm=algorithm, headers=headers)


def _token_failure(answer: Answer) -> ProviderError | None:
    problem = failure(answer)
    if problem is None or problem.retryable:
        return problem
    try:
        error = decode(answer, TokenError, "error").error or ""
    except ProviderError:
        error = ""
    # RFC 6749, 5.2 lists the words; anything else is not repeated.
    named = f" ({error})" if error in _TOKEN_ERRORS else ""
    return _refused(f"the token endpoint answered {answer.status}{named}")


_TOKEN_ERRORS = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    }
)


def _lifetime(told: object) -> float:
    if isinstance(told, str) and told.isascii() and told.isdecimal() and len(told) <= 10:
        told = int(told)
    # Compared before it is a float: JSON's integers may be too large for one.
    if isinstance(told, int | float) and told > 0:
        return float(min(told, LONGEST_LIFETIME_SECONDS))
    return UNTOLD_LIFETIME_SECONDS


class Session:
    """Requests to the server's own origin, with our authorisation, and once again with a new one after a 401."""

    def __init__(self, connection: Connection, base: httpx.URL, transport: Transport) -> None:
        self.base = base
        self.transport = transport
        self.limits = connection.limits
        smart = connection.auth.kind is AuthKind.SMART_BACKEND
        self.credentials: Credentials = SmartBackend(connection, base, transport) if smart else Fixed(connection.auth)

    async def ask(
        self,
        url: httpx.URL,
        accept: str,
        *,
        cap: int | Room,
        form: dict[str, str] | None = None,
        resource: bytes | None = None,
        method: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """GET, or POST of a form or of a resource. The answer, whatever its status. Raises `BAD_RESPONSE` for another
        origin."""
        if not same_origin(url, self.base):
            raise bad_response("a link leads to another origin than the base address")
        headers = {"Accept": accept, **(headers or {})}
        content = resource
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            content = urlencode(form).encode()
        elif resource is not None:
            headers["Content-Type"] = FHIR_JSON
        verb = method or ("GET" if content is None else "POST")
        authorization = await self.credentials.header()
        answer = await self.transport.send(verb, url, _with(headers, authorization), cap=cap, content=content)
        if _refuses_token(answer) and await self.credentials.renew(authorization):
            authorization = await self.credentials.header()
            answer = await self.transport.send(verb, url, _with(headers, authorization), cap=cap, content=content)
        return answer


def _refuses_token(answer: Answer) -> bool:
    """401, or an OperationOutcome that says `login` or `expired` under another status."""
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return True
    problem = failure(answer) if answer.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN) else None
    return problem is not None and problem.code is ProviderErrorCode.UNAUTHORIZED


def _with(headers: dict[str, str], authorization: str) -> dict[str, str]:
    return headers | {"Authorization": authorization} if authorization else headers
