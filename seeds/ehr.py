"""Fills the sandbox EHR with the synthetic cohort. Made once, kept beside the store."""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from sandbox.ehr.store import Store
from seeds import generator
from seeds.generator import SyntheticPatient

GROUP = "riverside"
"""The Group that all patients of the cohort belong to, for exports."""
ABSOLUTE = "{{BASE}}/Binary/"
"""Attachments that the cohort wants at an absolute address: they go to the EHR's file server."""


@dataclass(frozen=True, slots=True)
class Loaded:
    patients: list[SyntheticPatient]
    changed: int


@dataclass(frozen=True, slots=True)
class _Note:
    """What was loaded, kept beside the store."""

    fingerprint: str
    patients: list[SyntheticPatient]


def fill(folder: Path) -> Loaded:
    """Loads the cohort into the store of a folder; nothing happens where the same one is there already."""
    folder.mkdir(parents=True, exist_ok=True)
    stamp, note = _fingerprint(), folder / "cohort.json"
    if note.exists():
        kept = msgspec.json.decode(note.read_bytes(), type=_Note)
        if kept.fingerprint == stamp:
            return Loaded(kept.patients, 0)
    cohort = generator.generate()
    store = Store(folder / "ehr.sqlite")
    try:
        changed = store.put_many([*_with_files(store, list(cohort.resources)), _group(cohort.patients)])
    finally:
        store.close()
    kept = _Note(stamp, list(cohort.patients))
    note.write_bytes(msgspec.json.encode(kept))
    return Loaded(kept.patients, changed)


def _fingerprint() -> str:
    """Changes with the generator's code, this file and what it draws with, so that a newer cohort replaces an older one."""
    sources = [path.read_bytes() for path in (Path(__file__), *sorted(Path(generator.__file__).parent.glob("*.py")))]
    drawn_with = f"{version('pillow')} {version('fpdf2')}".encode()
    return hashlib.sha256(b"".join([*sources, drawn_with])).hexdigest()


def _group(patients: Iterable[SyntheticPatient]) -> dict[str, Any]:
    members = [{"entity": {"reference": f"Patient/{it.fhir_id}"}} for it in patients]
    named = {"resourceType": "Group", "id": GROUP, "type": "person", "actual": True, "name": "Patients of Riverside"}
    return {**named, "quantity": len(members), "member": members}


def _with_files(store: Store, resources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    binaries = {it["id"]: it for it in resources if it["resourceType"] == "Binary"}
    moved: set[str] = set()
    for resource in resources:
        for attachment in _attachments(resource):
            url = attachment.get("url", "")
            if url.startswith(ABSOLUTE):
                name = url.removeprefix(ABSOLUTE)
                binary = binaries[name]
                store.put_file(name, base64.b64decode(binary["data"]), binary["contentType"])
                attachment["url"] = f"sandbox://files/{name}"
                moved.add(name)
    return [it for it in resources if not (it["resourceType"] == "Binary" and it["id"] in moved)]


def _attachments(resource: dict[str, Any]) -> list[dict[str, Any]]:
    return [it["attachment"] for it in resource.get("content", [])] + resource.get("presentedForm", [])
