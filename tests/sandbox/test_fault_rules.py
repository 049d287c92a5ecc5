"""The control endpoint: which requests a rule strikes, how it is counted, and what it refuses."""

import json
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.ehr.app import create_app
from sandbox.ehr.store import Store
from sandbox.serve import serving
from tests.faulty import faults

from .conftest import document
from .test_serve import ROOT, sandbox


@pytest.fixture
async def client(ehr_store: Store) -> AsyncGenerator[httpx.AsyncClient]:
    ehr_store.put_many(document(number) for number in range(1, 4))
    async with serving(create_app(ehr_store)) as url, httpx.AsyncClient(base_url=url) as client:
        yield client


async def statuses(client: httpx.AsyncClient, *urls: str) -> list[int]:
    return [(await client.get(url)).status_code for url in urls]


METADATA, FIRST, SECOND = "/fhir/metadata", "/fhir/DocumentReference/p1-d0001", "/fhir/DocumentReference/p1-d0002"


async def test_after_spares_and_times_ends(client: httpx.AsyncClient) -> None:
    async with faults(str(client.base_url), {"fault": "status", "after": 1, "times": 2}) as on:
        assert await statuses(client, *[METADATA] * 5) == [200, 503, 503, 200, 200]
        assert await on.struck() == [2]
        (rule,) = (await client.get("/control/faults")).json()["faults"]
        assert (rule["matched"], rule["struck"], rule["after"]) == (5, 2, 1)


async def test_each_counts_for_every_address_apart(client: httpx.AsyncClient) -> None:
    async with faults(str(client.base_url), {"fault": "status", "times": 1, "each": True}) as on:
        assert await statuses(client, FIRST, SECOND, FIRST, SECOND) == [503, 503, 200, 200]
        assert await on.struck() == [2]


async def test_a_match_is_for_the_whole_path_and_for_a_part_of_the_query(client: httpx.AsyncClient) -> None:
    match = {"method": "GET", "path": "/fhir/DocumentReference", "query": "patient=p1"}
    async with faults(str(client.base_url), {"fault": "status", "status": 410, "match": match}):
        search = "/fhir/DocumentReference?_count=1&patient="
        assert await statuses(client, FIRST, search + "p1", search + "q1") == [200, 410, 200]


async def test_a_share_is_struck_and_with_the_same_seed_the_same_one(client: httpx.AsyncClient) -> None:
    seen: list[list[int]] = []
    for seed in (7, 7, 8):
        async with faults(str(client.base_url), {"fault": "status", "share": 0.4, "seed": seed}):
            seen.append(await statuses(client, *[METADATA, FIRST] * 30))
    assert seen[0] == seen[1] != seen[2]
    assert 12 <= seen[0].count(503) <= 36


async def test_the_first_rule_is_the_outermost_and_each_is_counted(client: httpx.AsyncClient) -> None:
    rules = [{"fault": "content-type", "content_type": "text/csv"}, {"fault": "wrong-total"}, {"fault": "wrong-total"}]
    async with faults(str(client.base_url), *rules) as on:
        answer = await client.get("/fhir/DocumentReference")
        assert (answer.headers["content-type"], answer.json()["total"]) == ("text/csv", 17)
        assert await on.struck() == [1, 1, 1]


async def test_a_fault_that_finds_nothing_to_spoil_has_not_struck(client: httpx.AsyncClient) -> None:
    async with faults(str(client.base_url), {"fault": "missing-next", "times": 1}) as on:
        await client.get("/fhir/DocumentReference")
        assert await on.struck() == [0]
        await client.get("/fhir/DocumentReference?_count=1")
        assert await on.struck() == [1]


async def test_rules_are_added_and_taken_off_one_by_one_or_all(client: httpx.AsyncClient) -> None:
    for status in (500, 502, 503):
        await client.post("/control/faults", json=[{"fault": "status", "status": status}])
    assert await statuses(client, METADATA) == [500]
    first = (await client.get("/control/faults")).json()["faults"][0]["id"]
    assert (await client.delete("/control/faults", params={"id": first})).status_code == 204
    assert await statuses(client, METADATA) == [502]
    assert (await client.delete("/control/faults")).status_code == 204
    assert await statuses(client, METADATA) == [200]
    assert (await client.get("/control/faults")).json() == {"faults": []}


