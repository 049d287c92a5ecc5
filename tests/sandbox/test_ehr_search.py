from typing import Any

import httpx

from sandbox.ehr.store import Store

from .conftest import document, ids, link, pages


async def test_pages_hold_every_document_once_and_tell_the_total(ehr: httpx.AsyncClient, ehr_store: Store) -> None:
    ehr_store.put_many(document(n) for n in range(123))
    ehr_store.put_many(document(n, "p2") for n in range(3))
    found = await pages(ehr, "/DocumentReference?patient=p1&_count=50")
    assert [len(page.get("entry", [])) for page in found] == [50, 50, 23]
    assert sorted(ids(*found)) == [f"p1-d{n:04}" for n in range(123)]
    assert {page["total"] for page in found} == {123}
    entry = found[0]["entry"][0]
    assert entry["search"] == {"mode": "match"}
    assert entry["fullUrl"] == f"{str(ehr.base_url).rstrip('/')}/DocumentReference/{entry['resource']['id']}"


async def test_documents_that_arrive_while_paging_shift_nothing(ehr: httpx.AsyncClient, ehr_store: Store) -> None:
    ehr_store.put_many(document(n) for n in range(1, 60, 2))
    first = (await ehr.get("/DocumentReference?patient=p1&_count=10")).json()
    ehr_store.put_many(document(n) for n in range(0, 60, 2))
    ehr_store.delete("DocumentReference", ids(first)[3])
    rest = await pages(ehr, link(first, "next") or "")
    seen = ids(first, *rest)
    assert len(seen) == len(set(seen)) == 60
    assert rest[0]["total"] == 59


async def test_every_order_pages_completely(ehr: httpx.AsyncClient, ehr_store: Store) -> None:
    undated = document(99)
    del undated["date"]
    ehr_store.put_many([*(document(n) for n in range(30)), undated])
    for sort in ("_lastUpdated", "-_lastUpdated", "date", "-date", "_id", "-_id"):
        found = await pages(ehr, f"/DocumentReference?patient=p1&_count=7&_sort={sort}")
        resources = [entry["resource"] for page in found for entry in page["entry"]]
        keys = [_key(resource, sort.removeprefix("-")) for resource in resources]
        assert len({resource["id"] for resource in resources}) == 31
        assert keys == sorted(keys, reverse=sort.startswith("-")), sort


def _key(resource: dict[str, Any], name: str) -> tuple[str, str]:
    value = {"_lastUpdated": resource["meta"]["lastUpdated"], "date": resource.get("date", ""), "_id": ""}[name]
    return value, resource["id"]


FOUND = {
    "_id=a,c": "ac",
    "patient=p1": "abc",
    "patient=Patient/p1": "abc",
    "subject=Patient/p1": "abc",
    "subject:Patient=p1": "abc",
    "patient={base}/Patient/p1": "abc",
    "patient=https://elsewhere.example/fhir/Patient/p1": "d",
    "status=superseded": "b",
    "status=current,superseded&patient=p1": "abc",
    "type=18842-5": "b",
    "type=http://loinc.org|18842-5": "b",
    "type=http://snomed.info/sct|18842-5": "",
    "type=|18842-5": "",
    "type=http://loinc.org|": "abcd",
    "category=clinical-note": "c",
    "identifier=urn:mrn|x\\,1": "c",
    "date=2024-05": "b",
    "date=ge2024-05-17&date=lt2025": "b",
    "date=gt2023-06-01T10:00:00%2B02:00": "bc",
    "date=2023-06-01T10:00:00%2B02:00": "a",
    "date=le2023-06": "a",
    "date=ne2024&patient=p1": "ac",
    "date=sa2024-12-31": "c",
    "date=eb2024": "a",
    "_lastUpdated=gt2999": "",
    "_lastUpdated=ge2020&_lastUpdated=lt2999": "abcd",
    "unheard=of&status=superseded": "b",
}
"""What each query finds among the four documents a, b, c and d."""


async def test_parameters_find_what_they_name(ehr: httpx.AsyncClient, ehr_store: Store) -> None:
    discharge = {"coding": [{"system": "http://loinc.org", "code": "18842-5"}]}
    ehr_store.put_many(
        [
            document(1) | {"id": "a", "date": "2023-06-01T08:00:00Z"},
            document(2) | {"id": "b", "date": "2024-05-17", "status": "superseded", "type": discharge},
            document(3)
            | {"id": "c", "date": "2025", "category": [{"coding": [{"code": "clinical-note"}]}]}
            | {"identifier": [{"system": "urn:mrn", "value": "x,1"}]},
            document(4)
            | {"id": "d", "subject": {"reference": "https://elsewhere.example/fhir/Patient/p1"}, "date": None},
        ]
    )
    base = str(ehr.base_url).rstrip("/")
    found: dict[str, str] = {}
    for query in FOUND:
        bundle = (await ehr.get("/DocumentReference?" + query.format(base=base))).json()
        found[query] = "".join(sorted(ids(bundle)))
        assert bundle["total"] == len(found[query])
    assert found == FOUND


