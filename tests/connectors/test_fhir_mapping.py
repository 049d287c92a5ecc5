"""A FHIR resource as the sync engine wants it."""

import base64
from datetime import UTC, datetime

import httpx
import msgspec
import pytest

from app.connectors.provider.fhir.codes import document_type
from app.connectors.provider.fhir.mapping import Unfit, entry, moment, relative
from app.connectors.provider.fhir.resources import CodeableConcept
from app.connectors.provider.port import DocumentType, Entry, Relation, ResourceStatus
from tests.connectors.scripted import document

BASE = httpx.URL("https://ehr.example/fhir/R4")


def _report(**more: object) -> dict[str, object]:
    return {"resourceType": "DiagnosticReport", "id": "r", "status": "final", **more}


def _concept(code: str, system: str = "http://loinc.org", **more: str) -> dict[str, object]:
    return {"coding": [{"system": system, "code": code, **more}]}


def _document(**more: object) -> Entry:
    return entry(document("d", **more), BASE)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("11488-4", DocumentType.CONSULTATION_NOTE),
        ("18842-5", DocumentType.DISCHARGE_SUMMARY),
        ("34117-2", DocumentType.PHYSICAL_ASSESSMENT),
        ("28570-0", DocumentType.PROCEDURE_NOTE),
        ("11506-3", DocumentType.PROGRESS_NOTE),
        ("18748-4", DocumentType.IMAGING_REPORT),
        ("11502-2", DocumentType.LAB_REPORT),
        ("11526-1", DocumentType.PATHOLOGY_REPORT),
        ("11504-8", DocumentType.PROCEDURE_NOTE),
        ("34111-5", DocumentType.EMERGENCY_NOTE),
        ("57133-1", DocumentType.REFERRAL_LETTER),
        ("75303-8", DocumentType.NUTRITION_NOTE),
        ("34133-9", DocumentType.CARE_SUMMARY),
        ("86533-7", DocumentType.OTHER),
    ],
)
def test_a_loinc_code_says_what_a_document_is(code: str, kind: DocumentType) -> None:
    assert _document(type=_concept(code)).type is kind


@pytest.mark.parametrize(
    ("category", "kind"),
    [
        (_concept("LAB", "http://terminology.hl7.org/CodeSystem/v2-0074"), DocumentType.LAB_REPORT),
        (_concept("HM", "http://terminology.hl7.org/CodeSystem/v2-0074"), DocumentType.LAB_REPORT),
        (_concept("LP29684-5"), DocumentType.IMAGING_REPORT),
        (_concept("RAD", ""), DocumentType.IMAGING_REPORT),
        (_concept("LP7839-6"), DocumentType.PATHOLOGY_REPORT),
        (_concept("LP29708-2"), DocumentType.IMAGING_REPORT),
        (_concept("LAB", "urn:a-house-of-its-own"), DocumentType.OTHER),
        ({"text": "Laboratory"}, DocumentType.OTHER),
    ],
)
def test_a_report_is_what_its_category_says(category: object, kind: DocumentType) -> None:
    assert entry(_report(category=[category], code=_concept("58410-2")), BASE).type is kind


def test_a_note_stays_a_note_in_a_report_of_the_laboratory() -> None:
    note = _report(category=[_concept("LAB", "")], code=_concept("34117-2"))
    assert entry(note, BASE).type is DocumentType.PHYSICAL_ASSESSMENT


def test_without_any_code_a_document_is_other() -> None:
    assert document_type(None, None) is DocumentType.OTHER
    assert document_type(CodeableConcept(), []) is DocumentType.OTHER


@pytest.mark.parametrize(
    ("more", "title"),
    [
        ({"description": " Visit\n of\u0000 May "}, "Visit of May"),
        ({"type": {"text": "Note", **_concept("x", display="Shown")}}, "Note"),
        ({"type": _concept("x", display="Shown")}, "Shown"),
        ({"content": [{}, {"attachment": {"title": "scan.pdf"}}]}, "scan.pdf"),
        ({"type": _concept("18842-5")}, "Discharge summary"),
        ({}, "Other"),
    ],
)
def test_a_document_has_a_title(more: dict[str, object], title: str) -> None:
    assert _document(**more).title == title


