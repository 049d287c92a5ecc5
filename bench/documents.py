"""One patient with any number of documents: those of the seeds' cohort, given to this patient, each file different."""

import base64
import hashlib
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from app.connectors.provider.port import Auth
from app.domain.connections.rules import public_jwk
from sandbox.ehr.store import Store as EhrStore
from sandbox.platform.store import Store as PlatformStore
from sandbox.serve import EHR_FILE, PLATFORM_FILE
from seeds import generator

PATIENT = "bench-patient"
PLATFORM_KEY = ("bench-key", "a password of the benchmark")
ABSOLUTE = "{{BASE}}/Binary/"
RELATIVE = "Binary/"
KINDS = {"text/plain": "text", "application/pdf": "PDF", "application/xml": "C-CDA", "image/png": "PNG"}

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Mix:
    """How many documents of each format and place there are, and how large their files are together."""

    formats: dict[str, int]
    bytes: int


def fill(folder: Path, auth: Auth, count: int) -> Mix:
    """Makes both stores of a sandbox: the patient's documents, and the credentials that may read and write."""
    cohort = generator.generate()
    binaries = {it["id"]: it for it in cohort.resources if it["resourceType"] == "Binary"}
    drawn = [it for it in cohort.resources if it["resourceType"] in ("DocumentReference", "DiagnosticReport")]
    random.Random(count).shuffle(drawn)
    formats: Counter[str] = Counter()
    size = 0
    with (
        closing(EhrStore(folder / EHR_FILE)) as ehr,
        closing(PlatformStore(folder / PLATFORM_FILE)) as platform,
    ):
        ehr.register_client(auth.client_id, "smart", jwks={"keys": [public_jwk(auth)]})
        platform.register_key(*PLATFORM_KEY)
        with ehr.transaction():
            ehr.put({"resourceType": "Patient", "id": PATIENT, "name": [{"family": "Bench", "given": ["Mark"]}]})
            for number, original in enumerate(islice(cycle(drawn), count)):
                document, attachment = _given_to_patient(original, number)
                data = _different(_bytes(attachment, binaries), attachment["contentType"], number)
                place = _put_file(ehr, attachment, data, f"bench-{number}-file")
                ehr.put(document)
                formats[f"{KINDS[attachment['contentType'].partition(';')[0]]} {place}"] += 1
                size += len(data)
    return Mix(dict(sorted(formats.items())), size)


def _given_to_patient(original: Resource, number: int) -> tuple[Resource, Resource]:
    """A copy of the document for our patient, and its attachment. It refers to nothing that we do not have."""
    left_out = ("relatesTo", "result", "meta", "identifier", "masterIdentifier")
    document = {name: value for name, value in original.items() if name not in left_out}
    document |= {"id": f"bench-{number}", "subject": {"reference": f"Patient/{PATIENT}"}}
    if "presentedForm" in document:
        attachment = dict(original["presentedForm"][0])
        document["presentedForm"] = [attachment]
    else:
        attachment = dict(original["content"][0]["attachment"])
        document["content"] = [{**original["content"][0], "attachment": attachment}]
    return document, attachment


def _bytes(attachment: Resource, binaries: dict[str, Resource]) -> bytes:
    if "data" in attachment:
        return base64.b64decode(attachment["data"])
    return base64.b64decode(binaries[attachment["url"].rpartition("/")[2]]["data"])


def _different(data: bytes, content_type: str, number: int) -> bytes:
    """No two files alike, and each still what it was: behind the end of a PDF or PNG nobody reads."""
    match KINDS[content_type.partition(";")[0]]:
        case "C-CDA":
            return data + f"<!-- {number} -->\n".encode()
        case "PDF":
            return data + f"\n%{number}\n".encode()
        case _:
            return data + f"\nSheet {number}.\n".encode()


def _put_file(ehr: EhrStore, attachment: Resource, data: bytes, name: str) -> str:
    """Puts the bytes where the original had them: inline, a Binary, or the file server behind an absolute address."""
    attachment["size"] = len(data)
    attachment["hash"] = base64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()
    if "data" in attachment:
        attachment["data"] = base64.b64encode(data).decode()
        return "inline"
    content_type = attachment["contentType"]
    if attachment["url"].startswith(ABSOLUTE):
        ehr.put_file(name, data, content_type)
        attachment["url"] = f"sandbox://files/{name}"
        return "absolute"
    encoded = base64.b64encode(data).decode()
    ehr.put({"resourceType": "Binary", "id": name, "contentType": content_type, "data": encoded})
    attachment["url"] = RELATIVE + name
    return "relative"


def urls(resources: Sequence[Resource]) -> list[str]:
    """The addresses of the files that do not lie inline."""
    attachments = [content["attachment"] for it in resources for content in it.get("content", ())]
    attachments += [form for it in resources for form in it.get("presentedForm", ())]
    return [it["url"] for it in attachments if "url" in it]
