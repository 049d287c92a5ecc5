"""Signatures of platforms' messages: what fits is believed, what was touched anywhere is not."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.connectors.platform import verify_webhook
from app.connectors.platform.port import PlatformKind, WebhookRefused, WebhookRequest

NOW = datetime(2026, 11, 20, 10, 0, 30, tzinfo=UTC)
SECRET = "whsec_of-ours"
PATH = "/hooks/platforms/1"
EVENT = {"resource_id": 123, "resource_id_type": "Document", "event_type": "document.deleted", "changed_fields": []}


def healthie(content: Any = EVENT, form: str = "hex", created: str = "", **given: str) -> WebhookRequest:
    """As the guide's own sample signs."""
    body = json.dumps(content, separators=(",", ":")).encode()
    raw = hashlib.sha256(body).digest()
    digest = {"hex": raw.hex(), "base64": base64.b64encode(raw).decode().rstrip("=")}[form]
    signed = f"post {PATH}  {digest} application/json {len(body)}"
    headers = {
        "content-digest": f"SHA-256={digest}",
        "signature-input": f'sig1=("@method" "@path"){created}',
        "signature": f"sig1={hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).hexdigest()}",
    }
    return WebhookRequest("POST", PATH, "", headers | given, body)


def verify(request: WebhookRequest, now: datetime = NOW, secret: str = SECRET) -> Any:
    return verify_webhook(PlatformKind.HEALTHIE, request, secret, now)


@pytest.mark.parametrize("form", ["hex", "base64"])
def test_a_message_of_healthies_is_believed(form: str) -> None:
    event = verify(healthie(form=form))
    assert (event.kind, event.attachment_id) == ("document.deleted", "123")


def test_the_same_message_has_the_same_key_for_five_minutes() -> None:
    first, again = verify(healthie()), verify(healthie(), NOW + timedelta(minutes=4))
    later = verify(healthie(), NOW + timedelta(minutes=6))
    other = verify(healthie(EVENT | {"resource_id": 124}))
    assert first.key == again.key
    assert len({first.key, later.key, other.key}) == 3


def test_a_message_about_something_else_is_about_no_document() -> None:
    assert verify(healthie(EVENT | {"resource_id_type": "Appointment"})).attachment_id is None


def test_a_time_in_the_signature_input_is_looked_at() -> None:
    at = int(NOW.timestamp())
    assert verify(healthie(created=f";created={at}")).key.endswith(str(at))
    for far in (at - 301, at + 301):
        with pytest.raises(WebhookRefused):
            verify(healthie(created=f";created={far}"))


@pytest.mark.parametrize(
    "touched",
    [
        {"signature": "sig1=" + "0" * 64},
        {"signature": ""},
        {"signature": "sig1=é"},
        {"content-digest": "SHA-256=" + "0" * 64},
        {"content-digest": ""},
        {"content-digest": "SHA-256=%%%"},
    ],
    ids=range(6),
)
def test_a_header_that_was_touched_is_refused(touched: dict[str, str]) -> None:
    with pytest.raises(WebhookRefused):
        verify(healthie(**touched))


def test_another_body_path_query_or_secret_is_refused() -> None:
    good = healthie()
    others = [
        WebhookRequest("POST", PATH, "", good.headers, good.body.replace(b"123", b"124")),
        WebhookRequest("POST", "/hooks/platforms/2", "", good.headers, good.body),
        WebhookRequest("POST", PATH, "a=b", good.headers, good.body),
        WebhookRequest("PUT", PATH, "", good.headers, good.body),
    ]
    for other in others:
        with pytest.raises(WebhookRefused):
            verify(other)
    with pytest.raises(WebhookRefused):
        verify(good, secret="another")


@pytest.mark.parametrize("content", [[], {}, {"resource_id": [], "resource_id_type": "Document", "event_type": "x"}, 7])
def test_a_signed_body_of_another_shape_is_refused(content: Any) -> None:
    with pytest.raises(WebhookRefused):
        verify(healthie(content))


def test_nothing_is_expected_of_no_platform() -> None:
    with pytest.raises(WebhookRefused):
        verify_webhook(PlatformKind.NONE, healthie(), SECRET, NOW)
