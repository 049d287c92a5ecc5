from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest

from sandbox.ehr.outcome import Refused
from sandbox.ehr.store import Store

from .conftest import document, ids

DOCUMENT = "/DocumentReference/p1-d0001"


async def test_each_change_makes_one_version_and_moves_the_clock(ehr: httpx.AsyncClient) -> None:
    first = await ehr.put(DOCUMENT, json=document(1))
    second = await ehr.put(DOCUMENT, json=document(1, status="superseded"))
    assert (first.status_code, second.status_code) == (201, 200)
    assert (first.headers["etag"], second.headers["etag"]) == ('W/"1"', 'W/"2"')
    assert first.json()["meta"]["lastUpdated"] < second.json()["meta"]["lastUpdated"]
    assert second.headers["location"].endswith("/DocumentReference/p1-d0001/_history/2")
    assert first.headers["content-type"] == "application/fhir+json; charset=utf-8"
    assert {"date", "last-modified"} <= set(first.headers)


async def test_equal_content_makes_no_version(ehr: httpx.AsyncClient) -> None:
    first = (await ehr.put(DOCUMENT, json=document(1))).json()
    again = await ehr.put(DOCUMENT, json=first | {"meta": {"versionId": "77", "lastUpdated": "2001-01-01T00:00:00Z"}})
    assert again.status_code == 200
    assert again.json() == first
    tagged = await ehr.put(DOCUMENT, json=first | {"meta": {"tag": [{"code": "restricted"}]}})
    assert tagged.json()["meta"]["versionId"] == "2"


async def test_old_versions_can_still_be_read(ehr: httpx.AsyncClient) -> None:
    await ehr.put(DOCUMENT, json=document(1))
    await ehr.put(DOCUMENT, json=document(1, status="superseded"))
    await ehr.delete(DOCUMENT)
    assert (await ehr.get(DOCUMENT + "/_history/1")).json()["status"] == "current"
    assert (await ehr.get(DOCUMENT + "/_history/2")).json()["status"] == "superseded"
    assert (await ehr.get(DOCUMENT + "/_history/3")).status_code == 410
    assert (await ehr.get(DOCUMENT + "/_history/4")).status_code == 404
    history = (await ehr.get(DOCUMENT + "/_history")).json()
    assert history["type"] == "history"
    assert [entry["request"]["method"] for entry in history["entry"]] == ["DELETE", "PUT", "PUT"]
    assert [entry["resource"]["meta"]["versionId"] for entry in history["entry"][1:]] == ["2", "1"]


async def test_a_deleted_resource_is_gone_until_it_is_put_again(ehr: httpx.AsyncClient) -> None:
    await ehr.put(DOCUMENT, json=document(1))
    assert (await ehr.delete(DOCUMENT)).status_code == 204
    gone = await ehr.get(DOCUMENT)
    assert gone.status_code == 410
    assert gone.json()["issue"][0]["code"] == "deleted"
    assert ids((await ehr.get("/DocumentReference?patient=p1")).json()) == []
    assert (await ehr.delete(DOCUMENT)).status_code == 204
    back = await ehr.put(DOCUMENT, json=document(1))
    assert (back.status_code, back.json()["meta"]["versionId"]) == (201, "3")
    assert (await ehr.delete("/DocumentReference/never")).status_code == 404


async def test_an_update_from_an_old_version_is_412_and_changes_nothing(ehr: httpx.AsyncClient) -> None:
    await ehr.put(DOCUMENT, json=document(1))
    await ehr.put(DOCUMENT, json=document(1, status="superseded"), headers={"If-Match": 'W/"1"'})
    late = await ehr.put(DOCUMENT, json=document(1, description="late"), headers={"If-Match": 'W/"1"'})
    assert late.status_code == 412
    assert late.json()["issue"][0]["code"] == "conflict"
    assert (await ehr.delete(DOCUMENT, headers={"If-Match": 'W/"1"'})).status_code == 412
    assert (await ehr.get(DOCUMENT)).json()["meta"]["versionId"] == "2"
    absent = await ehr.put("/DocumentReference/p1-d0002", json=document(2), headers={"If-Match": 'W/"1"'})
    assert absent.status_code == 412


