"""Telling a platform's message from anybody else's. A verified message is a reason to look, never a fact."""

import base64
import binascii
import hashlib
import hmac
import re
from datetime import datetime
from typing import TypeVar

import msgspec

from app.connectors.platform.port import WebhookEvent, WebhookRefused, WebhookRequest

LONGEST_AGE = 300
"""Seconds that a message may be old, or ahead of our clock."""
LONGEST_ID = 200
JSON = "application/json"

Shape = TypeVar("Shape")

_CREATED = re.compile(r";\s*created=(\d{1,12})", re.ASCII)


class Timestamped(msgspec.Struct):
    """The body of a Carepatron-style message."""

    id: str
    type: str
    patient_id: str | None = None
    patient_attachment_id: str | None = None


class Thin(msgspec.Struct):
    """The body of one of Healthie's messages; `resource_id` is a number in one of their examples."""

    resource_id: str | int
    resource_id_type: str
    event_type: str


def verify_timestamped(request: WebhookRequest, secret: str, now: datetime) -> WebhookEvent:
    """`X-Webhook-Timestamp` (epoch seconds), and `X-Webhook-Signature: sha256=<hex>`: HMAC-SHA256 with the secret over the
    timestamp, a full stop and the body. Our own description, like the API that it belongs to."""
    stamp = request.headers.get("x-webhook-timestamp", "")
    expected = signed_timestamped(secret, stamp, request.body)
    given = request.headers.get("x-webhook-signature", "")
    if not hmac.compare_digest(expected.encode(), given.strip().lower().encode()):
        raise WebhookRefused("the signature does not fit")
    _check_age(stamp, now)
    told = _read(request.body, Timestamped)
    return WebhookEvent(_short(told.id), _short(told.type), told.patient_attachment_id, told.patient_id)


def signed_timestamped(secret: str, stamp: str, body: bytes) -> str:
    return f"sha256={_hmac(secret, stamp.encode() + b'.' + body)}"


def verify_healthie(request: WebhookRequest, secret: str, now: datetime) -> WebhookEvent:
    """As Healthie's guide to webhooks describes: the headers are those of RFC 9421 and RFC 9530, what is signed is their own:
    method, path, query, digest, media type and length, with spaces between. Nothing in it is a time or an id; so a message
    that somebody repeats within five minutes counts as the same, and one repeated later makes us look once more, which
    changes nothing. A `created` in `Signature-Input` is looked at where there is one."""
    digest = _value(request.headers.get("content-digest", ""))
    if not _is_digest_of(digest, request.body):
        raise WebhookRefused("the digest does not fit the body")
    parts = (request.method.lower(), request.path, request.query, digest, JSON, str(len(request.body)))
    expected = _hmac(secret, " ".join(parts).encode())
    if not hmac.compare_digest(expected.encode(), _value(request.headers.get("signature", "")).lower().encode()):
        raise WebhookRefused("the signature does not fit")
    created = _CREATED.search(request.headers.get("signature-input", ""))
    if created:
        _check_age(created[1], now)
    told = _read(request.body, Thin)
    moment = created[1] if created else str(int(now.timestamp()) // LONGEST_AGE)
    document = str(told.resource_id) if told.resource_id_type == "Document" else None
    return WebhookEvent(_short(f"{told.event_type}/{told.resource_id}/{moment}"), _short(told.event_type), document)


def _hmac(secret: str, message: bytes) -> str:
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def _value(header: str) -> str:
    """What stands between the first and the second equals sign, as in their sample: `sig1=…`, `SHA-256=…`."""
    _, _, value = header.partition("=")
    return value.split("=")[0].strip()


def _is_digest_of(digest: str, body: bytes) -> bool:
    """Their guide shows the digest's place and not its form: hex or base64, with RFC 9530's colons or without."""
    wanted = hashlib.sha256(body).digest()
    plain = digest.strip(":")
    if hmac.compare_digest(wanted.hex().encode(), plain.lower().encode()):
        return True
    try:
        return hmac.compare_digest(wanted, base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True))
    except (binascii.Error, ValueError):
        return False


def _check_age(stamp: str, now: datetime) -> None:
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        raise WebhookRefused("the time cannot be read")
    if abs(now.timestamp() - int(stamp)) > LONGEST_AGE:
        raise WebhookRefused("the message is not of now")


def _read(body: bytes, shape: type[Shape]) -> Shape:
    try:
        return msgspec.json.decode(body, type=shape)
    except (ValueError, RecursionError) as error:
        raise WebhookRefused("the body cannot be read") from error


def _short(text: str) -> str:
    if not 1 <= len(text) <= LONGEST_ID or not text.isprintable():
        raise WebhookRefused("an id or type that cannot be one")
    return text
