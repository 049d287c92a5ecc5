"""Faults of a listing: paging, totals, time, what stands in it."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from tests.faulty import faults

from .conftest import document, ids, link, pages
from .fault_house import LIST, House, resources, seen


@seen("clock")
async def clock(house: House) -> None:
    true = {it["id"]: it["meta"]["lastUpdated"] for it in resources(await pages(house.ehr, LIST))}
    for seconds in (-7200, 86_400):
        later = timedelta(seconds=seconds)
        answer = await house.strike("clock", seconds=seconds)
        assert abs(parsedate_to_datetime(answer.headers["date"]) - datetime.now(UTC) - later) < timedelta(seconds=10)
        for resource in resources([answer.json()]):
            shown = datetime.fromisoformat(resource["meta"]["lastUpdated"])
            assert shown == datetime.fromisoformat(true[resource["id"]]) + later
        soon = (datetime.now(UTC) + later + timedelta(seconds=60)).isoformat().replace("+00:00", "Z")
        assert ids(*await house.listed("clock", f"{LIST}&_lastUpdated=gt{soon}", seconds=seconds)) == []
        assert len(ids(*await house.listed("clock", f"{LIST}&_lastUpdated=lt{soon}", seconds=seconds))) == 5


@seen("ignore-last-updated")
async def ignore_last_updated(house: House) -> None:
    future = f"{LIST}&_lastUpdated=ge2999-01-01"
    assert ids((await house.ehr.get(future)).json()) == []
    for claims in (False, True):
        answer = await house.strike("ignore-last-updated", future, claims=claims)
        assert len(ids(answer.json())) == 2
        assert ("_lastUpdated" in str(link(answer.json(), "self"))) is claims
    async with faults(str(house.ehr.base_url), {"fault": "ignore-last-updated"}):
        posted = await house.ehr.post(
            "/fhir/DocumentReference/_search", data={"patient": "p1", "_lastUpdated": "ge2999-01-01"}
        )
    assert len(ids(posted.json())) == 5


@seen("stale-last-updated")
async def stale_last_updated(house: House) -> None:
    async with faults(str(house.ehr.base_url), {"fault": "stale-last-updated"}) as on:
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        await asyncio.sleep(0.01)
        house.store.put({**document(1), "description": "changed"})
        bundle = (await house.ehr.get("/fhir/DocumentReference?patient=p1")).json()
        changed = next(it for it in resources([bundle]) if it.get("description") == "changed")
        assert changed["meta"]["versionId"] == "2"
        assert datetime.fromisoformat(changed["meta"]["lastUpdated"]) <= datetime.fromisoformat(now)
        assert ids(*await pages(house.ehr, f"{LIST}&_lastUpdated=gt{now}")) == []
        assert len(ids(*await pages(house.ehr, f"{LIST}&_lastUpdated=le{now}"))) == 5
        assert await on.struck() > [2]
    assert len(ids(*await pages(house.ehr, f"{LIST}&_lastUpdated=gt{now}"))) == 1


@seen("equal-last-updated")
async def equal_last_updated(house: House) -> None:
    listed = await house.listed("equal-last-updated", instant="2020-02-02T00:00:00Z")
    assert {it["meta"]["lastUpdated"] for it in resources(listed)} == {"2020-02-02T00:00:00.000Z"}
    since = f"{LIST}&_lastUpdated="
    assert ids(*await house.listed("equal-last-updated", since + "gt2021", instant="2020-02-02")) == []
    found = await house.listed("equal-last-updated", since + "lt2021", instant="2020-02-02")
    assert (len(found), len(set(ids(*found)))) == (3, 5)
    assert all("_lastUpdated=lt2021" in str(link(page, "self")) for page in found)


@seen("missing-next")
async def missing_next(house: House) -> None:
    (only,) = await house.listed("missing-next")
    assert (len(ids(only)), only["total"]) == (2, 5)
    async with faults(str(house.ehr.base_url), {"fault": "missing-next", "times": 1, "after": 1}) as on:
        assert len(await pages(house.ehr, LIST)) == 2
        assert await on.struck() == [1]


@seen("looping-next")
async def looping_next(house: House) -> None:
    async with faults(str(house.ehr.base_url), {"fault": "looping-next", "after": 1}):
        first = (await house.ehr.get(LIST)).json()
        second = (await house.ehr.get(str(link(first, "next")))).json()
        assert link(second, "next") == link(first, "next")


@seen("foreign-next")
async def foreign_next(house: House) -> None:
    answer = await house.strike("foreign-next", origin="http://127.0.0.1:9")
    assert str(link(answer.json(), "next")).startswith("http://127.0.0.1:9/fhir/DocumentReference?_page=")


@seen("duplicate-pages")
async def duplicate_pages(house: House) -> None:
    once, twice = await pages(house.ehr, LIST), await house.listed("duplicate-pages")
    assert [ids(page) for page in twice] == [ids(page) for page in once for _ in range(2)]


@seen("duplicate-entries")
async def duplicate_entries(house: House) -> None:
    assert ids(*await house.listed("duplicate-entries")) == [
        it for it in ids(*await pages(house.ehr, LIST)) for _ in "ab"
    ]


@seen("wrong-total")
async def wrong_total(house: House) -> None:
    assert (await house.strike("wrong-total")).json()["total"] == 12
    assert (await house.strike("wrong-total", by=-3)).json()["total"] == 2


@seen("mutate")
async def mutate(house: House) -> None:
    plain = ids(*await pages(house.ehr, LIST))
    changed = ids(*await house.listed("mutate", times=1))
    assert changed == [*plain, plain[0]]
    added = ids(*await house.listed("mutate", action="add", times=1, resource=document(77)))
    assert added[-1] == "p1-d0077"
    gone = {"resourceType": "DocumentReference", "id": added[-1]}
    removed = await house.listed("mutate", action="remove", times=1, resource=gone)
    assert added[-1] not in ids(*removed)
    assert [page["total"] for page in removed] == [6, 5, 5]


@seen("dangling-binary")
async def dangling_binary(house: House) -> None:
    (resource, *_) = resources([(await house.strike("dangling-binary")).json()])
    url = resource["content"][0]["attachment"]["url"]
    assert url.endswith("-gone")
    assert (await house.ehr.get(f"/fhir/{url}")).status_code == 404


@seen("cross-patient")
async def cross_patient(house: House) -> None:
    found = await house.listed("cross-patient", patient="bela", entries=1)
    subjects = [it["subject"]["reference"] for it in resources(found)]
    assert subjects == ["Patient/bela", "Patient/p1"] * 2 + ["Patient/bela"]


@seen("outcome-entry")
async def outcome_entry(house: House) -> None:
    entry = (await house.strike("outcome-entry", code="incomplete", severity="warning")).json()["entry"][-1]
    assert entry["search"] == {"mode": "outcome"}
    assert (entry["resource"]["issue"][0]["code"], entry["resource"]["issue"][0]["severity"]) == (
        "incomplete",
        "warning",
    )
