"""The whole cohort: twenty-five patients and every FHIR R4 resource that the sandbox EHR serves for them."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from seeds.generator.fhir import Resource, background, houses_and_staff, patient
from seeds.generator.fhir_documents import note, rendered, report, supersede
from seeds.generator.paper import Kind, Paper
from seeds.generator.people import PEOPLE, Person
from seeds.generator.staff import dietitian_for, doctor_for
from seeds.generator.stories import STORIES
from seeds.generator.timeline import papers_of

_WORDS: dict[Kind, str] = {
    "lab": "lab",
    "progress": "note",
    "physical": "physical",
    "nutrition": "nutrition",
    "referral": "referral",
    "discharge": "discharge",
    "consult": "consult",
    "imaging": "imaging",
    "ccd": "ccd",
    "diary": "diary",
}


@dataclass(frozen=True)
class SyntheticPatient:
    fhir_id: str
    name: str
    email: str
    birth_date: str
    """ISO 8601, as in FHIR's `birthDate`."""
    gender: str
    condition: str
    phone: str
    address: str
    medical_history: str
    allergies: tuple[str, ...]
    restrictions: tuple[str, ...]
    notes: str
    document_count: int
    """DocumentReference and DiagnosticReport resources: each is one document, superseded ones included."""


@dataclass(frozen=True)
class Cohort:
    patients: tuple[SyntheticPatient, ...]
    resources: tuple[Resource, ...]


def _documents(person: Person, papers: list[Paper], rng: random.Random) -> Iterator[Resource]:
    """Every document with what it refers to; ids count from 001 in order of date."""
    written: list[Resource] = []
    for number, paper in enumerate(papers, 1):
        ident = f"{person.id}-{_WORDS[paper.kind]}-{number:03d}"
        data = rendered(paper, ident, rng)
        if paper.kind == "lab":
            made = report(paper, ident, data, rng)
        else:
            visit = number if paper.amends is None else paper.amends + 1
            made = note(paper, ident, data, rng, f"{person.id}-visit-{visit:03d}")
        written.append(made.document)
        if paper.amends is not None:
            supersede(written[paper.amends], made.document)
        yield from made.beside
    yield from written


def _patient(person: Person, index: int, seed: int) -> tuple[SyntheticPatient, list[Resource]]:
    story = STORIES[person.story]
    # Two streams a patient: what is told does not shift with how it is rendered, nor one patient with another.
    papers = papers_of(person, index, random.Random(f"{seed}:{index}:story"))
    documents = list(_documents(person, papers, random.Random(f"{seed}:{index}:form")))
    resources = [patient(person, doctor_for(index)), *background(person, story, dietitian_for(story.key, index))]
    summary = SyntheticPatient(
        fhir_id=person.id,
        name=person.name,
        email=person.email,
        birth_date=person.born.isoformat(),
        gender=person.gender,
        condition=story.condition,
        phone=person.phone,
        address=", ".join(person.address),
        medical_history=person.history,
        allergies=person.allergies,
        restrictions=person.restrictions,
        notes=person.notes,
        document_count=len(papers),
    )
    return summary, resources + documents


def generate(seed: int = 2026) -> Cohort:
    """Twenty-five patients with their years: the same cohort for the same seed, to the byte."""
    patients: list[SyntheticPatient] = []
    resources: list[Resource] = houses_and_staff()
    for index, person in enumerate(PEOPLE):
        summary, own = _patient(person, index, seed)
        patients.append(summary)
        resources += own
    return Cohort(tuple(patients), tuple(resources))
