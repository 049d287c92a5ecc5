"""What makes a connection usable. No I/O."""

import hashlib
import json
from dataclasses import asdict, fields, replace
from urllib.parse import urlsplit

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
from app.connectors.provider.port import Auth, AuthKind, Capability, Connection, Limits
from app.core.db import Json
from app.core.errors import invalid
from app.domain.connections.models import HealthStatus, Platform, Provider

ESSENTIAL = frozenset({"DocumentReference search", "DiagnosticReport search"})
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
    if auth.kind is not AuthKind.SMART_BACKEND:
        return auth
    if not auth.private_key:
        made = ec.generate_private_key(ec.SECP384R1())
        auth = replace(auth, private_key=made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
    public = _smart_key(auth.private_key).public_key()
    fingerprint = hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
    return replace(auth, key_id=auth.key_id or fingerprint[:16])


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
        limits=Limits(attachment_bytes=attachment_bytes),
    )


def platform_connection_of(platform: Platform, plain: bytes) -> PlatformConnection:
    stored = json.loads(plain)
    return PlatformConnection(platform.kind, platform.base_url, stored["username"], stored["password"])


def health_of(card: list[Capability]) -> HealthStatus:
    missing = {line.name for line in card if not line.supported}
    return HealthStatus.DEGRADED if missing & ESSENTIAL else HealthStatus.HEALTHY
