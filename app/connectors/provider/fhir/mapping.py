"""A resource of FHIR R4, as the sync engine wants it."""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import msgspec

from app.connectors.http import origin
from app.connectors.provider.fhir import resources as fhir
from app.connectors.provider.fhir.codes import document_type
from app.connectors.provider.fhir.digest import digest
from app.connectors.provider.port import (
    Attachment,
    DocumentType,
    Entry,
    ProviderPatient,
    Relation,
    ResourceStatus,
)

LONGEST_LINE = 1000

_ID = re.compile(r"[A-Za-z0-9._~:|-]{1,255}")
_UNKNOWN_STATUS = "a status that FHIR does not know"
_YEAR = 4
_MONTH = 7
_CONTROLS = dict.fromkeys([*range(32), *range(127, 160)], " ")
# R4, value set diagnostic-report-status.
_REPORT_STATUSES = {
    **dict.fromkeys(
        ("registered", "partial", "preliminary", "final", "amended", "corrected", "appended", "unknown"),
        ResourceStatus.CURRENT,
    ),
    **dict.fromkeys(("entered-in-error", "cancelled"), ResourceStatus.ENTERED_IN_ERROR),
}

Known = Mapping[tuple[str, str], str]
"""Which of our patients (`Patient/1`) has which business identifier (system, value)."""


class Unfit(ValueError):
    """The resource lacks what a document cannot be without; the words repeat none of its data."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What the two kinds of resource have in different places."""

    status: ResourceStatus
    type: DocumentType
    title: str
    date: datetime | None
    author: str
    attachments: tuple[Attachment, ...]
    relations: tuple[Relation, ...] = ()


def entry(resource: dict[str, object], base: httpx.URL, known: Known | None = None) -> Entry:
    """A subject that is named by an identifier only is looked up in `known`.

    Raises ValueError (`Unfit`, or msgspec's) or RecursionError where the resource is not what it should be."""
    kind = resource.get("resourceType")
    if kind == "DocumentReference":
        document = msgspec.convert(resource, fhir.DocumentReference)
        subject = _subject(document.subject, document.contained, base, known or {})
        return _entry(resource, document, subject, _document_reference(document, base))
    if kind == "DiagnosticReport":
        report = msgspec.convert(resource, fhir.DiagnosticReport)
        subject = _subject(report.subject, report.contained, base, known or {})
        return _entry(resource, report, subject, _diagnostic_report(report, base))
    raise Unfit("a resource of a kind that holds no document")


def _entry(resource: dict[str, object], typed: fhir.Resource, subject: str, read: _Read) -> Entry:
    if not valid_id(typed.id):
        raise Unfit("no usable id")
    meta = typed.meta or fhir.Meta()
    return Entry(
        reference=f"{typed.resource_type}/{typed.id}",
        resource_type=typed.resource_type or "",
        version_id=line(meta.version_id),
        last_updated=moment(meta.last_updated),
        digest=digest(resource),
        subject=subject,
        status=read.status,
        type=read.type,
        title=read.title,
        date=read.date,
        author=read.author,
        attachments=read.attachments,
        relations=read.relations,
    )


def _subject(subject: fhir.Reference | None, contained: list[object] | None, base: httpx.URL, known: Known) -> str:
    """Whom a resource is about. A reference decides; a contained Patient, or an identifier in the reference's place, is
    taken only for one whose identifier the server has shown us itself. Empty, or as it stands, where it stays unclear."""
    if subject is None:
        return ""
    place = relative(subject.reference, base)
    if place and not place.startswith("#"):
        return place
    named = _contained_identifiers(place[1:], contained or ()) if place else []
    for it in [*named, subject.identifier]:
        if it and it.system and it.value and (found := known.get((it.system, it.value))):
            return found
    return place


def _contained_identifiers(wanted: str, contained: Iterable[object]) -> list[fhir.Identifier]:
    for resource in contained:
        try:
            person = msgspec.convert(resource, fhir.ContainedPatient)
        except msgspec.ValidationError:
            continue  # Nobody: a contained resource can be anything.
        if person.id == wanted and person.resource_type == "Patient":
            return person.identifier or []
    return []


def _document_reference(document: fhir.DocumentReference, base: httpx.URL) -> _Read:
    found = [content.attachment or fhir.Attachment() for content in document.content or ()]
    kind = document_type(document.type, document.category)
    titles = [document.description, *_names(document.type), *(each.title for each in found)]
    period = document.context.period if document.context else None
    dates = [document.date, period.start if period else None, *(each.creation for each in found)]
    return _Read(
        status=_status(document.status),
        type=kind,
        title=_first_line(titles) or _words(kind),
        date=_first_moment(dates),
        author=_author(document.author, document.contained, base),
        attachments=tuple(attachment(each, base) for each in found),
        relations=tuple(_relations(document.relates_to or (), base)),
    )


def _diagnostic_report(report: fhir.DiagnosticReport, base: httpx.URL) -> _Read:
    kind = document_type(report.code, report.category)
    period = report.effective_period
    forms = tuple(attachment(each, base) for each in report.presented_form or ())
    status = _REPORT_STATUSES.get(report.status or "unknown")
    if status is None:
        raise Unfit(_UNKNOWN_STATUS)
    return _Read(
        status=status,
        type=kind,
        title=_first_line(_names(report.code)) or _words(kind),
        date=_first_moment([report.effective_date_time, period.start if period else None, report.issued]),
        author=_author(report.performer or report.results_interpreter, report.contained, base),
        attachments=forms or _spoken(report),
    )


