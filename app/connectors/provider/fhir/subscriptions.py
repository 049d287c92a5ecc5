"""Subscriptions at a FHIR R4 server: rest-hook, by the Subscriptions R5 Backport's topic where the server offers the US Core
Patient Data Feed, else by R4's own criteria."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

import httpx
import msgspec

from app.connectors.http import Answer, open_client
from app.connectors.provider.fhir.auth import Session
from app.connectors.provider.fhir.client import USER_AGENT, base_url
from app.connectors.provider.fhir.mapping import line, valid_id
from app.connectors.provider.fhir.notifications import reference
from app.connectors.provider.fhir.resources import Lenient, Reference
from app.connectors.provider.fhir.scopes import missing
from app.connectors.provider.fhir.transport import FHIR_JSON, Transport, bad_response, decode, failure, resolve
from app.connectors.provider.port import AuthKind, Connection, ProviderError, ProviderErrorCode

FEED = "http://hl7.org/fhir/us/core/SubscriptionTopic/patient-data-feed"
HEARTBEAT_SECONDS = 3600

_BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
_TOPICS = f"{_BACKPORT}capabilitystatement-subscriptiontopic-canonical"
_SUCCESS = (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT)
_GONE = (ProviderErrorCode.NOT_FOUND, ProviderErrorCode.GONE)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A subscription to the changes of one resource type, of all patients. `header` (`Name: value`) comes with every
    notification and holds a secret."""

    resource_type: str
    endpoint: str
    header: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Remote:
    """A Subscription as it stands at the server. `status` is R4's: requested, active, error or off."""

    id: str
    status: str
    error: str = ""
    endpoint: str = ""


class _Extension(Lenient):
    url: str | None = None
    value_canonical: str | None = None
    value_uri: str | None = None


class _Offered(Lenient):
    type: str | None = None
    extension: list[_Extension] | None = None


class _Rest(Lenient):
    resource: list[_Offered] | None = None


class _Capabilities(Lenient):
    resource_type: str | None = None
    rest: list[_Rest] | None = None


class _Channel(Lenient):
    endpoint: str | None = None


class _Subscription(Lenient):
    resource_type: str | None = None
    id: str | None = None
    status: str | None = None
    error: str | None = None
    channel: _Channel | None = None


class _Entry(Lenient):
    resource: _Subscription | None = None


class _Found(Lenient):
    resource_type: str | None = None
    entry: list[_Entry] | None = None


class _About(Lenient):
    resource_type: str | None = None
    subject: Reference | None = None
    patient: Reference | None = None