async def test_patients_are_found_by_name_birthdate_and_identifier(ehr: httpx.AsyncClient, ehr_store: Store) -> None:
    name = [{"family": "Müller", "given": ["Ann-Sofie", "Eva"]}]
    ident = [{"system": "urn:mrn", "value": "4711"}]
    ehr_store.put_many(
        [{"resourceType": "Patient", "id": "m", "name": name, "birthDate": "1950-02-03", "identifier": ident}]
    )
    for query in (
        "name=MULL",
        "family=müller",
        "given=eva",
        "birthdate=1950-02-03",
        "birthdate=1950",
        "identifier=4711",
    ):
        assert ids((await ehr.get(f"/Patient?{query}")).json()) == ["m"], query
    for query in ("family=eva", "name=uller", "birthdate=gt1950-02-03", "identifier=urn:other|4711"):
        assert ids((await ehr.get(f"/Patient?{query}")).json()) == [], query


async def test_a_report_has_its_effective_date_and_its_date_of_issue(ehr: httpx.AsyncClient, ehr_store: Store) -> None:
    report = {"resourceType": "DiagnosticReport", "id": "r", "status": "final", "subject": {"reference": "Patient/p1"}}
    ehr_store.put_many([{**report, "effectiveDateTime": "2020-01-01", "issued": "2020-02-02T00:00:00.5Z"}])
    assert ids((await ehr.get("/DiagnosticReport?date=2020-01")).json()) == ["r"]
    assert ids((await ehr.get("/DiagnosticReport?issued=2020-02")).json()) == ["r"]
    assert ids((await ehr.get("/DiagnosticReport?date=2020-02")).json()) == []


async def test_the_self_link_tells_what_was_applied(ehr: httpx.AsyncClient) -> None:
    bundle = (await ehr.get("/DocumentReference?patient=p1&colour=blue&_sort=-date,_id&_count=5000")).json()
    assert httpx.URL(link(bundle, "self") or "").params.multi_items() == [
        ("patient", "p1"),
        ("_sort", "-date"),
        ("_count", "200"),
    ]


async def test_strict_handling_refuses_an_unknown_parameter(ehr: httpx.AsyncClient) -> None:
    refused = await ehr.get("/DocumentReference?colour=blue", headers={"Prefer": "handling=strict"})
    assert refused.status_code == 400
    assert refused.json()["issue"][0]["code"] == "not-supported"
    assert (await ehr.get("/DocumentReference?colour=blue")).status_code == 200


WRONG = (
    "date=yesterday",
    "date=2024-13",
    "date=2024-02-30",
    "date=ap2024",
    "_lastUpdated=",
    "_count=-1",
    "_count=many",
    "_sort=colour",
    "patient=Group/1",
    "status:not=current",
    "_page=nonsense",
    "_page=WzEsMiwzXQ",
    "patient=a,,b",
)


async def test_a_bad_value_is_400_with_an_outcome(ehr: httpx.AsyncClient) -> None:
    for query in WRONG:
        response = await ehr.get("/DocumentReference?" + query)
        assert response.status_code == 400, query
        assert response.json()["resourceType"] == "OperationOutcome"


async def test_a_count_brings_no_entries(ehr: httpx.AsyncClient, ehr_store: Store) -> None:
    ehr_store.put_many(document(n) for n in range(7))
    for query in ("_count=0", "_summary=count"):
        bundle = (await ehr.get(f"/DocumentReference?patient=p1&{query}")).json()
        assert bundle["total"] == 7
        assert "entry" not in bundle
        assert link(bundle, "next") is None


async def test_search_by_post_is_the_same_search(ehr: httpx.AsyncClient, ehr_store: Store) -> None:
    ehr_store.put_many([*(document(n) for n in range(5)), document(1, "p2")])
    posted = await ehr.post("/DocumentReference/_search?status=current", data={"patient": "p1", "_count": "3"})
    assert posted.json()["total"] == 5
    rest = await pages(ehr, link(posted.json(), "next") or "")
    assert len(ids(posted.json(), *rest)) == 5
    wrong = await ehr.post("/DocumentReference/_search", json={"patient": "p1"})
    assert wrong.status_code == 415


async def test_elements_are_the_asked_ones_and_marked_as_a_part(ehr: httpx.AsyncClient, ehr_store: Store) -> None:
    ehr_store.put_many([document(1)])
    resource = (await ehr.get("/DocumentReference?_elements=status")).json()["entry"][0]["resource"]
    assert set(resource) == {"resourceType", "id", "meta", "status"}
    assert resource["meta"]["tag"][0]["code"] == "SUBSETTED"


async def test_what_is_not_there_is_404_with_an_outcome(ehr: httpx.AsyncClient) -> None:
    for path in ("/Paper?patient=p1", "/Paper/1", "/Patient/1/$everything", "/Patient/1/2/3/4", "/Patient/1"):
        response = await ehr.get(path)
        assert response.status_code == 404, path
        assert response.json()["issue"][0]["code"] in ("not-supported", "not-found")


async def test_incremental_search_finds_exactly_what_changed(ehr: httpx.AsyncClient, ehr_store: Store) -> None:
    ehr_store.put_many(document(n) for n in range(10))
    newest = (await ehr.get("/DocumentReference?_sort=-_lastUpdated&_count=1")).json()
    since = newest["entry"][0]["resource"]["meta"]["lastUpdated"]
    ehr_store.put_many([document(3), document(4, status="superseded"), document(11)])
    found = (await ehr.get("/DocumentReference", params={"_lastUpdated": f"gt{since}"})).json()
    assert sorted(ids(found)) == ["p1-d0004", "p1-d0011"]