def _spoken(report: fhir.DiagnosticReport) -> tuple[Attachment, ...]:
    """A report without a form may still say what it found: its narrative, else its conclusion, as a file."""
    if report.text and report.text.div:
        return (Attachment(content_type="text/html; charset=utf-8", data=report.text.div.encode()),)
    if report.conclusion:
        return (Attachment(content_type="text/plain; charset=utf-8", data=report.conclusion.encode()),)
    return ()


def _status(status: str | None) -> ResourceStatus:
    try:
        return ResourceStatus(status or ResourceStatus.CURRENT)
    except ValueError as error:
        raise Unfit(_UNKNOWN_STATUS) from error


def _words(kind: DocumentType) -> str:
    return kind.value.replace("_", " ").capitalize()


def _names(concept: fhir.CodeableConcept | None) -> list[str | None]:
    return [concept.text, *(coding.display for coding in concept.coding or ())] if concept else []


def _relations(relations: Iterable[fhir.RelatesTo], base: httpx.URL) -> Iterable[Relation]:
    for relation in relations:
        target = relative(relation.target.reference if relation.target else None, base)
        if relation.code and target:
            yield Relation(line(relation.code), target)


def _author(people: list[fhir.Reference] | None, contained: list[object] | None, base: httpx.URL) -> str:
    names: list[str] = []
    for person in people or ():
        reference = person.reference or ""
        name = line(person.display)
        if not name and reference.startswith("#"):
            name = _contained_name(reference[1:], contained or ())
        elif not name:
            name = relative(reference, base)
        names.append(name)
    return line(", ".join(dict.fromkeys(filter(None, names))))


def _contained_name(wanted: str, contained: Iterable[object]) -> str:
    for resource in contained:
        try:
            person = msgspec.convert(resource, fhir.Practitioner)
        except msgspec.ValidationError:
            continue  # Not a person: a contained resource can be anything.
        if person.id == wanted:
            return line(person.name) if isinstance(person.name, str) else human_name(person.name)
    return ""


def human_name(names: list[fhir.HumanName] | None) -> str:
    """The official name, else the first, as a person would write it."""
    name = next((each for each in names or () if each.use == "official"), names[0] if names else None)
    if name is None:
        return ""
    return line(name.text or " ".join(filter(None, [*(name.given or ()), name.family])))


def patient(resource: fhir.Patient) -> ProviderPatient:
    """Raises `Unfit` where it has no id."""
    if not valid_id(resource.id):
        raise Unfit("no usable id")
    return ProviderPatient(f"Patient/{resource.id}", human_name(resource.name), line(resource.birth_date))


def identities(resource: fhir.Patient) -> dict[tuple[str, str], str]:
    """What the server knows the patient by, each leading to the reference."""
    named = ((it.system, it.value) for it in resource.identifier or ())
    return {(system, value): f"Patient/{resource.id}" for system, value in named if system and value}


def attachment(found: fhir.Attachment, base: httpx.URL) -> Attachment:
    """Raises `Unfit` where its inline data is not base64."""
    return Attachment(
        content_type=line(found.content_type),
        title=line(found.title),
        data=inline(found.data),
        url=_absolute(found.url, base),
        declared_size=found.size if isinstance(found.size, int) and found.size >= 0 else None,
        declared_sha1=line(found.hash),
    )


def inline(data: str | None) -> bytes | None:
    """R4 2.24.0.1, base64Binary: white space is allowed in it. Raises `Unfit`."""
    if not data:
        return None
    try:
        return base64.b64decode(data, validate=True)
    except ValueError:
        packed = "".join(data.split())
    try:
        return base64.b64decode(packed, validate=True)
    except ValueError as error:
        raise Unfit("inline data that is not base64") from error


def _absolute(url: str | None, base: httpx.URL) -> str:
    text = (url or "").strip()
    # What is no address at all is kept as it is, and refused when it is fetched: the other formats may be readable.
    if not text or text[:1] == "#" or text[:7].lower() == "http://" or text[:8].lower() == "https://":
        return text
    try:
        return str(httpx.URL(f"{base}/").join(text))
    except (httpx.InvalidURL, ValueError):
        return text


def relative(reference: str | None, base: httpx.URL) -> str:
    """A reference without the base and without a version; one that lies elsewhere stays as it is."""
    text = line(reference)
    folder = f"{base.path.rstrip('/')}/"
    if text[:4].lower() == "http":
        try:
            url = httpx.URL(text)
            here = origin(url) == origin(base) and url.path.startswith(folder)
        except (httpx.InvalidURL, ValueError):
            return text
        if not here:
            return text
        text = url.path.removeprefix(folder)
    return text.partition("/_history/")[0]


def valid_id(value: str | None) -> bool:
    """Longer than R4 2.24.0 allows, since servers are; but nothing that would change an address."""
    return bool(_ID.fullmatch(value or "")) and (value or "").strip(".") != ""


def line(text: str | None) -> str:
    """A text as one clean line of bounded length."""
    return " ".join((text or "").translate(_CONTROLS).split())[:LONGEST_LINE]


def _first_line(texts: Iterable[str | None]) -> str:
    return next((clean for text in texts if (clean := line(text))), "")


def moment(text: str | None) -> datetime | None:
    """R4 2.24.0.1, dateTime and instant: a partial date is its first instant, one without an offset is UTC."""
    value = (text or "").strip()
    if len(value) == _YEAR:
        value += "-01-01"
    elif len(value) == _MONTH:
        value += "-01"
    try:
        read = datetime.fromisoformat(value)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _first_moment(texts: Iterable[str | None]) -> datetime | None:
    return next((read for text in texts if (read := moment(text))), None)
