"""One exchange with a care platform's REST API: every way to fail translated into a `PlatformError`."""

import base64
import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import TypeVar

import httpx
import msgspec

from app.connectors.guard import AddressRefused
from app.connectors.http import Answer, Garbled, TooLarge, exchange, judge, retry_after
from app.connectors.platform.port import PlatformConnection, PlatformError, PlatformErrorCode
from app.connectors.platform.streaming import GAP, filled
from app.core.blobs import Stored
from app.core.gate import Closed, Outcome

CONNECT_SECONDS = 3.0
READ_SECONDS = 30.0
TOTAL_SECONDS = 120.0
ANSWER_BYTES = 8 * 1024 * 1024
MOST_NAMED = 10

Shape = TypeVar("Shape")

_BY_STATUS = {
    401: PlatformErrorCode.UNAUTHORIZED,
    403: PlatformErrorCode.UNAUTHORIZED,
    404: PlatformErrorCode.NOT_FOUND,
    408: PlatformErrorCode.TIMEOUT,
    413: PlatformErrorCode.TOO_LARGE,
    429: PlatformErrorCode.THROTTLED,
    507: PlatformErrorCode.FULL,
}


# What looks like the name of a field: a platform may put anything there, also what somebody has entered.
_FIELD = re.compile(r"[a-z_][A-Za-z0-9_.]{0,39}")

_DOWN = frozenset({PlatformErrorCode.UNREACHABLE, PlatformErrorCode.TIMEOUT, PlatformErrorCode.UNAVAILABLE})


class Problem(msgspec.Struct):
    """What the platform says when it refuses."""

    message: str | None = None
    errors: dict[str, object] | list[object] | str | None = None