def test_a_report_has_a_title() -> None:
    assert entry(_report(code={"text": "CBC", **_concept("x", display="Count")}), BASE).title == "CBC"
    assert entry(_report(code=_concept("x", display="Count")), BASE).title == "Count"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2011", datetime(2011, 1, 1, tzinfo=UTC)),
        ("2011-03", datetime(2011, 3, 1, tzinfo=UTC)),
        ("2011-03-04", datetime(2011, 3, 4, tzinfo=UTC)),
        ("2011-03-04T08:30:00+11:00", datetime(2011, 3, 3, 21, 30, tzinfo=UTC)),
        ("2011-03-04T08:30:00", datetime(2011, 3, 4, 8, 30, tzinfo=UTC)),
        ("2011-03-04T08:30:00.123456789Z", datetime(2011, 3, 4, 8, 30, 0, 123456, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", None),
        ("2011-13", None),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_a_date_may_be_partial_or_nonsense(text: str | None, expected: datetime | None) -> None:
    assert moment(text) == expected


def test_a_document_takes_the_first_date_that_is_one() -> None:
    context = {"period": {"start": "2012"}}
    created = [{"attachment": {"creation": "2013"}}]
    assert _document(date="2011", context=context).date == moment("2011")
    assert _document(date="soon", context=context, content=created).date == moment("2012")
    assert _document(content=created).date == moment("2013")
    assert _document().date is None
    assert entry(_report(effectivePeriod={"start": "2014"}, issued="2015"), BASE).date == moment("2014")
    assert entry(_report(issued="2015"), BASE).date == moment("2015")


def test_an_author_is_named_as_well_as_can_be() -> None:
    contained = [
        {"resourceType": "Binary", "id": "x", "name": 7},
        {"resourceType": "Practitioner", "id": "a", "name": [{"given": ["Gerald"], "family": "Smitty"}]},
        {"resourceType": "Organization", "id": "o", "name": "House"},
    ]
    people = [
        {"display": "Dr. Who", "reference": "Practitioner/1"},
        {"reference": "#a"},
        {"reference": "#o"},
        {"reference": "#gone"},
        {"reference": f"{BASE}/Practitioner/2"},
        {"reference": "Practitioner/2"},
    ]
    read = _document(author=people, contained=contained)
    assert read.author == "Dr. Who, Gerald Smitty, House, Practitioner/2"
    assert entry(_report(performer=[{"display": "Lab"}]), BASE).author == "Lab"


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("Patient/1", "Patient/1"),
        ("https://ehr.example/fhir/R4/Patient/1", "Patient/1"),
        ("HTTPS://EHR.example:443/fhir/R4/Patient/1/_history/3", "Patient/1"),
        ("https://ehr.example/fhir/R5/Patient/1", "https://ehr.example/fhir/R5/Patient/1"),
        ("https://evil.example/fhir/R4/Patient/1", "https://evil.example/fhir/R4/Patient/1"),
        ("urn:uuid:1", "urn:uuid:1"),
        ("http://[", "http://["),
        (None, ""),
    ],
)
def test_a_reference_is_relative_to_the_base(reference: str | None, expected: str) -> None:
    assert relative(reference, BASE) == expected


def test_a_status_is_mapped_and_an_unknown_one_is_not_guessed() -> None:
    assert _document(status="superseded").status is ResourceStatus.SUPERSEDED
    assert entry(_report(), BASE).status is ResourceStatus.CURRENT
    assert entry(_report(status="cancelled"), BASE).status is ResourceStatus.ENTERED_IN_ERROR
    assert entry(_report(status="entered-in-error"), BASE).status is ResourceStatus.ENTERED_IN_ERROR
    with pytest.raises(Unfit, match="status"):
        _document(status="unheard-of")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *dict.fromkeys(
            ("registered", "partial", "preliminary", "final", "amended", "corrected", "appended", "unknown"),
            ResourceStatus.CURRENT,
        ).items(),
        ("cancelled", ResourceStatus.ENTERED_IN_ERROR),
        ("entered-in-error", ResourceStatus.ENTERED_IN_ERROR),
        (None, ResourceStatus.CURRENT),
    ],
)
def test_every_status_of_a_report_is_known(status: str | None, expected: ResourceStatus) -> None:
    assert entry(_report(status=status), BASE).status is expected


def test_a_status_that_no_report_has_is_not_guessed() -> None:
    with pytest.raises(Unfit, match="status"):
        entry(_report(status="current"), BASE)


def test_several_contents_are_formats_of_one_document() -> None:
    found = [{"attachment": {"contentType": kind, "data": "YWJj"}} for kind in ("text/plain", "application/pdf")]
    read = _document(content=found, meta={"versionId": "7"})
    assert [each.content_type for each in read.attachments] == ["text/plain", "application/pdf"]
    assert (read.reference, read.version_id, read.relations) == ("DocumentReference/d", "7", ())


KNOWN = {("urn:mrn", "42"): "Patient/p"}
OURS = {"system": "urn:mrn", "value": "42"}


@pytest.mark.parametrize(
    ("subject", "contained", "expected"),
    [
        ({"reference": "Patient/p"}, None, "Patient/p"),
        ({"reference": f"{BASE}/Patient/p"}, None, "Patient/p"),
        ({"reference": "https://elsewhere.example/Patient/p"}, None, "https://elsewhere.example/Patient/p"),
        ({"identifier": OURS}, None, "Patient/p"),
        ({"identifier": OURS | {"value": "43"}}, None, ""),
        ({"identifier": {"value": "42"}}, None, ""),
        ({"reference": "#a"}, [{"resourceType": "Patient", "id": "a", "identifier": [OURS]}], "Patient/p"),
        ({"reference": "#a"}, [7, {"resourceType": "Patient", "id": "a"}], "#a"),
        ({"reference": "#a"}, [{"resourceType": "Group", "id": "a", "identifier": [OURS]}], "#a"),
        ({"reference": "#a"}, [{"resourceType": "Patient", "id": "b", "identifier": [OURS]}], "#a"),
        # A reference decides, whatever identifier stands beside it.
        ({"reference": "Patient/other", "identifier": OURS}, None, "Patient/other"),
        ({"display": "Our patient"}, None, ""),
        (None, None, ""),
    ],
)
def test_a_subject_is_whom_it_names_and_nobody_where_that_is_unclear(
    subject: object, contained: object, expected: str
) -> None:
    for resource in (
        _report(subject=subject, contained=contained),
        document("d", subject=subject, contained=contained),
    ):
        assert entry(resource, BASE, KNOWN).subject == expected


