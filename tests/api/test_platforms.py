"""Care platforms: who changes them, what is shown once, what is never shown."""

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.api.kit import ids
from tests.api.asking import GARBAGE, code, refusal
from tests.api.scene import CALLERS, Scene

KEY = "t0ken-of-ours"


def wanted(**given: Any) -> dict[str, Any]:
    basis = {"kind": "CAREPATRON", "baseUrl": "http://127.0.0.1:9", "username": "key", "password": KEY}
    return basis | {"name": f"Platform {uuid4().hex[:8]}"} | given


async def made(scene: Scene, **given: Any) -> dict[str, Any]:
    return await scene.clients["admin"].change("PlatformCreate", "platformCreate", input=wanted(**given))


async def sealed(scene: Scene, platform_id: str) -> tuple[bytes | None, bytes | None]:
    row_id = ids.decode(platform_id, "Platform")
    async with scene.resources.db.reading() as session:
        row = await session.execute(
            text("SELECT credentials, webhook_secret FROM platforms WHERE id = :it"), {"it": row_id}
        )
        found = row.one()
        return found.credentials, found.webhook_secret


@pytest.mark.parametrize("caller", [caller for caller in CALLERS if caller != "admin"])
async def test_only_an_administrator_changes_a_platform(scene: Scene, caller: str) -> None:
    platform = (await made(scene))["platform"]["id"]
    before = await scene.digest()
    refused = await code(scene.clients[caller], "PlatformUpdate", id=platform, input={"name": "Mine"})
    expected = {"nobody": "UNAUTHENTICATED", "owner": "FORBIDDEN", "other": "FORBIDDEN"}
    assert refused == expected.get(caller, "NOT_FOUND")
    assert await scene.digest() == before


async def test_an_administrator_changes_what_is_given_and_nothing_else(scene: Scene) -> None:
    admin = scene.clients["admin"]
    platform = (await made(scene))["platform"]
    credentials, secret = await sealed(scene, platform["id"])
    name = f"Renamed {uuid4().hex[:8]}"

    payload = await admin.change("PlatformUpdate", "platformUpdate", id=platform["id"], input={"name": name})

    assert payload["platform"] == platform | {"name": name}
    assert payload["webhookSecret"] is None
    assert await sealed(scene, platform["id"]) == (credentials, secret)
    await admin.change("PlatformUpdate", "platformUpdate", id=platform["id"], input={"username": "another"})
    assert (await sealed(scene, platform["id"]))[0] != credentials


@pytest.mark.parametrize("kind", ["CAREPATRON", "HEALTHIE"])
async def test_the_secret_of_a_webhook_is_shown_once_where_we_make_it(scene: Scene, kind: str) -> None:
    admin = scene.clients["admin"]
    payload = await made(scene, kind=kind)
    platform, secret = payload["platform"], payload["webhookSecret"]
    assert (secret is not None) == platform["webhook"]["isAgreed"] == (kind == "CAREPATRON")
    assert platform["webhook"]["url"].endswith(f"/hooks/platforms/{ids.decode(platform['id'], 'Platform')}")
    again = await admin.change("PlatformUpdate", "platformUpdate", id=platform["id"], input={})
    assert again["webhookSecret"] is None
    if secret:
        rotated = await admin.change(
            "PlatformUpdate", "platformUpdate", id=platform["id"], input={"rotateWebhookSecret": True}
        )
        assert rotated["webhookSecret"] not in (None, secret)
        assert len(rotated["webhookSecret"]) >= 32
        return
    answer = await refusal(admin, "PlatformUpdate", id=platform["id"], input={"rotateWebhookSecret": True})
    assert answer == ("INVALID", ["rotateWebhookSecret"])
    given = {"webhookSecret": "whsec_entered-by-hand"}
    entered = await admin.change("PlatformUpdate", "platformUpdate", id=platform["id"], input=given)
    assert entered["platform"]["webhook"]["isAgreed"]
    assert "whsec_entered" not in str(entered)


@pytest.mark.parametrize("caller", CALLERS)
async def test_only_administrators_see_how_a_platform_tells_us_of_changes(scene: Scene, caller: str) -> None:
    platform = (await made(scene))["platform"]["id"]
    query = "query($id: ID!) { node(id: $id) { ... on Platform { name webhook { url isAgreed } } } }"
    answer = await scene.clients[caller]._http.post("/graphql", json={"query": query, "variables": {"id": platform}})
    node = (answer.json()["data"] or {}).get("node")
    assert (node is not None) == (caller in ("owner", "other", "admin"))
    assert bool(node and node["webhook"]) == (caller == "admin")
    assert KEY not in answer.text


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"name": " "}, ("INVALID", ["name"])),
        ({"name": "n" * 201}, ("INVALID", ["name"])),
        ({"baseUrl": "file:///etc/passwd"}, ("INVALID", ["baseUrl"])),
        ({"webhookSecret": "short"}, ("INVALID", ["webhookSecret"])),
        ({"webhookSecret": "x" * 501}, ("INVALID", ["webhookSecret"])),
        ({"password": "a\x00"}, ("BAD_REQUEST", None)),
        ({"kind": "HEALTHIE"}, ("BAD_REQUEST", None)),
    ],
    ids=range(7),
)
async def test_a_bad_change_of_a_platform_is_refused_with_its_field(
    scene: Scene, given: dict[str, Any], expected: tuple[str, list[str] | None]
) -> None:
    platform = (await made(scene))["platform"]["id"]
    before = await scene.digest()
    assert await refusal(scene.clients["admin"], "PlatformUpdate", id=platform, input=given) == expected
    assert await scene.digest() == before


async def test_a_name_that_another_platform_has_is_taken(scene: Scene) -> None:
    first, second = await made(scene), await made(scene)
    given = {"name": f" {first['platform']['name']} "}
    answer = await refusal(scene.clients["admin"], "PlatformUpdate", id=second["platform"]["id"], input=given)
    assert answer == ("TAKEN", ["name"])


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
async def test_an_id_that_nobody_gave_out_is_not_found(scene: Scene, garbage: str) -> None:
    assert await code(scene.clients["admin"], "PlatformUpdate", id=garbage, input={}) == "NOT_FOUND"


async def test_a_key_is_not_sent_to_another_server_unless_it_is_entered_again(scene: Scene) -> None:
    admin, platform = scene.clients["admin"], (await made(scene))["platform"]["id"]
    elsewhere = {"baseUrl": "https://elsewhere.example.test"}
    before = await scene.digest()
    for given in (elsewhere, elsewhere | {"password": "only-this"}):
        assert await refusal(admin, "PlatformUpdate", id=platform, input=given) == ("INVALID", ["username"])
    assert await scene.digest() == before
    given = elsewhere | {"username": "another"}
    moved = await admin.change("PlatformUpdate", "platformUpdate", id=platform, input=given)
    assert moved["platform"]["baseUrl"] == elsewhere["baseUrl"]
    credentials, _ = await sealed(scene, platform)
    opened = scene.resources.vault.open(credentials or b"", f"platforms/{ids.decode(platform, 'Platform')}")
    assert KEY.encode() not in opened
