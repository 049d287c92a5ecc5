"""The cohort as a whole: how many, how old, the same every time, nothing that leads nowhere."""

import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from seeds.generator import Cohort, generate
from seeds.generator.people import PEOPLE

ROOT = Path(__file__).parents[2]
DOCUMENTS = {"DocumentReference", "DiagnosticReport"}
FINGERPRINT = """
import hashlib, json
from seeds.generator import generate
print(hashlib.sha256(json.dumps(generate().resources, sort_keys=True).encode()).hexdigest())
"""


def walk(value: Any) -> Iterator[tuple[str, Any]]:
    """Every (name, value) pair below a resource."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name, inner
            yield from walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner)


@pytest.fixture(scope="session")
def cohort() -> Cohort:
    return generate()


def patient_of(resource: dict[str, Any]) -> str:
    return resource["subject"]["reference"].removeprefix("Patient/")


def test_another_process_with_another_hash_seed_makes_the_same_bytes(cohort: Cohort) -> None:
    here = hashlib.sha256(json.dumps(cohort.resources, sort_keys=True).encode()).hexdigest()
    environment = {"PYTHONHASHSEED": "77", "TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT)}
    there = subprocess.run(
        [sys.executable, "-c", FINGERPRINT], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert there.stdout.strip() == here


@pytest.mark.parametrize("seed", [7, 8])
def test_another_seed_tells_the_same_people_other_years(cohort: Cohort, seed: int) -> None:
    other = generate(seed)
    assert [patient.fhir_id for patient in other.patients] == [patient.fhir_id for patient in cohort.patients]
    assert sum(patient.document_count for patient in other.patients) >= 1400
    assert other.resources != cohort.resources


def test_twenty_five_patients_have_at_least_fifteen_hundred_documents(cohort: Cohort) -> None:
    counted = Counter(patient_of(r) for r in cohort.resources if r["resourceType"] in DOCUMENTS)
    assert len(cohort.patients) == len(PEOPLE) == 25
    assert {patient.fhir_id: patient.document_count for patient in cohort.patients} == dict(counted)
    assert sum(counted.values()) >= 1500
    assert all(40 <= count <= 90 for count in counted.values())


def test_ids_are_unique_and_fit_the_id_type_of_fhir(cohort: Cohort) -> None:
    ids = [(resource["resourceType"], resource["id"]) for resource in cohort.resources]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", ident) for _, ident in ids)


def test_every_reference_leads_to_a_resource(cohort: Cohort) -> None:
    known = {f"{resource['resourceType']}/{resource['id']}" for resource in cohort.resources}
    wanted = {value for r in cohort.resources for name, value in walk(r) if name == "reference"}
    urls = {value for r in cohort.resources for name, value in walk(r) if name == "url" and "Binary" in value}
    kinds = {reference.partition("/")[0] for reference in wanted}
    assert {"Patient", "Practitioner", "Encounter", "Observation", "Organization"} <= kinds
    assert wanted <= known
    assert {url.removeprefix("{{BASE}}/") for url in urls} <= known


def test_every_binary_belongs_to_one_document(cohort: Cohort) -> None:
    urls = [value for r in cohort.resources for name, value in walk(r) if name == "url" and "Binary" in value]
    binaries = {f"Binary/{r['id']}" for r in cohort.resources if r["resourceType"] == "Binary"}
    assert sorted(url.removeprefix("{{BASE}}/") for url in urls) == sorted(binaries)


def test_nothing_is_dated_after_october_2026_or_before_2016(cohort: Cohort) -> None:
    dates = [
        value
        for r in cohort.resources
        if r["resourceType"] in DOCUMENTS | {"Encounter", "Observation"}
        for _, value in walk(r)
        if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d", value)
    ]
    assert min(dates) >= "2016"
    assert max(dates) < "2026-11-01"
    years = Counter(r["date"][:4] for r in cohort.resources if r["resourceType"] == "DocumentReference")
    assert set(years) == {str(year) for year in range(2016, 2027)}


def test_moments_carry_an_offset(cohort: Cohort) -> None:
    moments = [r["date"] for r in cohort.resources if r["resourceType"] == "DocumentReference"]
    moments += [r["issued"] for r in cohort.resources if r["resourceType"] == "DiagnosticReport"]
    assert all(datetime.fromisoformat(moment).utcoffset() is not None for moment in moments)


def test_a_document_is_numbered_by_its_date(cohort: Cohort) -> None:
    for patient in cohort.patients:
        own = [r for r in cohort.resources if r["resourceType"] in DOCUMENTS and patient_of(r) == patient.fhir_id]
        days = [(r["id"][-3:], (r.get("date") or r["issued"])[:10]) for r in own]
        assert all(first[1] <= second[1] for first, second in pairwise(sorted(days)))


def test_no_document_can_be_mistaken_for_a_real_person(cohort: Cohort) -> None:
    mails = [p.email for p in cohort.patients]
    mails += [
        entry["value"]
        for r in cohort.resources
        for name, value in walk(r)
        if name == "telecom"
        for entry in value
        if entry["system"] == "email"
    ]
    assert all(mail.endswith("@example.test") for mail in mails)
    assert len({patient.email for patient in cohort.patients}) == 25
    assert all(re.match(r"020 7946 0\d{3}|01632 960 \d{3}|07700 900\d{3}", p.phone) for p in cohort.patients)


def test_a_superseded_note_has_one_successor(cohort: Cohort) -> None:
    notes = [r for r in cohort.resources if r["resourceType"] == "DocumentReference"]
    superseded = {f"DocumentReference/{r['id']}" for r in notes if r["status"] == "superseded"}
    replaced = [
        link["target"]["reference"] for r in notes for link in r.get("relatesTo", []) if link["code"] == "replaces"
    ]
    assert 3 <= len(superseded) <= 12
    assert sorted(superseded) == sorted(replaced)


def test_the_conditions_of_a_dietetic_clinic_are_there(cohort: Cohort) -> None:
    conditions = " ".join(patient.condition for patient in cohort.patients)
    for word in ("diabetes", "Coeliac", "kidney", "Anorexia", "Gestational", "Peanut", "milk", "bowel", "bypass"):
        assert word in conditions
    for word in ("hypertension", "Hyperlipidaemia", "Crohn", "adolescence", "old age", "Phenylketonuria"):
        assert word in conditions
