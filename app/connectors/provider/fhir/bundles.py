"""A search's answer (R4 3.1.1.5.1) as a page: each entry by itself, so that a bad one is a gap and not a dead page."""

import httpx
import msgspec

from app.connectors.http import Answer, http_date
from app.connectors.provider.fhir.mapping import Unfit, entry, line, relative, valid_id
from app.connectors.provider.fhir.resources import Bundle, BundleEntry, OperationOutcome
from app.connectors.provider.fhir.transport import decode, explain
from app.connectors.provider.port import Entry, Page, Unreadable

MATCH, OUTCOME = "match", "outcome"


def read_page(answer: Answer, resource_type: str, base: httpx.URL) -> Page:
    """Raises `BAD_RESPONSE` where the answer is no Bundle."""
    bundle = decode(answer, Bundle, "Bundle")
    entries: list[Entry] = []
    unreadable: list[Unreadable] = []
    for raw in bundle.entry or ():
        match _read_entry(raw, resource_type, base):
            case Entry() as readable:
                entries.append(readable)
            case Unreadable() as gap:
                unreadable.append(gap)
            case None:
                continue
    links = {link.relation: link.url for link in bundle.link or () if link.url}
    return Page(
        entries=tuple(entries),
        unreadable=tuple(unreadable),
        next=links.get("next"),
        total=total(bundle),
        server_time=http_date(answer.headers.get("date", "")),
        since_applied=applies_since(links.get("self", "")),
    )


def total(bundle: Bundle) -> int | None:
    return bundle.total if isinstance(bundle.total, int) and bundle.total >= 0 else None


def applies_since(self_link: str) -> bool:
    try:
        return "_lastUpdated" in httpx.URL(self_link).params
    except (httpx.InvalidURL, ValueError):
        return False


def matches(bundle: Bundle) -> int:
    """How many entries a search found, without included ones and outcomes. Undecodable ones count."""
    return sum(_mode(raw) == MATCH for raw in bundle.entry or ())


def _mode(raw: msgspec.Raw) -> str:
    try:
        found = msgspec.json.decode(raw, type=BundleEntry)
    except (ValueError, RecursionError):
        return MATCH
    if (found.resource or {}).get("resourceType") == "OperationOutcome":
        return OUTCOME
    return (found.search.mode if found.search else None) or MATCH


def _read_entry(raw: msgspec.Raw, resource_type: str, base: httpx.URL) -> Entry | Unreadable | None:
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
    return _read_resource(resource, resource_type, place, base) if resource else Unreadable(place, "an empty entry")


def _read_resource(
    resource: dict[str, object], resource_type: str, place: str, base: httpx.URL
) -> Entry | Unreadable | None:
    kind, identity = resource.get("resourceType"), resource.get("id")
    if isinstance(kind, str) and kind != resource_type:
        return None
    try:
        return entry(resource, base)
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
