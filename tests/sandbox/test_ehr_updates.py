"""Updates by version: who writes over what they have not read is told so, and nothing changes."""

import asyncio
from typing import Any

import httpx
import pytest

from sandbox.ehr.store import Store

PATIENT = "/Patient/p1"


def patient(phone: str = "1", **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": "p1", "telecom": [{"system": "phone", "value": phone}], **more}


@pytest.mark.parametrize("tag", ['W/"2"', '"2"', "*"])
async def test_the_current_version_may_be_replaced(ehr_store: Store, ehr: httpx.AsyncClient, tag: str) -> None:
    ehr_store.put(patient("1"))
    ehr_store.put(patient("2"))
    answer = await ehr.put(PATIENT, json=patient("3"), headers={"If-Match": tag})
    assert (answer.status_code, answer.headers["etag"], answer.json()["meta"]["versionId"]) == (200, 'W/"3"', "3")


@pytest.mark.parametrize("tag", ['W/"1"', 'W/"3"', "W/", "nonsense", ""])
async def test_any_other_version_is_412_and_changes_nothing(ehr_store: Store, ehr: httpx.AsyncClient, tag: str) -> None:
    ehr_store.put(patient("1"))
    ehr_store.put(patient("2"))
    answer = await ehr.put(PATIENT, json=patient("3"), headers={"If-Match": tag})
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (412, "conflict")
    assert len(ehr_store.history("Patient", "p1")) == 2


async def test_of_many_who_replace_the_same_version_one_wins(ehr_store: Store, ehr: httpx.AsyncClient) -> None:
    ehr_store.put(patient("0"))
    answers = await asyncio.gather(
        *(ehr.put(PATIENT, json=patient(str(n)), headers={"If-Match": 'W/"1"'}) for n in range(1, 9))
    )
    assert sorted(it.status_code for it in answers) == [200] + [412] * 7
    assert len(ehr_store.history("Patient", "p1")) == 2


async def test_what_the_server_does_not_know_is_kept(ehr_store: Store, ehr: httpx.AsyncClient) -> None:
    odd = {"extension": [{"url": "x", "valueDecimal": 1.5}], "vendorField": [1, None, {}], "_birthDate": {"id": "b"}}
    ehr_store.put(patient("1", **odd))
    found = (await ehr.get(PATIENT)).json()
    answer = await ehr.put(PATIENT, json=found | {"birthDate": "1980-01-01"}, headers={"If-Match": 'W/"1"'})
    assert {key: answer.json()[key] for key in odd} == odd


async def test_whoever_may_only_read_updates_nothing(ehr_store: Store, ehr: httpx.AsyncClient) -> None:
    ehr_store.put(patient("1"))
    ehr_store.register_client("reader", "basic", secret="s", scopes="system/*.rs")
    answer = await ehr.put(PATIENT, json=patient("2"), auth=("reader", "s"))
    assert (answer.status_code, len(ehr_store.history("Patient", "p1"))) == (403, 1)
