from typing import Any

import httpx

from sandbox.ehr.store import Store

from .conftest import document


def bundle(kind: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def entry(method: str, url: str, resource: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"request": {"method": method, "url": url}, **more}
    return made | ({"resource": resource} if resource else {})


def statuses(response: httpx.Response) -> list[str]:
    return [one["response"]["status"][:3] for one in response.json()["entry"]]


async def test_each_entry_of_a_batch_stands_for_itself(ehr: httpx.AsyncClient, ehr_store: Store) -> None:
    ehr_store.put_many([document(1), document(2)])
    response = await ehr.post(
        "",
        json=bundle(
            "batch",
            entry("PUT", "DocumentReference/p1-d0003", document(3)),
            entry("PUT", "DocumentReference/other", document(4)),
            entry("POST", "Task", {"resourceType": "Task", "status": "requested"}),
            entry("GET", "DocumentReference?patient=p1&_count=1"),
            entry("GET", "DocumentReference/p1-d0001"),
            entry("DELETE", "DocumentReference/p1-d0002"),
            entry("GET", "DocumentReference/p1-d0002"),
            entry("BREW", "Coffee"),
            {},
        ),
    )
    assert response.json()["type"] == "batch-response"
    assert statuses(response) == ["201", "400", "201", "200", "200", "204", "410", "400", "400"]
    assert response.json()["entry"][0]["response"]["etag"] == 'W/"1"'
    assert response.json()["entry"][3]["resource"]["total"] == 3
    assert response.json()["entry"][6]["response"]["outcome"]["resourceType"] == "OperationOutcome"


async def test_a_transaction_links_what_it_creates(ehr: httpx.AsyncClient) -> None:
    patient = {"resourceType": "Patient", "name": [{"family": "New"}]}
    note = {**document(1), "subject": {"reference": "urn:uuid:aa"}}
    response = await ehr.post(
        "/",
        json=bundle(
            "transaction",
            entry("POST", "DocumentReference", note, fullUrl="urn:uuid:bb"),
            entry("POST", "Patient", patient, fullUrl="urn:uuid:aa"),
        ),
    )
    assert statuses(response) == ["201", "201"]
    made = response.json()["entry"][1]["response"]["location"].split("/")[-3]
    found = (await ehr.get(f"/DocumentReference?patient={made}")).json()
    assert found["entry"][0]["resource"]["subject"] == {"reference": f"Patient/{made}"}


async def test_a_transaction_with_one_refusal_changes_nothing(ehr: httpx.AsyncClient) -> None:
    fine = entry("PUT", "DocumentReference/p1-d0001", document(1))
    late = entry("PUT", "DocumentReference/p1-d0002", document(2))
    late["request"]["ifMatch"] = 'W/"7"'
    refused = await ehr.post("", json=bundle("transaction", fine, late))
    assert refused.status_code == 412
    twice = await ehr.post("", json=bundle("transaction", fine, fine))
    assert twice.status_code == 400
    assert (await ehr.get("/DocumentReference/p1-d0001")).status_code == 404


async def test_other_bundles_are_refused(ehr: httpx.AsyncClient) -> None:
    for body in (bundle("collection"), document(1), []):
        response = await ehr.post("", json=body)
        assert response.status_code == 400
        assert response.json()["resourceType"] == "OperationOutcome"
    assert (await ehr.post("", content=b"<Bundle/>")).status_code == 400


async def test_the_statement_lists_what_search_takes(ehr: httpx.AsyncClient, ehr_store: Store) -> None:
    ehr_store.put_many([{"resourceType": "Goal", "id": "g", "subject": {"reference": "Patient/p1"}}])
    statement = (await ehr.get("/metadata")).json()
    resources = {resource["type"]: resource for resource in statement["rest"][0]["resource"]}
    assert {"Patient", "DocumentReference", "Binary", "Goal"} <= set(resources)
    assert "searchParam" not in resources["Binary"]
    for name in [parameter["name"] for parameter in resources["DocumentReference"]["searchParam"]]:
        value = "2024" if name in ("date", "period", "_lastUpdated") else "x"
        answer = await ehr.get(f"/DocumentReference?{name}={value}", headers={"Prefer": "handling=strict"})
        assert answer.status_code == 200, name
