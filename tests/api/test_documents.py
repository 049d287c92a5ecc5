"""Documents: who sees them, how they are found, and their life from the upload to the end."""

import base64
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.api.kit import ids
from tests import factories
from tests.api.asking import GARBAGE, SignIn, code, create_patient, nodes, outcome, pages, refusal, send, upload
from tests.api.scene import CALLERS, Scene
from tests.conftest import People

SEERS = ("owner", "patient")
REFUSED = {"nobody": "UNAUTHENTICATED", "other": "NOT_FOUND", "practitioner": "NOT_FOUND", "admin": "NOT_FOUND"}
PDF_TYPE = "application/pdf"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("document", ["uploaded", "received"])
async def test_a_document_is_seen_by_who_sees_its_patient(scene: Scene, caller: str, document: str) -> None:
    client, wanted = scene.clients[caller], scene.ids[document]
    by_id = await outcome(client, "DocumentGet", id=wanted)
    by_node = await outcome(client, "AnyNode", id=wanted)
    listed = await outcome(client, "DocumentList", first=100)
    if caller == "nobody":
        assert by_id == by_node == listed == "UNAUTHENTICATED"
        return
    seen = caller in SEERS
    assert (by_id is not None) == (by_node is not None) == seen
    assert (wanted in {it["id"] for it in nodes(listed)}) == seen
    assert seen or (listed["totalCount"], listed["facets"]) == (0, [])


@pytest.mark.parametrize("caller", [caller for caller in CALLERS if caller != "owner"])
@pytest.mark.parametrize("name", ["DocumentUpdate", "DocumentDelete", "DocumentUpload"])
async def test_only_who_uploaded_a_document_changes_it_and_only_the_dietician_adds_one(
    scene: Scene, caller: str, name: str
) -> None:
    variables: dict[str, Any] = {
        "DocumentUpdate": {"id": scene.ids["uploaded"], "input": {"title": "Mine now"}},
        "DocumentDelete": {"id": scene.ids["uploaded"]},
        "DocumentUpload": {
            "patientId": scene.ids["patient"],
            "input": {"title": "T", "type": "OTHER", "text": "Never stored."},
        },
    }[name]
    before = await scene.digest()
    assert await code(scene.clients[caller], name, **variables) == REFUSED.get(caller, "FORBIDDEN")
    assert await scene.digest() == before


@pytest.mark.parametrize(("name", "more"), [("DocumentUpdate", {"input": {"title": "X"}}), ("DocumentDelete", {})])
async def test_nobody_changes_what_a_provider_sent(scene: Scene, name: str, more: dict[str, Any]) -> None:
    before = await scene.digest()
    assert await code(scene.clients["owner"], name, id=scene.ids["received"], **more) == "FORBIDDEN"
    assert await scene.digest() == before


@pytest.mark.parametrize("bad", [*GARBAGE, "of another type", "unknown"], ids=range(len(GARBAGE) + 2))
async def test_an_id_that_names_no_document_is_nothing_and_changes_nothing(scene: Scene, bad: str) -> None:
    owner = scene.clients["owner"]
    unknown = ids.encode("Document", factories.uuid4())
    bad = {"of another type": scene.ids["patient"], "unknown": unknown}.get(bad, bad)
    before = await scene.digest()
    assert await outcome(owner, "DocumentGet", id=bad) is None
    assert await refusal(owner, "DocumentUpdate", id=bad, input={"title": "X"}) == ("NOT_FOUND", ["id"])
    assert await refusal(owner, "DocumentDelete", id=bad) == ("NOT_FOUND", ["id"])
    assert await scene.digest() == before


@pytest.mark.parametrize("caller", CALLERS)
async def test_a_file_is_given_to_who_sees_its_document(scene: Scene, caller: str) -> None:
    file_id = ids.decode(scene.ids["file"], "File")
    answer = await scene.clients[caller]._http.get(f"/files/{file_id}")
    assert answer.status_code == {"nobody": 401, "owner": 200, "patient": 200}.get(caller, 404)
    assert (answer.content == b"Eats well.") == (caller in SEERS)
    node = await outcome(scene.clients[caller], "AnyNode", id=scene.ids["file"])
    assert (node == {"__typename": "File", "id": scene.ids["file"]}) == (caller in SEERS)