def test_an_identifier_is_nobodys_where_the_server_has_shown_us_none() -> None:
    assert entry(_report(subject={"identifier": OURS}), BASE).subject == ""


def test_relations_name_their_targets() -> None:
    relations = [
        {"code": "replaces", "target": {"reference": f"{BASE}/DocumentReference/1"}},
        {"code": "appends", "target": {"identifier": {}}},
        {},
    ]
    assert _document(relatesTo=relations).relations == (Relation("replaces", "DocumentReference/1"),)


def test_attachments_are_inline_or_have_an_absolute_address() -> None:
    packed = base64.b64encode(b"abc" * 40).decode()
    spaced = " \n".join(packed[i : i + 20] for i in range(0, len(packed), 20))
    found = [
        {"contentType": "text/plain", "data": spaced, "size": 3, "hash": "aGFzaA=="},
        {"url": "Binary/1"},
        {"url": "/files/1"},
        {"url": "https://files.example/1?sig=2", "size": "12"},
        {"title": "nothing"},
    ]
    read = _document(content=[{"attachment": each} for each in found]).attachments
    assert (read[0].data, read[0].declared_size, read[0].declared_sha1) == (b"abc" * 40, 3, "aGFzaA==")
    addresses = [each.url for each in read[1:]]
    here, root = "https://ehr.example/fhir/R4/Binary/1", "https://ehr.example/files/1"
    assert addresses == [here, root, "https://files.example/1?sig=2", ""]
    assert [each.empty for each in read] == [False, False, False, False, True]


def test_a_report_without_a_form_is_its_narrative_or_else_its_conclusion() -> None:
    told = {"text": {"status": "generated", "div": "<div>ü</div>"}, "conclusion": "fine"}
    narrative, *more = entry(_report(**told), BASE).attachments
    assert (narrative.content_type, narrative.data, more) == ("text/html; charset=utf-8", "<div>ü</div>".encode(), [])
    conclusion = entry(_report(conclusion="fine"), BASE).attachments[0]
    assert (conclusion.content_type, conclusion.data) == ("text/plain; charset=utf-8", b"fine")
    assert entry(_report(), BASE).attachments == ()
    assert len(entry(_report(presentedForm=[{"url": "Binary/1"}], **told), BASE).attachments) == 1


def test_the_digest_sees_what_changed_and_nothing_else() -> None:
    def made(url: str = "https://f.example/1?sig=a", **more: object) -> bytes:
        return _document(content=[{"attachment": {"url": url}}], **more).digest

    same = made(meta={"versionId": "2"}, text={"div": "<div/>"})
    turned = dict(reversed(document("d", content=[{"attachment": {"url": "https://f.example/1?sig=b"}}]).items()))
    assert made() == same == entry(turned, BASE).digest
    assert len(made()) == 32
    assert made("https://f.example/2?sig=a") != made()
    assert made(description="x") != made()
    assert made(extension=[{"valueInteger": 2**80}]) != made()


def test_the_digest_sees_a_narrative_that_is_the_only_text() -> None:
    def made(div: str, **more: object) -> bytes:
        return entry(_report(text={"div": div}, **more), BASE).digest

    assert made("<div>1</div>") != made("<div>2</div>")
    form = [{"url": "Binary/1"}]
    assert made("<div>1</div>", presentedForm=form) == made("<div>2</div>", presentedForm=form)


def test_null_counts_as_absent() -> None:
    nothing = dict.fromkeys(
        ("type", "category", "author", "date", "content", "context", "relatesTo", "meta", "contained")
    )
    assert _document(**nothing).title == "Other"


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "DocumentReference"},
        document("../1"),
        document("a b"),
        document("d", subject=5),
        document("d", content={}),
        document("d", content=[{"attachment": {"data": "a"}}]),
        document("d", content=[{"attachment": {"data": "ä"}}]),
        {"resourceType": "Patient", "id": "1"},
        {"id": "1"},
    ],
)
def test_a_resource_that_is_not_what_it_should_be_says_so(resource: dict[str, object]) -> None:
    with pytest.raises((Unfit, msgspec.ValidationError)):
        entry(resource, BASE)


def test_version_and_time_are_the_servers() -> None:
    read = _document(meta={"versionId": "7", "lastUpdated": "2026-01-01T00:00:00Z"})
    assert (read.version_id, read.last_updated) == ("7", datetime(2026, 1, 1, tzinfo=UTC))
    assert (_document().version_id, _document().last_updated) == ("", None)
