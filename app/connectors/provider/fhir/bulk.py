"""Bulk exports of a FHIR R4 server (HL7 Bulk Data Access 2.0: kick-off, status, files, deletion)."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import httpx
import msgspec

from app.connectors.guard import Resolver, look_up
from app.connectors.http import Answer, Room, open_client, retry_after
from app.connectors.provider.bulk import BulkProvider, ExportFile, Line, Manifest, Waiting
from app.connectors.provider.fhir import attachments, mapping
from app.connectors.provider.fhir.auth import Session
from app.connectors.provider.fhir.client import RESOURCE_TYPES, USER_AGENT, base_url
from app.connectors.provider.fhir.resources import Issue, Lenient, Link, OperationOutcome, Reference
from app.connectors.provider.fhir.search import instant
from app.connectors.provider.fhir.transport import (
    FHIR_JSON,
    Transport,
    bad_response,
    decode,
    explain,
    failure,
    resolve,
    same_origin,
)
from app.connectors.provider.port import Connection, Entry, ProviderError, ProviderErrorCode, Unreadable
from app.core.spool import Spool

NDJSON = "application/fhir+ndjson"
FILE_SECONDS = 1800.0
FILE_BYTES = 4 * 1024**3
"""What one file of an export may take."""
MOST_FILES = 10_000
MOST_LINES = 5_000_000
BLOCK_LINES = 500
"""Lines that are read from the disk at once, if they are short."""
BLOCK_BYTES = 1024 * 1024

_REDIRECTS = (301, 302, 303, 307, 308)
_GONE = (ProviderErrorCode.NOT_FOUND, ProviderErrorCode.GONE)
_HARMLESS = ("information", "warning", "success")


class _File(Lenient):
    type: str | None = None
    url: str | None = None
    count: object = None


class _Manifest(Lenient):
    """STU 4 calls `error` `outcome`, and leaves out a file's `type` where it holds several."""

    transaction_time: str | None = None
    requires_access_token: bool | None = None
    output: list[_File] | None = None
    deleted: list[_File] | None = None
    error: list[_File] | None = None
    outcome: list[_File] | None = None
    link: list[Link] | None = None


class _About(Lenient):
    resource_type: str | None = None
    id: str | None = None
    subject: Reference | None = None


class _Request(Lenient):
    method: str | None = None
    url: str | None = None


class _Deletion(Lenient):
    request: _Request | None = None


class _Deletions(Lenient):
    resource_type: str | None = None
    entry: list[_Deletion] | None = None