async def test_a_link_to_a_file_is_good_for_that_file_as_long_as_its_session(people: People, sign_in: SignIn) -> None:
    client, nobody = await sign_in(people.dietician), await sign_in(None)
    patient = await create_patient(client, "Linked")
    first, second = [await upload(client, patient, text=text) for text in ("one", "two")]

    async def path(document: str) -> str:
        file = (await client.ask("DocumentGet", id=document))["document"]["files"][0]
        parts = urlsplit(file["downloadUrl"])
        return f"{parts.path}?{parts.query}"

    one, two = await path(first), await path(second)
    answer = await nobody._http.get(one)
    assert (answer.status_code, answer.content) == (200, b"one")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    crossed = f"{two.partition('?')[0]}?{one.partition('?')[2]}"
    assert (await nobody._http.get(crossed)).status_code == 401
    assert (await nobody._http.get(f"{one[:-3]}xyz")).status_code == 401
    assert (await nobody._http.get("/files/not-a-uuid")).status_code == 404
    await send(client, "mutation { sessionDelete { deleted } }")
    assert (await nobody._http.get(one)).status_code == 401


@pytest.mark.parametrize(
    "content_type",
    ["text/plain; a=b\r\nX-Evil: 1", "text/plain; charset=\n", "text/ünïcode", "text/" + "x" * 9000, "no type", ""],
    ids=range(6),
)
async def test_a_declared_type_never_writes_headers(people: People, sign_in: SignIn, content_type: str) -> None:
    client = await sign_in(people.dietician)
    patient = await create_patient(client, "Typed")
    document = await upload(client, patient, data=b64(b"plain"), contentType=content_type)
    file = (await client.ask("DocumentGet", id=document))["document"]["files"][0]
    answer = await client._http.get(f"/files/{ids.decode(file['id'], 'File')}")
    assert (answer.status_code, answer.content) == (200, b"plain")
    assert "x-evil" not in answer.headers


