"""Subscriptions of channel rest-hook (http://hl7.org/fhir/R4/subscription.html), with the Subscriptions R5 Backport's topic for
the US Core Patient Data Feed, or with R4's own criteria.

A topic-based one gets a handshake and numbered notification Bundles; one with criteria gets the changed resource by PUT, or an
empty POST where it has no payload. Where the channel has a header `X-Healthrecords-Secret`, its value signs what is sent and does
not travel itself, unless the store's setting `subscriptions.unsigned` holds anything: then headers are sent as they stand, as
most servers do. `subscriptions.plain` takes the topic away: then there is only R4's own way.

`POST /control/heartbeat` sends a heartbeat to every active subscription with a topic.
"""

import asyncio
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import httpx

from sandbox.ehr.index import Resource
from sandbox.ehr.outcome import Refused
from sandbox.ehr.search import matching_ids
from sandbox.ehr.store import Store, Version
from sandbox.ehr.types import TYPES
from sandbox.sqlite import instant, now_ms

FEED = "http://hl7.org/fhir/us/core/SubscriptionTopic/patient-data-feed"
BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
OFFER = {"url": f"{BACKPORT}capabilitystatement-subscriptiontopic-canonical", "valueCanonical": FEED}
SIGNING_HEADER = "x-healthrecords-secret"
FHIR_JSON = "application/fhir+json"
SECONDS = 5.0
PAUSES = (0.1, 0.4)
"""Before the second try and the third; then the subscription is in error."""
MOST_EVENTS = 100
NO_TOPICS, UNSIGNED = "subscriptions.plain", "subscriptions.unsigned"

Message = tuple[str, str, bytes]
"""Method, what follows the endpoint, body."""


@dataclass(frozen=True, slots=True)
class Live:
    """A subscription that is not off."""

    id: str
    status: str
    base: str
    endpoint: str
    headers: tuple[str, ...]
    payload: str
    content: str
    """id-only, empty or full-resource."""
    criteria: tuple[str, ...]
    topic: bool

    @classmethod
    def of(cls, resource: Resource, base: str) -> "Live":
        channel = cast("Resource", resource["channel"])
        topic = resource["criteria"] == FEED
        filters = _extensions(resource.get("_criteria"), "backport-filter-criteria", "valueString")
        contents = _extensions(channel.get("_payload"), "backport-payload-content", "valueCode")
        return cls(
            id=resource["id"],
            status=resource["status"],
            base=base,
            endpoint=channel["endpoint"],
            headers=tuple(channel.get("header", ())),
            payload=channel.get("payload", ""),
            content=contents[0] if contents else "empty",
            criteria=tuple(filters) if topic else (resource["criteria"],),
            topic=topic,
        )


