"""Faults of the connection and of the answer as a whole."""

import asyncio
import gzip
import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
import pytest

from tests.faulty import faults

from .conftest import document, ids
from .fault_house import BROKEN, LIST, House, beginning, seen


@seen("status")
async def status(house: House) -> None:
    for code in (401, 403, 404, 410, 429, 500, 502, 503):
        answer = await house.strike("status", status=code)
        assert answer.status_code == code
        assert answer.json()["resourceType"] == "OperationOutcome"
    for said in ("120", "86400", "soon", "Wed, 21 Oct 2015 07:28:00 GMT"):
        assert (await house.strike("status", status=429, retry_after=said)).headers["retry-after"] == said
    assert (await house.strike("status", status=429, retry_after=5)).headers["retry-after"] == "5"
    for seconds in (-60, 60):
        answer = await house.strike("status", status=503, retry_after_date=seconds)
        later = parsedate_to_datetime(answer.headers["retry-after"]) - datetime.now(UTC)
        assert abs(later.total_seconds() - seconds) < 10
    answer = await house.strike("status", status=401, code="expired", headers={"X-Why": "night"})
    assert (answer.json()["issue"][0]["code"], answer.headers["x-why"]) == ("expired", "night")
    assert "www-authenticate" in answer.headers
    assert (await house.strike("status", status=500, body="oh")).text == "oh"
    async with faults(str(house.platform.base_url), {"fault": "status", "status": 429}):
        answer = await house.platform.get("/patients")
        assert (answer.status_code, list(answer.json())) == (429, ["message"])


@seen("close")
async def close(house: House) -> None:
    with pytest.raises(BROKEN):
        await house.strike("close")


@seen("hang")
async def hang(house: House) -> None:
    with pytest.raises(httpx.ReadTimeout):
        async with faults(str(house.ehr.base_url), {"fault": "hang"}):
            await house.ehr.get(LIST, timeout=0.2)
    async with faults(str(house.ehr.base_url), {"fault": "hang"}) as on:
        waiting = asyncio.create_task(house.ehr.get(LIST, timeout=30))
        while await on.struck() != [1]:  # noqa: ASYNC110 - the server is at the other end of a socket
            await asyncio.sleep(0.01)
        await on.off()
        assert (await waiting).status_code == 200


@seen("hang-middle")
async def hang_middle(house: House) -> None:
    async with faults(str(house.ehr.base_url), {"fault": "hang-middle"}):
        got, error = await beginning(house.ehr, "/fhir/Binary/b1", 0.3)
    assert (got, type(error)) == (b"pears a", httpx.ReadTimeout)
    assert (await house.strike("hang-middle", "/fhir/Binary/b1", seconds=0.1)).content == b"pears and plums"


@seen("slow")
async def slow(house: House) -> None:
    chunks: list[bytes] = []
    async with (
        faults(str(house.ehr.base_url), {"fault": "slow", "bytes_per_second": 50}),
        house.ehr.stream("GET", "/fhir/Binary/b1") as answer,
    ):
        chunks.extend([chunk async for chunk in answer.aiter_raw()])
    assert b"".join(chunks) == b"pears and plums"
    assert len(chunks) >= 3


@seen("cut")
async def cut(house: House) -> None:
    async with faults(str(house.ehr.base_url), {"fault": "cut", "at": 0.4}):
        got, error = await beginning(house.ehr, "/fhir/Binary/b1")
    assert got == b"pears "
    assert "received 6 bytes, expected 15" in str(error)


@seen("wrong-length")
async def wrong_length(house: House) -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        await house.strike("wrong-length", "/fhir/Binary/b1")
    assert (await house.strike("wrong-length", "/fhir/Binary/b1", by=-5)).content == b"pears and "


@seen("lost-answer")
async def lost_answer(house: House) -> None:
    made = document(9)
    for seconds, expected in ((0, BROKEN), (600, httpx.ReadTimeout)):
        async with faults(str(house.ehr.base_url), {"fault": "lost-answer", "seconds": seconds}):
            with pytest.raises(expected):
                await house.ehr.put(f"/fhir/DocumentReference/{made['id']}", json=made, timeout=0.3)
    assert (await house.ehr.get(f"/fhir/DocumentReference/{made['id']}")).status_code == 200
    async with faults(str(house.platform.base_url), {"fault": "lost-answer", "match": {"method": "POST"}}):
        with pytest.raises(BROKEN):
            await house.platform.post("/patients", json={"first_name": "Amara", "last_name": "Okafor"})
        assert (await house.platform.get("/patients")).json()["total_entries"] == 1


