"""Signing in and out, accounts, and who sees whom."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import update

from app.api.kit import ids
from app.cli.client import ApiError, Client
from app.core.resources import Resources
from app.domain.identity.models import Session
from tests import factories
from tests.api.asking import SignIn, code, outcome, pages, refusal, send
from tests.api.scene import CALLERS, Scene
from tests.conftest import People

REFRESH = "mutation($t: String!) { sessionRefresh(refreshToken: $t) { session { accessToken refreshToken } userErrors { code } } }"
SIGN_OUT = "mutation { sessionDelete { deleted userErrors { code } } }"


async def signed_in(client: Client, person: factories.Person, password: str = factories.PASSWORD) -> dict[str, Any]:
    answer = await client.ask("SessionCreate", input={"email": person.email, "password": password})
    return answer["sessionCreate"]


async def test_the_right_password_opens_a_session_whatever_the_case_of_the_address(
    people: People, sign_in: SignIn
) -> None:
    client = await sign_in(None)
    payload = await client.change(
        "SessionCreate",
        "sessionCreate",
        input={"email": f"  {people.dietician.email.upper()} ", "password": factories.PASSWORD},
    )
    assert payload["session"]["user"] == {
        "id": people.dietician.gid,
        "email": people.dietician.email,
        "name": people.dietician.name,
        "role": "DIETICIAN",
    }
    client._http.headers["Authorization"] = f"Bearer {payload['session']['accessToken']}"
    assert (await client.ask("Viewer"))["viewer"]["id"] == people.dietician.gid


async def test_a_wrong_password_and_an_unknown_address_are_refused_in_the_same_words(
    people: People, sign_in: SignIn
) -> None:
    client = await sign_in(None)
    wrong = await signed_in(client, people.dietician, "not it")
    unknown = await client.ask("SessionCreate", input={"email": "nobody@example.test", "password": "not it"})
    assert wrong == unknown["sessionCreate"]
    assert wrong["session"] is None
    assert wrong["userErrors"][0]["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize("email", ["", "x" * 100_000, "' OR 1=1 --", "%", "\ufeff", "a@b"])
async def test_odd_addresses_are_only_unknown(sign_in: SignIn, email: str) -> None:
    client = await sign_in(None)
    assert await code(client, "SessionCreate", input={"email": email, "password": email}) == "UNAUTHENTICATED"


async def test_a_refresh_token_is_good_once(people: People, sign_in: SignIn) -> None:
    client = await sign_in(None)
    first = (await signed_in(client, people.dietician))["session"]

    async def refreshed(token: str) -> dict[str, Any]:
        return (await send(client, REFRESH, {"t": token})).json()["data"]["sessionRefresh"]

    second = (await refreshed(first["refreshToken"]))["session"]
    assert second["refreshToken"] != first["refreshToken"]
    assert (await refreshed(first["refreshToken"]))["userErrors"] == [{"code": "UNAUTHENTICATED"}]
    both = await asyncio.gather(*[refreshed(second["refreshToken"]) for _ in range(4)])
    assert sum(payload["session"] is not None for payload in both) == 1


async def test_signing_out_ends_the_token_at_once_and_no_other(people: People, sign_in: SignIn) -> None:
    leaving, staying = await sign_in(people.dietician), await sign_in(people.dietician)
    assert (await send(leaving, SIGN_OUT)).json()["data"]["sessionDelete"] == {"deleted": True, "userErrors": []}
    assert await outcome(leaving, "Viewer") == "UNAUTHENTICATED"
    assert await code(leaving, "PatientCreate", input={"name": "X"}) == "UNAUTHENTICATED"
    assert (await staying.ask("Viewer"))["viewer"]["id"] == people.dietician.gid


async def test_signing_out_ends_an_open_stream_in_which_nothing_happens(people: People, sign_in: SignIn) -> None:
    client = await sign_in(people.dietician)

    async def follow() -> str:
        try:
            async for _ in client.follow("SyncActivity"):
                continue
        except ApiError as refused:
            return refused.code
        return "ended"

    following = asyncio.create_task(follow())
    await asyncio.sleep(0.3)
    assert not following.done()
    await send(client, SIGN_OUT)
    assert await asyncio.wait_for(following, 15) == "UNAUTHENTICATED"


async def test_an_ended_session_cannot_be_refreshed(people: People, sign_in: SignIn) -> None:
    client = await sign_in(None)
    session = (await signed_in(client, people.dietician))["session"]
    client._http.headers["Authorization"] = f"Bearer {session['accessToken']}"
    await send(client, SIGN_OUT)
    payload = (await send(client, REFRESH, {"t": session["refreshToken"]})).json()["data"]["sessionRefresh"]
    assert payload["userErrors"] == [{"code": "UNAUTHENTICATED"}]


async def test_an_expired_session_is_none(resources: Resources, people: People, sign_in: SignIn) -> None:
    client = await sign_in(people.dietician)
    async with resources.db.transaction() as session:
        await session.execute(
            update(Session).where(Session.user_id == people.dietician.id).values(expires_at=Session.created_at)
        )
    assert await outcome(client, "Viewer") == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer x.y.z", "Basic abc", "bearer null", "Bearer \xff\xfe", "Bearer " + "a" * 8000],
    ids=range(7),
)
async def test_a_bad_token_is_nobody(sign_in: SignIn, header: str) -> None:
    client = await sign_in(None)
    client._http.headers["Authorization"] = header
    assert await outcome(client, "Viewer") == "UNAUTHENTICATED"


async def test_a_token_for_files_is_no_access_token(scene: Scene, sign_in: SignIn) -> None:
    document = (await scene.clients["owner"].ask("DocumentGet", id=scene.ids["uploaded"]))["document"]
    token = document["files"][0]["downloadUrl"].partition("token=")[2]
    client = await sign_in(None)
    client._http.headers["Authorization"] = f"Bearer {token}"
    assert await outcome(client, "Viewer") == "UNAUTHENTICATED"


@pytest.mark.parametrize("caller", CALLERS)
async def test_administrators_list_all_accounts_everybody_else_their_own(scene: Scene, caller: str) -> None:
    listed = await outcome(scene.clients[caller], "UserList", first=100)
    if caller == "nobody":
        assert listed == "UNAUTHENTICATED"
        return
    seen = {user["id"] for user in await pages(scene.clients[caller], "UserList", "users", 100)}
    everybody = {person.gid for person in scene.people.values()}
    assert seen >= everybody if caller == "admin" else seen == {scene.people[caller].gid}
    assert listed["totalCount"] == len(seen)


@pytest.mark.parametrize("caller", CALLERS[1:])
async def test_an_account_is_found_by_its_id_by_itself_and_by_administrators(scene: Scene, caller: str) -> None:
    node = await outcome(scene.clients[caller], "AnyNode", id=scene.ids["user"])
    assert node == ({"__typename": "User", "id": scene.ids["user"]} if caller in ("owner", "admin") else None)


async def test_the_filter_and_the_search_of_accounts_keep_and_drop(people: People, sign_in: SignIn) -> None:
    admin = await sign_in(people.admin)

    async def seen(**variables: Any) -> set[str]:
        return {user["id"] for user in await pages(admin, "UserList", "users", 100, **variables)}

    assert people.patient.gid in await seen(filter={"roles": ["PATIENT"]})
    assert people.patient.gid not in await seen(filter={"roles": ["ADMIN", "DIETICIAN"]})
    assert await seen(search=people.patient.email.upper()) == {people.patient.gid}
    assert people.patient.gid in await seen(search=people.patient.name)
    assert await seen(search="%") == set()
    assert await seen(search=people.patient.email, filter={"roles": ["ADMIN"]}) == set()


async def test_accounts_are_paged_by_name_each_once(people: People, sign_in: SignIn) -> None:
    admin = await sign_in(people.admin)
    found = await pages(admin, "UserList", "users", 3)
    assert len({user["id"] for user in found}) == len(found)
    assert [user["name"].lower() for user in found] == sorted(user["name"].lower() for user in found)


@pytest.fixture
async def everybody(people: People, sign_in: SignIn) -> Client:
    return await sign_in(people.admin)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"first": 0}, ("BAD_PAGE_SIZE", ["first"])),
        ({"first": 101}, ("BAD_PAGE_SIZE", ["first"])),
        ({"first": -1}, ("BAD_PAGE_SIZE", ["first"])),
        ({"first": 5, "after": "garbage"}, ("BAD_CURSOR", ["after"])),
        ({"first": 5, "after": ""}, ("BAD_CURSOR", ["after"])),
        ({"first": 5, "search": "a" * 501}, ("INVALID", ["search"])),
        ({"first": 5, "filter": {"roles": ["KING"]}}, ("BAD_REQUEST", None)),
        ({}, ("BAD_REQUEST", None)),
    ],
)
async def test_a_bad_page_of_accounts_is_refused_with_a_reason(
    everybody: Client, variables: dict[str, Any], expected: tuple[str, list[str] | None]
) -> None:
    assert await refusal(everybody, "UserList", **variables) == expected


async def test_ids_are_opaque_and_stable(people: People, sign_in: SignIn) -> None:
    client = await sign_in(people.dietician)
    first, again = [(await client.ask("Viewer"))["viewer"]["id"] for _ in range(2)]
    assert first == again == ids.encode("User", people.dietician.id)
    assert str(people.dietician.id) not in first
    assert people.dietician.id.hex not in first