class Subscriptions:
    """Everything raises `ProviderError` and nothing else."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def establish(self, wanted: Wanted) -> Remote:
        """Makes the Subscription, or renews the one with the same endpoint: an answer that was lost must not leave two."""
        known = await self._with_endpoint(wanted.endpoint)
        if known is not None:
            return await self.renew(wanted, known)
        content = msgspec.json.encode(resource(wanted, topic=await self._topic()))
        return _remote(await self._exchange("POST", "Subscription", content), None)

    async def renew(self, wanted: Wanted, remote_id: str) -> Remote:
        """Requests the Subscription of this id anew, as it is wanted now."""
        content = msgspec.json.encode({**resource(wanted, topic=await self._topic()), "id": remote_id})
        return _remote(await self._exchange("PUT", f"Subscription/{remote_id}", content), remote_id)

    async def read(self, remote_id: str) -> Remote | None:
        """The Subscription; None where the server has none of this id any more."""
        try:
            return _remote(await self._exchange("GET", f"Subscription/{remote_id}"), remote_id)
        except ProviderError as error:
            if error.code in _GONE:
                return None
            raise

    async def delete(self, remote_id: str) -> None:
        """One that is gone already is deleted."""
        try:
            await self._exchange("DELETE", f"Subscription/{remote_id}")
        except ProviderError as error:
            if error.code not in _GONE:
                raise

    async def subject(self, focus: str) -> str | None:
        """Whose a resource is (`Patient/…`; empty where it names nobody); None where it is gone."""
        try:
            answer = await self._exchange("GET", focus)
        except ProviderError as error:
            if error.code in _GONE:
                return None
            raise
        found = decode(answer, _About, focus.partition("/")[0])
        named = found.subject or found.patient
        return reference(named.reference if named else None)

    async def _topic(self) -> bool:
        """Whether the server offers the Patient Data Feed. A server that says nothing of itself does not."""
        try:
            said = decode(await self._exchange("GET", "metadata"), _Capabilities, "CapabilityStatement")
        except ProviderError as error:
            if error.retryable or error.code is ProviderErrorCode.UNAUTHORIZED:
                raise
            return False
        offered = [it for rest in said.rest or () for it in rest.resource or () if it.type == "Subscription"]
        topics = {
            it.value_canonical or it.value_uri for each in offered for it in each.extension or () if it.url == _TOPICS
        }
        return any((topic or "").partition("|")[0] == FEED for topic in topics)

    async def _with_endpoint(self, endpoint: str) -> str | None:
        """Not every server knows the parameter `url`, so each entry is looked at; one that cannot search finds nothing."""
        try:
            url = resolve(self._session.base, "Subscription").copy_merge_params({"url": endpoint})
            found = decode(await self._at("GET", url), _Found, "Bundle")
        except ProviderError as error:
            if error.retryable or error.code is ProviderErrorCode.UNAUTHORIZED:
                raise
            return None
        same = (
            it.resource.id
            for it in found.entry or ()
            if it.resource and it.resource.channel and it.resource.channel.endpoint == endpoint
        )
        return next((it for it in same if it and valid_id(it)), None)

    async def _exchange(self, method: str, path: str, content: bytes | None = None) -> Answer:
        return await self._at(method, resolve(self._session.base, path), content)

    async def _at(self, method: str, url: httpx.URL, content: bytes | None = None) -> Answer:
        cap = self._session.limits.page_bytes
        answer = await self._session.ask(url, FHIR_JSON, cap=cap, resource=content, method=method)
        problem = None if answer.status in _SUCCESS and method != "GET" else failure(answer)
        if problem:
            raise problem
        return answer


def _remote(answer: Answer, known: str | None) -> Remote:
    """What a server says of a Subscription. One that it took without showing it is known by its Location."""
    try:
        found = decode(answer, _Subscription, "Subscription")
    except ProviderError:
        found = _Subscription()
    placed = reference(answer.headers.get("location")) or reference(answer.headers.get("content-location"))
    remote_id = known or found.id or placed.removeprefix("Subscription/")
    if not valid_id(remote_id):
        raise bad_response("a Subscription without an id")
    endpoint = (found.channel.endpoint if found.channel else None) or ""
    return Remote(remote_id, line(found.status) or "requested", line(found.error), endpoint)


def resource(wanted: Wanted, *, topic: bool) -> dict[str, Any]:
    """The Subscription to ask for. The payload is `id-only`: no more of a patient's data travels than must. A server that
    does not know the extension sends the resource; of that, only whose it is is read."""
    channel: dict[str, Any] = {
        "type": "rest-hook",
        "endpoint": wanted.endpoint,
        "payload": FHIR_JSON,
        "_payload": {"extension": [{"url": f"{_BACKPORT}backport-payload-content", "valueCode": "id-only"}]},
        "header": [wanted.header],
    }
    asked: dict[str, Any] = {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": f"To keep copies of {wanted.resource_type}s current",
        "criteria": f"{wanted.resource_type}?",
        "channel": channel,
    }
    if topic:
        filtered = {
            "url": f"{_BACKPORT}backport-filter-criteria",
            "valueString": f"{wanted.resource_type}?trigger=feed-event",
        }
        period = {"url": f"{_BACKPORT}backport-heartbeat-period", "valueUnsignedInt": HEARTBEAT_SECONDS}
        asked["meta"] = {"profile": [f"{_BACKPORT}backport-subscription"]}
        asked["criteria"], asked["_criteria"] = FEED, {"extension": [filtered]}
        channel["extension"] = [period]
    return asked


def for_subscriptions(connection: Connection) -> Connection:
    """The connection with the scope that Subscriptions need; one that an administrator has chosen and that covers it stays."""
    auth = connection.auth
    if auth.kind is not AuthKind.SMART_BACKEND or not missing("system/Subscription.cruds", auth.scope):
        return connection
    older = ".read" in auth.scope
    scope = "system/Subscription.read system/Subscription.write" if older else "system/Subscription.cruds"
    return replace(connection, auth=replace(auth, scope=f"{auth.scope} {scope}"))


@asynccontextmanager
async def connect(connection: Connection) -> AsyncGenerator[Subscriptions]:
    """Opens a connection that may also write Subscriptions; nothing is sent yet. Raises `ProviderError` for an address
    that is none."""
    connection = for_subscriptions(connection)
    base, limits = base_url(connection.base_url), connection.limits
    async with open_client(
        connect_seconds=limits.connect_seconds,
        read_seconds=limits.read_seconds,
        user_agent=USER_AGENT,
        allow=connection.networks,
    ) as client:
        yield Subscriptions(Session(connection, base, Transport(client, limits, connection.gate)))