async def test_the_life_of_a_document(people: People, sign_in: SignIn) -> None:
    client = await sign_in(people.dietician)
    patient = await create_patient(client, "Life")

    async def found(search: str) -> list[str]:
        return [it["id"] for it in nodes((await client.ask("DocumentList", first=10, search=search))["documents"])]

    html = b"<html><body><h1>Plan</h1><p>Eat more lentils</p><script>alert('no')</script></body></html>"
    document = await upload(client, patient, title="Plan", data=b64(html), contentType="text/html")
    read = (await client.ask("DocumentGet", id=document))["document"]
    assert read["text"] == "Plan\nEat more lentils"
    assert (read["source"], read["status"]) == ({"kind": "USER", "name": people.dietician.name}, "CURRENT")
    assert [(it["contentType"], it["size"]) for it in read["files"]] == [("text/html", len(html))]
    assert await found("lentil") == [document]
    assert await found("alert") == []

    await client.change("DocumentUpdate", "documentUpdate", id=document, input={"text": "Eat chickpeas."})
    await client.change("DocumentUpdate", "documentUpdate", id=document, input={"title": "Newer plan"})
    await client.change("DocumentUpdate", "documentUpdate", id=document, input={"title": "Newer plan"})
    changed = (await client.ask("DocumentGet", id=document))["document"]
    versions = nodes(changed["versions"])
    assert [version["number"] for version in versions] == [3, 2, 1]
    assert [[it["field"] for it in version["changes"]] for version in versions] == [["title"], ["content"], []]
    assert [it["significant"] for version in versions for it in version["changes"]] == [False, True]
    assert versions[0]["changes"][0]["before"] == "Plan"
    assert versions[0]["sha256"] == versions[1]["sha256"] != versions[2]["sha256"]
    assert changed["text"] == "Eat chickpeas."
    assert await found("lentils") == []
    assert await found("chickpea newer") == [document]

    payload = await client.change("DocumentDelete", "documentDelete", id=document)
    assert payload["deletedId"] == document
    assert await outcome(client, "DocumentGet", id=document) is None
    assert await found("chickpeas") == []
    assert await code(client, "DocumentDelete", id=document) == "NOT_FOUND"
    gone = await client._http.get(f"/files/{ids.decode(changed['files'][0]['id'], 'File')}")
    assert gone.status_code == 404


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"text": "a", "data": b64(b"a")}, ("INVALID", ["text"])),
        ({}, ("INVALID", ["text"])),
        ({"text": ""}, ("INVALID", ["data"])),
        ({"data": "@@@"}, ("INVALID", ["data"])),
        ({"data": "é"}, ("INVALID", ["data"])),
        ({"data": "YQ"}, ("INVALID", ["data"])),
        ({"data": ""}, ("INVALID", ["data"])),
        ({"data": b64(b"\x00" * (10 * 1024 * 1024 + 1))}, ("INVALID", ["data"])),
        ({"text": "a\x00b"}, ("BAD_REQUEST", None)),
        ({"text": "a\udc00b"}, ("BAD_REQUEST", None)),
        ({"text": "a", "title": ""}, ("INVALID", ["title"])),
        ({"text": "a", "title": "t" * 301}, ("INVALID", ["title"])),
        ({"text": "a", "author": "x" * 201}, ("INVALID", ["author"])),
        ({"text": "a", "type": "POEM"}, ("BAD_REQUEST", None)),
        ({"text": "a", "date": "yesterday"}, ("BAD_REQUEST", None)),
        ({"text": "a", "date": "9999-12-31T23:59:59-14:00"}, ("BAD_REQUEST", None)),
        ({"text": "a", "date": "0001-01-01T00:00:00+14:00"}, ("BAD_REQUEST", None)),
    ],
    ids=range(17),
)
async def test_a_bad_upload_is_refused_with_its_field(
    scene: Scene, given: dict[str, Any], expected: tuple[str, list[str] | None]
) -> None:
    before = await scene.digest()
    wanted = {"title": "T", "type": "OTHER"} | given
    refused = await refusal(scene.clients["owner"], "DocumentUpload", patientId=scene.ids["patient"], input=wanted)
    assert refused == expected
    assert await scene.digest() == before


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b"abc", "text/plain; charset=undefined"),
        (b"abc", "text/plain; charset=idna"),
        (b"abc\\ud800d", "text/plain; charset=unicode-escape"),
        (b"a\x00b", "text/plain"),
        (b"\xff\xfea", "text/plain"),
        (b"<html><p>a&#xD800;b&#0;c", "text/html"),
        (b"<?xml version='1.0'?><a>&undefined;</a>", "text/xml"),
        (b"<" * 50_000, "text/html"),
        (b"<a>" * 5000, "text/xml"),
        (b"%PDF-1.7\n%%EOF", PDF_TYPE),
        (b"%PDF-1.4\n1 0 obj\n<</Type/Catalog/Pages 1 0 R>>\nendobj\ntrailer<</Root 1 0 R>>", PDF_TYPE),
    ],
    ids=range(11),
)
async def test_whatever_is_in_a_file_it_is_kept_and_given_back(
    people: People, sign_in: SignIn, data: bytes, content_type: str
) -> None:
    client = await sign_in(people.dietician)
    patient = await create_patient(client, "Odd Files")
    document = await upload(client, patient, data=b64(data), contentType=content_type)
    read = (await client.ask("DocumentGet", id=document))["document"]
    answer = await client._http.get(f"/files/{ids.decode(read['files'][0]['id'], 'File')}")
    assert (answer.status_code, answer.content) == (200, data)


@pytest.mark.parametrize("year", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"])
async def test_the_ends_of_the_calendar_are_dates_like_others(people: People, sign_in: SignIn, year: str) -> None:
    client = await sign_in(people.dietician)
    patient = await create_patient(client, "Calendar")
    wanted = {await upload(client, patient, date=date) for date in (year, "2025-01-01T00:00:00Z", year)}
    for order in ("NEWEST", "OLDEST"):
        found = await pages(client, "DocumentList", "documents", 1, orderBy=order)
        assert {it["id"] for it in found} == wanted
        assert len(found) == 3
