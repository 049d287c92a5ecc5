"""Providers: who makes them, who sees them, what is refused."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from tests.api.asking import SignIn, code, nodes, outcome, pages, refusal
from tests.api.scene import CALLERS, NOWHERE, Scene
from tests.conftest import People

PLATFORM = {"kind": "CAREPATRON", "baseUrl": "http://127.0.0.1:9", "username": "key", "password": "t0ken-of-ours"}
SEERS = ("owner", "other", "admin")


def wanted(**given: Any) -> dict[str, Any]:
    return {"name": f"Clinic {uuid4().hex[:8]}", "baseUrl": NOWHERE, "auth": {"kind": "NONE"}} | given


@pytest.mark.parametrize("caller", [caller for caller in CALLERS if caller != "admin"])
async def test_only_an_administrator_creates_a_provider(scene: Scene, caller: str) -> None:
    before = await scene.digest()
    refused = await code(scene.clients[caller], "ProviderCreate", input=wanted())
    assert refused == ("UNAUTHENTICATED" if caller == "nobody" else "FORBIDDEN")
    assert await scene.digest() == before


@pytest.mark.parametrize("caller", CALLERS)
async def test_dieticians_and_administrators_see_providers(scene: Scene, caller: str) -> None:
    client = scene.clients[caller]
    listed = await outcome(client, "ProviderList", first=100)
    node = await outcome(client, "AnyNode", id=scene.ids["provider"])
    if caller == "nobody":
        assert listed == node == "UNAUTHENTICATED"
        return
    assert (scene.ids["provider"] in {it["id"] for it in nodes(listed)}) == (caller in SEERS)
    assert (node is not None) == (caller in SEERS)
    assert caller in SEERS or listed["edges"] == []


@pytest.mark.parametrize(
    ("auth", "shown"),
    [
        ({"kind": "NONE"}, "NONE"),
        ({"kind": "BEARER", "token": "t0ken-of-ours"}, "BEARER"),
        ({"kind": "BASIC", "username": "us", "password": "t0ken-of-ours"}, "BASIC"),
        ({"kind": "SMART_BACKEND", "clientId": "us"}, "SMART_BACKEND"),
    ],
)
async def test_a_provider_is_created_and_no_secret_of_it_is_ever_shown(
    people: People, sign_in: SignIn, auth: dict[str, str], shown: str
) -> None:
    admin = await sign_in(people.admin)
    payload = await admin.change("ProviderCreate", "providerCreate", input=wanted(auth=auth))
    query = "query($id: ID!) { node(id: $id) { ... on Provider { name authKind baseUrl health { status } } } }"
    answer = await admin._http.post("/graphql", json={"query": query, "variables": {"id": payload["provider"]["id"]}})
    assert answer.json()["data"]["node"]["authKind"] == shown
    assert "t0ken-of-ours" not in answer.text


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"baseUrl": "not a url"}, ("INVALID", ["baseUrl"])),
        ({"baseUrl": "ftp://example.test/fhir"}, ("INVALID", ["baseUrl"])),
        ({"baseUrl": "http://user:pass@example.test/fhir"}, ("INVALID", ["baseUrl"])),
        ({"baseUrl": "http://example.test/fhir?a=b"}, ("INVALID", ["baseUrl"])),
        ({"baseUrl": "http://[/"}, ("INVALID", ["baseUrl"])),
        ({"baseUrl": "http://example.test:99999"}, ("INVALID", ["baseUrl"])),
        ({"baseUrl": "http://example.test/" + "a" * 100_000}, ("INVALID", ["baseUrl"])),
        ({"baseUrl": ""}, ("INVALID", ["baseUrl"])),
        ({"name": "  "}, ("INVALID", ["name"])),
        ({"name": "n" * 201}, ("INVALID", ["name"])),
        ({"name": "a\x00b"}, ("BAD_REQUEST", None)),
        ({"auth": {"kind": "BEARER"}}, ("INVALID", ["auth", "token"])),
        ({"auth": {"kind": "BASIC", "username": "u"}}, ("INVALID", ["auth", "password"])),
        ({"auth": {"kind": "SMART_BACKEND"}}, ("INVALID", ["auth", "clientId"])),
        ({"auth": {"kind": "MAGIC"}}, ("BAD_REQUEST", None)),
        ({"auth": {}}, ("BAD_REQUEST", None)),
        ({"pageSize": 0}, ("INVALID", ["pageSize"])),
        ({"pageSize": 201}, ("INVALID", ["pageSize"])),
    ],
    ids=range(18),
)
async def test_a_bad_provider_is_refused_with_its_field(
    scene: Scene, given: dict[str, Any], expected: tuple[str, list[str] | None]
) -> None:
    before = await scene.digest()
    assert await refusal(scene.clients["admin"], "ProviderCreate", input=wanted(**given)) == expected
    assert await scene.digest() == before


async def test_a_name_is_taken_once(people: People, sign_in: SignIn) -> None:
    admin = await sign_in(people.admin)
    provider = wanted()
    await admin.change("ProviderCreate", "providerCreate", input=provider)
    again = provider | {"name": f"  {provider['name']} "}
    assert await refusal(admin, "ProviderCreate", input=again) == ("TAKEN", ["name"])


async def test_of_many_who_take_a_name_at_once_one_gets_it_and_nobody_sees_a_defect(
    people: People, sign_in: SignIn
) -> None:
    admin = await sign_in(people.admin)
    provider = wanted()
    payloads = await asyncio.gather(*[outcome(admin, "ProviderCreate", input=provider) for _ in range(6)])
    assert sum(payload["provider"] is not None for payload in payloads) == 1
    refused = {error["code"] for payload in payloads for error in payload["userErrors"]}
    assert refused <= {"TAKEN", "CONFLICT"}


@pytest.mark.parametrize(
    "key", ["garbage", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"], ids=["text", "pem"]
)
async def test_a_key_that_is_none_is_refused_and_never_breaks_the_published_keys(
    people: People, sign_in: SignIn, key: str
) -> None:
    admin = await sign_in(people.admin)
    auth = {"kind": "SMART_BACKEND", "clientId": "us", "privateKey": key}
    assert await refusal(admin, "ProviderCreate", input=wanted(auth=auth)) == ("INVALID", ["auth", "privateKey"])
    assert (await admin._http.get("/.well-known/jwks.json")).status_code == 200


async def test_the_published_keys_are_public_halves(people: People, sign_in: SignIn) -> None:
    admin = await sign_in(people.admin)
    auth = {"kind": "SMART_BACKEND", "clientId": f"us-{uuid4().hex}", "keyId": uuid4().hex}
    await admin.change("ProviderCreate", "providerCreate", input=wanted(auth=auth))
    keys = (await admin._http.get("/.well-known/jwks.json")).json()["keys"]
    mine = [key for key in keys if key["kid"] == auth["keyId"]]
    assert [(key["kty"], key["crv"], key["alg"]) for key in mine] == [("EC", "P-384", "ES384")]
    assert all("d" not in key for key in keys)


async def test_providers_are_paged_by_name_each_once(people: People, sign_in: SignIn) -> None:
    admin = await sign_in(people.admin)
    made = set[str]()
    for _ in range(5):
        payload = await admin.change("ProviderCreate", "providerCreate", input=wanted())
        made.add(payload["provider"]["id"])
    found = await pages(admin, "ProviderList", "providers", 2)
    assert made <= {it["id"] for it in found}
    assert len({it["id"] for it in found}) == len(found)
    assert [it["name"].lower() for it in found] == sorted(it["name"].lower() for it in found)


@pytest.mark.parametrize("first", [0, 101, -5])
async def test_a_bad_page_of_providers_is_refused(scene: Scene, first: int) -> None:
    assert await refusal(scene.clients["admin"], "ProviderList", first=first) == ("BAD_PAGE_SIZE", ["first"])


def platform(**given: Any) -> dict[str, Any]:
    return PLATFORM | {"name": f"Platform {uuid4().hex[:8]}"} | given


@pytest.mark.parametrize("caller", [caller for caller in CALLERS if caller != "admin"])
async def test_only_an_administrator_creates_a_platform(scene: Scene, caller: str) -> None:
    before = await scene.digest()
    refused = await code(scene.clients[caller], "PlatformCreate", input=platform())
    assert refused == ("UNAUTHENTICATED" if caller == "nobody" else "FORBIDDEN")
    assert await scene.digest() == before


@pytest.mark.parametrize("caller", CALLERS)
async def test_dieticians_and_administrators_see_platforms_and_nobody_their_secrets(scene: Scene, caller: str) -> None:
    made = await scene.clients["admin"].change("PlatformCreate", "platformCreate", input=platform())
    client, wanted_id = scene.clients[caller], made["platform"]["id"]
    listed = await outcome(client, "PlatformList", first=100)
    node = await outcome(client, "AnyNode", id=wanted_id)
    if caller == "nobody":
        assert listed == node == "UNAUTHENTICATED"
        return
    assert (wanted_id in {it["id"] for it in nodes(listed)}) == (node is not None) == (caller in SEERS)
    assert "t0ken-of-ours" not in str(listed)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"name": ""}, ("INVALID", ["name"])),
        ({"name": "n" * 201}, ("INVALID", ["name"])),
        ({"kind": "NONE"}, ("INVALID", ["kind"])),
        ({"kind": "ABACUS"}, ("BAD_REQUEST", None)),
        ({"baseUrl": "file:///etc/passwd"}, ("INVALID", ["baseUrl"])),
        ({"username": "a\x00"}, ("BAD_REQUEST", None)),
    ],
    ids=range(6),
)
async def test_a_bad_platform_is_refused_with_its_field(
    scene: Scene, given: dict[str, Any], expected: tuple[str, list[str] | None]
) -> None:
    before = await scene.digest()
    assert await refusal(scene.clients["admin"], "PlatformCreate", input=platform(**given)) == expected
    assert await scene.digest() == before
