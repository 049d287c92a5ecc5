"""DocumentReference and DiagnosticReport with their attachments, Binary, Encounter and Observation resources."""

import base64
import hashlib
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from seeds.generator import render_ccda, render_pdf, render_png, render_text
from seeds.generator.fhir import (
    LOINC,
    Resource,
    concept,
    encounter,
    house,
    laboratory_observation,
    practitioner,
    quantity,
    reference,
    start,
)
from seeds.generator.identity import identifier
from seeds.generator.paper import LOINC as TYPES
from seeds.generator.paper import Format, Paper

BASE = "{{BASE}}"
"""Stands in absolute attachment URLs; the loader puts the EHR's FHIR base in its place."""

_HL7 = "http://terminology.hl7.org/CodeSystem"
_MEDIA: dict[Format, tuple[str, str]] = {
    "text": ("text/plain; charset=utf-8", "txt"),
    "latin1": ("text/plain; charset=iso-8859-1", "txt"),
    "pdf": ("application/pdf", "pdf"),
    "png": ("image/png", "png"),
    "ccda": ("application/xml", "xml"),
}
_FORMATS = "http://ihe.net/fhir/ValueSet/IHE.FormatCode.codesystem"
_MIME_SUFFICIENT = ("urn:ihe:iti:xds:2017:mimeTypeSufficient", "mimeType Sufficient")
_CCDA_BODY = ("urn:hl7-org:sdwg:ccda-structuredBody:2.1", "C-CDA R2.1 structured body")
_WITHOUT_VISIT = {"ccd", "diary"}
"""Written apart from any encounter."""


@dataclass(frozen=True)
class Written:
    """What one paper became: the document first, then what it refers to."""

    document: Resource
    beside: tuple[Resource, ...]


def rendered(paper: Paper, ident: str, rng: random.Random) -> bytes:
    if paper.form == "pdf":
        return render_pdf.render(paper)
    if paper.form == "png":
        return render_png.render(paper, rng)
    if paper.form == "ccda":
        return render_ccda.render(paper, ident).encode()
    return render_text.render(paper).encode("iso-8859-1" if paper.form == "latin1" else "utf-8")


def _attachment(paper: Paper, ident: str, data: bytes, rng: random.Random) -> tuple[Resource, tuple[Resource, ...]]:
    media, extension = _MEDIA[paper.form]
    attachment: Resource = {
        "contentType": media,
        "language": "en-GB",
        "size": len(data),
        # R4 says SHA-1 for Attachment.hash; it is a check sum here.
        "hash": base64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode(),
        "title": f"{paper.title}, {paper.when.date().isoformat()}.{extension}",
        "creation": paper.when.isoformat(),
    }
    encoded = base64.b64encode(data).decode()
    plain = paper.form in {"text", "latin1"}
    if plain and rng.random() < 0.8:
        return attachment | {"data": encoded}, ()
    # The security context of a Binary is the document: whoever may read the one may read the other.
    binary = {**start("Binary", f"{ident}-file", paper.when), "contentType": media, "data": encoded}
    prefix = f"{BASE}/" if rng.random() < 0.25 else ""
    return attachment | {"url": f"{prefix}Binary/{binary['id']}"}, (binary,)


def _period(paper: Paper) -> tuple[datetime, datetime]:
    if paper.started and paper.kind != "ccd":
        return paper.started, paper.when
    return paper.when - timedelta(minutes=35), paper.when


def _encounter(paper: Paper, ident: str) -> Resource:
    begin, end = _period(paper)
    return encounter(ident, paper.person, paper.author, begin, end, paper.title)


def _vitals(paper: Paper, ident: str) -> tuple[Resource, ...]:
    """Observations of a physical assessment: weight, height, BMI, waist, and blood pressure with its two components."""
    if not paper.vitals:
        return ()
    found: list[Resource] = []
    for loinc, display, unit, value in paper.vitals[:4]:
        found.append(_vital(paper, f"{ident}-{loinc}", loinc, display) | {"valueQuantity": quantity(value, unit, unit)})
    parts = [
        {"code": concept(LOINC, loinc, display), "valueQuantity": quantity(value, unit, unit)}
        for loinc, display, unit, value in paper.vitals[4:]
    ]
    pressure = _vital(paper, f"{ident}-85354-9", "85354-9", "Blood pressure panel with all children optional")
    return (*found, pressure | {"component": parts})


