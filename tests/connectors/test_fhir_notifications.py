"""What servers send to a subscriber: the shapes of R4's Backport, of R4B, and of R4's own rest-hook."""

import json
from typing import Any

import pytest

from app.connectors.provider.fhir.notifications import (
    Event,
    Notification,
    NotificationKind,
    Unintelligible,
    read,
    reference,
)

BASE = "https://ehr.example.test/fhir"


def bundle(*entries: Any) -> bytes:
    return json.dumps({"resourceType": "Bundle", "type": "history", "entry": entries}).encode()


def parameters(*more: dict[str, Any], kind: str = "event-notification", so_far: str = "2") -> dict[str, Any]:
    named: list[dict[str, Any]] = [
        {"name": "subscription", "valueReference": {"reference": f"{BASE}/Subscription/s1"}},
        {"name": "status", "valueCode": "active"},
        {"name": "type", "valueCode": kind},
        {"name": "events-since-subscription-start", "valueString": so_far},
        *more,
    ]
    return {"resource": {"resourceType": "Parameters", "parameter": named}}


def event(number: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"name": "notification-event", "part": [{"name": "event-number", "valueString": number}, *parts]}


def part(name: str, target: str) -> dict[str, Any]:
    return {"name": name, "valueReference": {"reference": target}}


def test_an_id_only_notification_names_focus_and_patient() -> None:
    found = read(
        bundle(
            parameters(
                event("1", part("focus", f"{BASE}/DocumentReference/a"), part("additional-context", "Patient/amara")),
                event("2", part("focus", "DocumentReference/b/_history/4")),
            ),
            {"fullUrl": f"{BASE}/DocumentReference/b", "request": {"method": "DELETE", "url": "DocumentReference/b"}},
        ),
        "DocumentReference",
    )
    assert found == Notification(
        NotificationKind.EVENT,
        subscription="s1",
        status="active",
        so_far=2,
        events=(
            Event(1, "DocumentReference/a", "Patient/amara"),
            Event(2, "DocumentReference/b", removed=True),
        ),
    )


@pytest.mark.parametrize("kind", ["handshake", "heartbeat"])
def test_a_handshake_and_a_heartbeat_count_and_name_nothing(kind: str) -> None:
    found = read(bundle(parameters(kind=kind, so_far="0")), "DocumentReference")
    assert (found.kind, found.so_far, found.events) == (kind, 0, ())


def test_an_empty_notification_counts_and_names_nobody() -> None:
    assert read(bundle(parameters(event("2"))), "DocumentReference").events == (Event(2),)


def test_r4bs_subscription_status_is_understood_too() -> None:
    status = {
        "resourceType": "SubscriptionStatus",
        "status": "error",
        "type": "event-notification",
        "eventsSinceSubscriptionStart": 7,
        "subscription": {"reference": "Subscription/s1"},
        "notificationEvent": [{"eventNumber": "7", "focus": {"reference": "DocumentReference/a"}}],
    }
    found = read(bundle({"resource": status}), "DocumentReference")
    assert (found.status, found.so_far, found.events) == ("error", 7, (Event(7, "DocumentReference/a"),))


def test_r4s_own_rest_hook_sends_nothing_or_the_resource() -> None:
    assert read(b" \n", "DocumentReference").events == (Event(),)
    resource = {
        "resourceType": "DocumentReference",
        "id": "a",
        "meta": {"versionId": "3"},
        "subject": {"reference": f"{BASE}/Patient/amara"},
        "content": [{"attachment": {"data": "c2VjcmV0"}}],
    }
    found = read(json.dumps(resource).encode(), "DocumentReference")
    assert found.events == (Event(None, "DocumentReference/a", "Patient/amara", "3"),)


@pytest.mark.parametrize(
    "body",
    [
        b"rubbish",
        b"[]",
        b"null",
        b"{}",
        b'{"resourceType":"Bundle"}',
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"resourceType":"Observation","id":"1"}',
        b'{"resourceType":"DocumentReference","id":"../../etc"}',
        b'{"resourceType":"DocumentReference"}',
        bundle({"resource": {"resourceType": "DocumentReference", "id": "1"}}),
        bundle({"resource": 7}),
        bundle(parameters(kind="explosion")),
        bundle(parameters(kind="query-status")),
        bundle(parameters(so_far="many")),
        bundle(parameters(so_far="-1")),
        bundle(parameters(event("9" * 30))),
        bundle(parameters(event("1.5"))),
        bundle(parameters(event("٣"))),
    ],
    ids=range(19),
)
def test_what_is_no_notification_is_refused_and_not_repeated(body: bytes) -> None:
    with pytest.raises(Unintelligible) as refused:
        read(body, "DocumentReference")
    assert "etc" not in str(refused.value)
    assert len(str(refused.value)) < 100


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("DocumentReference/1", "DocumentReference/1"),
        (f"{BASE}/DocumentReference/1/_history/2", "DocumentReference/1"),
        ("https://other.example.test/proxy/DocumentReference/1", "DocumentReference/1"),
        ("urn:uuid:1", ""),
        ("DocumentReference/", ""),
        ("DocumentReference/1?x=/", ""),
        ("DocumentReference/a b", ""),
        ("DocumentReference/..", ""),
        ("", ""),
        (None, ""),
        ("a" * 100_000, ""),
    ],
    ids=range(11),
)
def test_a_reference_is_a_type_and_an_id_and_nothing_that_could_lead_elsewhere(
    given: str | None, expected: str
) -> None:
    assert reference(given) == expected
