"""A paper as C-CDA R2.1: US Realm header, narrative of every section, coded entries for problems, allergies and results."""

from datetime import datetime
from html import escape

from seeds.generator.ccda_entries import allergies, medications, problem, results, vital_signs
from seeds.generator.identity import ORGANISATION_OID, identifier, record_number
from seeds.generator.paper import LOINC, Kind, Paper, Section, Table

_DOCUMENT: dict[Kind, str] = {
    "ccd": "2.16.840.1.113883.10.20.22.1.2",
    "progress": "2.16.840.1.113883.10.20.22.1.9",
}
_C = "2.16.840.1.113883.10.20.22.2"
# Our headings to the template, its version, the LOINC code and the display of C-CDA's section.
_SECTIONS: dict[str, tuple[str, str, str, str]] = {
    "Allergies": (f"{_C}.6.1", "2015-08-01", "48765-2", "Allergies and adverse reactions Document"),
    "Medications": (f"{_C}.1.1", "2014-06-09", "10160-0", "History of Medication use Narrative"),
    "Problems": (f"{_C}.5.1", "2015-08-01", "11450-4", "Problem list - Reported"),
    "Results": (f"{_C}.3.1", "2015-08-01", "30954-2", "Relevant diagnostic tests/laboratory data Narrative"),
    "Vital signs": (f"{_C}.4.1", "2015-08-01", "8716-3", "Vital signs"),
    "Social history": (f"{_C}.17", "2015-08-01", "29762-2", "Social history Narrative"),
    "Plan": (f"{_C}.10", "2014-06-09", "18776-5", "Plan of care note"),
    "Subjective": ("2.16.840.1.113883.10.20.21.2.2", "", "61150-9", "Subjective Narrative"),
    "Objective": ("2.16.840.1.113883.10.20.21.2.1", "", "61149-1", "Objective Narrative"),
    "Assessment": (f"{_C}.8", "", "51848-0", "Evaluation note"),
    "Client history": (f"{_C}.20", "2015-08-01", "11348-0", "History of Past illness note"),
    "Food and nutrition history": (f"{_C}.57", "", "61144-2", "Diet and nutrition Narrative"),
    "Anthropometry": (f"{_C}.4", "2015-08-01", "8716-3", "Vital signs"),
    "Biochemical data": (f"{_C}.3", "2015-08-01", "30954-2", "Relevant diagnostic tests/laboratory data Narrative"),
    "Nutrition diagnosis": (f"{_C}.8", "", "51848-0", "Evaluation note"),
    "Intervention": (f"{_C}.10", "2014-06-09", "18776-5", "Plan of care note"),
    "Amendment": ("", "", "48767-8", "Annotation comment [Interpretation] Narrative"),
    "Monitoring and evaluation": (f"{_C}.45", "2014-06-09", "69730-0", "Instructions"),
}
_ENTRIES = {
    "Problems": problem,
    "Allergies": allergies,
    "Medications": medications,
    "Results": results,
    "Vital signs": vital_signs,
}


def stamp(when: datetime) -> str:
    return when.strftime("%Y%m%d%H%M%S%z")


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.head)
    rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in table.rows)
    return f'<table border="1"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _narrative(section: Section) -> str:
    items = [line[2:] for line in section.lines if line.startswith("- ")]
    text = "".join(f"<paragraph>{escape(line)}</paragraph>" for line in section.lines if not line.startswith("- "))
    if items:
        text += f"<list>{''.join(f'<item>{escape(item)}</item>' for item in items)}</list>"
    return text + (_table(section.table) if section.table else "")


def _section(paper: Paper, section: Section) -> str:
    template, version, code, display = _SECTIONS[section.title]
    extension = f' extension="{version}"' if version else ""
    identity = f'<templateId root="{template}"{extension}/>' if template else ""
    entries = _ENTRIES.get(section.title)
    return (
        f"<component><section>{identity}"
        f'<code code="{code}" displayName="{display}" codeSystem="2.16.840.1.113883.6.1" codeSystemName="LOINC"/>'
        f"<title>{escape(section.title)}</title><text>{_narrative(section)}</text>"
        f"{entries(paper) if entries else ''}</section></component>\n"
    )