class FhirBulk:
    """`BulkProvider` over FHIR R4. `files` fetches what takes longer than an answer may."""

    def __init__(self, connection: Connection, session: Session, files: Transport) -> None:
        self._connection = connection
        self._session = session
        self._files = files
        self._hosts = attachments.allowed(connection.file_hosts)
        spool = connection.spool or Spool(Path(tempfile.gettempdir()))
        # NDJSON is read line by line, and so has no need to be small.
        self._room = Room(FILE_BYTES, FILE_BYTES, spool)

    async def export_start(self, group_id: str, since: datetime | None) -> str:
        if group_id and not mapping.valid_id(group_id):
            raise ProviderError(ProviderErrorCode.NOT_FOUND, "the group's id is none that a FHIR server could have")
        url = resolve(self._session.base, f"Group/{group_id}/$export" if group_id else "Patient/$export")
        query = {"_outputFormat": NDJSON, "_type": ",".join(RESOURCE_TYPES)}
        if since is not None:
            query["_since"] = instant(since)
        cap, headers = self._session.limits.page_bytes, {"Prefer": "respond-async"}
        answer = await self._session.ask(url.copy_merge_params(query), FHIR_JSON, cap=cap, headers=headers)
        if answer.status != HTTPStatus.ACCEPTED:
            raise failure(answer) or bad_response("the server answered an export with something else")
        address = answer.headers.get("content-location", "").strip()
        if not address:
            raise bad_response("the server began an export without an address to ask how it stands")
        found = resolve(self._session.base, address)
        self._check(found)
        return str(found)

    async def export_status(self, address: str) -> Waiting | Manifest:
        answer = await self._ask("GET", address)
        if answer.status == HTTPStatus.ACCEPTED:
            return Waiting(retry_after(answer.headers), mapping.line(answer.headers.get("x-progress"))[:100])
        if problem := failure(answer):
            raise problem
        return self._manifest(decode(answer, _Manifest, "manifest"))

    async def export_cancel(self, address: str) -> None:
        answer = await self._ask("DELETE", address)
        if answer.status in (HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT):
            return
        problem = failure(answer)
        if problem is not None and problem.code not in _GONE:
            raise problem

    async def export_lines(self, url: str, *, token: bool) -> AsyncGenerator[Line]:
        answer = await self._fetch(resolve(self._session.base, url), token=token)
        file = answer.file
        try:
            source: BinaryIO = BytesIO(answer.body) if file is None else await asyncio.to_thread(file.path.open, "rb")
            with closing(source):
                lines = read_lines(source, self._session.limits.page_bytes)
                while block := await asyncio.to_thread(_block, lines):
                    for line in block:
                        yield line
        finally:
            if file is not None:
                file.close()

    async def _ask(self, method: str, address: str) -> Answer:
        """An exchange about the export itself. At another origin that the connection allows, without our credentials."""
        url, cap = resolve(self._session.base, address), self._session.limits.page_bytes
        if same_origin(url, self._session.base):
            return await self._session.ask(url, "application/json", cap=cap, method=method)
        self._check(url)
        return await self._session.transport.send(method, url, {"Accept": "application/json"}, cap=cap, elsewhere=True)

    async def _fetch(self, url: httpx.URL, *, token: bool) -> Answer:
        for _ in range(attachments.MAX_REDIRECTS + 1):
            self._check(url)
            answer = await self._get(url, token=token)
            location = answer.headers.get("location", "") if answer.status in _REDIRECTS else ""
            if not location:
                return _checked(answer, here=same_origin(url, self._session.base))
            target = _joined(url, location)
            if url.scheme == "https" and target.scheme == "http":
                raise ProviderError(ProviderErrorCode.HOST_REFUSED, "a redirect leads from https to http")
            url = target
        raise bad_response(f"more than {attachments.MAX_REDIRECTS} redirects")

    async def _get(self, url: httpx.URL, *, token: bool) -> Answer:
        here = same_origin(url, self._session.base)
        header = await self._session.credentials.header() if token and here else ""
        answer = await self._send(url, header, here=here)
        if header and answer.status == HTTPStatus.UNAUTHORIZED and await self._session.credentials.renew(header):
            return await self._send(url, await self._session.credentials.header(), here=here)
        return answer

    async def _send(self, url: httpx.URL, header: str, *, here: bool) -> Answer:
        headers = {"Accept": NDJSON} | ({"Authorization": header} if header else {})
        return await self._files.send("GET", url, headers, cap=self._room, elsewhere=not here)

    def _check(self, url: httpx.URL) -> None:
        if not same_origin(url, self._session.base):
            attachments.check_host(url, self._hosts)

    def _manifest(self, found: _Manifest) -> Manifest:
        time = mapping.moment(found.transaction_time)
        if time is None or found.output is None:
            raise bad_response("a manifest without transactionTime or output")
        parts = (found.output, found.deleted or [], [*(found.error or []), *(found.outcome or [])])
        if sum(map(len, parts)) > MOST_FILES:
            raise ProviderError(ProviderErrorCode.TOO_LARGE, f"an export of more than {MOST_FILES} files")
        output, deleted, errors = (tuple(self._file(it) for it in part) for part in parts)
        partial = any(it.relation == "next" for it in found.link or ())
        return Manifest(time, found.requires_access_token is not False, output, deleted, errors, partial)

    def _file(self, found: _File) -> ExportFile:
        if not found.url:
            raise bad_response("a manifest with a file that has no address")
        count = found.count if isinstance(found.count, int) and found.count >= 0 else None
        return ExportFile(str(resolve(self._session.base, found.url)), mapping.line(found.type), count)


def _joined(url: httpx.URL, location: str) -> httpx.URL:
    try:
        return url.join(location)
    except (httpx.InvalidURL, ValueError) as error:
        raise bad_response("a redirect leads to no address") from error


