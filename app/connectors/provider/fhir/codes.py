"""Which DocumentType a document's codes stand for."""

from collections.abc import Iterable

from app.connectors.provider.fhir.resources import CodeableConcept, Coding
from app.connectors.provider.port import DocumentType

LOINC = {
    "11502-2": DocumentType.LAB_REPORT,
    "18725-2": DocumentType.LAB_REPORT,
    "26436-6": DocumentType.LAB_REPORT,
    "11506-3": DocumentType.PROGRESS_NOTE,
    "34131-3": DocumentType.PROGRESS_NOTE,
    "34108-1": DocumentType.PROGRESS_NOTE,
    "34746-8": DocumentType.PROGRESS_NOTE,
    "51847-2": DocumentType.PROGRESS_NOTE,
    "34117-2": DocumentType.PHYSICAL_ASSESSMENT,
    "75303-8": DocumentType.NUTRITION_NOTE,
    "34800-3": DocumentType.NUTRITION_NOTE,
    "34801-1": DocumentType.NUTRITION_NOTE,
    "100492-8": DocumentType.NUTRITION_NOTE,
    "57133-1": DocumentType.REFERRAL_LETTER,
    "18842-5": DocumentType.DISCHARGE_SUMMARY,
    "34105-7": DocumentType.DISCHARGE_SUMMARY,
    "11488-4": DocumentType.CONSULTATION_NOTE,
    "51845-6": DocumentType.CONSULTATION_NOTE,
    "34111-5": DocumentType.EMERGENCY_NOTE,
    "34878-9": DocumentType.EMERGENCY_NOTE,
    "28570-0": DocumentType.PROCEDURE_NOTE,
    "11504-8": DocumentType.PROCEDURE_NOTE,
    "11526-1": DocumentType.PATHOLOGY_REPORT,
    "18748-4": DocumentType.IMAGING_REPORT,
    "34133-9": DocumentType.CARE_SUMMARY,
    "60591-5": DocumentType.CARE_SUMMARY,
    "68607-1": DocumentType.LETTER,
    "68609-7": DocumentType.LETTER,
}

# LOINC parts (US Core) and HL7 table 0074, the diagnostic service sections.
CATEGORIES = {
    "LP29684-5": DocumentType.IMAGING_REPORT,
    "LP29708-2": DocumentType.IMAGING_REPORT,
    "LP7839-6": DocumentType.PATHOLOGY_REPORT,
    **dict.fromkeys(
        ("LAB", "HM", "CH", "MB", "MCB", "MYC", "VR", "PAR", "SR", "IMM", "BLB", "TX", "BG", "GE", "OSL"),
        DocumentType.LAB_REPORT,
    ),
    **dict.fromkeys(
        ("RAD", "RX", "RUS", "CT", "NMR", "NMS", "CUS", "VUS", "OUS", "EC", "CG", "XRC"), DocumentType.IMAGING_REPORT
    ),
    **dict.fromkeys(("SP", "CP", "PAT"), DocumentType.PATHOLOGY_REPORT),
}

_KNOWN_SYSTEMS = ("loinc", "2.16.840.1.113883.6.1", "v2-0074", "v2/0074", "diagnostic-service-section")


def _codes(concepts: Iterable[CodeableConcept | None]) -> Iterable[str]:
    for concept in concepts:
        for coding in (concept.coding if concept else None) or ():
            if coding.code and _ours(coding):
                yield coding.code.strip()


def _ours(coding: Coding) -> bool:
    # A code without a system is taken at its word; one of a house's own system may mean anything.
    system = (coding.system or "").lower()
    return not system or any(known in system for known in _KNOWN_SYSTEMS)


def document_type(concept: CodeableConcept | None, categories: Iterable[CodeableConcept] | None) -> DocumentType:
    """By the document's own LOINC code (a note stays a note also where it stands in a DiagnosticReport), else by its
    category, else OTHER."""
    for code in _codes((concept,)):
        if code in LOINC:
            return LOINC[code]
    for code in _codes(categories or ()):
        if found := LOINC.get(code) or CATEGORIES.get(code.upper()):
            return found
    return DocumentType.OTHER
