"""Resources that stand beside the documents: houses, staff, the patient, conditions, allergies, orders, encounters."""

from datetime import date, datetime, timedelta
from typing import Any

from seeds.generator.dates import moment
from seeds.generator.identity import identifier, record_number
from seeds.generator.labs import Result
from seeds.generator.people import Person
from seeds.generator.staff import ORGANISATIONS, PRACTICE, STAFF, Clinician, Organisation
from seeds.generator.story import Story

Resource = dict[str, Any]

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"
_HL7 = "http://terminology.hl7.org/CodeSystem"
_CORE = "http://hl7.org/fhir/us/core/StructureDefinition"
_OPENED = date(2015, 9, 1)
RECORD_NUMBERS = "https://norchester.example.test/record-number"


def concept(system: str, code: str, display: str, text: str = "") -> Resource:
    return {"coding": [{"system": system, "code": code, "display": display}], "text": text or display}


def reference(kind: str, ident: str, display: str = "") -> Resource:
    return {"reference": f"{kind}/{ident}", **({"display": display} if display else {})}


def practitioner(clinician: Clinician) -> Resource:
    return reference("Practitioner", clinician.id, clinician.name)


def house(organisation: Organisation) -> Resource:
    return reference("Organization", organisation.id, organisation.name)


def start(kind: str, ident: str, changed: datetime, profile: str = "") -> Resource:
    meta: Resource = {"lastUpdated": changed.isoformat()}
    if profile:
        meta["profile"] = [f"{_CORE}/{profile}"]
    return {"resourceType": kind, "id": ident, "meta": meta}


def houses_and_staff() -> list[Resource]:
    opened = moment(_OPENED, 9, 0)
    resources: list[Resource] = [
        {
            **start("Organization", organisation.id, opened, "us-core-organization"),
            "active": True,
            "name": organisation.name,
            "telecom": [{"system": "phone", "value": organisation.phone}],
            "address": [{"text": organisation.address, "country": "GB"}],
        }
        for organisation in ORGANISATIONS
    ]
    for clinician in STAFF:
        name: Resource = {"family": clinician.family, "given": [clinician.given]}
        if clinician.prefix:
            name["prefix"] = [clinician.prefix]
        if clinician.suffix:
            name["suffix"] = [clinician.suffix]
        resources.append(
            {
                **start("Practitioner", clinician.id, opened, "us-core-practitioner"),
                "identifier": [{"system": "https://norchester.example.test/staff", "value": clinician.id}],
                "active": True,
                "name": [name],
                "gender": clinician.gender,
                "telecom": [{"system": "email", "value": f"{clinician.id}@example.test", "use": "work"}],
                "qualification": [{"code": {"text": clinician.role}}],
            },
        )
    return resources


def patient(person: Person, doctor: Clinician) -> Resource:
    street, city, county, postcode = person.address
    return {
        **start("Patient", person.id, moment(person.start, 9, 0), "us-core-patient"),
        "identifier": [
            {
                "use": "usual",
                "type": concept(f"{_HL7}/v2-0203", "MR", "Medical record number"),
                "system": RECORD_NUMBERS,
                "value": record_number(person.id),
            },
        ],
        "active": True,
        "name": [{"use": "official", "family": person.family, "given": [person.given], "text": person.name}],
        "telecom": [
            {"system": "phone", "value": person.phone, "use": "mobile" if person.phone.startswith("07") else "home"},
            {"system": "email", "value": person.email},
        ],
        "gender": person.gender,
        "birthDate": person.born.isoformat(),
        "address": [
            {
                "use": "home",
                "line": [street],
                "city": city,
                "district": county,
                "postalCode": postcode,
                "country": "GB",
                "text": ", ".join(person.address),
            },
        ],
        "generalPractitioner": [practitioner(doctor)],
        "managingOrganization": house(PRACTICE),
    }


