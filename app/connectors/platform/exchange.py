"""One exchange with a care platform's REST API: every way to fail translated into a `PlatformError`."""

import base64
from collections.abc import Mapping
from http import HTTPStatus
from typing import TypeVar

import httpx
import msgspec

from app.connectors.http import Answer, Garbled, TooLarge, exchange, retry_after
from app.connectors.platform.port import PlatformConnection, PlatformError, PlatformErrorCode

CONNECT_SECONDS = 3.0
READ_SECONDS = 30.0
TOTAL_SECONDS = 120.0
ANSWER_BYTES = 8 * 1024 * 1024
LONGEST_MESSAGE = 300

Shape = TypeVar("Shape")

_BY_STATUS = {
    401: PlatformErrorCode.UNAUTHORIZED,
    403: PlatformErrorCode.UNAUTHORIZED,
    404: PlatformErrorCode.NOT_FOUND,
    408: PlatformErrorCode.TIMEOUT,
    413: PlatformErrorCode.TOO_LARGE,
    429: PlatformErrorCode.THROTTLED,
}


class Problem(msgspec.Struct):
    """What the platform says when it refuses."""

    message: str | None = None
    errors: dict[str, object] | list[object] | str | None = None


class Exchange:
    """Requests to one platform. `creates` marks those that make something: a lost answer leaves them in doubt."""

    def __init__(self, client: httpx.AsyncClient, connection: PlatformConnection) -> None:
        pair = base64.b64encode(f"{connection.username}:{connection.password}".encode()).decode("ascii")
        self._client = client
        self._base = connection.base_url.strip().rstrip("/")
        self._authorization = {"Authorization": f"Basic {pair}", "Accept": "application/json"}

    async def get(self, path: str, **query: str) -> Answer:
        return await self._ours("GET", path, creates=False, params=query)

    async def post(self, path: str, body: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Answer:
        content = msgspec.json.encode(body)
        typed = {"Content-Type": "application/json", **(headers or {})}
        return await self._ours("POST", path, creates=True, content=content, headers=typed)

    async def _ours(
        self,
        method: str,
        path: str,
        *,
        creates: bool,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Answer:
        try:
            request = self._client.build_request(
                method,
                f"{self._base}{path}",
                headers={**self._authorization, **(headers or {})},
                params=params or None,
                content=content,
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise unsendable(error) from error
        answer = await self._send(request, creates=creates)
        if problem := failure(answer, creates=creates):
            raise problem
        return answer

    async def upload(self, url: str, fields: Mapping[str, str], file: tuple[str, bytes, str]) -> Answer:
        """Posts a form to a storage address that the platform has signed, without our key. The file comes last: what
        follows it is not read there."""
        try:
            request = self._client.build_request("POST", url, data=dict(fields), files={"file": file})
        except (httpx.InvalidURL, ValueError, TypeError) as error:
            raise unsendable(error) from error
        return await self._send(request, creates=False)

    async def _send(self, request: httpx.Request, *, creates: bool) -> Answer:
        try:
            return await exchange(self._client, request, seconds=TOTAL_SECONDS, cap=ANSWER_BYTES)
        except (TooLarge, Garbled) as error:
            detail = "the platform's answer cannot be read"
            raise PlatformError(PlatformErrorCode.BAD_RESPONSE, detail, ambiguous=creates) from error
        except (httpx.ConnectTimeout, httpx.ConnectError) as error:
            detail = str(error) or "the platform did not take the connection in time"
            raise PlatformError(PlatformErrorCode.UNREACHABLE, detail) from error
        except (httpx.TimeoutException, TimeoutError) as error:
            detail = "the platform took too long to answer"
            raise PlatformError(PlatformErrorCode.TIMEOUT, detail, ambiguous=creates) from error
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL, ValueError) as error:
            raise unsendable(error) from error
        except (httpx.HTTPError, OSError) as error:
            detail = f"the connection broke ({type(error).__name__})"
            raise PlatformError(PlatformErrorCode.UNREACHABLE, detail, ambiguous=creates) from error


def unsendable(error: Exception) -> PlatformError:
    return PlatformError(PlatformErrorCode.REFUSED, f"the request cannot be sent ({type(error).__name__})")


def failure(answer: Answer, *, creates: bool) -> PlatformError | None:
    """What went wrong according to the answer, with the platform's own words where it refuses."""
    status = answer.status
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return None
    wait = retry_after(answer.headers)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        detail = f"the platform answered {status}"
        return PlatformError(PlatformErrorCode.UNAVAILABLE, detail, retry_after=wait, ambiguous=creates)
    if status < HTTPStatus.BAD_REQUEST:
        return PlatformError(PlatformErrorCode.BAD_RESPONSE, f"the platform answered {status}, which leads elsewhere")
    code = _BY_STATUS.get(status, PlatformErrorCode.REFUSED)
    said = words(answer)
    # A time-out in front of the platform says nothing about what happened behind it.
    in_doubt = creates and code is PlatformErrorCode.TIMEOUT
    detail = f"the platform answered {status}{f': {said}' if said else ''}"
    return PlatformError(code, detail, retry_after=wait, ambiguous=in_doubt)


def words(answer: Answer) -> str:
    """The platform's message and the fields that it names; empty where it says nothing."""
    try:
        problem = msgspec.json.decode(answer.body, type=Problem)
    except (ValueError, RecursionError):
        return ""
    said = problem.message or ""
    if isinstance(problem.errors, dict) and problem.errors:
        named = "; ".join(f"{field} {text}" for field, text in sorted(problem.errors.items()))
        said = f"{said} ({named})" if said else named
    return " ".join(said.split())[:LONGEST_MESSAGE]


def decode(answer: Answer, shape: type[Shape], *, creates: bool = False) -> Shape:
    """Raises `BAD_RESPONSE` for what is not of this shape, `REFUSED` where a success carries a complaint."""
    try:
        return msgspec.json.decode(answer.body, type=shape)
    except (ValueError, RecursionError) as error:
        if said := words(answer):
            detail = f"the platform answered {answer.status}: {said}"
            raise PlatformError(PlatformErrorCode.REFUSED, detail) from error
        detail = f"the platform answered {answer.status} with something unexpected"
        raise PlatformError(PlatformErrorCode.BAD_RESPONSE, detail, ambiguous=creates) from error
