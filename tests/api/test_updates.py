"""Who turns a provider's notifications on and off, and who sees how they stand."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from app.api.kit import ids
from app.core.resources import Resources
from tests.api.asking import SignIn, code, outcome, refusal, send
from tests.api.scene import CALLERS, NOWHERE, Scene
from tests.conftest import People
from tests.domain.rows import rows, sql
from tests.updating import TYPES

SHOWN = """query($id: ID!) { node(id: $id) { ... on Provider {
  schedule { everyMinutes sweepEveryDays }
  subscriptions { resourceType status endpoint gaps ignored error { code message steps } }
} } }"""
SET = "ProviderSubscriptionSet"


async def provider(admin: Any) -> str:
    payload = await admin.change(
        "ProviderCreate",
        "providerCreate",
        input={"name": f"Clinic {uuid4().hex[:8]}", "baseUrl": NOWHERE, "auth": {"kind": "NONE"}},
    )
    return payload["provider"]["id"]


@pytest.mark.parametrize("caller", [caller for caller in CALLERS if caller != "admin"])
@pytest.mark.parametrize("enabled", [True, False])
async def test_only_an_administrator_turns_notifications_on_or_off(scene: Scene, caller: str, enabled: bool) -> None:
    before = await scene.digest()
    refused = await code(scene.clients[caller], SET, providerId=scene.ids["provider"], enabled=enabled)
    assert refused == ("UNAUTHENTICATED" if caller == "nobody" else "FORBIDDEN")
    assert await scene.digest() == before


@pytest.mark.parametrize("given", [ids.encode("Provider", UUID(int=1)), ids.encode("Patient", UUID(int=1)), "x", ""])
async def test_a_provider_that_is_none_is_refused(scene: Scene, given: str) -> None:
    before = await scene.digest()
    assert await refusal(scene.clients["admin"], SET, providerId=given, enabled=True) == ("NOT_FOUND", ["providerId"])
    assert await scene.digest() == before


async def test_turning_on_twice_is_once_and_its_secret_is_sealed_and_shown_to_nobody(
    resources: Resources, people: People, sign_in: SignIn
) -> None:
    admin = await sign_in(people.admin)
    gid = await provider(admin)
    for _ in range(2):
        payload = await admin.change(SET, "providerSubscriptionSet", providerId=gid, enabled=True)
        assert [it["resourceType"] for it in payload["provider"]["subscriptions"]] == TYPES
        assert {it["status"] for it in payload["provider"]["subscriptions"]} == {"REQUESTED"}
    found = await rows(
        resources,
        "SELECT s.secret, w.kind FROM subscriptions s JOIN work w ON w.subject_id = s.id WHERE s.provider_id = :id",
        id=ids.decode(gid, "Provider"),
    )
    assert [kind for _, kind in found] == ["updates.reconcile"] * 2
    assert all(len(secret) > 43 and not secret.isascii() for secret, _ in found)
    off = await admin.change(SET, "providerSubscriptionSet", providerId=gid, enabled=False)
    assert {it["status"] for it in off["provider"]["subscriptions"]} == {"OFF"}


async def test_a_server_that_cannot_is_not_asked(resources: Resources, people: People, sign_in: SignIn) -> None:
    admin = await sign_in(people.admin)
    gid = await provider(admin)
    card = '[{"name": "Subscription (rest-hook)", "supported": false, "detail": "not advertised"}]'
    await sql(
        resources,
        "UPDATE providers SET capabilities = CAST(:card AS jsonb) WHERE id = :id",
        card=card,
        id=ids.decode(gid, "Provider"),
    )
    assert await refusal(admin, SET, providerId=gid, enabled=True) == ("CONFLICT", ["providerId"])
    assert (await outcome(admin, SET, providerId=gid, enabled=False))["userErrors"] == []


@pytest.mark.parametrize("caller", ["owner", "other", "practitioner", "patient", "admin"])
async def test_who_sees_the_schedule_and_how_notifications_stand(scene: Scene, caller: str) -> None:
    admin = scene.clients["admin"]
    gid = await provider(admin)
    await admin.change(SET, "providerSubscriptionSet", providerId=gid, enabled=True)
    await sql(
        scene.resources,
        "UPDATE providers SET sync_every_minutes = 15 WHERE id = :id",
        id=ids.decode(gid, "Provider"),
    )
    await sql(
        scene.resources,
        "UPDATE subscriptions SET status = 'ERROR', error_code = 'SUBSCRIPTION_STOPPED', error_detail = 'why'",
    )
    node = (await send(scene.clients[caller], SHOWN, {"id": gid})).json()["data"]["node"]
    if caller in ("practitioner", "patient"):
        assert node is None
        return
    assert node["schedule"] == {"everyMinutes": 15, "sweepEveryDays": 7}
    for shown in node["subscriptions"]:
        assert shown["status"] == "ERROR"
        assert shown["error"]["code"] == "SUBSCRIPTION_STOPPED"
        assert len(shown["error"]["steps"]) >= 2
        assert "/hooks/providers/" in shown["endpoint"]


async def test_a_patient_who_meets_the_provider_sees_neither(scene: Scene) -> None:
    await sql(scene.resources, "UPDATE providers SET sync_every_minutes = 15")
    query = "query($id: ID!) { patient(id: $id) { primaryProvider { schedule { everyMinutes } subscriptions { status } } } }"
    answer = (await send(scene.clients["patient"], query, {"id": scene.ids["patient"]})).json()
    assert answer["data"]["patient"]["primaryProvider"] == {"schedule": None, "subscriptions": None}
