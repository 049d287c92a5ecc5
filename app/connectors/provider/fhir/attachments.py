"""An attachment's bytes: from the resource, from the server itself, or from a host that the connection allows."""

import httpx
import msgspec

from app.connectors.http import Answer, origin
from app.connectors.provider.fhir.auth import Session
from app.connectors.provider.fhir.mapping import Unfit, inline, line
from app.connectors.provider.fhir.resources import Binary
from app.connectors.provider.fhir.transport import bad_response, failure, resolve, same_origin
from app.connectors.provider.port import Attachment, Fetched, ProviderError, ProviderErrorCode

MAX_REDIRECTS = 5

_REDIRECTS = (301, 302, 303, 307, 308)
_JSON = ("application/fhir+json", "application/json+fhir", "application/json")
# What JSON around a Binary's base64 adds to its bytes.
_ENVELOPE = 64 * 1024


async def fetch(session: Session, attachment: Attachment, file_hosts: frozenset[str]) -> Fetched:
    """Raises `HOST_REFUSED`, `TOO_LARGE`, `NOT_FOUND`, `GONE` and whatever else an exchange may end in."""
    limit = session.limits.attachment_bytes
    if attachment.data is not None:
        return _bounded(Fetched(attachment.data, attachment.content_type), limit)
    if not attachment.url:
        raise ProviderError(ProviderErrorCode.NOT_FOUND, "the attachment has neither data nor an address")
    answer = await _follow(session, _parse(attachment.url), file_hosts, limit * 4 // 3 + _ENVELOPE)
    return _bounded(_unwrap(answer, attachment), limit)


async def _follow(session: Session, url: httpx.URL, file_hosts: frozenset[str], cap: int) -> Answer:
    for _ in range(MAX_REDIRECTS + 1):
        answer = await _ask(session, url, file_hosts, cap)
        location = _leads_to(answer)
        if not location:
            return answer
        try:
            url = url.join(location)
        except (httpx.InvalidURL, ValueError) as error:
            raise bad_response("a redirect leads to no address") from error
    raise bad_response(f"more than {MAX_REDIRECTS} redirects")


def _leads_to(answer: Answer) -> str:
    return answer.headers.get("location", "") if answer.status in _REDIRECTS else ""


async def _ask(session: Session, url: httpx.URL, file_hosts: frozenset[str], cap: int) -> Answer:
    if same_origin(url, session.base):
        answer = await session.ask(url, "*/*", cap=cap)
        problem = None if _leads_to(answer) else failure(answer)
    else:
        _check_host(url, file_hosts)
        answer = await session.transport.send("GET", url, {"Accept": "*/*"}, cap=cap)
        problem = None if _leads_to(answer) else _elsewhere(answer)
    if problem:
        raise problem
    return answer


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


def _check_host(url: httpx.URL, file_hosts: frozenset[str]) -> None:
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
    media_type = answer.media_type
    if media_type in _JSON and (binary := _binary(answer.body)):
        try:
            return Fetched(inline(binary.data) or b"", line(binary.content_type))
        except Unfit as error:
            raise bad_response(f"a Binary with {error}") from error
    if media_type == "text/html" and _never_markup(attachment.content_type) and _markup(answer.body):
        raise bad_response("a web page instead of the attachment: a login page, perhaps")
    return Fetched(answer.body, answer.content_type)


def _binary(body: bytes) -> Binary | None:
    """A server may answer with the resource although the bytes were asked for (R4 3.1.0.1.7)."""
    try:
        found = msgspec.json.decode(body, type=Binary)
    except (ValueError, RecursionError):
        return None
    return found if found.resource_type == "Binary" else None


def _never_markup(declared: str) -> bool:
    return bool(declared) and "html" not in declared.lower() and "xml" not in declared.lower()


def _markup(body: bytes) -> bool:
    return body[:512].lstrip(b"\xef\xbb\xbf \t\r\n")[:5].lower() in (b"<!doc", b"<html", b"<head", b"<body")


def _bounded(fetched: Fetched, limit: int) -> Fetched:
    if len(fetched.data) > limit:
        raise ProviderError(ProviderErrorCode.TOO_LARGE, f"the attachment is larger than {limit} bytes")
    return fetched
