"""What makes a connection usable. No I/O."""

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields, replace
from datetime import timedelta
from urllib.parse import urlsplit

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from app.connectors.platform.port import PlatformConnection
from app.connectors.provider.port import (
    Auth,
    AuthKind,
    Capability,
    Connection,
    Limits,
    SearchFacts,
    SinceFilter,
    Strategy,
)
from app.core.db import Json
from app.core.errors import invalid
from app.domain.connections.models import HealthStatus, Platform, Provider

KEY_SETTLES = timedelta(minutes=10)
"""Between publishing a new key and signing with it: twice as long as our key set may be kept by whoever fetched it."""
KEY_OVERLAP = timedelta(hours=1)
"""How long the former key stays published after the new one has taken over: assertions live for minutes, caches for less."""

ESSENTIAL = frozenset({"DocumentReference search", "DiagnosticReport search"})
LONGEST_CREDENTIAL = 20_000
MOST_HOSTS, LONGEST_HOST = 100, 260
NEEDED = {
    AuthKind.NONE: (),
    AuthKind.BEARER: ("token",),
    AuthKind.BASIC: ("username", "password"),
    AuthKind.SMART_BACKEND: ("client_id",),
}


def checked_url(url: str, *field: str) -> str:
    """An absolute http(s) address without credentials, query or fragment, and without a slash at its end."""
    url = url.strip()
    # `urlsplit` drops control characters without a word, and lets spaces through.
    clean = len(url) <= 2000 and url.isprintable() and " " not in url
    try:
        parts = urlsplit(url)
        usable = clean and parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
        parts = urlsplit("")
    if not usable or parts.username or parts.password or parts.query or parts.fragment:
        raise invalid(
            "The address must be an absolute http or https URL without credentials, query or fragment.", *field
        )
    return parts.geturl().rstrip("/")


def checked_auth(auth: Auth) -> Auth:
    """Refuses an incomplete or unusable key; makes a private key (P-384, for ES384) where SMART needs one and none was
    given. A key without a name is named by its fingerprint."""
    for name in NEEDED[auth.kind]:
        if not getattr(auth, name):
            raise invalid(f"Authentication by {auth.kind} needs `{name}`.", "auth", name)
    checked_credentials(*asdict(auth).values(), field="auth")
    if auth.kind is not AuthKind.SMART_BACKEND:
        return auth
    if not auth.private_key:
        made = ec.generate_private_key(ec.SECP384R1())
        auth = replace(auth, private_key=made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
    public = _smart_key(auth.private_key).public_key()
    fingerprint = hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
    return replace(auth, key_id=auth.key_id or fingerprint[:16])


def checked_credentials(*given: str, field: str) -> None:
    if any(len(it) > LONGEST_CREDENTIAL for it in given):
        raise invalid(f"Credentials have at most {LONGEST_CREDENTIAL} characters each.", field)


def with_fresh_key(auth: Auth) -> Auth:
    """The same client with a new key of the same kind, named by its fingerprint. Takes a moment for RSA."""
    former = _smart_key(auth.private_key)
    if isinstance(former, rsa.RSAPrivateKey):
        made = rsa.generate_private_key(public_exponent=65537, key_size=max(former.key_size, 3072))
    else:
        made = ec.generate_private_key(ec.SECP384R1())
    pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return checked_auth(replace(auth, private_key=pem, key_id=""))


def _smart_key(pem: str) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    """SMART Backend Services signs with ES384 or RS384 (client-confidential-asymmetric, «signature algorithms»)."""
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if isinstance(key, rsa.RSAPrivateKey) or (
        isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP384R1)
    ):
        return key
    raise invalid("A SMART key is an unencrypted P-384 or RSA key in PEM.", "auth", "privateKey")


def public_jwk(auth: Auth) -> Json:
    """The public half of a SMART key, as providers register it (RFC 7517)."""
    key = _smart_key(auth.private_key)
    if isinstance(key, rsa.RSAPrivateKey):
        shown, algorithm = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "RS384"
    else:
        shown, algorithm = ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "ES384"
    return {**shown, "kid": auth.key_id, "alg": algorithm, "use": "sig", "key_ops": ["verify"]}


def dump_auth(auth: Auth) -> bytes:
    return json.dumps(asdict(auth)).encode()


def load_auth(plain: bytes) -> Auth:
    stored = json.loads(plain)
    known = {field.name for field in fields(Auth)}
    values = {name: value for name, value in stored.items() if name in known}
    return Auth(**values | {"kind": AuthKind(stored["kind"])})