def background(person: Person, story: Story, dietitian: Clinician) -> list[Resource]:
    """Condition, allergies and the diet order."""
    subject, began = reference("Patient", person.id, person.name), moment(person.start, 9, 0)
    active = {"coding": [{"system": f"{_HL7}/condition-clinical", "code": "active"}]}
    verified = {"coding": [{"system": f"{_HL7}/condition-ver-status", "code": "confirmed"}]}
    problem: Resource = concept(SNOMED, story.snomed, story.condition)
    problem["coding"].append({"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": story.icd10})
    resources: list[Resource] = [
        {
            **start("Condition", f"{person.id}-condition", began, "us-core-condition-problems-health-concerns"),
            "clinicalStatus": active,
            "verificationStatus": verified,
            "category": [concept(f"{_HL7}/condition-category", "problem-list-item", "Problem List Item")],
            "code": problem,
            "subject": subject,
            "onsetDateTime": person.start.isoformat(),
            "recordedDate": person.start.isoformat(),
        },
        {
            **start("NutritionOrder", f"{person.id}-diet", began),
            "identifier": [{"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{identifier(person.id, 'diet')}"}],
            "status": "active",
            "intent": "order",
            "patient": subject,
            "dateTime": began.isoformat(),
            "orderer": practitioner(dietitian),
            "oralDiet": {"type": [{"text": story.order}], "instruction": story.order},
        },
    ]
    resources.extend(_allergy(person, story, number, name) for number, name in enumerate(person.allergies, 1))
    return resources


def _allergy(person: Person, story: Story, number: int, name: str) -> Resource:
    began = moment(person.start, 9, 0)
    coded = {substance: (code, reaction) for code, substance, reaction in story.allergy}
    drug = name.partition(" ")[0] in {"Penicillin", "Sulfonamide", "Ibuprofen", "Metronidazole", "Codeine"}
    resource: Resource = {
        **start("AllergyIntolerance", f"{person.id}-allergy-{number}", began, "us-core-allergyintolerance"),
        "clinicalStatus": {"coding": [{"system": f"{_HL7}/allergyintolerance-clinical", "code": "active"}]},
        "verificationStatus": {"coding": [{"system": f"{_HL7}/allergyintolerance-verification", "code": "confirmed"}]},
        "type": "allergy",
        "category": ["medication" if drug else "environment" if name in {"Latex", "Pollen"} else "food"],
        "code": concept(SNOMED, coded[name][0], name) if name in coded else {"text": name},
        "patient": reference("Patient", person.id, person.name),
        "recordedDate": person.start.isoformat(),
    }
    if name in coded:
        resource["criticality"] = "high"
        resource["reaction"] = [{"manifestation": [{"text": coded[name][1]}]}]
    return resource


def encounter(ident: str, person: Person, clinician: Clinician, begin: datetime, end: datetime, what: str) -> Resource:
    inpatient = end - begin > timedelta(hours=12)
    code, display = ("IMP", "inpatient encounter") if inpatient else ("AMB", "ambulatory")
    return {
        **start("Encounter", ident, end, "us-core-encounter"),
        "status": "finished",
        "class": {"system": f"{_HL7}/v3-ActCode", "code": code, "display": display},
        "type": [{"text": what}],
        "subject": reference("Patient", person.id, person.name),
        "participant": [{"individual": practitioner(clinician)}],
        "period": {"start": begin.isoformat(), "end": end.isoformat()},
        "serviceProvider": house(clinician.organisation),
    }


def laboratory_observation(ident: str, person: Person, result: Result, taken: datetime, issued: datetime) -> Resource:
    analyte = result.analyte
    flag, word = {"H": ("H", "High"), "L": ("L", "Low")}.get(result.flag, ("N", "Normal"))
    bounds: Resource = {"text": result.range}
    for name, value in (("low", analyte.low), ("high", analyte.high)):
        if value is not None:
            bounds[name] = quantity(value, analyte.unit, analyte.ucum)
    return {
        **start("Observation", ident, issued, "us-core-observation-lab"),
        "status": "final",
        "category": [concept(f"{_HL7}/observation-category", "laboratory", "Laboratory")],
        "code": concept(LOINC, analyte.loinc, analyte.display, analyte.short),
        "subject": reference("Patient", person.id, person.name),
        "effectiveDateTime": taken.isoformat(),
        "issued": issued.isoformat(),
        "valueQuantity": quantity(result.value, analyte.unit, analyte.ucum),
        "interpretation": [concept(f"{_HL7}/v3-ObservationInterpretation", flag, word)],
        "referenceRange": [bounds],
    }


def quantity(value: float, unit: str, ucum: str) -> Resource:
    return {"value": value, "unit": unit, "system": UCUM, "code": ucum}
