"""Bulk Data `$export` (http://hl7.org/fhir/uv/bulkdata) of a group's patients, or of all: kick-off, polling, manifest, NDJSON.

An export is a snapshot: its files show the versions of its `transactionTime`, whatever happens later. It lives in memory and is gone
with the process. `POST /control/exports` changes how exports are done from then on; `GET` shows it:
`{"polls": 1, "retry_after": 1, "lines": 1000, "token": true, "seconds": 3600}`: after how many polls one is complete, how long a
client has to wait between two (a hasty one gets 429), lines of a file, whether files need the token, when it is forgotten.
"""

import gzip
import json
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.ehr.clients import Client
from sandbox.ehr.dates import span
from sandbox.ehr.index import Resource, subject
from sandbox.ehr.outcome import Refused, bad_value
from sandbox.ehr.scopes import allows
from sandbox.ehr.store import Store, Version
from sandbox.ehr.types import TYPES
from sandbox.http import on_loop
from sandbox.sqlite import instant, now_ms

FORMATS = ("", "application/fhir+ndjson", "application/ndjson", "ndjson")
DELETIONS = 50
"""Deleted resources that one transaction Bundle names."""
GROUP_EXPORT = {"name": "export", "definition": "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/group-export"}
PATIENT_EXPORT = {"name": "export", "definition": "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/patient-export"}
OPERATIONS = {"Group": GROUP_EXPORT, "Patient": PATIENT_EXPORT}

Key = tuple[str, str, int]
"""Type, id and version."""
Authenticated = Callable[[Request], Client]


@dataclass(slots=True)
class Manner:
    """How exports are done: see above."""

    polls: int = 1
    retry_after: float = 1
    lines: int = 1000
    token: bool = True
    seconds: float = 3600


@dataclass(slots=True)
class Job:
    """An export under way or complete. `files` are its lines: versions, or whole lines."""

    client_id: str
    request: str
    base: str
    transaction_time: int
    manner: Manner
    output: list[tuple[str, list[Key]]] = field(default_factory=list[tuple[str, list[Key]]])
    deleted: list[list[str]] = field(default_factory=list[list[str]])
    polled: int = 0
    next_poll: float = 0
    expires_at: float = 0

    @property
    def complete(self) -> bool:
        return self.polled > self.manner.polls