class Subscriptions:
    """Listens to a store's changes; of several over one store the last does. Nothing is sent without a running event loop,
    but counted all the same."""

    def __init__(self, store: Store, deliveries: Callable[[str], Iterable[float]]) -> None:
        self.store = store
        self._deliveries = deliveries
        self._tasks: set[asyncio.Task[None]] = set()
        store.listener = self.changed

    def changed(self, versions: Sequence[Version]) -> None:
        """What a transaction has changed."""
        for version in versions:
            if (
                version.type == "Subscription"
                and not version.deleted
                and json.loads(version.json)["status"] == "requested"
            ):
                self._start(self._shake_hands(version.id))
        others = [version for version in versions if version.type != "Subscription"]
        for live in self._all() if others else ():
            matching = [version for version in others if self._matches(live, version)]
            for at in range(0, len(matching), MOST_EVENTS):
                self._tell(live, matching[at : at + MOST_EVENTS])

    def heartbeat(self) -> int:
        beating = [live for live in self._all() if live.topic and live.status == "active"]
        for live in beating:
            self._send(live, [("POST", "", _bundle(live, "heartbeat", self._counted(live, 0), []))])
        return len(beating)

    def _all(self) -> list[Live]:
        rows = self.store.db.all(
            "SELECT s.base, v.json FROM subscription s JOIN resource r ON r.type = 'Subscription' AND r.id = s.id"
            " JOIN version v ON v.resource = r.pk AND v.version = r.version WHERE r.deleted = 0"
        )
        return [live for base, text in rows if (live := Live.of(json.loads(text), base)).status != "off"]

    def _matches(self, live: Live, version: Version) -> bool:
        if not live.criteria:
            return True
        if version.deleted and not live.topic:
            # R4's criteria are searches: what is deleted is found by none.
            return False
        return any(self._fits(version, criteria, live.base) for criteria in live.criteria)

    def _fits(self, version: Version, criteria: str, base: str) -> bool:
        resource_type, _, query = criteria.partition("?")
        params = [(name, value) for name, value in parse_qsl(query) if name != "trigger"]
        if resource_type != version.type:
            return False
        return not params or version.deleted or version.id in matching_ids(self.store, resource_type, params, base)

    def _tell(self, live: Live, versions: Sequence[Version]) -> None:
        last = self._counted(live, len(versions))
        if live.topic:
            numbered = list(enumerate(versions, start=last - len(versions) + 1))
            self._send(live, [("POST", "", _bundle(live, "event-notification", last, numbered, self.store))])
        elif not live.payload:
            self._send(live, [("POST", "", b"")])
        else:
            rendered = [(v, self.store.rendered(v.json, live.base.removesuffix("/fhir"))) for v in versions]
            self._send(live, [("PUT", f"/{v.type}/{v.id}", text.encode()) for v, text in rendered])

    def _counted(self, live: Live, more: int) -> int:
        with self.store.db.write():
            self.store.db.run("UPDATE subscription SET events = events + ? WHERE id = ?", more, live.id)
            row = self.store.db.one("SELECT events FROM subscription WHERE id = ?", live.id)
        return row[0] if row else 0

    def _send(self, live: Live, messages: Sequence[Message]) -> None:
        # In error, and before the handshake, events are counted and not sent: the subscriber sees by the numbers.
        if live.status == "active":
            for message in messages:
                for wait in self._deliveries(live.endpoint):
                    self._start(self._deliver(live, message, wait))

    def _start(self, doing: Any) -> None:
        try:
            task = asyncio.get_running_loop().create_task(doing)
        except RuntimeError:
            doing.close()
            return
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _shake_hands(self, subscription_id: str) -> None:
        live = self._current(subscription_id)
        if live is None or live.status != "requested":
            return
        why = ""
        if live.topic:
            why = await self._tried(live, ("POST", "", _bundle(live, "handshake", self._counted(live, 0), [])))
        self._note(subscription_id, "error" if why else "active", why)

    async def _deliver(self, live: Live, message: Message, wait: float) -> None:
        await asyncio.sleep(wait)
        if why := await self._tried(live, message):
            self._note(live.id, "error", why)

    async def _tried(self, live: Live, message: Message) -> str:
        """Empty once the subscriber has taken it; else why it did not, in the end."""
        why = ""
        for pause in (*PAUSES, None):
            why = await self._posted(live, message)
            if not why or pause is None:
                return why
            await asyncio.sleep(pause)
        return why

    async def _posted(self, live: Live, message: Message) -> str:
        method, path, body = message
        try:
            async with httpx.AsyncClient(timeout=SECONDS, trust_env=False) as client:
                answer = await client.request(
                    method, live.endpoint + path, content=body, headers=self._headers(live, body)
                )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return type(error).__name__
        return "" if answer.status_code < HTTPStatus.MULTIPLE_CHOICES else f"the endpoint answered {answer.status_code}"

    def _headers(self, live: Live, body: bytes) -> dict[str, str]:
        pairs = (header.partition(":") for header in live.headers)
        given = {name.strip(): value.strip() for name, _, value in pairs}
        secret = next((value for name, value in given.items() if name.lower() == SIGNING_HEADER), None)
        if secret and not self.store.db.setting(UNSIGNED):
            given = {name: value for name, value in given.items() if name.lower() != SIGNING_HEADER}
            given |= signed(secret, live.endpoint, body, int(time.time()))
        return {**given, **({"Content-Type": live.payload} if body else {})}

    def _current(self, subscription_id: str) -> Live | None:
        row = self.store.db.one("SELECT base FROM subscription WHERE id = ?", subscription_id)
        found = self.store.current("Subscription", subscription_id)
        return None if row is None or found is None or found.deleted else Live.of(json.loads(found.json), row[0])

    def _note(self, subscription_id: str, status: str, why: str) -> None:
        found = self.store.current("Subscription", subscription_id)
        if found is None or found.deleted:
            return
        resource: Resource = json.loads(found.json)
        resource.pop("error", None)
        if resource["status"] != "off":
            self.store.put({**resource, "status": status, **({"error": why} if why else {})})


