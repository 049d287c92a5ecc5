"""An attachment's bytes: from the resource, from the server itself, or from a host that the connection allows."""

import asyncio

import httpx
import msgspec

from app.connectors.http import Answer, Room, origin
from app.connectors.provider.fhir.auth import Session
from app.connectors.provider.fhir.binary import unwrap
from app.connectors.provider.fhir.mapping import Unfit, inline, line
from app.connectors.provider.fhir.resources import Binary
from app.connectors.provider.fhir.transport import bad_response, explain, failure, resolve, same_origin
from app.connectors.provider.port import Attachment, Fetched, Limits, ProviderError, ProviderErrorCode
from app.core.spool import Spool, Spooled

MAX_REDIRECTS = 5
MAX_JSON = 16 * 1024 * 1024
"""Bytes of a file that comes as JSON: it has to be decoded whole."""

_REDIRECTS = (301, 302, 303, 307, 308)
_JSON = ("application/fhir+json", "application/json+fhir", "application/json")
# What JSON around a Binary's base64 adds to its bytes.
_ENVELOPE = 64 * 1024


def room(limits: Limits, spool: Spool) -> Room:
    """What `fetch` takes of an answer."""
    return Room(limits.attachment_bytes, min(limits.attachment_bytes * 4 // 3 + _ENVELOPE, MAX_JSON), spool)


async def fetch(session: Session, attachment: Attachment, file_hosts: frozenset[str], room: Room) -> Fetched:
    """Raises `HOST_REFUSED`, `TOO_LARGE`, `NOT_FOUND`, `GONE` and whatever else an exchange may end in."""
    limit = session.limits.attachment_bytes
    if attachment.data is not None:
        return _bounded(Fetched(attachment.data, attachment.content_type), limit)
    if not attachment.url:
        raise ProviderError(ProviderErrorCode.NOT_FOUND, "the attachment has neither data nor an address")
    answer = await _follow(session, _parse(attachment.url), file_hosts, room)
    if answer.file is None:
        return _bounded(_unwrap(answer, attachment), limit)
    try:
        return _bounded(await _unwrap_large(answer, answer.file, attachment, room.spool), limit)
    except BaseException:
        answer.file.close()
        raise


async def _follow(session: Session, url: httpx.URL, file_hosts: frozenset[str], room: Room) -> Answer:
    for _ in range(MAX_REDIRECTS + 1):
        answer = await _ask(session, url, file_hosts, room)
        location = _leads_to(answer)
        if not location:
            return answer
        try:
            target = url.join(location)
        except (httpx.InvalidURL, ValueError) as error:
            raise bad_response("a redirect leads to no address") from error
        if url.scheme == "https" and target.scheme == "http":
            raise _host_refused("a redirect leads from https to http")
        url = target
    raise bad_response(f"more than {MAX_REDIRECTS} redirects")


def _leads_to(answer: Answer) -> str:
    return answer.headers.get("location", "") if answer.status in _REDIRECTS else ""


async def _ask(session: Session, url: httpx.URL, file_hosts: frozenset[str], room: Room) -> Answer:
    if same_origin(url, session.base):
        answer = await session.ask(url, "*/*", cap=room)
        problem = None if _leads_to(answer) else failure(answer)
    else:
        check_host(url, file_hosts)
        answer = await _send_elsewhere(session, url, room)
        problem = None if _leads_to(answer) else _elsewhere(answer)
    if problem:
        raise problem
    return answer


async def _send_elsewhere(session: Session, url: httpx.URL, room: Room) -> Answer:
    try:
        return await session.transport.send("GET", url, {"Accept": "*/*"}, cap=room, elsewhere=True)
    except ProviderError as error:
        if error.code is ProviderErrorCode.ADDRESS_REFUSED:
            raise _host_refused(error.detail) from error
        raise


def _elsewhere(answer: Answer) -> ProviderError | None:
    problem = failure(answer)
    if problem and problem.code is ProviderErrorCode.UNAUTHORIZED:
        # No token of ours was sent there, so that the connection's credentials are not in question.
        return ProviderError(ProviderErrorCode.FORBIDDEN, problem.detail)
    return problem


def _parse(address: str) -> httpx.URL:
    try:
        return httpx.URL(address)
    except (httpx.InvalidURL, ValueError) as error:
        raise _host_refused("the attachment's address is none") from error


def check_host(url: httpx.URL, file_hosts: frozenset[str]) -> None:
    """Raises `HOST_REFUSED` where an address of another origin is none that the connection allows."""
    if url.scheme not in ("http", "https") or not url.host:
        raise _host_refused("the attachment's address is neither http nor https")
    if url.userinfo:
        raise _host_refused("the attachment's address carries a user name")
    if (place := host_port(url)) not in file_hosts:
        raise _host_refused(f"{place} is not among the hosts that attachments may lie at")


def _host_refused(detail: str) -> ProviderError:
    return ProviderError(ProviderErrorCode.HOST_REFUSED, detail)


def host_port(url: httpx.URL) -> str:
    _, host, port = origin(url)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def allowed(file_hosts: tuple[str, ...]) -> frozenset[str]:
    """The list as `host_port` writes it. One without a port means 443. Raises `BAD_RESPONSE` for what is no host."""
    return frozenset(host_port(resolve(httpx.URL("https://host"), f"https://{item.strip()}")) for item in file_hosts)


def _unwrap(answer: Answer, attachment: Attachment) -> Fetched:
    if answer.media_type in _JSON and (binary := _binary(answer.body, attachment)):
        try:
            return Fetched(inline(binary.data) or b"", line(binary.content_type))
        except Unfit as error:
            raise bad_response(f"a Binary with {error}") from error
    _check_markup(answer, attachment)
    return Fetched(answer.body, answer.content_type)


async def _unwrap_large(answer: Answer, file: Spooled, attachment: Attachment, spool: Spool) -> Fetched:
    if answer.media_type in _JSON:
        try:
            async with spool.in_memory:
                found = await asyncio.to_thread(unwrap, file, spool)
        except Unfit as error:
            raise bad_response(f"a Binary with {error}") from error
        except (ValueError, RecursionError) as error:
            _check_json(error, attachment)
            found = None
        if found is not None:
            file.close()
            return Fetched(b"", found[1], found[0])
    _check_markup(answer, attachment)
    return Fetched(b"", answer.content_type, file)


def _binary(body: bytes, attachment: Attachment) -> Binary | None:
    """A server may answer with the resource although the bytes were asked for (R4 3.1.0.1.7)."""
    try:
        found = msgspec.json.decode(body, type=Binary)
    except (ValueError, RecursionError) as error:
        _check_json(error, attachment)
        return None
    return found if found.resource_type == "Binary" else None


def _check_json(error: Exception, attachment: Attachment) -> None:
    """What was announced as JSON and is none may be the document all the same, where that was to be JSON."""
    declared = attachment.content_type.lower()
    if declared and "json" not in declared:
        raise bad_response(f"no Binary: {explain(error)}") from error


def _check_markup(answer: Answer, attachment: Attachment) -> None:
    if answer.media_type == "text/html" and _never_markup(attachment.content_type) and _markup(answer.head(512)):
        raise bad_response("a web page instead of the attachment: a login page, perhaps")


def _never_markup(declared: str) -> bool:
    return bool(declared) and "html" not in declared.lower() and "xml" not in declared.lower()


def _markup(head: bytes) -> bool:
    return head.lstrip(b"\xef\xbb\xbf \t\r\n")[:5].lower() in (b"<!doc", b"<html", b"<head", b"<body")


def _bounded(fetched: Fetched, limit: int) -> Fetched:
    size = len(fetched.data) if fetched.file is None else fetched.file.size
    if size > limit:
        fetched.close()
        raise ProviderError(ProviderErrorCode.TOO_LARGE, f"the attachment is larger than {limit} bytes")
    return fetched
