"""Attachments of each kind: whether their bytes come, and are what the server says of them."""

import base64
from dataclasses import dataclass

import httpx

from app.connectors.provider.certify.card import Group, Line, some
from app.connectors.provider.fhir.transport import same_origin
from app.connectors.provider.port import Attachment, Provider, ProviderError, ProviderErrorCode
from app.core.spool import measure

KINDS = ("Inline data", "Files at the server", "Files at other hosts")
NAMED_HASH = "Declared sizes and hashes"


@dataclass(frozen=True, slots=True)
class Tried:
    """How fetching one attachment ended; `wrong` says how its bytes differ from what was declared."""

    reference: str
    problem: ProviderError | None = None
    declared: bool = False
    wrong: str = ""


async def lines(provider: Provider, base: httpx.URL, found: list[tuple[str, Attachment]], most: int) -> list[Line]:
    """Fetches at most so many of each kind."""
    group, made, all_tried = Group("Files"), list[Line](), list[Tried]()
    for kind in KINDS:
        ours = [it for it in found if _kind(it[1], base) == kind]
        tried = [await _try(provider, reference, attachment) for reference, attachment in ours[:most]]
        all_tried += tried
        made.append(_line(group, kind, tried, len(ours)))
    empty = [reference for reference, attachment in found if attachment.empty]
    complaint = f"attachments with neither data nor an address: {some(empty)}" if empty else ""
    return [
        *made,
        group.judge("No empty attachments", complaint, "each has data or an address", needed=True),
        _integrity(group, all_tried),
    ]


def _kind(attachment: Attachment, base: httpx.URL) -> str:
    if attachment.empty:
        return ""
    if attachment.data is not None:
        return KINDS[0]
    try:
        own = same_origin(httpx.URL(attachment.url), base)
    except (httpx.InvalidURL, ValueError):
        own = False
    return KINDS[1] if own else KINDS[2]


async def _try(provider: Provider, reference: str, attachment: Attachment) -> Tried:
    try:
        fetched = await provider.fetch(attachment)
    except ProviderError as error:
        return Tried(reference, error)
    measured = measure(fetched.content)
    fetched.close()
    wrong: list[str] = []
    if attachment.declared_size is not None and attachment.declared_size != measured.size:
        wrong.append(f"{attachment.declared_size} bytes were declared, {measured.size} came")
    if attachment.declared_sha1 and attachment.declared_sha1 != base64.b64encode(measured.sha1).decode():
        wrong.append("the bytes have another hash than declared")
    declared = attachment.declared_size is not None or bool(attachment.declared_sha1)
    return Tried(reference, None, declared, " and ".join(wrong))


def _line(group: Group, kind: str, tried: list[Tried], there: int) -> Line:
    if not tried:
        return group.skipped(kind, "not tried: no document that was listed has one")
    failed = [f"{it.reference}: {_words(it.problem)}" for it in tried if it.problem]
    if failed:
        return group.no(kind, f"{len(failed)} of {len(tried)} could not be had: {some(failed)}", needed=True)
    return group.yes(kind, f"{len(tried)} of {there} were fetched", needed=True)


def _words(problem: ProviderError) -> str:
    if problem.code is ProviderErrorCode.HOST_REFUSED:
        return f"{problem.detail} (allow it with --file-host)"
    return problem.detail


def _integrity(group: Group, tried: list[Tried]) -> Line:
    came = [it for it in tried if it.problem is None]
    declared = [it for it in came if it.declared]
    if wrong := [f"{it.reference}: {it.wrong}" for it in declared if it.wrong]:
        return group.no(NAMED_HASH, f"{len(wrong)} of {len(declared)} are wrong: {some(wrong)}")
    if not declared:
        return group.skipped(NAMED_HASH, "not tried: nothing that was fetched declares a size or a hash")
    return group.yes(NAMED_HASH, f"right for all {len(declared)} that declare one, of {len(came)} fetched")
