import asyncio
import hashlib
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.platform.store import LARGEST_UPLOAD, Store

from .conftest import AGENT

BYTES = b"%PDF-1.7 summary"
KEY = {"Idempotency-Key": "12345678"}


async def new_patient(platform: httpx.AsyncClient, **fields: str) -> str:
    response = await platform.post("/patients", json={"first_name": "Alva", "last_name": "Dickinson", **fields})
    assert response.status_code == 201, response.text
    return response.json()["id"]


async def send(
    platform: httpx.AsyncClient, patient: str, data: bytes = BYTES, name: str = "summary.pdf"
) -> httpx.Response:
    form = (await platform.get(f"/patients/{patient}/attachment_presigned_post")).json()
    return await bare(platform, form["url"], form["fields"], data, name)


async def bare(
    platform: httpx.AsyncClient, url: str, fields: dict[str, str], data: bytes = BYTES, name: str = "summary.pdf"
) -> httpx.Response:
    """An upload as a presigned post is made: without our key."""
    async with httpx.AsyncClient() as client:
        return await client.post(url, data=fields, files={"file": (name, data, "application/pdf")})


async def attach(platform: httpx.AsyncClient, patient: str, **more: Any) -> httpx.Response:
    url = (await send(platform, patient)).headers["location"]
    return await platform.post(
        "/patient_attachments", json={"patient_id": patient, "upload_url": url, **more}, headers=KEY
    )


async def test_a_document_goes_in_and_is_processed_a_moment_later(
    platform: httpx.AsyncClient, platform_store: Store
) -> None:
    platform_store.set_processing_ms(100_000)
    patient = await new_patient(platform)
    made = await attach(platform, patient, description="Discharge summary", external_id="DocumentReference/abc")
    assert made.status_code == 201
    attachment = made.json()
    assert attachment["processing_completed"] is False
    assert (attachment["filename"], attachment["content_type"], attachment["size"]) == (
        "summary.pdf",
        "application/pdf",
        16,
    )
    platform_store.set_processing_ms(0)
    read = (await platform.get(f"/patient_attachments/{attachment['id']}")).json()
    assert read == attachment | {"processing_completed": True}
    stored = (await platform.get(f"/control/attachments?patient_id={patient}")).json()["attachments"]
    digest = hashlib.sha256(BYTES).hexdigest()
    expected = {"patient_id": patient, "external_id": "DocumentReference/abc", "size": 16, "sha256": digest}
    assert stored == [expected | {"id": attachment["id"]}]


async def test_processing_ends_by_itself(platform: httpx.AsyncClient) -> None:
    attachment = (await attach(platform, await new_patient(platform))).json()
    async with asyncio.timeout(10):
        while not attachment["processing_completed"]:
            await asyncio.sleep(0.02)
            attachment = (await platform.get(f"/patient_attachments/{attachment['id']}")).json()
    assert attachment["processing_completed"]


async def test_the_same_key_makes_a_second_attachment(platform: httpx.AsyncClient) -> None:
    patient = await new_patient(platform)
    body = {"patient_id": patient, "upload_url": (await send(platform, patient)).headers["location"]}
    first, second = [await platform.post("/patient_attachments", json=body, headers=KEY) for _ in range(2)]
    assert first.json()["id"] != second.json()["id"]
    listed = (await platform.get(f"/patient_attachments?patient_id={patient}")).json()
    assert listed["total_entries"] == len(listed["patient_attachments"]) == 2


