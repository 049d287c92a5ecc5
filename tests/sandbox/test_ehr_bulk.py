"""The EHR's bulk export: kick-off, polling, manifest, files."""

import json
from typing import Any

import httpx

from sandbox.ehr.store import Store
from tests import factories

ASYNC = {"Prefer": "respond-async", "Accept": "application/fhir+json"}
TYPES = {"_type": "DocumentReference,DiagnosticReport"}


def group(*patients: str) -> dict[str, Any]:
    members = [{"entity": {"reference": f"Patient/{it}"}} for it in patients]
    return {"resourceType": "Group", "id": "g", "type": "person", "actual": True, "member": members}


async def kick_off(ehr: httpx.AsyncClient, path: str = "Group/g/$export", **given: Any) -> str:
    answer = await ehr.get(path, params=given.pop("params", TYPES), headers=ASYNC | given)
    assert answer.status_code == 202, answer.text
    return answer.headers["content-location"]


async def manifest(ehr: httpx.AsyncClient, status: str, **headers: str) -> dict[str, Any]:
    while (answer := await ehr.get(status, headers=headers)).status_code == 202:
        assert answer.headers["retry-after"] == "0"
        assert answer.headers["x-progress"].endswith("%")
    assert answer.status_code == 200, answer.text
    assert "expires" in answer.headers
    return answer.json()


