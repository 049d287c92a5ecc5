"""Who asks for exports, who stops them, who sees how they stand."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.api.kit import ids
from app.cli.client import Client
from app.core.resources import Resources
from app.domain.sync import catalogue
from app.domain.updates import events
from tests.api.asking import GARBAGE, SignIn, code, outcome, refusal, send
from tests.api.scene import CALLERS, NOWHERE, Scene
from tests.conftest import People
from tests.domain.rows import rows, sql

ASK, STOP, LIST = "ProviderExport", "ProviderExportCancel", "ProviderExportList"
OTHERS = [caller for caller in CALLERS if caller != "admin"]


async def provider(admin: Client) -> str:
    """One of the test's own. No worker is there to take anything up."""
    wanted = {"name": f"Clinic {uuid4().hex[:8]}", "baseUrl": NOWHERE, "auth": {"kind": "NONE"}}
    return (await admin.change("ProviderCreate", "providerCreate", input=wanted))["provider"]["id"]


async def asked(admin: Client, gid: str, **given: Any) -> dict[str, Any]:
    return (await admin.change(ASK, "providerExport", id=gid, **given))["export"]


async def listed(client: Client, gid: str, **given: Any) -> list[dict[str, Any]]:
    found = (await client.ask(LIST, id=gid, **{"first": 10, **given}))["node"]["exports"]
    return [edge["node"] for edge in found["edges"]]


@pytest.mark.parametrize("caller", OTHERS)
async def test_only_an_administrator_asks_for_an_export_or_stops_one(scene: Scene, caller: str) -> None:
    export = await asked(scene.clients["admin"], await provider(scene.clients["admin"]))
    before = await scene.digest()
    wanted = "UNAUTHENTICATED" if caller == "nobody" else "FORBIDDEN"
    assert await code(scene.clients[caller], ASK, id=scene.ids["provider"], groupId="g") == wanted
    assert await code(scene.clients[caller], STOP, id=export["id"]) == wanted
    assert await scene.digest() == before


@pytest.mark.parametrize("caller", CALLERS)
async def test_only_an_administrator_sees_how_exports_stand(scene: Scene, caller: str) -> None:
    admin = scene.clients["admin"]
    gid = await provider(admin)
    export = await asked(admin, gid, groupId="g")
    answer = (
        await send(scene.clients[caller], "query($id: ID!) { node(id: $id) { id } }", {"id": export["id"]})
    ).json()
    if caller == "admin":
        assert answer["data"]["node"]["id"] == export["id"]
        assert [it["id"] for it in await listed(admin, gid)] == [export["id"]]
        return
    assert not (answer.get("data") or {}).get("node")
    node = await outcome(scene.clients[caller], LIST, id=gid, first=10)
    assert node in (None, "UNAUTHENTICATED") or node["exports"]["totalCount"] == 0


async def test_a_patient_who_meets_the_provider_sees_no_exports(scene: Scene) -> None:
    await asked(scene.clients["admin"], scene.ids["provider"])
    query = "query($id: ID!) { patient(id: $id) { primaryProvider { exports(first: 5) { totalCount edges { node { id } } } } } }"
    answer = (await send(scene.clients["patient"], query, {"id": scene.ids["patient"]})).json()
    assert answer["data"]["patient"]["primaryProvider"]["exports"] == {"totalCount": 0, "edges": []}


@pytest.mark.parametrize("given", [ids.encode("Provider", UUID(int=1)), ids.encode("Export", UUID(int=1)), *GARBAGE])
async def test_what_is_none_is_refused(scene: Scene, given: str) -> None:
    before = await scene.digest()
    admin = scene.clients["admin"]
    assert await refusal(admin, ASK, id=given) == ("NOT_FOUND", ["id"])
    assert await refusal(admin, STOP, id=given) == ("NOT_FOUND", ["id"])
    assert await scene.digest() == before


@pytest.mark.parametrize("group", ["", "../Patient", "a b", "a/b", "g?x=1", "x" * 300, "ü"])
async def test_a_group_that_could_not_be_one_is_refused(scene: Scene, group: str) -> None:
    gid = scene.ids["provider"]
    assert await refusal(scene.clients["admin"], ASK, id=gid, groupId=group) == ("INVALID", ["groupId"])


