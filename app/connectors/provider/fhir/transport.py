"""One exchange with the server: its limits, and every way to fail translated into a `ProviderError`."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import TypeVar

import httpx
import msgspec

from app.connectors.guard import AddressRefused
from app.connectors.http import Answer, Garbled, Room, TooLarge, exchange, judge, origin, retry_after
from app.connectors.provider.fhir.resources import Issue, OperationOutcome
from app.connectors.provider.port import Limits, ProviderError, ProviderErrorCode
from app.core.gate import OPEN, Closed, Gate, Outcome

FHIR_JSON = "application/fhir+json"

Shape = TypeVar("Shape")

_OUTCOME_LOOK = 64 * 1024

# R4, value set issue-type. Where one of these is named it decides, whatever the status says.
_BY_ISSUE = {
    "throttled": ProviderErrorCode.THROTTLED,
    "transient": ProviderErrorCode.UNAVAILABLE,
    "lock-error": ProviderErrorCode.UNAVAILABLE,
    "no-store": ProviderErrorCode.UNAVAILABLE,
    "timeout": ProviderErrorCode.TIMEOUT,
    "login": ProviderErrorCode.UNAUTHORIZED,
    "expired": ProviderErrorCode.UNAUTHORIZED,
    "forbidden": ProviderErrorCode.FORBIDDEN,
    "deleted": ProviderErrorCode.GONE,
    "not-found": ProviderErrorCode.NOT_FOUND,
    "not-supported": ProviderErrorCode.NOT_SUPPORTED,
}

_BY_STATUS = {
    401: ProviderErrorCode.UNAUTHORIZED,
    403: ProviderErrorCode.FORBIDDEN,
    404: ProviderErrorCode.NOT_FOUND,
    405: ProviderErrorCode.NOT_SUPPORTED,
    408: ProviderErrorCode.TIMEOUT,
    410: ProviderErrorCode.GONE,
    429: ProviderErrorCode.THROTTLED,
    501: ProviderErrorCode.NOT_SUPPORTED,
}


# What a failed exchange says about the connection. The rest says nothing: it was never sent, or it is about our own rules.
_WITHOUT_ANSWER = {
    ProviderErrorCode.UNREACHABLE: Outcome.FAILED,
    ProviderErrorCode.TIMEOUT: Outcome.FAILED,
    ProviderErrorCode.TOO_LARGE: Outcome.WELL,
}


def bad_response(detail: str) -> ProviderError:
    return ProviderError(ProviderErrorCode.BAD_RESPONSE, detail)


def same_origin(url: httpx.URL, base: httpx.URL) -> bool:
    """An address with a user name in it never is: httpx would send that instead of our own authorisation."""
    return origin(url) == origin(base) and not url.userinfo


def resolve(base: httpx.URL, link: str) -> httpx.URL:
    """A link of the provider's, relative ones below the base."""
    try:
        return httpx.URL(f"{base}/").join(link.strip())
    except (httpx.InvalidURL, ValueError) as error:
        raise bad_response("a link is not an address") from error


class Transport:
    """Sends requests as they are, without any authorisation of its own, through the gate of the connection."""

    def __init__(self, client: httpx.AsyncClient, limits: Limits, gate: Gate = OPEN) -> None:
        self._client = client
        self._limits = limits
        self._gate = gate

    async def send(
        self,
        method: str,
        url: httpx.URL,
        headers: Mapping[str, str],
        *,
        cap: int | Room,
        content: bytes | None = None,
        elsewhere: bool = False,
    ) -> Answer:
        """The answer, whatever its status. Raises `ProviderError` where there is none. What is `elsewhere` says nothing
        about the connection, and the connection nothing about it."""
        try:
            async with (OPEN if elsewhere else self._gate).passing() as passage:
                try:
                    answer = await self._exchange(method, url, headers, cap, content)
                except ProviderError as error:
                    if error.code in _WITHOUT_ANSWER:
                        passage.note(_WITHOUT_ANSWER[error.code])
                    raise
                judge(passage, answer, failed=_is_down(answer))
                return answer
        except Closed as closed:
            code = ProviderErrorCode.THROTTLED if closed.throttled else ProviderErrorCode.UNAVAILABLE
            raise ProviderError(code, str(closed), retry_after=closed.seconds, asked=False) from closed

    async def _exchange(
        self, method: str, url: httpx.URL, headers: Mapping[str, str], cap: int | Room, content: bytes | None
    ) -> Answer:
        try:
            request = self._client.build_request(method, url, headers=headers, content=content)
            return await exchange(self._client, request, seconds=self._limits.total_seconds, cap=cap)
        except TooLarge as error:
            raise ProviderError(ProviderErrorCode.TOO_LARGE, str(error)) from error
        except Garbled as error:
            raise bad_response(str(error)) from error
        except AddressRefused as error:
            raise ProviderError(ProviderErrorCode.ADDRESS_REFUSED, str(error)) from error
        except (httpx.ConnectTimeout, httpx.ConnectError) as error:
            detail = str(error) or "the server did not take the connection in time"
            raise ProviderError(ProviderErrorCode.UNREACHABLE, detail) from error
        except (httpx.TimeoutException, TimeoutError) as error:
            raise ProviderError(ProviderErrorCode.TIMEOUT, "the server took too long to answer") from error
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL, ValueError) as error:
            raise bad_response(f"the request cannot be sent ({type(error).__name__})") from error
        except (httpx.HTTPError, OSError) as error:
            # A redirect to what is no address ends here too: httpx reads it before we do.
            detail = f"the connection broke ({type(error).__name__})"
            raise ProviderError(ProviderErrorCode.UNREACHABLE, detail) from error