def _checked(answer: Answer, *, here: bool) -> Answer:
    """What is 200 and no web page is a file, also where it holds an OperationOutcome."""
    if answer.status == HTTPStatus.OK and answer.media_type != "text/html":
        return answer
    if answer.file is not None:
        answer.file.close()
    problem = failure(answer) or bad_response("a web page instead of a file: a login page, perhaps")
    if problem.code is ProviderErrorCode.UNAUTHORIZED and not here:
        # No token of ours was sent there, so that the connection's credentials are not in question.
        problem = ProviderError(ProviderErrorCode.FORBIDDEN, problem.detail)
    raise problem


def read_lines(source: BinaryIO, limit: int) -> Iterator[Line]:
    """Lines that are not empty. Of one that is longer than `limit` no more than that is held. Raises `TOO_LARGE` for too many."""
    number = 0
    while piece := source.readline(limit + 1):
        number += 1
        if number > MOST_LINES:
            raise ProviderError(ProviderErrorCode.TOO_LARGE, f"a file of more than {MOST_LINES} lines")
        if len(piece) > limit and not piece.endswith(b"\n"):
            while (rest := source.readline(limit)) and not rest.endswith(b"\n"):
                continue
            yield Line(number, None)
        elif piece := piece.strip():
            yield Line(number, piece)


def _block(lines: Iterator[Line]) -> list[Line]:
    found: list[Line] = []
    size = 0
    for line in lines:
        found.append(line)
        size += len(line.data or b"")
        if len(found) >= BLOCK_LINES or size >= BLOCK_BYTES:
            break
    return found


def about(line: bytes, base: str) -> tuple[str, str]:
    """The reference of a line's resource (`DocumentReference/1`) and whom it is about (`Patient/1`; empty where it names nobody).

    Raises ValueError or RecursionError, in words that repeat none of the data."""
    try:
        found = msgspec.json.decode(line, type=_About)
    except (ValueError, RecursionError) as error:
        raise ValueError(explain(error)) from error
    if not found.resource_type or not mapping.valid_id(found.id):
        raise ValueError("no usable type or id")
    subject = mapping.relative(found.subject.reference if found.subject else None, httpx.URL(base))
    return f"{mapping.line(found.resource_type)}/{found.id}", subject


def deletions(line: bytes, base: str) -> list[str]:
    """The references that a line of a manifest's `deleted` names. Raises ValueError."""
    try:
        found = msgspec.json.decode(line, type=_Deletions)
    except (ValueError, RecursionError) as error:
        raise ValueError(explain(error)) from error
    if found.resource_type != "Bundle":
        raise ValueError("no Bundle of deletions")
    requests = [it.request for it in found.entry or () if it.request]
    return [mapping.relative(it.url, httpx.URL(base)) for it in requests if it.method == "DELETE" and it.url]


def complaints(line: bytes) -> list[str]:
    """The codes of the errors that a line of a manifest's `error` tells of: what the server could not export."""
    try:
        found = msgspec.json.decode(line, type=OperationOutcome)
    except (ValueError, RecursionError) as error:
        return [explain(error)]
    issues = found.issue or [Issue()]
    return [mapping.line(it.code)[:30] or "no reason" for it in issues if it.severity not in _HARMLESS]


def entry(line: bytes, reference: str, base: str) -> Entry | Unreadable:
    """A line as a page would show it."""
    try:
        return mapping.entry(msgspec.json.decode(line, type=dict[str, object]), httpx.URL(base))
    except (ValueError, RecursionError, OverflowError) as error:
        return Unreadable(reference, str(error) if isinstance(error, mapping.Unfit) else explain(error))


@asynccontextmanager
async def connect(connection: Connection, *, resolver: Resolver = look_up) -> AsyncGenerator[BulkProvider]:
    """Opens a provider for exports; nothing is sent yet. Raises `ProviderError` for an address that is none."""
    base, limits = base_url(connection.base_url), connection.limits
    async with open_client(
        connect_seconds=limits.connect_seconds,
        read_seconds=limits.read_seconds,
        user_agent=USER_AGENT,
        allow=connection.networks,
        resolver=resolver,
    ) as client:
        session = Session(connection, base, Transport(client, limits, connection.gate))
        patient = replace(limits, total_seconds=FILE_SECONDS)
        yield FhirBulk(connection, session, Transport(client, patient, connection.gate))
