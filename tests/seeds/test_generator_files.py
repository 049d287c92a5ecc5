"""The attachments: true sums, readable files, and values that say the same in the table and in the Observation."""

import base64
import hashlib
import io
import zlib
from collections import Counter
from typing import Any

import pypdf
import pytest
from lxml import etree
from PIL import Image

from seeds.generator import generate
from seeds.generator.onebit import deflate, encode

Resource = dict[str, Any]
V3 = {"v3": "urn:hl7-org:v3"}


@pytest.fixture(scope="session")
def resources() -> tuple[Resource, ...]:
    return generate().resources


@pytest.fixture(scope="session")
def by_reference(resources: tuple[Resource, ...]) -> dict[str, Resource]:
    return {f"{resource['resourceType']}/{resource['id']}": resource for resource in resources}


@pytest.fixture(scope="session")
def files(resources: tuple[Resource, ...], by_reference: dict[str, Resource]) -> list[tuple[Resource, Resource, bytes]]:
    """(document, attachment, bytes), one for each document."""
    found: list[tuple[Resource, Resource, bytes]] = []
    for resource in resources:
        attachments = [content["attachment"] for content in resource.get("content", [])]
        for attachment in attachments + resource.get("presentedForm", []):
            data = attachment.get("data")
            if data is None:
                binary = by_reference[attachment["url"].removeprefix("{{BASE}}/")]
                assert binary["contentType"] == attachment["contentType"]
                data = binary["data"]
            found.append((resource, attachment, base64.b64decode(data)))
    return found


def of_type(files: list[tuple[Resource, Resource, bytes]], start: str) -> list[tuple[Resource, bytes]]:
    return [(resource, data) for resource, attachment, data in files if attachment["contentType"].startswith(start)]


def read(resource: Resource, attachment: Resource, data: bytes) -> str:
    charset = attachment["contentType"].partition("charset=")[2]
    assert charset in {"utf-8", "iso-8859-1"}, resource["id"]
    return data.decode(charset)


def test_declared_sizes_and_hashes_are_true(files: list[tuple[Resource, Resource, bytes]]) -> None:
    for _, attachment, data in files:
        assert attachment["size"] == len(data)
        assert attachment["hash"] == base64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()
        assert attachment["title"]
        assert attachment["creation"]
    assert sum(len(data) for _, _, data in files) < 15_000_000


def test_formats_and_ways_of_attaching_are_mixed(files: list[tuple[Resource, Resource, bytes]]) -> None:
    types = Counter(attachment["contentType"].partition(";")[0] for _, attachment, _ in files)
    share = {name: count / len(files) for name, count in types.items()}
    assert 0.45 < share["text/plain"] < 0.65
    assert 0.18 < share["application/pdf"] < 0.32
    assert 0.05 < share["image/png"] < 0.11
    assert 0.08 < share["application/xml"] < 0.17
    ways = Counter("data" if "data" in a else a["url"].partition("Binary")[0] for _, a, _ in files)
    assert all(ways[way] > 100 for way in ("data", "", "{{BASE}}/"))


def test_every_note_tells_whom_it_is_about(files: list[tuple[Resource, Resource, bytes]]) -> None:
    texts = [entry for entry in files if entry[1]["contentType"].startswith("text/plain")]
    for resource, attachment, data in texts:
        text = read(resource, attachment, data)
        assert resource["subject"]["display"] in text
        assert "{" not in text
        assert len(text) > 500
    latin = [data for _, a, data in texts if "iso-8859-1" in a["contentType"]]
    assert any(byte > 127 for data in latin for byte in data)


def test_search_words_of_a_dietitian_find_documents(files: list[tuple[Resource, Resource, bytes]]) -> None:
    texts = [read(*entry).casefold() for entry in files if entry[1]["contentType"].startswith("text/plain")]
    for word in ("gluten", "HbA1c", "phosphate", "ferritin", "FODMAP", "anaphylaxis", "peanut", "exchanges", "protein"):
        assert sum(word.casefold() in text for text in texts) >= 5, word


def test_notes_do_not_repeat_each_other(files: list[tuple[Resource, Resource, bytes]]) -> None:
    texts = [data for resource, data in of_type(files, "text/plain") if "relatesTo" not in resource]
    assert len({hashlib.sha256(data).digest() for data in texts}) == len(texts)


