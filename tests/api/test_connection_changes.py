"""Changing providers: who may, what is refused, and who sees what of them."""

from typing import Any
from uuid import uuid4

import pytest

from app.cli.client import Client
from app.core.resources import Resources
from tests import factories
from tests.api.asking import GARBAGE, SignIn, code, nodes, outcome, refusal, send
from tests.api.scene import CALLERS, NOWHERE, Scene
from tests.conftest import People

CHANGES: dict[str, dict[str, Any]] = {
    "ProviderUpdate": {"input": {"pageSize": 7}},
    "ProviderProbe": {},
    "ProviderKeyRotate": {},
}
REFUSALS = {
    "nobody": "UNAUTHENTICATED",
    "owner": "FORBIDDEN",
    "other": "FORBIDDEN",
    "practitioner": "NOT_FOUND",
    "patient": "NOT_FOUND",
}


async def made(admin: Client, **auth: str) -> dict[str, Any]:
    wanted = {"name": f"Clinic {uuid4().hex[:8]}", "baseUrl": NOWHERE, "auth": auth or {"kind": "NONE"}}
    created = await admin.change("ProviderCreate", "providerCreate", input=wanted)
    return await changed(admin, "ProviderProbe", created["provider"]["id"])


async def changed(admin: Client, name: str, provider_id: str, **variables: Any) -> dict[str, Any]:
    field = name[0].lower() + name[1:]
    return (await admin.change(name, field, id=provider_id, **variables))["provider"]


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("caller", [caller for caller in CALLERS if caller != "admin"])
async def test_only_administrators_change_providers(scene: Scene, caller: str, name: str) -> None:
    before = await scene.digest()
    refused = await code(scene.clients[caller], name, id=scene.ids["provider"], **CHANGES[name])
    assert refused == REFUSALS[caller]
    assert await scene.digest() == before


@pytest.mark.parametrize("name", CHANGES)
async def test_what_is_no_provider_is_not_found(scene: Scene, name: str) -> None:
    before = await scene.digest()
    for wrong in (*GARBAGE, scene.ids["patient"]):
        assert await refusal(scene.clients["admin"], name, id=wrong, **CHANGES[name]) == ("NOT_FOUND", ["id"])
    assert await scene.digest() == before


async def test_a_change_leaves_alone_what_it_does_not_name(people: People, sign_in: SignIn) -> None:
    admin = await sign_in(people.admin)
    provider = await made(admin, kind="BEARER", token="t0ken-of-ours")
    wanted = {"syncEveryMinutes": 15, "requestsPerSecond": 2.5, "fileHosts": ["Files.example.test:443"]}
    found = await changed(admin, "ProviderUpdate", provider["id"], input=wanted)
    assert found["settings"] == {
        "fileHosts": ["files.example.test:443"],
        "pageSize": 50,
        "requestsPerSecond": 2.5,
        "syncEveryMinutes": 15,
        "sweepEveryDays": 7,
        "keyChangesAt": None,
        "revision": 2,
    }
    assert {key: found[key] for key in ("name", "baseUrl", "authKind")} == {
        key: provider[key] for key in ("name", "baseUrl", "authKind")
    }
    off = await changed(admin, "ProviderUpdate", provider["id"], input={"syncEveryMinutes": None, "sweepEveryDays": 1})
    assert (off["settings"]["syncEveryMinutes"], off["settings"]["requestsPerSecond"]) == (None, 2.5)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"name": " "}, ("INVALID", ["name"])),
        ({"baseUrl": "not a url"}, ("INVALID", ["baseUrl"])),
        ({"pageSize": 201}, ("INVALID", ["pageSize"])),
        ({"requestsPerSecond": -1}, ("INVALID", ["requestsPerSecond"])),
        ({"syncEveryMinutes": 0}, ("INVALID", ["syncEveryMinutes"])),
        ({"sweepEveryDays": 366}, ("INVALID", ["sweepEveryDays"])),
        ({"auth": {"kind": "BEARER"}}, ("INVALID", ["auth", "token"])),
        ({"expectedRevision": 99}, ("CONFLICT", ["expectedRevision"])),
        ({"pageSize": 2**40}, ("BAD_REQUEST", None)),
        ({"name": "a\x00"}, ("BAD_REQUEST", None)),
    ],
    ids=range(10),
)
async def test_a_bad_change_is_refused_with_its_field(
    scene: Scene, given: dict[str, Any], expected: tuple[str, list[str] | None]
) -> None:
    before = await scene.digest()
    asked = refusal(scene.clients["admin"], "ProviderUpdate", id=scene.ids["provider"], input=given)
    assert await asked == expected
    assert await scene.digest() == before


async def test_a_token_does_not_follow_to_another_server(people: People, sign_in: SignIn) -> None:
    admin = await sign_in(people.admin)
    provider = await made(admin, kind="BEARER", token="t0ken-of-ours")
    elsewhere = {"baseUrl": "http://elsewhere.example.test/fhir"}
    refused = await refusal(admin, "ProviderUpdate", id=provider["id"], input=elsewhere)
    assert refused == ("INVALID", ["auth"])


async def test_a_rotated_key_is_published_beside_the_former_one(people: People, sign_in: SignIn) -> None:
    admin = await sign_in(people.admin)
    client_id = f"us-{uuid4().hex}"

    async def published() -> set[str]:
        return {key["kid"] for key in (await admin._http.get("/.well-known/jwks.json")).json()["keys"]}

    before = await published()
    provider = await made(admin, kind="SMART_BACKEND", clientId=client_id)
    first = await published() - before
    rotated = await changed(admin, "ProviderKeyRotate", provider["id"])
    both = await published() - before
    assert len(first) == 1
    assert first < both
    assert len(both) == 2
    assert rotated["settings"]["keyChangesAt"] is not None
    assert await refusal(admin, "ProviderKeyRotate", id=provider["id"]) == ("CONFLICT", ["id"])


async def test_a_patient_sees_the_providers_name_and_no_more(scene: Scene) -> None:
    query = (
        "query($id: ID!) { patient(id: $id) { primaryProvider { name baseUrl health { status detail }"
        " capabilities { name } strategy { batch } settings { pageSize } } } }"
    )
    seen: dict[str, dict[str, Any]] = {}
    for caller in ("patient", "owner"):
        answer = (await send(scene.clients[caller], query, {"id": scene.ids["patient"]})).json()
        seen[caller] = answer["data"]["patient"]["primaryProvider"]
    assert seen["patient"]["name"] == seen["owner"]["name"]
    assert {value for name, value in seen["patient"].items() if name != "name"} == {None}
    assert seen["owner"]["baseUrl"] == NOWHERE
    assert seen["owner"]["health"] is not None
    assert seen["owner"]["capabilities"] == []
    assert (seen["owner"]["strategy"], seen["owner"]["settings"]) == (None, None)


async def test_administrators_see_how_a_provider_is_asked(resources: Resources, scene: Scene) -> None:
    async with resources.db.transaction() as session:
        row = await factories.provider(session, resources.vault, NOWHERE, sync_every_minutes=30)
        row.strategy = {"searches": [{"resource_type": "DocumentReference", "since": "IGNORED"}], "batch": True}
    listed = await outcome(scene.clients["admin"], "ProviderCards", first=100)
    (found,) = [it for it in nodes(listed) if it["name"] == row.name]
    search = {"resourceType": "DocumentReference", "since": "IGNORED", "post": False, "status": False}
    assert found["strategy"] == {"searches": [search], "pageSize": None, "batch": True}
    assert found["settings"]["syncEveryMinutes"] == 30