def connection_of(provider: Provider, auth: Auth, attachment_bytes: int) -> Connection:
    return Connection(
        base_url=provider.base_url,
        auth=auth,
        file_hosts=tuple(provider.file_hosts),
        page_size=provider.page_size,
        strategy=strategy_of(provider),
        limits=Limits(attachment_bytes=attachment_bytes),
    )


def platform_connection_of(platform: Platform, plain: bytes) -> PlatformConnection:
    stored = json.loads(plain)
    return PlatformConnection(platform.kind, platform.base_url, stored["username"], stored["password"])


def checked_name(name: str) -> str:
    if not 1 <= len(name.strip()) <= 200:
        raise invalid("A provider needs a name of at most 200 characters.", "name")
    return name.strip()


def checked_page_size(size: int) -> int:
    if not 1 <= size <= 200:
        raise invalid("A page holds between 1 and 200 resources.", "pageSize")
    return size


def checked_hosts(hosts: Sequence[str]) -> list[str]:
    """`host` or `host:port` each, in small letters."""
    found = [it.strip().lower() for it in hosts]
    if len(found) > MOST_HOSTS or not all(_is_host(it) for it in found):
        raise invalid(f"Hosts are written as `host` or `host:port`; there are at most {MOST_HOSTS}.", "fileHosts")
    return found


def _is_host(text: str) -> bool:
    try:
        parts = urlsplit(f"//{text}")
        plain = bool(parts.hostname) and parts.netloc == text and "@" not in text and parts.port != 0
    except ValueError:
        return False
    return plain and len(text) <= LONGEST_HOST and text.isprintable() and " " not in text


def checked_rate(rate: float | None) -> float | None:
    if rate is not None and not (math.isfinite(rate) and 0 < rate <= 1000):
        raise invalid("A provider can be asked at most 1000 times a second, and more than 0.", "requestsPerSecond")
    return rate


def checked_interval(minutes: int | None) -> int | None:
    if minutes is not None and not 1 <= minutes <= 10_080:
        raise invalid("Between two synchronisations lie 1 to 10080 minutes (a week).", "syncEveryMinutes")
    return minutes


def checked_sweep(days: int) -> int:
    if not 1 <= days <= 365:
        raise invalid("Between two sweeps lie 1 to 365 days.", "sweepEveryDays")
    return days


def same_place(url: str, other: str) -> bool:
    """Whether two addresses lie at the same scheme, host and port."""
    first, second = urlsplit(url), urlsplit(other)
    return (first.scheme, first.hostname, first.port) == (second.scheme, second.hostname, second.port)


def strategy_of(provider: Provider) -> Strategy:
    """What was kept, or nothing where an older version wrote what we cannot read: it will be learnt again."""
    try:
        return msgspec.convert(provider.strategy, Strategy)
    except msgspec.ValidationError:
        return Strategy()


def dump_strategy(strategy: Strategy) -> Json:
    return msgspec.to_builtins(strategy)


def probed(before: Strategy, found: Strategy) -> Strategy:
    """What a probe has found out, with what it could not try as it was known before."""
    named = {it.resource_type for it in (*before.searches, *found.searches)}
    searches = [found.search(it) for it in sorted(named)]
    kept = (
        replace(it, since=before.search(it.resource_type).since) if it.since is SinceFilter.UNKNOWN else it
        for it in searches
    )
    return replace(found, searches=_telling(kept))


def learnt(known: Strategy, before: Strategy, after: Strategy) -> Strategy:
    """`known` with what changed between `before` and `after`: others may have learnt something else meanwhile."""
    named = {it.resource_type for it in (*known.searches, *before.searches, *after.searches)}
    searches = (known.search(it) if after.search(it) == before.search(it) else after.search(it) for it in sorted(named))
    return Strategy(
        searches=_telling(searches),
        page_size=known.page_size if after.page_size == before.page_size else after.page_size,
        batch=known.batch if after.batch == before.batch else after.batch,
    )


def _telling(searches: Iterable[SearchFacts]) -> tuple[SearchFacts, ...]:
    return tuple(it for it in searches if it != SearchFacts(it.resource_type))


def health_of(card: Sequence[Capability]) -> HealthStatus:
    missing = {line.name for line in card if not line.supported}
    return HealthStatus.DEGRADED if missing & ESSENTIAL else HealthStatus.HEALTHY