async def lines(ehr: httpx.AsyncClient, files: list[dict[str, Any]], **headers: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for file in files:
        answer = await ehr.get(file["url"], headers=headers)
        assert answer.headers["content-type"] == "application/fhir+ndjson"
        of_file = [json.loads(line) for line in answer.text.splitlines()]
        assert len(of_file) == file["count"]
        found += of_file
    return found


async def set_manner(ehr: httpx.AsyncClient, **given: Any) -> None:
    address = ehr.base_url.copy_with(path="/control/exports")
    assert (await ehr.post(address, json={"retry_after": 0, **given})).status_code == 200


async def test_an_export_shows_the_members_of_the_group_and_nobody_else(
    ehr: httpx.AsyncClient, ehr_store: Store
) -> None:
    for name in ("amara", "bela", "chidi"):
        ehr_store.put_many(factories.resources(name, notes=3, reports=1))
    ehr_store.put(group("amara", "chidi"))
    await set_manner(ehr, polls=2, lines=4)
    status = await kick_off(ehr)
    ehr_store.put(factories.note("amara", "later"))
    found = await manifest(ehr, status)
    assert {it["type"] for it in found["output"]} == {"DocumentReference", "DiagnosticReport"}
    assert len(found["output"]) == 3
    assert found["requiresAccessToken"]
    assert sorted(it["id"] for it in await lines(ehr, found["output"])) == sorted(
        [f"{name}-note-{n}" for name in ("amara", "chidi") for n in range(3)] + ["amara-report-0", "chidi-report-0"]
    )


async def test_since_shows_what_changed_and_what_was_deleted(ehr: httpx.AsyncClient, ehr_store: Store) -> None:
    for name in ("amara", "bela"):
        ehr_store.put_many(factories.resources(name, notes=3))
    ehr_store.put(group("amara"))
    await set_manner(ehr, polls=0)
    first = await manifest(ehr, await kick_off(ehr))
    assert first["deleted"] == []
    ehr_store.put(factories.note("amara", 1, "changed"))
    ehr_store.delete("DocumentReference", "amara-note-2")
    ehr_store.delete("DocumentReference", "bela-note-2")
    second = await manifest(ehr, await kick_off(ehr, params=TYPES | {"_since": first["transactionTime"]}))
    assert [it["id"] for it in await lines(ehr, second["output"])] == ["amara-note-1"]
    (bundle,) = await lines(ehr, second["deleted"])
    assert bundle["type"] == "transaction"
    assert bundle["entry"] == [{"request": {"method": "DELETE", "url": "DocumentReference/amara-note-2"}}]


async def test_all_patients_can_be_exported_with_everything_about_them(
    ehr: httpx.AsyncClient, ehr_store: Store
) -> None:
    ehr_store.put_many(factories.resources("amara", notes=1))
    await set_manner(ehr, polls=0)
    found = await manifest(ehr, await kick_off(ehr, "Patient/$export", params={}))
    assert sorted(it["resourceType"] for it in await lines(ehr, found["output"])) == ["DocumentReference", "Patient"]


async def test_who_polls_too_soon_is_told_to_wait(ehr: httpx.AsyncClient, ehr_store: Store) -> None:
    ehr_store.put(group())
    await set_manner(ehr, polls=2, retry_after=5)
    status = await kick_off(ehr)
    assert (await ehr.get(status)).headers["retry-after"] == "5"
    hasty = await ehr.get(status)
    assert hasty.status_code == 429
    assert int(hasty.headers["retry-after"]) in range(1, 6)
    assert hasty.json()["issue"][0]["code"] == "throttled"


async def test_an_export_ends_when_it_is_deleted_and_when_it_expires(ehr: httpx.AsyncClient, ehr_store: Store) -> None:
    ehr_store.put_many([*factories.resources("amara", notes=1), group("amara")])
    await set_manner(ehr, polls=0)
    status = await kick_off(ehr)
    (file,) = (await manifest(ehr, status))["output"]
    assert (await ehr.delete(status)).status_code == 202
    for address in (status, file["url"]):
        assert (await ehr.get(address)).status_code == 404
    assert (await ehr.delete(status)).status_code == 404
    await set_manner(ehr, polls=0, seconds=0)
    assert (await ehr.get(await kick_off(ehr))).status_code == 404


async def test_scopes_and_tokens_are_respected(ehr: httpx.AsyncClient, ehr_store: Store) -> None:
    ehr_store.put_many([*factories.resources("amara", notes=1, reports=1), group("amara")])
    ehr_store.set_open(False)
    ehr_store.register_client("notes", "bearer", secret="n", scopes="system/DocumentReference.r")
    ehr_store.register_client("other", "bearer", secret="o", scopes="system/*.rs")
    await set_manner(ehr, polls=0)
    ours, other = {"Authorization": "Bearer n"}, {"Authorization": "Bearer o"}
    refused = await ehr.get("Group/g/$export", params=TYPES, headers=ASYNC | ours)
    assert refused.status_code == 403
    assert (await ehr.get("Group/g/$export", headers=ASYNC)).status_code == 401
    status = await kick_off(ehr, params={}, **ours)
    found = await manifest(ehr, status, **ours)
    (file,) = found["output"]
    assert file["type"] == "DocumentReference"
    assert (await ehr.get(status, headers=other)).status_code == 404
    assert (await ehr.get(file["url"])).status_code == 401
    assert (await ehr.get(file["url"], headers=other)).status_code == 404
    assert len(await lines(ehr, found["output"], **ours)) == 1
    await set_manner(ehr, polls=0, token=False)
    found = await manifest(ehr, await kick_off(ehr, params={}, **ours), **ours)
    assert not found["requiresAccessToken"]
    assert len(await lines(ehr, found["output"])) == 1


async def test_what_is_asked_wrongly_is_refused_with_a_reason(ehr: httpx.AsyncClient, ehr_store: Store) -> None:
    ehr_store.put(group())
    for path, params, headers, status in (
        ("Group/g/$export", {}, {}, 400),
        ("Group/nobody/$export", {}, ASYNC, 404),
        ("Group/g/$export", {"_outputFormat": "text/csv"}, ASYNC, 400),
        ("Group/g/$export", {"_type": "Cake"}, ASYNC, 400),
        ("Group/g/$export", {"_since": "yesterday"}, ASYNC, 400),
    ):
        answer = await ehr.get(path, params=params, headers=headers)
        assert answer.status_code == status, (path, params)
        assert answer.json()["resourceType"] == "OperationOutcome"


async def test_the_capability_statement_lists_both_operations(ehr: httpx.AsyncClient) -> None:
    shown = (await ehr.get("metadata")).json()
    assert any("bulk-data" in it for it in shown["instantiates"])
    operations = {it["type"]: it["operation"] for it in shown["rest"][0]["resource"] if "operation" in it}
    assert sorted(operations) == ["Group", "Patient"]
    assert operations["Group"][0]["name"] == "export"
