"""What tests of updates that nobody presses for share: a provider that notifies us, and notifications as it would send them."""

import asyncio
import json
import time
from typing import Any
from uuid import UUID

import httpx

from app.api.kit import ids
from app.core.resources import Resources
from app.domain.updates import queries, rules
from app.domain.updates.commands import secret_of
from sandbox.ehr.subscriptions import FEED
from tasks import updates
from tests.conftest import People, Sandbox
from tests.runs import Books, SignIn

TYPES = ["DiagnosticReport", "DocumentReference"]
STATUSES = "SELECT array_agg(status ORDER BY resource_type) FROM subscriptions"
QUIET = """
    SELECT (SELECT count(*) FROM sync_runs WHERE status IN ('QUEUED', 'RUNNING'))
         + (SELECT count(*) FROM patient_updates WHERE changed_at IS NOT NULL)
         + (SELECT count(*) FROM subscription_notifications WHERE handled_at IS NULL)
"""


class Feed:
    """A provider's notifications, seen from our side."""

    def __init__(self, resources: Resources, url: str) -> None:
        self.resources = resources
        self.books = Books(resources)
        self.url = url

    async def row(self, resource_type: str = "DocumentReference") -> Any:
        return (await self.books.all("SELECT * FROM subscriptions WHERE resource_type = :kind", kind=resource_type))[0]

    async def secret(self, subscription_id: UUID) -> str:
        async with self.resources.db.reading() as session:
            row = await queries.subscription(session, subscription_id)
        assert row is not None
        return secret_of(row, self.resources.vault)

    async def active(self, seconds: float = 30) -> None:
        await self.books.until(STATUSES, lambda found: found == ["ACTIVE", "ACTIVE"], seconds)

    async def quiet(self, seconds: float = 60) -> None:
        """Everything that was told has been taken up."""
        async with asyncio.timeout(seconds):
            while await self.books.one(QUIET):
                await updates.one_round(self.resources)
                await asyncio.sleep(0.1)

    async def runs(self) -> list[Any]:
        return [*await self.books.all("SELECT * FROM sync_runs ORDER BY id")]

    async def post(self, body: bytes, *, path: str = "", method: str = "POST", **given: Any) -> httpx.Response:
        """Sends a body as the provider would; `secret`, `timestamp`, `subscription_id` and `headers` may be given."""
        subscription_id = given.get("subscription_id") or (await self.row()).id
        secret = given.get("secret") or await self.secret((await self.row()).id)
        stamp = str(given.get("timestamp") or int(time.time()))
        signed = {
            rules.TIMESTAMP_HEADER: stamp,
            rules.SIGNATURE_HEADER: rules.signature(secret, subscription_id, stamp, body),
        }
        headers = given.get("headers", signed)
        address = f"{self.url}/hooks/providers/{subscription_id}{path}"
        async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
            return await client.request(method, address, content=body, headers=headers)


def notification(
    *events: tuple[int, str], remote: str = "", kind: str = "event-notification", so_far: int | None = None, **more: Any
) -> bytes:
    """A notification Bundle of the Backport for R4; each event is a number and a focus."""
    last = max((number for number, _ in events), default=0) if so_far is None else so_far
    parameters: list[dict[str, Any]] = [
        {
            "name": "subscription",
            "valueReference": {"reference": f"Subscription/{remote}" if remote else "Subscription"},
        },
        {"name": "topic", "valueCanonical": FEED},
        {"name": "status", "valueCode": more.get("status", "active")},
        {"name": "type", "valueCode": kind},
        {"name": "events-since-subscription-start", "valueString": str(last)},
    ]
    for number, focus in events:
        parts = [
            {"name": "event-number", "valueString": str(number)},
            {"name": "focus", "valueReference": {"reference": focus}},
        ]
        parameters.append({"name": "notification-event", "part": parts})
    entry = {"resource": {"resourceType": "Parameters", "parameter": parameters}}
    return json.dumps({"resourceType": "Bundle", "type": "history", "entry": [entry]}).encode()


async def turned_on(resources: Resources, people: People, sign_in: SignIn, patient: str, url: str) -> Feed:
    """An administrator turns on the notifications of a patient's provider."""
    feed = Feed(resources, url)
    provider_id = await feed.books.one(
        "SELECT primary_provider_id FROM patients WHERE id = :id", id=ids.decode(patient, "Patient")
    )
    admin = await sign_in(people.admin)
    shown = await admin.change(
        "ProviderSubscriptionSet",
        "providerSubscriptionSet",
        providerId=ids.encode("Provider", provider_id),
        enabled=True,
    )
    assert [it["resourceType"] for it in shown["provider"]["subscriptions"]] == TYPES
    return feed


def at_sandbox(sandbox: Sandbox) -> list[dict[str, Any]]:
    """The Subscriptions that the EHR has."""
    rows = sandbox.ehr.db.all("SELECT id FROM resource WHERE type = 'Subscription' AND deleted = 0 ORDER BY id")
    found = [sandbox.ehr.current("Subscription", row[0]) for row in rows]
    return [json.loads(version.json) for version in found if version]
