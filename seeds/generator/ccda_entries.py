"""The coded entries of C-CDA sections: problem concern, allergy concern, result organizer."""

from html import escape

from seeds.generator.identity import identifier
from seeds.generator.labs import Result
from seeds.generator.paper import Paper

_SNOMED = 'codeSystem="2.16.840.1.113883.6.96" codeSystemName="SNOMED CT"'
_LOINC = 'codeSystem="2.16.840.1.113883.6.1" codeSystemName="LOINC"'
_ACT = "2.16.840.1.113883.5.6"


def _day(paper: Paper) -> str:
    return f"{paper.when:%Y%m%d}"


def problem(paper: Paper) -> str:
    story, person = paper.story, paper.person
    since = f'<effectiveTime><low value="{person.start:%Y%m%d}"/></effectiveTime>'
    return (
        '<entry typeCode="DRIV"><act classCode="ACT" moodCode="EVN">'
        '<templateId root="2.16.840.1.113883.10.20.22.4.3" extension="2015-08-01"/>'
        f'<id root="{identifier(person.id, "concern")}"/><code code="CONC" codeSystem="{_ACT}"/>'
        f'<statusCode code="active"/>{since}<entryRelationship typeCode="SUBJ"><observation classCode="OBS" moodCode="EVN">'
        '<templateId root="2.16.840.1.113883.10.20.22.4.4" extension="2015-08-01"/>'
        f'<id root="{identifier(person.id, "problem")}"/><code code="55607006" displayName="Problem" {_SNOMED}>'
        f'<translation code="75326-9" displayName="Problem" {_LOINC}/></code><statusCode code="completed"/>{since}'
        f'<value xsi:type="CD" code="{story.snomed}" displayName="{escape(story.condition)}" {_SNOMED}/>'
        "</observation></entryRelationship></act></entry>"
    )


def _allergy(paper: Paper, substance: str, *, known: bool) -> str:
    # C-CDA states «no known allergies» as a negated observation whose participant has no code.
    negation = "" if known else ' negationInd="true"'
    agent = f'<code nullFlavor="OTH"><originalText>{escape(substance)}</originalText></code>'
    if not known:
        agent = '<code nullFlavor="NA"/>'
    ident = identifier(paper.person.id, "allergy", substance)
    return (
        '<entry typeCode="DRIV"><act classCode="ACT" moodCode="EVN">'
        '<templateId root="2.16.840.1.113883.10.20.22.4.30" extension="2015-08-01"/>'
        f'<id root="{identifier(ident)}"/><code code="CONC" codeSystem="{_ACT}"/><statusCode code="active"/>'
        f'<effectiveTime><low value="{paper.person.start:%Y%m%d}"/></effectiveTime><entryRelationship typeCode="SUBJ">'
        f'<observation classCode="OBS" moodCode="EVN"{negation}>'
        '<templateId root="2.16.840.1.113883.10.20.22.4.7" extension="2014-06-09"/>'
        f'<id root="{ident}"/><code code="ASSERTION" codeSystem="2.16.840.1.113883.5.4"/><statusCode code="completed"/>'
        '<effectiveTime><low nullFlavor="UNK"/></effectiveTime>'
        f'<value xsi:type="CD" code="419199007" displayName="Allergy to substance" {_SNOMED}/>'
        '<participant typeCode="CSM"><participantRole classCode="MANU"><playingEntity classCode="MMAT">'
        f"{agent}</playingEntity></participantRole></participant></observation></entryRelationship></act></entry>"
    )


def allergies(paper: Paper) -> str:
    named = paper.person.allergies
    if not named:
        return _allergy(paper, "none", known=False)
    return "".join(_allergy(paper, substance, known=True) for substance in named)


def _result(paper: Paper, result: Result) -> str:
    analyte = result.analyte
    mark = {"H": "H", "L": "L"}.get(result.flag, "N")
    return (
        '<component><observation classCode="OBS" moodCode="EVN">'
        '<templateId root="2.16.840.1.113883.10.20.22.4.2" extension="2015-08-01"/>'
        f'<id root="{identifier(paper.person.id, _day(paper), analyte.key)}"/>'
        f'<code code="{analyte.loinc}" displayName="{escape(analyte.display)}" {_LOINC}/><statusCode code="completed"/>'
        f'<effectiveTime value="{_day(paper)}"/><value xsi:type="PQ" value="{result.shown}" unit="{analyte.ucum}"/>'
        f'<interpretationCode code="{mark}" codeSystem="2.16.840.1.113883.5.83"/></observation></component>'
    )


def results(paper: Paper) -> str:
    if not paper.results:
        return ""
    return (
        '<entry typeCode="DRIV"><organizer classCode="BATTERY" moodCode="EVN">'
        '<templateId root="2.16.840.1.113883.10.20.22.4.1" extension="2015-08-01"/>'
        f'<id root="{identifier(paper.person.id, _day(paper), "results")}"/>'
        f'<code code="11502-2" displayName="Laboratory report" {_LOINC}/><statusCode code="completed"/>'
        f"{''.join(_result(paper, result) for result in paper.results)}</organizer></entry>"
    )


def medications(paper: Paper) -> str:
    """One entry for each medicine that the section names; the product stands as text, without a code."""
    named = next(section.lines[0] for section in paper.sections if section.title == "Medications")
    return "".join(_medicine(paper, name.strip(" .")) for name in named.split(";"))


def _medicine(paper: Paper, name: str) -> str:
    negation = ' negationInd="true"' if name.lower().startswith(("no ", "declined")) else ""
    return (
        f'<entry typeCode="DRIV"><substanceAdministration classCode="SBADM" moodCode="EVN"{negation}>'
        '<templateId root="2.16.840.1.113883.10.20.22.4.16" extension="2014-06-09"/>'
        f'<id root="{identifier(paper.person.id, "medicine", name)}"/><statusCode code="active"/>'
        '<effectiveTime xsi:type="IVL_TS"><low nullFlavor="UNK"/></effectiveTime><doseQuantity nullFlavor="UNK"/>'
        '<consumable><manufacturedProduct classCode="MANU">'
        '<templateId root="2.16.840.1.113883.10.20.22.4.23" extension="2014-06-09"/><manufacturedMaterial>'
        f'<code nullFlavor="OTH"><originalText>{escape(name)}</originalText></code>'
        "</manufacturedMaterial></manufacturedProduct></consumable></substanceAdministration></entry>"
    )


def vital_signs(paper: Paper) -> str:
    signs = "".join(
        '<component><observation classCode="OBS" moodCode="EVN">'
        '<templateId root="2.16.840.1.113883.10.20.22.4.27" extension="2014-06-09"/>'
        f'<id root="{identifier(paper.person.id, _day(paper), loinc)}"/>'
        f'<code code="{loinc}" displayName="{escape(display)}" {_LOINC}/><statusCode code="completed"/>'
        f'<effectiveTime value="{_day(paper)}"/><value xsi:type="PQ" value="{value}" unit="{unit}"/>'
        "</observation></component>"
        for loinc, display, unit, value in paper.vitals
    )
    return (
        '<entry typeCode="DRIV"><organizer classCode="CLUSTER" moodCode="EVN">'
        '<templateId root="2.16.840.1.113883.10.20.22.4.26" extension="2015-08-01"/>'
        f'<id root="{identifier(paper.person.id, _day(paper), "vitals")}"/>'
        f'<code code="46680005" displayName="Vital signs" {_SNOMED}/><statusCode code="completed"/>'
        f'<effectiveTime value="{_day(paper)}"/>{signs}</organizer></entry>'
    )