async def test_an_upload_needs_its_own_policy_and_key(platform: httpx.AsyncClient, platform_store: Store) -> None:
    patient = await new_patient(platform)
    form = (await platform.get(f"/patients/{patient}/attachment_presigned_post")).json()
    url, fields = form["url"], form["fields"]
    assert (await bare(platform, url, fields | {"x-amz-signature": "0" * 64})).status_code == 403
    assert (await bare(platform, url, fields | {"policy": fields["policy"] + "x"})).status_code == 403
    assert (await bare(platform, url, fields | {"key": "tmp/other/${filename}"})).status_code == 403
    expired = platform_store.presigned_fields(int(patient), seconds=-1)
    assert (await bare(platform, url, expired)).status_code == 403
    fine = await bare(platform, url, fields, name="Brief & Befund ö.pdf")
    assert fine.status_code == 201
    assert "Brief &amp; Befund ö.pdf</Key>" in fine.text
    body = {"patient_id": patient, "upload_url": fine.headers["location"]}
    made = await platform.post("/patient_attachments", json=body, headers=KEY)
    assert made.json()["filename"] == "Brief & Befund ö.pdf"


async def test_an_upload_url_may_be_built_from_the_key(platform: httpx.AsyncClient) -> None:
    patient = await new_patient(platform)
    key = re.search("<Key>(.*)</Key>", (await send(platform, patient)).text)
    assert key
    body = {"patient_id": patient, "upload_url": f"{str(platform.base_url).rstrip('/')}/upload/{key[1]}"}
    assert (await platform.post("/patient_attachments", json=body, headers=KEY)).status_code == 201


async def test_twenty_five_megabytes_are_the_limit(platform: httpx.AsyncClient) -> None:
    patient = await new_patient(platform)
    assert (await send(platform, patient, bytes(LARGEST_UPLOAD))).status_code == 201
    assert (await send(platform, patient, bytes(LARGEST_UPLOAD + 1))).status_code == 413
    assert (await send(platform, patient, bytes(LARGEST_UPLOAD + 1_000_000))).status_code == 413


async def test_invalid_bodies_are_422_with_a_sentence_for_each_field(platform: httpx.AsyncClient) -> None:
    patient = await new_patient(platform)
    url = (await send(platform, patient)).headers["location"]
    other = await new_patient(platform)
    fine = {"patient_id": patient, "upload_url": url}
    cases: list[tuple[str, Any, str]] = [
        ("/patient_attachments", fine | {"description": "x" * 256}, "description"),
        ("/patient_attachments", fine | {"colour": "blue"}, "colour"),
        ("/patient_attachments", fine | {"patient_id": 7}, "patient_id"),
        ("/patient_attachments", fine | {"patient_id": "999"}, "patient_id"),
        ("/patient_attachments", fine | {"patient_id": other}, "upload_url"),
        ("/patient_attachments", fine | {"upload_url": url + "x"}, "upload_url"),
        ("/patient_attachments", fine | {"upload_url": url.replace("127.0.0.1", "evil.example")}, "upload_url"),
        ("/patient_attachments", fine | {"upload_url": "file"}, "upload_url"),
        ("/patient_attachments", {}, "upload_url"),
        ("/patients", {"first_name": "", "last_name": "B"}, "first_name"),
        ("/patients", {"first_name": "A"}, "last_name"),
        ("/patients", {"first_name": "A", "last_name": "B", "date_of_birth": "1990-02-30"}, "date_of_birth"),
        ("/patients", {"first_name": "A", "last_name": "B", "date_of_birth": None}, "date_of_birth"),
        ("/patients", {"first_name": "A", "last_name": "B", "id": "7"}, "id"),
    ]
    for path, body, wrong in cases:
        response = await platform.post(path, json=body, headers=KEY)
        assert response.status_code == 422, body
        assert wrong in response.json()["errors"], body
    assert (await platform.post("/patients", content=b"{")).status_code == 422
    assert (await platform.post("/patient_attachments", json=fine)).status_code == 422
    assert (await platform.post("/patient_attachments", json=fine, headers={"Idempotency-Key": "1"})).status_code == 422
    longest = await platform.post("/patient_attachments", json=fine | {"description": "x" * 255}, headers=KEY)
    assert longest.status_code == 201


