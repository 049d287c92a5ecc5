"""What a FHIR server tells a subscriber: the Subscriptions R5 Backport's notification Bundle (in R4 its status is a Parameters
resource, in R4B a SubscriptionStatus), and R4's own rest-hook (R4 2.46: an empty body, or the resource that changed)."""

import re
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from app.connectors.provider.fhir.mapping import line, valid_id
from app.connectors.provider.fhir.resources import Lenient, Meta, Reference

HIGHEST_NUMBER = 2**53
"""JSON's numbers are exact up to here; nobody counts so many events."""

_REFERENCE = re.compile(r"(?:.*/)?([A-Z][A-Za-z]{1,60})/([A-Za-z0-9._~:|-]{1,255})(?:/_history/[^/]+)?", re.DOTALL)


class NotificationKind(StrEnum):
    """R5 SubscriptionStatus.type, as far as a server sends it by itself."""

    HANDSHAKE = "handshake"
    HEARTBEAT = "heartbeat"
    EVENT = "event-notification"


@dataclass(frozen=True, slots=True)
class Event:
    """A change. `focus` is the resource (`DocumentReference/1`), `subject` whose it is (`Patient/1`); either may be empty.
    `version` tells two changes of one resource apart where there is no `number`."""

    number: int | None = None
    focus: str = ""
    subject: str = ""
    version: str = ""
    removed: bool = False


@dataclass(frozen=True, slots=True)
class Notification:
    """`subscription` is the Subscription's id at the server and `status` its state there, where the server says so; `so_far`
    how many events there were since it began."""

    kind: NotificationKind
    subscription: str = ""
    status: str = ""
    so_far: int | None = None
    events: tuple[Event, ...] = ()


class Unintelligible(ValueError):
    """The body is no notification; the words repeat none of it."""


class _Part(Lenient):
    name: str | None = None
    value_string: str | None = None
    value_reference: Reference | None = None


class _Parameter(_Part):
    value_code: str | None = None
    part: list[_Part] | None = None


class _StatusEvent(Lenient):
    event_number: object = None
    focus: Reference | None = None
    additional_context: list[Reference] | None = None


class _Status(Lenient):
    """A Parameters resource or a SubscriptionStatus: only one half of the fields is there."""

    resource_type: str | None = None
    parameter: list[_Parameter] | None = None
    subscription: Reference | None = None
    status: str | None = None
    type: str | None = None
    events_since_subscription_start: object = None
    notification_event: list[_StatusEvent] | None = None


class _Request(Lenient):
    method: str | None = None
    url: str | None = None


class _Entry(Lenient):
    full_url: str | None = None
    request: _Request | None = None
    resource: msgspec.Raw = msgspec.Raw(b"")


class _Body(Lenient):
    """A Bundle, or the resource that changed."""

    resource_type: str | None = None
    id: str | None = None
    meta: Meta | None = None
    subject: Reference | None = None
    entry: list[_Entry] | None = None


def reference(text: str | None) -> str:
    """`Type/id` of a reference, wherever the server says that it lies; empty where it is none."""
    found = _REFERENCE.fullmatch(line(text))
    return f"{found[1]}/{found[2]}" if found and valid_id(found[2]) else ""


def read(body: bytes, resource_type: str) -> Notification:
    """What a body says to a subscription of a resource type. Raises `Unintelligible`."""
    if not body.strip():
        return Notification(NotificationKind.EVENT, events=(Event(),))
    try:
        found = msgspec.json.decode(body, type=_Body)
        if found.resource_type == "Bundle":
            return _bundle(found.entry or [])
    except (ValueError, RecursionError) as error:
        raise Unintelligible("The body is not the JSON of a notification.") from error
    if found.resource_type != resource_type or not valid_id(found.id):
        raise Unintelligible("The body is neither a notification Bundle nor a resource that was subscribed to.")
    event = Event(
        focus=f"{resource_type}/{found.id}",
        subject=reference(found.subject.reference if found.subject else None),
        version=line(found.meta.version_id) if found.meta else "",
    )
    return Notification(NotificationKind.EVENT, events=(event,))


def _bundle(entries: list[_Entry]) -> Notification:
    """Raises ValueError where the first entry, which carries the status, is none."""
    status = msgspec.json.decode(entries[0].resource, type=_Status) if entries and entries[0].resource else _Status()
    removed = {_place(entry) for entry in entries[1:] if entry.request and entry.request.method == "DELETE"} - {""}
    if status.resource_type == "SubscriptionStatus":
        return _of_resource(status, removed)
    if status.resource_type == "Parameters":
        return _of_parameters(status.parameter or [], removed)
    raise ValueError("no status in the first entry")


def _place(entry: _Entry) -> str:
    return reference(entry.full_url) or reference(entry.request.url if entry.request else None)


def _of_resource(status: _Status, removed: set[str]) -> Notification:
    events = [
        _event(it.event_number, it.focus, it.additional_context or [], removed)
        for it in status.notification_event or ()
    ]
    return _notification(
        status.type, status.subscription, status.status, status.events_since_subscription_start, events
    )


def _of_parameters(parameters: list[_Parameter], removed: set[str]) -> Notification:
    named = {it.name: it for it in parameters}
    events: list[Event] = []
    for parameter in parameters:
        if parameter.name == "notification-event":
            parts = parameter.part or []
            by_name = {it.name: it for it in parts}
            number, focus = by_name.get("event-number"), by_name.get("focus")
            context = [it.value_reference for it in parts if it.name == "additional-context" and it.value_reference]
            events.append(_event(number and number.value_string, focus and focus.value_reference, context, removed))
    kind, status, subscription = named.get("type"), named.get("status"), named.get("subscription")
    so_far = named.get("events-since-subscription-start")
    return _notification(
        kind and kind.value_code,
        subscription and subscription.value_reference,
        status and status.value_code,
        so_far and so_far.value_string,
        events,
    )


def _notification(
    kind: str | None, subscription: Reference | None, status: str | None, so_far: object, events: list[Event]
) -> Notification:
    named = reference(subscription.reference if subscription else None)
    return Notification(
        kind=NotificationKind(kind or ""),
        subscription=named.removeprefix("Subscription/") if named.startswith("Subscription/") else "",
        status=status or "",
        so_far=_number(so_far),
        events=tuple(events),
    )


def _event(number: object, focus: Reference | None, context: list[Reference], removed: set[str]) -> Event:
    place = reference(focus.reference if focus else None)
    people = [found for it in context if (found := reference(it.reference)).startswith("Patient/")]
    return Event(_number(number), place, people[0] if people else "", removed=place in removed)


def _number(value: object) -> int | None:
    """Raises ValueError for what is no count."""
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= len(str(HIGHEST_NUMBER)):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= HIGHEST_NUMBER:
        raise ValueError("a number of events that is none")
    return value