class Exchange:
    """Requests to one platform. `creates` marks those that make something: a lost answer leaves them in doubt.
    `identity` are the headers by which the platform knows us; HTTP basic authentication where none are given."""

    def __init__(
        self, client: httpx.AsyncClient, connection: PlatformConnection, identity: Mapping[str, str] | None = None
    ) -> None:
        self._client = client
        self._gate = connection.gate
        self._base = connection.base_url.strip().rstrip("/")
        self._authorization = {**(identity or _basic(connection)), "Accept": "application/json"}

    async def get(self, path: str, **query: str) -> Answer:
        return await self._ours("GET", path, creates=False, params=query)

    async def post(
        self,
        path: str,
        body: object,
        headers: Mapping[str, str] | None = None,
        *,
        creates: bool = True,
        file: Stored | None = None,
    ) -> Answer:
        """`file` is what stands in the body where it says `streaming.GAP`."""
        encoded = msgspec.json.encode(body)
        content = encoded if file is None else filled(encoded, file)
        typed = {"Content-Type": "application/json", **(headers or {})}
        return await self._ours("POST", path, creates=creates, content=content, headers=typed)

    async def delete(self, path: str) -> Answer:
        return await self._ours("DELETE", path, creates=False)

    async def _ours(
        self,
        method: str,
        path: str,
        *,
        creates: bool,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        content: bytes | Stored | None = None,
    ) -> Answer:
        try:
            request = self._client.build_request(
                method,
                f"{self._base}{path}",
                headers={**self._authorization, **(headers or {}), **_length(content)},
                params=params or None,
                content=content.chunks() if isinstance(content, Stored) else content,
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise unsendable(error) from error
        answer = await self._through_gate(request, creates=creates)
        if problem := failure(answer, creates=creates):
            raise problem
        return answer

    async def upload(self, url: str, fields: Mapping[str, str], file: tuple[str, bytes | Stored, str]) -> Answer:
        """Posts a form to a storage address that the platform has signed, without our key. The file comes last: what
        follows it is not read there."""
        try:
            request = self._form(url, fields, *file)
        except (httpx.InvalidURL, ValueError, TypeError) as error:
            raise unsendable(error) from error
        if request.url.scheme == "http" and self._base.lower().startswith("https:"):
            raise PlatformError(
                PlatformErrorCode.BAD_RESPONSE, "the platform's storage would take the file unencrypted"
            )
        return await self._send(request, creates=False)

    def _form(
        self, url: str, fields: Mapping[str, str], filename: str, data: bytes | Stored, media_type: str
    ) -> httpx.Request:
        held = GAP.encode() if isinstance(data, Stored) else data
        request = self._client.build_request(
            "POST", url, data=dict(fields), files={"file": (filename, held, media_type)}
        )
        if not isinstance(data, Stored):
            return request
        body = filled(request.read(), data)
        headers = {"Content-Type": request.headers["content-type"], **_length(body)}
        return self._client.build_request("POST", url, headers=headers, content=body.chunks())

    async def _through_gate(self, request: httpx.Request, *, creates: bool) -> Answer:
        try:
            async with self._gate.passing() as passage:
                try:
                    answer = await self._send(request, creates=creates)
                except PlatformError as error:
                    if error.code in _DOWN:
                        passage.note(Outcome.FAILED)
                    raise
                problem = failure(answer, creates=creates)
                server_error = answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
                judge(passage, answer, failed=server_error and problem is not None and problem.code in _DOWN)
                return answer
        except Closed as closed:
            code = PlatformErrorCode.THROTTLED if closed.throttled else PlatformErrorCode.UNAVAILABLE
            raise PlatformError(code, str(closed), retry_after=closed.seconds, asked=False) from closed

    async def _send(self, request: httpx.Request, *, creates: bool) -> Answer:
        try:
            return await exchange(self._client, request, seconds=TOTAL_SECONDS, cap=ANSWER_BYTES)
        except (TooLarge, Garbled) as error:
            detail = "the platform's answer cannot be read"
            raise PlatformError(PlatformErrorCode.BAD_RESPONSE, detail, ambiguous=creates) from error
        except AddressRefused as error:
            raise PlatformError(PlatformErrorCode.ADDRESS_REFUSED, str(error)) from error
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


def _basic(connection: PlatformConnection) -> dict[str, str]:
    pair = base64.b64encode(f"{connection.username}:{connection.password}".encode()).decode("ascii")
    return {"Authorization": f"Basic {pair}"}


def _length(content: bytes | Stored | None) -> dict[str, str]:
    """Said beforehand also of what is sent piece by piece: storages take nothing of unknown length."""
    return {"Content-Length": str(content.size)} if isinstance(content, Stored) else {}


def unsendable(error: Exception) -> PlatformError:
    return PlatformError(PlatformErrorCode.REFUSED, f"the request cannot be sent ({type(error).__name__})")


def failure(answer: Answer, *, creates: bool) -> PlatformError | None:
    """What went wrong according to the answer.

    The detail names the status and fields only: the words of a platform may repeat a patient's data."""
    status = answer.status
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return None
    wait = retry_after(answer.headers)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and status not in _BY_STATUS:
        detail = f"the platform answered {status}"
        return PlatformError(PlatformErrorCode.UNAVAILABLE, detail, retry_after=wait, ambiguous=creates)
    if status < HTTPStatus.BAD_REQUEST:
        return PlatformError(PlatformErrorCode.BAD_RESPONSE, f"the platform answered {status}, which leads elsewhere")
    problem = _problem(answer)
    code = PlatformErrorCode.FULL if _is_full(problem) else _BY_STATUS.get(status, PlatformErrorCode.REFUSED)
    # A time-out in front of the platform says nothing about what happened behind it.
    in_doubt = creates and code is PlatformErrorCode.TIMEOUT
    detail = f"the platform answered {status}{f', {refused(_fields(problem))}' if _fields(problem) else ''}"
    return PlatformError(code, detail, retry_after=wait, ambiguous=in_doubt)


def refused(fields: Iterable[str]) -> str:
    """`refused: first_name, upload_url`. What does not look like the name of a field is left out."""
    named = [it for it in dict.fromkeys(fields) if _FIELD.fullmatch(it)][:MOST_NAMED]
    return f"refused: {', '.join(named)}" if named else "refused"


def _is_full(problem: Problem | None) -> bool:
    """Whether the platform names its quota as what is wrong, whatever status it gives that."""
    return "quota" in _fields(problem)


def _fields(problem: Problem | None) -> list[str]:
    """What the platform finds fault with."""
    return sorted(problem.errors) if problem and isinstance(problem.errors, dict) else []


def _problem(answer: Answer) -> Problem | None:
    try:
        return msgspec.json.decode(answer.body, type=Problem)
    except (ValueError, RecursionError):
        return None


def decode(answer: Answer, shape: type[Shape], *, creates: bool = False) -> Shape:
    """Raises `BAD_RESPONSE` for what is not of this shape, `REFUSED` where a success carries a complaint."""
    try:
        return msgspec.json.decode(answer.body, type=shape)
    except (ValueError, RecursionError) as error:
        problem = _problem(answer)
        if problem and ((problem.message or "").strip() or _fields(problem)):
            detail = f"the platform answered {answer.status}, {refused(_fields(problem))}"
            raise PlatformError(PlatformErrorCode.REFUSED, detail) from error
        detail = f"the platform answered {answer.status} with something unexpected"
        raise PlatformError(PlatformErrorCode.BAD_RESPONSE, detail, ambiguous=creates) from error
