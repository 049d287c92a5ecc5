"""A whole listing of one resource type, as a full synchronisation makes it, and what is to be said of it."""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime

from app.connectors.provider.certify.card import Group, Line, some
from app.connectors.provider.port import Attachment, Page, Provider, ProviderError, Unreadable

MOST_PAGES = 5_000


@dataclass(frozen=True, slots=True)
class Seen:
    """What is kept of an entry: a chart may be larger than the memory."""

    reference: str
    version_id: str
    last_updated: datetime | None
    subject: str


@dataclass(slots=True)
class Listed:
    """`complaint` says why the listing did not come to its end; empty where it did."""

    resource_type: str
    seen: list[Seen] = field(default_factory=list[Seen])
    unreadable: list[Unreadable] = field(default_factory=list[Unreadable])
    attachments: list[tuple[str, Attachment]] = field(default_factory=list[tuple[str, Attachment]])
    inline: int = 0
    pages: int = 0
    total: int | None = None
    server_time: datetime | None = None
    complaint: str = ""

    @property
    def references(self) -> set[str]:
        return {it.reference for it in self.seen}

    def take(self, page: Page, files: int) -> None:
        """Inline data is kept of so many attachments only; all of them are counted."""
        self.pages += 1
        if self.pages == 1:
            self.total, self.server_time = page.total, page.server_time
        self.unreadable += page.unreadable
        for entry in page.entries:
            self.seen.append(Seen(entry.reference, entry.version_id, entry.last_updated, entry.subject))
            self.attachments += [(entry.reference, self._kept(it, files)) for it in entry.attachments if files]

    def _kept(self, attachment: Attachment, files: int) -> Attachment:
        if attachment.data is None:
            return attachment
        self.inline += 1
        return attachment if self.inline <= files else replace(attachment, data=b"")


async def listing(
    provider: Provider, resource_type: str, patient_id: str, since: datetime | None = None, *, files: int = 0
) -> Listed:
    """Follows the next links to the end, and stops where they lead in circles."""
    found, followed, link = Listed(resource_type), set[str](), None
    while not found.complaint:
        try:
            page = await provider.page(resource_type, patient_id, since=since, link=link)
        except ProviderError as error:
            found.complaint = f"page {found.pages + 1} could not be had: {error.detail}"
            break
        found.take(page, files)
        link = page.next
        if link is None:
            break
        if link in followed:
            found.complaint = f"the next link of page {found.pages} leads back to a page that was there before"
        elif found.pages >= MOST_PAGES:
            found.complaint = f"more than {MOST_PAGES} pages"
        followed.add(link)
    return found


def lines(found: Listed, patient_id: str) -> list[Line]:
    group = Group(found.resource_type)
    count = len(found.references)
    pages = f"{found.pages} page{'' if found.pages == 1 else 's'}"
    complete = group.judge("Listed to the end", found.complaint, f"{count} resources on {pages}", needed=True)
    if not found.seen and not found.unreadable:
        # Nothing can be said of nothing, but whether there should have been something.
        return [complete, _total(group, found, count)] if found.total else [complete]
    return [
        complete,
        _next(group, found),
        _once(group, found),
        _total(group, found, count),
        _readable(group, found),
        _subjects(group, found, patient_id),
        _marked(group, "meta.versionId", [it.reference for it in found.seen if not it.version_id], count),
        _marked(group, "meta.lastUpdated", [it.reference for it in found.seen if it.last_updated is None], count),
    ]


def _next(group: Group, found: Listed) -> Line:
    name = "Next links"
    if found.complaint:
        return group.no(name, found.complaint, needed=True)
    if found.pages == 1 and (found.total or 0) > len(found.seen) + len(found.unreadable):
        return group.no(name, "there is none, though more was announced than came", needed=True)
    if found.pages == 1:
        return group.skipped(name, "not tried: everything came on one page; ask for smaller ones with --page-size")
    return group.yes(name, f"followed over {found.pages} pages to the end, no page twice", needed=True)


def _once(group: Group, found: Listed) -> Line:
    often = [it for it, times in Counter(seen.reference for seen in found.seen).items() if times > 1]
    complaint = f"listed more than once: {some(sorted(often))}" if often else ""
    return group.judge("Each resource once", complaint, "no resource came twice")


def _total(group: Group, found: Listed, count: int) -> Line:
    name, came = "Bundle.total", count + len(found.unreadable)
    if found.total is None:
        return group.skipped(name, "not told, as FHIR allows: a short listing cannot be noticed")
    if found.total > came:
        return group.no(name, f"{found.total} were announced, {came} came", needed=True)
    if found.total < count:
        return group.no(name, f"only {found.total} were announced, {count} came")
    return group.yes(name, f"{found.total} were announced and came", needed=True)


def _readable(group: Group, found: Listed) -> Line:
    words = [f"{it.reference or 'an entry'}: {it.reason}" for it in found.unreadable]
    complaint = f"{len(words)} cannot be read: {some(words)}" if words else ""
    return group.judge("Readable entries", complaint, "every entry can be read", needed=True)


def _subjects(group: Group, found: Listed, patient_id: str) -> Line:
    name, own = "About the patient only", f"Patient/{patient_id}"
    others = [f"{it.reference} is about {it.subject}" for it in found.seen if it.subject and it.subject != own]
    if others:
        return group.no(name, f"entries of others were listed: {some(others)}", needed=True)
    if nobody := [it.reference for it in found.seen if not it.subject]:
        return group.no(name, f"no subject: {some(nobody)}", needed=True)
    return group.yes(name, f"every entry names {own}", needed=True)


def _marked(group: Group, name: str, without: list[str], count: int) -> Line:
    complaint = f"missing in {len(without)} of {count}: {some(without)}" if without else ""
    return group.judge(name, complaint, "every resource has one")