async def test_one_export_of_a_group_at_a_time_and_its_work_once(
    resources: Resources, people: People, sign_in: SignIn
) -> None:
    admin = await sign_in(people.admin)
    gid = await provider(admin)
    first = await asked(admin, gid, groupId="g")
    assert (first["state"], first["percent"], first["since"]) == ("REQUESTED", 0, None)
    assert await asked(admin, gid, groupId="g") == first
    others = [await asked(admin, gid, groupId="h"), await asked(admin, gid)]
    assert [it["groupId"] for it in others] == ["h", None]
    found = await rows(
        resources,
        "SELECT count(w.id), count(DISTINCT e.id) FROM exports e JOIN work w ON w.subject_id = e.id WHERE e.provider_id = :id",
        id=ids.decode(gid, "Provider"),
    )
    assert [tuple(it) for it in found] == [(3, 3)]
    assert [it["id"] for it in await listed(admin, gid)] == [others[1]["id"], others[0]["id"], first["id"]]


async def test_stopping_twice_is_once_and_what_has_ended_stays(
    resources: Resources, people: People, sign_in: SignIn
) -> None:
    admin = await sign_in(people.admin)
    gid = await provider(admin)
    first = await asked(admin, gid)
    for _ in range(2):
        payload = await admin.change(STOP, "providerExportCancel", id=first["id"])
        assert payload["export"]["state"] == "CANCELLED"
        assert payload["export"]["finishedAt"]
    second = await asked(admin, gid)
    assert second["id"] != first["id"]
    await sql(resources, "UPDATE exports SET state = 'SUCCEEDED' WHERE id = :id", id=row_of(second))
    assert await refusal(admin, STOP, id=second["id"]) == ("CONFLICT", ["id"])


async def test_it_asks_for_changes_since_the_last_one_without_a_gap(
    resources: Resources, people: People, sign_in: SignIn
) -> None:
    admin = await sign_in(people.admin)
    gid = await provider(admin)
    ended = "UPDATE exports SET state = :state, gaps = :gaps, transaction_time = :at WHERE id = :id"
    for state, gaps, at, since in (
        ("SUCCEEDED_WITH_GAPS", 0, "2026-11-01T08:00:00+00:00", "2026-11-01T08:00:00+00:00"),
        ("SUCCEEDED_WITH_GAPS", 1, "2026-11-02T08:00:00+00:00", "2026-11-01T08:00:00+00:00"),
        ("FAILED", 0, "2026-11-03T08:00:00+00:00", "2026-11-01T08:00:00+00:00"),
        ("SUCCEEDED", 0, "2026-11-04T08:00:00+00:00", "2026-11-04T08:00:00+00:00"),
    ):
        export = await asked(admin, gid, groupId="g")
        await sql(resources, ended.replace(":at", f"'{at}'"), id=row_of(export), state=state, gaps=gaps)
        following = await asked(admin, gid, groupId="g")
        assert following["since"] == since
        await admin.change(STOP, "providerExportCancel", id=following["id"])
    assert (await asked(admin, gid, groupId="h"))["since"] is None
    assert (await asked(admin, gid, groupId="g", everything=True))["since"] is None


async def test_gaps_and_failures_come_with_steps(resources: Resources, people: People, sign_in: SignIn) -> None:
    admin = await sign_in(people.admin)
    gid = await provider(admin)
    export = await asked(admin, gid)
    problems = [
        {"place": "file 1 (output), line 2", "code": catalogue.ENTRY_UNREADABLE, "detail": "no usable type or id"}
    ]
    await sql(
        resources,
        "UPDATE exports SET problems = CAST(:problems AS jsonb), error_code = :code, gaps = 1 WHERE id = :id",
        id=row_of(export),
        problems=json.dumps(problems),
        code=catalogue.EXPORT_EXPIRED,
    )
    (shown,) = await listed(admin, gid)
    assert shown["error"]["code"] == "EXPORT_EXPIRED"
    assert len(shown["error"]["steps"]) >= 2
    (problem,) = shown["problems"]
    assert (problem["place"], problem["code"]) == ("file 1 (output), line 2", "ENTRY_UNREADABLE")
    assert problem["message"]
    assert len(problem["steps"]) >= 2


async def test_an_export_that_was_given_up_is_a_dead_letter_that_names_it(
    resources: Resources, people: People, sign_in: SignIn
) -> None:
    admin = await sign_in(people.admin)
    export = await asked(admin, await provider(admin))
    await sql(
        resources,
        "UPDATE work SET dead_at = now(), last_error = 'PROVIDER_TIMEOUT: slow' WHERE kind = :kind AND subject_id = :id",
        kind=events.EXPORT,
        id=row_of(export),
    )
    letters = (await admin.ask("DeadLetterList", first=100))["deadLetters"]["edges"]
    assert export["id"] in [it["node"]["subject"] for it in letters]


def row_of(export: dict[str, Any]) -> UUID:
    return ids.decode(export["id"], "Export")
