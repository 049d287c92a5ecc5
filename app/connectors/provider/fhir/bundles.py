"""A search's answer (R4 3.1.1.5.1) as a page: each entry by itself, so that a bad one is a gap and not a dead page."""

from contextlib import suppress

import httpx
import msgspec

from app.connectors.http import Answer, http_date
from app.connectors.provider.fhir.mapping import Known, Unfit, entry, line, relative, valid_id
from app.connectors.provider.fhir.resources import Bundle, BundleEntry, OperationOutcome
from app.connectors.provider.fhir.transport import bad_response, decode, explain
from app.connectors.provider.port import Entry, Page, Unreadable

MATCH, OUTCOME = "match", "outcome"


def read_page(answer: Answer, resource_type: str, base: httpx.URL, known: Known | None = None) -> Page:
    """`since_applied` says what the `self` link shows. Raises `BAD_RESPONSE` where the answer is no Bundle."""
    bundle = decode(answer, Bundle, "Bundle")
    entries: list[Entry] = []
    unreadable: list[Unreadable] = []
    for raw in bundle.entry or ():
        match _read_entry(raw, resource_type, base, known):
            case Entry() as readable:
                entries.append(readable)
            case Unreadable() as gap:
                unreadable.append(gap)
            case None:
                continue
    found = links(bundle)
    return Page(
        entries=tuple(entries),
        unreadable=tuple(unreadable),
        next=found.get("next"),
        total=total(bundle),
        server_time=http_date(answer.headers.get("date", "")),
        since_applied=applies_since(found.get("self", "")),
    )


def read_resource(answer: Answer, resource_type: str, base: httpx.URL) -> Entry:
    """Raises `BAD_RESPONSE` where the answer is no resource of this type, or none that could be a document."""
    resource = decode(answer, dict[str, object], resource_type)
    found = _read_resource(resource, resource_type, "", base, None)
    if isinstance(found, Entry):
        return found
    raise bad_response(found.reason if found else f"another resource instead of {resource_type}")


def total(bundle: Bundle) -> int | None:
    return bundle.total if isinstance(bundle.total, int) and bundle.total >= 0 else None


def links(bundle: Bundle) -> dict[str, str]:
    return {link.relation or "": link.url for link in bundle.link or () if link.url}


def applies_since(self_link: str) -> bool:
    return applies(self_link, "_lastUpdated")


def applies(self_link: str, parameter: str) -> bool:
    """R4 3.1.1.5.1: the `self` link shows the parameters that were really used."""
    try:
        return parameter in httpx.URL(self_link).params
    except (httpx.InvalidURL, ValueError):
        return False


def matches(bundle: Bundle) -> int:
    """How many entries a search found, without included ones and outcomes. Undecodable ones count."""
    return sum(_mode(raw) == MATCH for raw in bundle.entry or ())


def ids(bundle: Bundle) -> list[str]:
    """The logical ids on a page, as far as it has any."""
    found: list[str] = []
    for raw in bundle.entry or ():
        with suppress(ValueError, RecursionError):
            # What cannot be decoded has no id to compare.
            resource = msgspec.json.decode(raw, type=BundleEntry).resource or {}
            found.append(str(resource.get("id", "")))
    return found


def _mode(raw: msgspec.Raw) -> str:
    try:
        found = msgspec.json.decode(raw, type=BundleEntry)
    except (ValueError, RecursionError):
        return MATCH
    if (found.resource or {}).get("resourceType") == "OperationOutcome":
        return OUTCOME
    return (found.search.mode if found.search else None) or MATCH


def _read_entry(
    raw: msgspec.Raw, resource_type: str, base: httpx.URL, known: Known | None
) -> Entry | Unreadable | None:
    try:
        found = msgspec.json.decode(raw, type=BundleEntry)
    except (ValueError, RecursionError) as error:
        return Unreadable("", explain(error))
    resource = found.resource
    mode = (found.search.mode if found.search else None) or MATCH
    if resource is not None and (mode == OUTCOME or resource.get("resourceType") == "OperationOutcome"):
        return Unreadable("", _withheld(resource))
    if mode != MATCH:
        return None
    place = relative(found.full_url, base)
    if not resource:
        return Unreadable(place, "an empty entry")
    return _read_resource(resource, resource_type, place, base, known)


def _read_resource(
    resource: dict[str, object], resource_type: str, place: str, base: httpx.URL, known: Known | None
) -> Entry | Unreadable | None:
    kind, identity = resource.get("resourceType"), resource.get("id")
    if isinstance(kind, str) and kind != resource_type:
        return None
    try:
        return entry(resource, base, known)
    except (ValueError, RecursionError, OverflowError) as error:
        reference = f"{resource_type}/{identity}" if isinstance(identity, str) and valid_id(identity) else place
        return Unreadable(reference, str(error) if isinstance(error, Unfit) else explain(error))


def _withheld(resource: dict[str, object]) -> str:
    """An OperationOutcome's codes; its words may hold a patient's data."""
    try:
        issues = msgspec.convert(resource, OperationOutcome).issue or []
    except msgspec.ValidationError:
        issues = []
    codes = ", ".join(filter(None, (line(issue.code)[:30] for issue in issues[:5])))
    return f"the server withheld something: OperationOutcome {codes}".rstrip()