async def test_a_key_and_a_proper_user_agent_are_required(platform: httpx.AsyncClient) -> None:
    wrong = await platform.get("/patients", auth=("key", "wrong"))
    assert (wrong.status_code, set(wrong.json())) == (401, {"message"})
    async with httpx.AsyncClient(base_url=platform.base_url, headers=AGENT) as nobody:
        assert (await nobody.get("/patients")).status_code == 401
    assert (await platform.get("/patients", headers={"User-Agent": "python-httpx/1"})).status_code == 422


async def test_what_is_not_there_is_404_in_the_error_shape(platform: httpx.AsyncClient) -> None:
    missing = (
        "/patients/9/attachment_presigned_post",
        "/patients/%C2%B2/attachment_presigned_post",
        "/patient_attachments/9",
        "/patient_attachments/abc",
        "/nothing",
    )
    for path in missing:
        response = await platform.get(path)
        assert response.status_code == 404, path
        assert "message" in response.json()
    assert (await platform.delete("/patient_attachments/9")).status_code == 404


async def test_a_deleted_attachment_is_gone(platform: httpx.AsyncClient) -> None:
    attachment = (await attach(platform, await new_patient(platform))).json()
    assert (await platform.delete(f"/patient_attachments/{attachment['id']}")).status_code == 204
    assert (await platform.get(f"/patient_attachments/{attachment['id']}")).status_code == 404
    assert (await platform.get("/control/attachments")).json() == {"attachments": []}


async def test_patients_are_found_by_name_and_identifier(platform: httpx.AsyncClient) -> None:
    first = await new_patient(platform, external_identifier="742fc10a", date_of_birth="1990-01-01")
    await new_patient(platform, first_name="Änne")
    for query, expected in (("alva dick", 1), ("742FC", 1), ("ÄNNE", 1), ("dickinson", 2), ("nobody", 0)):
        found = (await platform.get("/patients", params={"q": query})).json()
        assert found["total_entries"] == len(found["patients"]) == expected, query
    found = (await platform.get("/patients?q=742fc10a")).json()["patients"][0]
    assert (found["id"], found["date_of_birth"], found["archived_at"]) == (first, "1990-01-01", None)


async def test_patients_come_in_pages_with_a_next_link(platform: httpx.AsyncClient, platform_store: Store) -> None:
    with platform_store.db.write():
        for n in range(230):
            platform_store.create_patient(f"Given{n}", "Family", None, None)
    url, sizes, seen = "/patients?q=family", list[int](), set[str]()
    while url:
        page = (await platform.get(url)).json()
        sizes.append(len(page["patients"]))
        seen |= {patient["id"] for patient in page["patients"]}
        url = page["links"].get("next", "")
    assert (sizes, len(seen)) == ([100, 100, 30], 230)
    assert len((await platform.get("/patients?per_page=7&page=2")).json()["patients"]) == 7
    for query in ("per_page=101", "per_page=0", "page=0", "page=x"):
        assert (await platform.get(f"/patients?{query}")).status_code == 422, query


async def test_the_control_endpoint_counts_by_template(platform: httpx.AsyncClient) -> None:
    await attach(platform, await new_patient(platform))
    counted = (await platform.get("/control/requests")).json()["requests"]
    assert counted == {
        "GET /patients/{id}/attachment_presigned_post": 1,
        "POST /patient_attachments": 1,
        "POST /patients": 1,
        "POST /upload": 1,
    }
    await platform.post("/control/reset")
    assert (await platform.get("/control/requests")).json()["requests"] == {}


@pytest.mark.parametrize("kind", ["patient", "attachment"])
def test_everything_survives_a_restart(tmp_path: Path, kind: str) -> None:
    first = Store(tmp_path / "p.sqlite")
    patient = first.create_patient("A", "B", None, None)
    first.keep_upload("tmp/1/a.pdf", patient, "application/pdf", BYTES)
    upload = first.upload("tmp/1/a.pdf")
    assert upload
    attachment = first.create_attachment(upload, None, None)
    first.close()
    second = Store(tmp_path / "p.sqlite")
    found = second.patient(patient) if kind == "patient" else second.attachment(int(attachment["id"]))
    second.close()
    assert found