async def test_create_gives_an_id_and_a_conditional_create_only_once(ehr: httpx.AsyncClient) -> None:
    task = {
        "resourceType": "Task",
        "id": "ignored",
        "status": "requested",
        "identifier": [{"system": "u", "value": "1"}],
    }
    made = await ehr.post("/Task", json=task, headers={"If-None-Exist": "identifier=u|1"})
    again = await ehr.post("/Task", json=task, headers={"If-None-Exist": "identifier=u|1"})
    assert (made.status_code, again.status_code) == (201, 200)
    assert made.json()["id"] == again.json()["id"] != "ignored"
    await ehr.post("/Task", json=task)
    assert (await ehr.post("/Task", json=task, headers={"If-None-Exist": "identifier=u|1"})).status_code == 412


BROKEN = (
    b"{",
    b"[]",
    b'{"resourceType":"Patient","id":"p1-d0001"}',
    b'{"resourceType":"DocumentReference","id":"other"}',
    b'{"resourceType":"DocumentReference","id":"p1-d0001","x":NaN}',
    b'{"resourceType":"DocumentReference","id":"p1-d0001","x":"\\ud800"}',
    b'{"resourceType":"DocumentReference","id":"p1-d0001","meta":7}',
    b'{"resourceType":"DocumentReference","id":"p1-d0001","x":' + b"[" * 100_000,
)


async def test_what_cannot_be_stored_is_400(ehr: httpx.AsyncClient) -> None:
    for body in BROKEN:
        refused = await ehr.put(DOCUMENT, content=body, headers={"Content-Type": "application/fhir+json"})
        assert refused.status_code == 400, body[:80]
        assert refused.json()["resourceType"] == "OperationOutcome"
    assert (await ehr.get(DOCUMENT)).status_code == 404


async def test_other_methods_and_formats_are_refused(ehr: httpx.AsyncClient) -> None:
    await ehr.put(DOCUMENT, json=document(1))
    assert (await ehr.patch(DOCUMENT, json=[])).status_code == 405
    assert (await ehr.get(DOCUMENT, headers={"Accept": "application/fhir+xml"})).status_code == 406


async def test_time_of_change_is_the_servers_clock_in_milliseconds(ehr: httpx.AsyncClient) -> None:
    response = await ehr.put(DOCUMENT, json=document(1))
    written = response.json()["meta"]["lastUpdated"]
    assert len(written) == len("2026-01-01T00:00:00.000Z")
    assert abs(datetime.fromisoformat(written) - datetime.now(UTC)) < timedelta(seconds=30)
    assert parsedate_to_datetime(response.headers["last-modified"]) == datetime.fromisoformat(written).replace(
        microsecond=0
    )


def test_put_many_is_idempotent_and_counts_what_changed(ehr_store: Store) -> None:
    assert ehr_store.put_many(document(n) for n in range(50)) == 50
    assert ehr_store.put_many(document(n) for n in range(50)) == 0
    assert ehr_store.put_many([document(7, status="superseded"), document(8)]) == 1


def test_put_many_stores_all_or_nothing(ehr_store: Store) -> None:
    with pytest.raises(Refused):
        ehr_store.put_many([document(1), {"resourceType": "Paper", "id": "x"}])
    assert ehr_store.current("DocumentReference", "p1-d0001") is None


def test_no_two_transactions_share_a_time_of_change(ehr_store: Store) -> None:
    times = [ehr_store.put(document(n)).last_updated for n in range(50)]
    assert len(set(times)) == 50
    assert times == sorted(times)


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "again.sqlite"
    first = Store(path)
    written = first.put(document(1))
    signed = first.presign("scan.pdf")
    first.close()
    second = Store(path)
    assert second.current("DocumentReference", "p1-d0001") is not None
    assert second.put(document(2)).last_updated > written.last_updated
    assert second.presign("scan.pdf")[:30] == signed[:30]
    assert httpx.URL(signed).params["signature"] == second.db.sign(
        f"file\nscan.pdf\n{httpx.URL(signed).params['expires']}"
    )
    second.close()


def test_two_processes_may_open_one_store(tmp_path: Path) -> None:
    seeds, server = Store(tmp_path / "one.sqlite"), Store(tmp_path / "one.sqlite")
    seeds.put_many([document(1)])
    assert server.current("DocumentReference", "p1-d0001") is not None
    assert server.put(document(1, status="superseded")).version == 2
    assert seeds.put(document(2)).last_updated > server.history("DocumentReference", "p1-d0001")[0].last_updated
    seeds.close()
    server.close()