class Exports:
    """All exports of one EHR."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.manner = Manner()
        self.jobs: dict[str, Job] = {}

    def routes(self, authenticated: Authenticated) -> list[BaseRoute]:
        """`authenticated` finds the caller of a request, or refuses it."""
        return [
            Route("/bulk/{job}", on_loop(lambda r: self._poll(r, authenticated(r))), methods=["GET"]),
            Route("/bulk/{job}", on_loop(lambda r: self._cancel(r, authenticated(r))), methods=["DELETE"]),
            Route("/bulk/{job}/{kind}/{number}", on_loop(lambda r: self._file(r, authenticated)), methods=["GET"]),
            Route("/control/exports", self._control, methods=["GET", "POST"]),
        ]

    def kick_off(self, group_id: str | None, request: Request, caller: Client, base: str) -> Response:
        """`GET [base]/Group/[id]/$export`, or `[base]/Patient/$export` where no group is named.

        Raises:
            Refused: 400, 403 or 404, with the reason.
        """
        prefer = request.headers.get("prefer", "")
        if "respond-async" not in prefer:
            raise Refused(400, "invalid", "An export is asked for with `Prefer: respond-async`")
        if (wanted := request.query_params.get("_outputFormat", "")) not in FORMATS:
            raise bad_value("_outputFormat", wanted, "only NDJSON is made")
        members = None if group_id is None else self._members(group_id)
        types = self._types(request.query_params.getlist("_type"), caller)
        # The latest write's own moment: what is written from now on is later, however fast it comes.
        moment = int(self.store.db.setting("clock", "0")) or now_ms()
        job = Job(caller.client_id, str(request.url), base.removesuffix("/fhir"), moment, self.manner)
        self._take(job, members, types, _since(request.query_params.get("_since", "")))
        name = secrets.token_urlsafe(12)
        self.jobs[name] = job
        job.expires_at = time.time() + job.manner.seconds
        return Response(status_code=202, headers={"Content-Location": f"{job.base}/bulk/{name}"})

    def _members(self, group_id: str) -> set[str]:
        found = self.store.current("Group", group_id)
        if found is None or found.deleted:
            raise Refused(404, "not-found", f"There is no Group/{group_id[:64]}")
        members = cast("list[Resource]", json.loads(found.json).get("member", []))
        return {it["entity"]["reference"] for it in members if not it.get("inactive")}

    def _types(self, given: Sequence[str], caller: Client) -> list[str]:
        asked = [name for part in given for name in part.split(",") if name]
        for name in asked:
            if name not in TYPES:
                raise bad_value("_type", name, "no resource type of FHIR R4")
            if not allows(caller.scopes, name, "r"):
                raise Refused(403, "forbidden", f"The scopes {' '.join(caller.scopes)} lack system/{name}.r")
        return asked or [name for name in sorted(self.store.types()) if allows(caller.scopes, name, "r")]

    def _take(self, job: Job, members: set[str] | None, types: Iterable[str], since: int) -> None:
        size = job.manner.lines
        for name in types:
            owner = "'Patient/' || r.id" if name == "Patient" else "r.subject"
            rows = self.store.db.all(
                f"SELECT r.id, r.version, {owner} FROM resource r WHERE r.type = ? AND r.deleted = 0 AND r.last_updated > ?"  # noqa: S608 - one of two words of ours
                " AND r.last_updated <= ? ORDER BY r.id",
                name,
                since,
                job.transaction_time,
            )
            keys = [(name, row[0], row[1]) for row in rows if _is_member(row[2], members)]
            job.output += [(name, keys[start : start + size]) for start in range(0, len(keys), size)]
            if since:
                gone = self._gone(name, members, since, job.transaction_time)
                bundles = [_deletions(gone[start : start + DELETIONS]) for start in range(0, len(gone), DELETIONS)]
                job.deleted += [bundles] if bundles else []

    def _gone(self, name: str, members: set[str] | None, since: int, until: int) -> list[str]:
        rows = self.store.db.all(
            "SELECT id FROM resource WHERE type = ? AND deleted = 1 AND last_updated > ? AND last_updated <= ? ORDER BY id",
            name,
            since,
            until,
        )
        return [f"{name}/{row[0]}" for row in rows if _is_member(self._former_owner(name, row[0]), members)]

    def _former_owner(self, name: str, resource_id: str) -> str | None:
        """Whose a deleted resource was."""
        last = next((it for it in self.store.history(name, resource_id) if not it.deleted), None)
        if name == "Patient":
            return f"Patient/{resource_id}"
        return subject(json.loads(last.json)) if last else None

    def _poll(self, request: Request, caller: Client) -> Response:
        job = self._job(request, caller)
        now = time.monotonic()
        if now < job.next_poll:
            wait = str(max(1, round(job.next_poll - now)))
            raise Refused(429, "throttled", "Polled too soon", {"Retry-After": wait})
        job.polled += 1
        if not job.complete:
            job.next_poll = now + job.manner.retry_after
            done = f"{100 * job.polled // (job.manner.polls + 1)}%"
            return Response(status_code=202, headers={"X-Progress": done, "Retry-After": f"{job.manner.retry_after:g}"})
        return JSONResponse(
            _manifest(job, str(request.url)), headers={"Expires": formatdate(job.expires_at, usegmt=True)}
        )

    def _cancel(self, request: Request, caller: Client) -> Response:
        self._job(request, caller)
        del self.jobs[request.path_params["job"]]
        return Response(status_code=202)

    def _file(self, request: Request, authenticated: Authenticated) -> Response:
        job = self._job(request, None)
        if job.manner.token:
            self._job(request, authenticated(request))
        kind, number = request.path_params["kind"], request.path_params["number"].removesuffix(".ndjson")
        files = {"output": job.output, "deleted": job.deleted}.get(kind, [])
        if not number.isdecimal() or int(number) >= len(files):
            raise Refused(404, "not-found", "There is no such file")
        lines = job.deleted[int(number)] if kind == "deleted" else self._lines(job, job.output[int(number)][1])
        body = "".join(f"{line}\n" for line in lines).encode()
        headers = {"Content-Type": "application/fhir+ndjson"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(gzip.compress(body, 1), headers=headers | {"Content-Encoding": "gzip"})
        return Response(body, headers=headers)

    def _lines(self, job: Job, keys: Sequence[Key]) -> list[str]:
        found = (self._version(*key) for key in keys)
        return [self.store.rendered(it.json, job.base) for it in found if it]

    def _version(self, name: str, resource_id: str, version: int) -> Version | None:
        return next((it for it in self.store.history(name, resource_id) if it.version == version), None)

    def _job(self, request: Request, caller: Client | None) -> Job:
        job = self.jobs.get(request.path_params["job"])
        stranger = job is not None and caller is not None and caller.client_id != job.client_id
        if job is None or stranger or time.time() >= job.expires_at:
            raise Refused(404, "not-found", "There is no such export, or it is over")
        return job

    async def _control(self, request: Request) -> Response:
        if request.method == "POST":
            given = await request.json()
            now = self.manner
            names = ("polls", "retry_after", "lines", "token", "seconds")
            self.manner = Manner(**{name: given.get(name, getattr(now, name)) for name in names})
        manner = self.manner
        shown = {"polls": manner.polls, "retry_after": manner.retry_after, "lines": manner.lines}
        return JSONResponse({**shown, "token": manner.token, "seconds": manner.seconds})


def _is_member(owner: str | None, members: set[str] | None) -> bool:
    return owner is not None and (members is None or owner in members)


def _since(given: str) -> int:
    if not given:
        return 0
    try:
        return span(given)[0]
    except ValueError as error:
        raise bad_value("_since", given, "no instant") from error


def _deletions(references: Sequence[str]) -> str:
    entries = [{"request": {"method": "DELETE", "url": it}} for it in references]
    return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})


def _manifest(job: Job, address: str) -> dict[str, Any]:
    output = [
        {"type": name, "url": f"{address}/output/{number}.ndjson", "count": len(keys)}
        for number, (name, keys) in enumerate(job.output)
    ]
    deleted = [
        {"type": "Bundle", "url": f"{address}/deleted/{number}.ndjson", "count": len(lines)}
        for number, lines in enumerate(job.deleted)
    ]
    return {
        "transactionTime": instant(job.transaction_time),
        "request": job.request,
        "requiresAccessToken": job.manner.token,
        "output": output,
        "deleted": deleted,
        "error": [],
    }