def issues(answer: Answer) -> list[Issue]:
    """What an OperationOutcome says; empty where the answer is none."""
    if not answer.body or len(answer.body) > _OUTCOME_LOOK or b"OperationOutcome" not in answer.body:
        return []
    try:
        outcome = msgspec.json.decode(answer.body, type=OperationOutcome)
    except (ValueError, RecursionError):
        return []
    return (outcome.issue or [Issue()]) if outcome.resource_type == "OperationOutcome" else []


def failure(answer: Answer) -> ProviderError | None:
    """What went wrong according to the answer, or None. A success that carries an OperationOutcome is a failure too.

    The detail names codes only: the words of a server may hold a patient's data."""
    found = issues(answer)
    if answer.status == HTTPStatus.OK and not found:
        return None
    named = [issue.code for issue in found if issue.code]
    code = next((_BY_ISSUE[name] for name in named if name in _BY_ISSUE), None) or _by_status(answer.status)
    says = f" with OperationOutcome {', '.join(_word(name) for name in named[:3])}" if named else ""
    turned = " and leads to another address" if answer.headers.get("location") else ""
    return ProviderError(code, f"the server answered {answer.status}{says}{turned}", retry_after=_wait(answer))


def _is_down(answer: Answer) -> bool:
    """Whether the server could not do its part; a 500 around «deleted» is an answer like any other."""
    if answer.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return False
    problem = failure(answer)
    return problem is not None and problem.code in (ProviderErrorCode.UNAVAILABLE, ProviderErrorCode.TIMEOUT)


def _by_status(status: int) -> ProviderErrorCode:
    fallback = ProviderErrorCode.UNAVAILABLE if status >= HTTPStatus.INTERNAL_SERVER_ERROR else None
    return _BY_STATUS.get(status) or fallback or ProviderErrorCode.BAD_RESPONSE


def _wait(answer: Answer) -> float | None:
    return retry_after(answer.headers) if answer.status >= HTTPStatus.BAD_REQUEST else None


def _word(code: str) -> str:
    return "".join(letter for letter in code[:30] if letter.isascii() and (letter.isalnum() or letter == "-"))


def decode(answer: Answer, shape: type[Shape], expected: str) -> Shape:
    """A successful answer's JSON. Raises `BAD_RESPONSE` for HTML, for cut or endlessly nested JSON, for the rest."""
    body = answer.body.removeprefix(b"\xef\xbb\xbf")
    if answer.media_type == "text/html" or body[:64].lstrip()[:1] == b"<":
        raise bad_response(f"markup instead of {expected}: a login page, or not a FHIR address")
    try:
        value = msgspec.json.decode(body, type=shape)
    except (ValueError, RecursionError) as error:
        raise bad_response(f"no {expected}: {explain(error)}") from error
    if getattr(value, "resource_type", expected) != expected:
        raise bad_response(f"another resource instead of {expected}")
    return value


def explain(error: Exception) -> str:
    """An error of decoding in words that repeat none of the data."""
    if isinstance(error, msgspec.MsgspecError):
        return str(error)
    if isinstance(error, UnicodeError):
        return "text that is not UTF-8"
    return "JSON that is nested too deeply" if isinstance(error, RecursionError) else "a value out of bounds"