@seen("content-type")
async def content_type(house: House) -> None:
    answer = await house.strike("content-type", content_type="application/xml")
    assert (answer.headers["content-type"], answer.json()["resourceType"]) == ("application/xml", "Bundle")


@seen("html")
async def html(house: House) -> None:
    answer = await house.strike("html")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.text.startswith("<!doctype html>")


@seen("gzip-bomb")
async def gzip_bomb(house: House) -> None:
    async with (
        faults(str(house.ehr.base_url), {"fault": "gzip-bomb", "mb": 4}),
        house.ehr.stream("GET", LIST) as answer,
    ):
        assert answer.headers["content-encoding"] == "gzip"
        packed = b"".join([chunk async for chunk in answer.aiter_raw()])
    unpacked = gzip.decompress(packed)
    assert json.loads(unpacked)["resourceType"] == "Bundle"
    assert len(unpacked) / len(packed) > 900


@seen("huge-json")
async def huge_json(house: House) -> None:
    answer = await house.strike("huge-json", mb=2)
    assert len(answer.json()["language"]) == 2 * 1024 * 1024


@seen("huge-file")
async def huge_file(house: House) -> None:
    answer = await house.strike("huge-file", mb=3, content_type="image/tiff")
    assert (len(answer.content), answer.headers["content-length"]) == (3 * 1024 * 1024, str(3 * 1024 * 1024))
    assert answer.headers["content-type"] == "image/tiff"


@seen("deep-json")
async def deep_json(house: House) -> None:
    answer = await house.strike("deep-json", levels=5000)
    assert answer.text.count("[") == 5000
    with pytest.raises(RecursionError):
        answer.json()


@seen("outcome")
async def outcome(house: House) -> None:
    answer = await house.strike("outcome", code="too-costly", severity="fatal")
    assert answer.status_code == 200
    assert (answer.json()["issue"][0]["code"], answer.json()["issue"][0]["severity"]) == ("too-costly", "fatal")


@seen("expired-token")
async def expired_token(house: House) -> None:
    tokens = [house.store.clients.issue("us", ("system/*.rs",)) for _ in range(2)]
    sent = [{"Authorization": f"Bearer {token}"} for token in tokens]
    assert (await house.ehr.get(LIST, headers=sent[0])).status_code == 200
    async with faults(str(house.ehr.base_url), {"fault": "expired-token", "times": 1}):
        for headers in sent:
            answer = await house.ehr.get(LIST, headers=headers)
            assert (answer.status_code, answer.json()["issue"][0]["code"]) == (401, "expired")
        fresh = house.store.clients.issue("us", ("system/*.rs",))
        assert (await house.ehr.get(LIST, headers={"Authorization": f"Bearer {fresh}"})).status_code == 200


@seen("refuse-get-search")
async def refuse_get_search(house: House) -> None:
    assert (await house.strike("refuse-get-search")).status_code == 405
    async with faults(str(house.ehr.base_url), {"fault": "refuse-get-search"}):
        posted = await house.ehr.post("/fhir/DocumentReference/_search", data={"patient": "p1"})
        assert (posted.status_code, len(ids(posted.json()))) == (200, 5)


@seen("demand-status")
async def demand_status(house: House) -> None:
    answer = await house.strike("demand-status")
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (400, "required")
    assert "status" in answer.json()["issue"][0]["diagnostics"]
    assert len(await house.listed("demand-status", f"{LIST}&status=current")) == 3


@seen("refuse-batch")
async def refuse_batch(house: House) -> None:
    batch = {"resourceType": "Bundle", "type": "batch", "entry": []}
    async with faults(str(house.ehr.base_url), {"fault": "refuse-batch"}):
        assert (await house.ehr.post("/fhir", json=batch)).status_code == 405
    assert (await house.ehr.post("/fhir", json=batch)).status_code == 200