def _vital(paper: Paper, ident: str, loinc: str, display: str) -> Resource:
    return {
        **start("Observation", ident, paper.when),
        "status": "final",
        "category": [concept(f"{_HL7}/observation-category", "vital-signs", "Vital Signs")],
        "code": concept(LOINC, loinc, display),
        "subject": reference("Patient", paper.person.id, paper.person.name),
        "effectiveDateTime": paper.when.isoformat(),
        "performer": [practitioner(paper.author)],
    }


def report(paper: Paper, ident: str, data: bytes, rng: random.Random) -> Written:
    """A laboratory report with an Observation for each result."""
    taken = paper.started or paper.when
    attachment, binaries = _attachment(paper, ident, data, rng)
    values = tuple(
        laboratory_observation(f"{ident}-{item.analyte.key}", paper.person, item, taken, paper.when)
        for item in paper.results
    )
    code, display = paper.loinc or TYPES[paper.kind]
    document: Resource = {
        **start("DiagnosticReport", ident, paper.when, "us-core-diagnosticreport-lab"),
        "identifier": [_identifier(ident)],
        "status": "final",
        "category": [concept(f"{_HL7}/v2-0074", "LAB", "Laboratory")],
        "code": concept(LOINC, code, display, paper.title),
        "subject": reference("Patient", paper.person.id, paper.person.name),
        "effectiveDateTime": taken.isoformat(),
        "issued": paper.when.isoformat(),
        "performer": [practitioner(paper.author), house(paper.author.organisation)],
        "result": [reference("Observation", value["id"], value["code"]["text"]) for value in values],
        "conclusion": paper.summary,
        "presentedForm": [attachment],
    }
    return Written(document, (*values, *binaries))


def _identifier(ident: str) -> Resource:
    return {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{identifier(ident)}"}


def note(paper: Paper, ident: str, data: bytes, rng: random.Random, encounter_id: str) -> Written:
    attachment, binaries = _attachment(paper, ident, data, rng)
    begin, end = (paper.started, paper.when) if paper.started else _period(paper)
    code, display = paper.loinc or TYPES[paper.kind]
    form, form_display = _CCDA_BODY if paper.form == "ccda" else _MIME_SUFFICIENT
    category = "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category"
    document: dict[str, Any] = {
        **start("DocumentReference", ident, paper.when, "us-core-documentreference"),
        "masterIdentifier": _identifier(ident),
        "identifier": [_identifier(ident)],
        "status": "current",
        "docStatus": "final",
        "type": concept(LOINC, code, display, paper.title),
        "category": [concept(category, "clinical-note", "Clinical Note")],
        "subject": reference("Patient", paper.person.id, paper.person.name),
        "date": paper.when.isoformat(),
        "author": [_writer(paper)],
        "custodian": house(paper.author.organisation),
        "description": paper.summary,
        "content": [{"attachment": attachment, "format": {"system": _FORMATS, "code": form, "display": form_display}}],
        "context": {"period": {"start": begin.isoformat(), "end": end.isoformat()}},
    }
    if paper.kind in _WITHOUT_VISIT:
        return Written(document, binaries)
    document["context"]["encounter"] = [reference("Encounter", encounter_id)]
    if paper.amends is not None:
        # The visit is the one of the amended note; only the paper is new.
        return Written(document, binaries)
    return Written(document, (_encounter(paper, encounter_id), *_vitals(paper, ident), *binaries))


def _writer(paper: Paper) -> Resource:
    if paper.kind == "diary":
        return reference("Patient", paper.person.id, paper.person.name)
    return practitioner(paper.author)


def supersede(older: Resource, newer: Resource) -> None:
    older["status"] = "superseded"
    older["meta"]["lastUpdated"] = newer["meta"]["lastUpdated"]
    newer["relatesTo"] = [{"code": "replaces", "target": reference("DocumentReference", older["id"])}]