async def test_the_control_endpoint_itself_is_never_struck_and_spoilt_requests_are_counted(
    client: httpx.AsyncClient,
) -> None:
    async with faults(str(client.base_url), {"fault": "close"}):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(METADATA)
        assert (await client.get("/control/requests")).json()["requests"] == {"GET /fhir/metadata": 1}


@pytest.mark.parametrize(
    ("rules", "field", "words"),
    [
        ({}, "", "a list of rules"),
        (["status"], "", "an object"),
        ([{}], "fault", "must be one of clock, close"),
        ([{"fault": "quota"}], "fault", "must be one of"),
        ([{"fault": "status", "status": "503"}], "status", "a whole number from 200 to 599"),
        ([{"fault": "status", "status": 99}], "status", "a whole number from 200 to 599"),
        ([{"fault": "status", "status": True}], "status", "a whole number"),
        ([{"fault": "status", "code": "bad"}], "code", "must be one of invalid"),
        ([{"fault": "status", "retry_after": "a\nb"}], "retry_after", "printable"),
        ([{"fault": "status", "headers": []}], "headers", "an object"),
        ([{"fault": "status", "seconds": 1}], "seconds", "no option of status"),
        ([{"fault": "cut", "at": 1.5}], "at", "a number from 0 to 1"),
        ([{"fault": "close", "times": 0}], "times", "or null"),
        ([{"fault": "close", "share": 2}], "share", "a number from 0 to 1"),
        ([{"fault": "close", "each": 1}], "each", "true or false"),
        ([{"fault": "close", "match": "/fhir"}], "match", "an object"),
        ([{"fault": "close", "match": {"path": "("}}], "match.path", "a regular expression"),
        ([{"fault": "close", "match": {"body": "x"}}], "match.body", "method, path, query"),
        ([{"fault": "stale-last-updated", "instant": "noon"}], "instant", "a date"),
        ([{"fault": "mutate", "action": "burn"}], "action", "add, change, remove"),
        ([{"fault": "close"}] * 101, "", "at most 100"),
    ],
)
async def test_wrong_rules_are_refused_in_words_and_nothing_is_switched_on(
    client: httpx.AsyncClient, rules: Any, field: str, words: str
) -> None:
    answer = await client.post("/control/faults", json=rules)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert words in error["message"]
    assert (await client.get("/control/faults")).json() == {"faults": []}


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"\xff", b" " * 2_000_000])
async def test_a_body_that_is_no_json_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post("/control/faults", content=body)
    assert answer.status_code == 422
    assert answer.json()["errors"]


async def test_every_wrong_rule_is_named(client: httpx.AsyncClient) -> None:
    answer = await client.post("/control/faults", json=[{"fault": "close"}, {"fault": "x"}, {"fault": "cut", "at": 2}])
    assert [(it["rule"], it["field"]) for it in answer.json()["errors"]] == [(1, "fault"), (2, "at")]
    assert (await client.delete("/control/faults?id=x")).status_code == 422


def test_a_sandbox_can_start_with_faults_on_and_stays_silent(tmp_path: Path) -> None:
    rule = json.dumps({"fault": "cut", "match": {"path": "/patients"}})
    words = ["--open", "--fault", "close", "--fault", '{"fault": "status", "status": 418}', "--platform-fault", rule]
    with sandbox(tmp_path, *words) as (process, ehr, platform):
        with httpx.Client() as client:
            for url in (f"{ehr}/metadata", f"{platform}/patients"):
                with pytest.raises(httpx.RemoteProtocolError):
                    client.get(url)
            origin = ehr.removesuffix("/fhir")
            assert [it["struck"] for it in client.get(f"{origin}/control/faults").json()["faults"]] == [1, 1]
        process.terminate()
        assert process.wait(10) == 0
        assert process.stdout
        assert process.stdout.read() == ""


def test_a_sandbox_with_a_wrong_fault_does_not_start(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sandbox", "--ehr-port", "0", "--platform-port", "0", "--data", str(tmp_path)]
    ended = subprocess.run(
        [*command, "--fault", "burn"], cwd=ROOT, check=False, capture_output=True, text=True, timeout=30
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "rule 0, fault: must be one of" in ended.stderr
