from base64 import b64encode

import httpx

from sandbox.ehr.store import Store

from .conftest import document

PDF = b"%PDF-1.7\n\x00\xff\xfe scan"
FHIR_JSON = {"Accept": "application/fhir+json"}


def binary(number: int, data: bytes = PDF, content_type: str = "application/pdf") -> dict[str, str]:
    return {
        "resourceType": "Binary",
        "id": f"b{number}",
        "contentType": content_type,
        "data": b64encode(data).decode(),
    }


async def test_a_binary_is_its_bytes_unless_fhir_json_is_asked_for(ehr: httpx.AsyncClient, ehr_store: Store) -> None:
    ehr_store.put_many([binary(1)])
    raw = await ehr.get("/Binary/b1")
    assert (raw.content, raw.headers["content-type"]) == (PDF, "application/pdf")
    assert raw.headers["etag"] == 'W/"1"'
    resource = (await ehr.get("/Binary/b1", headers=FHIR_JSON)).json()
    assert resource["data"] == b64encode(PDF).decode()
    assert resource["contentType"] == "application/pdf"


async def test_bytes_can_be_posted_and_put_as_they_are(ehr: httpx.AsyncClient) -> None:
    posted = await ehr.post("/Binary", content=PDF, headers={"Content-Type": "application/pdf"})
    assert posted.status_code == 201
    assert (await ehr.get(f"/Binary/{posted.json()['id']}")).content == PDF
    put = await ehr.put(
        "/Binary/b9", content="Grüße".encode("utf-16"), headers={"Content-Type": "text/plain; charset=utf-16"}
    )
    assert put.status_code == 201
    read = await ehr.get("/Binary/b9")
    assert (read.text, read.headers["content-type"]) == ("Grüße", "text/plain; charset=utf-16")


async def test_new_bytes_are_a_new_version_and_old_ones_stay(ehr: httpx.AsyncClient, ehr_store: Store) -> None:
    assert ehr_store.put_many([binary(1)]) == 1
    assert ehr_store.put_many([binary(1)]) == 0
    assert ehr_store.put_many([binary(1, b"other")]) == 1
    assert (await ehr.get("/Binary/b1")).content == b"other"
    assert (await ehr.get("/Binary/b1/_history/1")).content == PDF
    await ehr.delete("/Binary/b1")
    assert (await ehr.get("/Binary/b1")).status_code == 410


async def test_a_binary_without_base64_is_refused_and_a_search_for_binaries_too(ehr: httpx.AsyncClient) -> None:
    assert (await ehr.put("/Binary/b1", json=binary(1) | {"data": "§§"})).status_code == 400
    assert (await ehr.get("/Binary?_id=b1", headers=FHIR_JSON)).status_code == 400


async def test_a_content_type_cannot_break_the_header(ehr: httpx.AsyncClient, ehr_store: Store) -> None:
    ehr_store.put_many([binary(1, content_type="text/html\r\nX-Evil: 1")])
    response = await ehr.get("/Binary/b1")
    assert response.headers["content-type"] == "application/octet-stream"
    assert "x-evil" not in response.headers


async def test_the_control_endpoint_tells_what_was_asked_and_downloaded(
    ehr: httpx.AsyncClient, ehr_store: Store
) -> None:
    ehr_store.put_many([binary(1), binary(2), document(1)])
    for path in (
        "/Binary/b1",
        "/Binary/b1",
        "/Binary/b404",
        "/DocumentReference?patient=p1",
        "/DocumentReference/p1-d0001",
    ):
        await ehr.get(path)
    control = ehr.base_url.copy_with(path="/control")
    counted = (await ehr.get(f"{control}/requests")).json()
    assert counted["requests"] == {
        "GET /fhir/Binary/{id}": 3,
        "GET /fhir/DocumentReference": 1,
        "GET /fhir/DocumentReference/{id}": 1,
    }
    assert counted["downloads"] == {"b1": 2}
    assert (await ehr.post(f"{control}/reset")).status_code == 204
    assert (await ehr.get(f"{control}/requests")).json() == {"requests": {}, "downloads": {}, "files": {}}


async def test_a_file_needs_credentials_or_a_signature_that_has_not_expired(
    ehr: httpx.AsyncClient, ehr_store: Store
) -> None:
    ehr_store.put_file("scans/röntgen 1.pdf", PDF, "application/pdf")
    ehr_store.register_client("reader", "bearer", secret="token")
    ehr_store.set_open(False)
    root = str(ehr.base_url.copy_with(path=""))
    plain = root + "/files/scans/r%C3%B6ntgen%201.pdf"
    assert (await ehr.get(plain)).status_code == 401
    assert (await ehr.get(plain, headers={"Authorization": "Bearer token"})).content == PDF
    signed = root + ehr_store.presign("scans/röntgen 1.pdf")
    answer = await ehr.get(signed)
    assert (answer.content, answer.headers["content-type"]) == (PDF, "application/pdf")
    assert (await ehr.get(signed[:-1] + ("0" if signed[-1] != "0" else "1"))).status_code == 403
    assert (await ehr.get(signed.replace("expires=", "expires=9"))).status_code == 403
    assert (await ehr.get(root + ehr_store.presign("scans/röntgen 1.pdf", seconds=-1))).status_code == 403
    assert (await ehr.get(root + ehr_store.presign("absent.pdf"))).status_code == 404


async def test_placeholders_become_this_servers_addresses(ehr: httpx.AsyncClient, ehr_store: Store) -> None:
    ehr_store.put_file("a b.pdf", PDF, "application/pdf")
    contents = [
        {"attachment": {"url": f"sandbox://{kind}/a b.pdf".replace(" ", "%20")}} for kind in ("files", "presigned")
    ]
    ehr_store.put_many([document(1, content=contents)])
    found = (await ehr.get("/DocumentReference?patient=p1")).json()["entry"][0]["resource"]
    read = (await ehr.get("/DocumentReference/p1-d0001")).json()
    for resource in (found, read):
        for content in resource["content"]:
            assert (await ehr.get(content["attachment"]["url"])).content == PDF
    assert found["content"][0] == read["content"][0]
    assert found["content"][1] != read["content"][1]
    assert found["meta"]["versionId"] == read["meta"]["versionId"] == "1"