def accepted(store: Store, body: Resource, base: str) -> Resource:
    """The resource as it is stored: whoever subscribes asks, and the server says how it stands.

    Raises:
        Refused: 422, it is none that this server could serve.
    """
    given: Any = body.get("channel")
    channel = cast("Resource", given) if isinstance(given, dict) else {}
    if channel.get("type") != "rest-hook":
        raise _unfit("Only the channel rest-hook is served")
    endpoint, headers = channel.get("endpoint"), channel.get("header", [])
    if not isinstance(endpoint, str) or urlsplit(endpoint).scheme not in ("http", "https"):
        raise _unfit("channel.endpoint is not an absolute http or https address")
    if not isinstance(headers, list) or not all(isinstance(it, str) and ":" in it for it in cast("list[Any]", headers)):
        raise _unfit("channel.header is a list of «Name: value»")
    criteria = body.get("criteria")
    if criteria != FEED and not (isinstance(criteria, str) and criteria.partition("?")[0] in TYPES):
        raise _unfit("criteria is neither the Patient Data Feed nor a search")
    if criteria == FEED and store.db.setting(NO_TOPICS):
        raise _unfit("This server has no topics")
    store.db.run(
        "INSERT INTO subscription (id, base, events) VALUES (?, ?, 0) ON CONFLICT (id) DO UPDATE SET base = excluded.base",
        body["id"],
        base,
    )
    return {**body, "status": "off" if body.get("status") == "off" else "requested"}


def offers(store: Store) -> list[Resource]:
    """The topics of the capability statement."""
    return [] if store.db.setting(NO_TOPICS) else [OFFER]


def signed(secret: str, endpoint: str, body: bytes, seconds: int) -> dict[str, str]:
    """The headers by which the subscriber knows who sends this: the last part of its own address is a part of what is signed."""
    text = f"{endpoint.rstrip('/').rpartition('/')[2]}.{seconds}.".encode() + body
    signature = hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
    return {"X-Healthrecords-Timestamp": str(seconds), "X-Healthrecords-Signature": f"v1={signature}"}


def _bundle(
    live: Live, kind: str, so_far: int, numbered: Sequence[tuple[int, Version]], store: Store | None = None
) -> bytes:
    """The notification Bundle of the Backport for R4: its first entry is a Parameters resource."""
    address = f"{live.base}/Subscription/{live.id}"
    parameters: list[Resource] = [
        {"name": "subscription", "valueReference": {"reference": address}},
        {"name": "topic", "valueCanonical": FEED},
        {"name": "status", "valueCode": live.status},
        {"name": "type", "valueCode": kind},
        {"name": "events-since-subscription-start", "valueString": str(so_far)},
    ]
    entries: list[Resource] = []
    for number, version in numbered:
        focus = f"{live.base}/{version.type}/{version.id}"
        parts: list[Resource] = [
            {"name": "event-number", "valueString": str(number)},
            {"name": "timestamp", "valueInstant": instant(version.last_updated)},
        ]
        if live.content != "empty":
            parts.append({"name": "focus", "valueReference": {"reference": focus}})
            entries.append(_entry(live, focus, version, store))
        parameters.append({"name": "notification-event", "part": parts})
    status = {
        "fullUrl": f"urn:uuid:{uuid.uuid4()}",
        "resource": {"resourceType": "Parameters", "parameter": parameters},
        "request": {"method": "GET", "url": f"{address}/$status"},
        "response": {"status": "200"},
    }
    bundle = {"resourceType": "Bundle", "type": "history", "timestamp": instant(now_ms()), "entry": [status, *entries]}
    return json.dumps(bundle, ensure_ascii=False, separators=(",", ":")).encode()


def _entry(live: Live, focus: str, version: Version, store: Store | None) -> Resource:
    method = "DELETE" if version.deleted else "POST" if version.version == 1 else "PUT"
    entry: Resource = {"fullUrl": focus, "request": {"method": method, "url": f"{version.type}/{version.id}"}}
    if live.content == "full-resource" and store and not version.deleted:
        entry["resource"] = json.loads(store.rendered(version.json, live.base.removesuffix("/fhir")))
    return entry


def _extensions(element: Any, name: str, value: str) -> list[str]:
    found: list[Resource] = cast("Resource", element).get("extension", []) if isinstance(element, dict) else []
    return [it[value] for it in found if it.get("url") == f"{BACKPORT}{name}" and isinstance(it.get(value), str)]


def _unfit(why: str) -> Refused:
    return Refused(422, "business-rule", why)