def _complete(paper: Paper) -> tuple[Section, ...]:
    """A note's own sections, with problems and allergies for readers that look for them."""
    if paper.kind == "ccd":
        return paper.sections
    problems = Section("Problems", (f"{paper.story.condition} ({paper.story.icd10}), active.",))
    known = Section("Allergies", (", ".join(paper.person.allergies) or "No known allergies.",))
    return (*paper.sections, problems, known)


def _patient(paper: Paper) -> str:
    person = paper.person
    street, city, county, postcode = person.address
    sex = "F" if person.gender == "female" else "M"
    return (
        f'<recordTarget><patientRole><id root="{ORGANISATION_OID}" extension="{record_number(person.id)}"/>\n'
        f'<addr use="HP"><streetAddressLine>{escape(street)}</streetAddressLine><city>{escape(city)}</city>'
        f"<state>{escape(county)}</state><postalCode>{postcode}</postalCode><country>GB</country></addr>"
        f'<telecom use="HP" value="tel:{person.phone.replace(" ", "-")}"/>\n'
        f'<patient><name use="L"><given>{escape(person.given)}</given><family>{escape(person.family)}</family></name>'
        f'<administrativeGenderCode code="{sex}" codeSystem="2.16.840.1.113883.5.1"/>'
        f'<birthTime value="{person.born:%Y%m%d}"/></patient></patientRole></recordTarget>\n'
    )


def _author(paper: Paper) -> str:
    author, house = paper.author, paper.author.organisation
    prefix = f"<prefix>{author.prefix}</prefix>" if author.prefix else ""
    suffix = f"<suffix>{author.suffix}</suffix>" if author.suffix else ""
    telecom = f'<telecom use="WP" value="tel:{house.phone.replace(" ", "-")}"/>'
    address = f'<addr use="WP"><streetAddressLine>{escape(house.address)}</streetAddressLine></addr>'
    return (
        f'<author><time value="{stamp(paper.when)}"/><assignedAuthor><id root="{identifier(author.id)}"/>{address}{telecom}'
        f"<assignedPerson><name>{prefix}<given>{escape(author.given)}</given><family>{escape(author.family)}</family>{suffix}"
        f"</name></assignedPerson></assignedAuthor></author>\n"
        f'<custodian><assignedCustodian><representedCustodianOrganization><id root="{identifier(house.id)}"/>'
        f"<name>{escape(house.name)}</name>{telecom}{address}"
        f"</representedCustodianOrganization></assignedCustodian></custodian>\n"
    )


def render(paper: Paper, document: str) -> str:
    """`document` is the id of the resource: the ClinicalDocument's own id is derived from it."""
    code, display = paper.loinc or LOINC[paper.kind]
    template = _DOCUMENT.get(paper.kind)
    templates = '<templateId root="2.16.840.1.113883.10.20.22.1.1" extension="2015-08-01"/>'
    if template:
        templates += f'<templateId root="{template}" extension="2015-08-01"/>'
    since = stamp(paper.started or paper.when)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        ' xmlns:sdtc="urn:hl7-org:sdtc"><realmCode code="US"/>'
        f'<typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>{templates}\n'
        f'<id root="{identifier("ccda", document)}"/>'
        f'<code code="{code}" displayName="{display}" codeSystem="2.16.840.1.113883.6.1" codeSystemName="LOINC"/>'
        f'<title>{escape(paper.title)}</title><effectiveTime value="{stamp(paper.when)}"/>'
        '<confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/><languageCode code="en-GB"/>\n'
        f"{_patient(paper)}{_author(paper)}"
        f'<documentationOf><serviceEvent classCode="PCPR"><effectiveTime><low value="{since}"/>'
        f'<high value="{stamp(paper.when)}"/></effectiveTime></serviceEvent></documentationOf>\n'
        f"<component><structuredBody>\n{''.join(_section(paper, section) for section in _complete(paper))}"
        "</structuredBody></component></ClinicalDocument>\n"
    )