def test_pdf_text_can_be_extracted_and_names_the_patient(files: list[tuple[Resource, Resource, bytes]]) -> None:
    pdfs = of_type(files, "application/pdf")
    assert len(pdfs) > 250
    for resource, data in pdfs[::9]:
        reader = pypdf.PdfReader(io.BytesIO(data))
        text = reader.pages[0].extract_text()
        assert resource["subject"]["display"] in text
        assert f"Page 1 of {len(reader.pages)}" in text


def test_scans_are_small_black_and_white_pages(files: list[tuple[Resource, Resource, bytes]]) -> None:
    scans = of_type(files, "image/png")
    assert max(len(data) for _, data in scans) <= 60_000
    for _, data in scans[::7]:
        image = Image.open(io.BytesIO(data))
        image.load()
        assert image.mode == "1"
        assert image.width == 850
        black = image.convert("L").histogram()[0] / (image.width * image.height)
        assert 0.005 < black < 0.25


def test_the_png_encoder_keeps_every_pixel() -> None:
    image = Image.effect_noise((203, 97), 60).convert("1")
    image.paste(1, (10, 10, 180, 60))
    assert Image.open(io.BytesIO(encode(image))).tobytes() == image.tobytes()


@pytest.mark.parametrize("length", [1, 2, 3, 4, 10, 11, 12, 66, 67, 130, 131, 257, 258, 259, 260, 1000])
def test_runs_of_any_length_inflate_again(length: int) -> None:
    data = b"\x90" + b"\xff" * length + b"\x01"
    assert zlib.decompress(deflate(data), wbits=-15) == data


def test_ccda_documents_parse_and_carry_their_sections(files: list[tuple[Resource, Resource, bytes]]) -> None:
    documents = of_type(files, "application/xml")
    for resource, data in documents:
        root = etree.fromstring(data)
        assert root.tag == "{urn:hl7-org:v3}ClinicalDocument"
        templates = root.xpath("v3:templateId/@root", namespaces=V3)
        assert "2.16.840.1.113883.10.20.22.1.1" in templates
        given = root.xpath("string(v3:recordTarget//v3:patient/v3:name/v3:given)", namespaces=V3)
        assert resource["subject"]["display"].startswith(given)
        titles = root.xpath("//v3:section/v3:title/text()", namespaces=V3)
        assert {"Problems", "Allergies"} <= set(titles)
        assert {"Plan", "Intervention"} & set(titles)
        assert root.xpath("v3:code/@code", namespaces=V3) == [resource["type"]["coding"][0]["code"]]
    assert any(etree.fromstring(data).xpath("//v3:organizer", namespaces=V3) for _, data in documents)


def test_a_laboratory_report_and_its_observations_agree(
    files: list[tuple[Resource, Resource, bytes]], by_reference: dict[str, Resource]
) -> None:
    reports = [entry for entry in files if entry[0]["resourceType"] == "DiagnosticReport"]
    assert len(reports) > 300
    for report, attachment, data in reports:
        assert report["category"][0]["coding"][0]["code"] == "LAB"
        observations = [by_reference[result["reference"]] for result in report["result"]]
        assert observations
        assert all(value["subject"] == report["subject"] for value in observations)
        if attachment["contentType"].startswith("text/plain"):
            text = read(report, attachment, data)
            for value in observations:
                row = next(line for line in text.splitlines() if line.startswith(value["code"]["text"]))
                assert value["valueQuantity"]["value"] in [float(cell) for cell in row.split() if _number(cell)]


def _number(cell: str) -> bool:
    return cell.replace(".", "", 1).isdigit()


def test_trajectories_follow_the_stories(resources: tuple[Resource, ...]) -> None:
    def course(patient: str, loinc: str) -> list[float]:
        values = [
            (resource["effectiveDateTime"], resource["valueQuantity"]["value"])
            for resource in resources
            if resource["resourceType"] == "Observation"
            and resource["subject"]["reference"] == f"Patient/{patient}"
            and resource["code"]["coding"][0]["code"] == loinc
            and "valueQuantity" in resource
        ]
        return [value for _, value in sorted(values)]

    glycated = course("amara-okafor", "59261-8")
    filtration = course("desmond-achterloo", "62238-1")
    antibodies = course("saoirse-brannaghue", "31017-7")
    assert glycated[0] > 65 > 56 > glycated[-1]
    assert filtration[0] > 38 > 20 > filtration[-1]
    assert antibodies[0] > 60 > 7 > antibodies[-1]
