"""The EHR's resources, versions and files, in one SQLite file that survives a restart."""

# ruff: noqa: S608 - only our own column names and conditions are composed; every value is bound.

import hashlib
import json
import re
import uuid
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, unquote, urlencode

from sandbox.ehr.clients import Clients
from sandbox.ehr.index import Index, Resource, index
from sandbox.ehr.outcome import Refused
from sandbox.ehr.schema import SCHEMA
from sandbox.ehr.types import TYPES
from sandbox.sqlite import Database, Row, instant, now_ms

ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
PLACEHOLDER = re.compile(r"sandbox:/(/files|/presigned)/([^\"\\\s]+)")


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a resource; `deleted` is its tombstone. A Binary's bytes lie under `blob`."""

    type: str
    id: str
    version: int
    last_updated: int
    method: str
    blob: str | None
    json: str
    previous: int = 0
    changed: bool = False

    @property
    def deleted(self) -> bool:
        return self.method == "DELETE"


COLUMNS = "r.type, r.id, v.version, v.last_updated, v.method, v.blob, v.json"


class Store:
    """All resources of one EHR. `last_updated` never repeats between two transactions; those written in one share it.

    Text in a resource may name a stored file without knowing this server's address: `sandbox://files/NAME` (NAME
    percent-encoded) is answered
    as an absolute URL, `sandbox://presigned/NAME` as one with a new signature at every read.
    """

    def __init__(self, path: Path) -> None:
        self.db = Database(path, SCHEMA)
        self.clients = Clients(self.db)
        self.register_client = self.clients.register
        self._now = 0
        self._changed: list[Version] = []
        self.listener: Callable[[list[Version]], None] = lambda _: None
        """Called with what a transaction has changed, once it is committed."""

    def close(self) -> None:
        self.db.close()

    def set_open(self, is_open: bool) -> None:
        """An open EHR answers callers without credentials; credentials that are sent are still checked."""
        self.db.set("open", "1" if is_open else "")

    def is_open(self) -> bool:
        return bool(self.db.setting("open"))

    @contextmanager
    def transaction(self) -> Generator[None]:
        with self.db.write() as outermost:
            if outermost:
                self._now = max(now_ms(), int(self.db.setting("clock", "0")) + 1)
                self._changed = []
            yield
            if outermost:
                self.db.set("clock", str(self._now))
        if outermost and self._changed:
            changed, self._changed = self._changed, []
            self.listener(changed)

    def current(self, resource_type: str, resource_id: str) -> Version | None:
        row = self.db.one(
            f"SELECT {COLUMNS} FROM resource r JOIN version v ON v.resource = r.pk AND v.version = r.version"
            " WHERE r.type = ? AND r.id = ?",
            resource_type,
            resource_id,
        )
        return Version(*row) if row else None

    def history(self, resource_type: str, resource_id: str) -> list[Version]:
        """Newest first."""
        rows = self.db.all(
            f"SELECT {COLUMNS} FROM resource r JOIN version v ON v.resource = r.pk"
            " WHERE r.type = ? AND r.id = ? ORDER BY v.version DESC",
            resource_type,
            resource_id,
        )
        return [Version(*row) for row in rows]

    def put(self, resource: Resource, method: str = "PUT", if_match: str | None = None) -> Version:
        """Creates or updates; content equal to the current version's makes no new one (`changed` is false).

        Raises:
            Refused: 400 the resource cannot be stored, 412 `if_match` is not the current version.
        """
        resource_type, resource_id = _identity(resource)
        content, data = _content(resource)
        digest = _digest(content, data)
        with self.transaction():
            row = self.db.one(
                "SELECT pk, version, last_updated, deleted, digest FROM resource WHERE type = ? AND id = ?",
                resource_type,
                resource_id,
            )
            _check_match(row, if_match)
            if row and not row[3] and row[4] == digest:
                current = cast("Version", self.current(resource_type, resource_id))
                return Version(
                    resource_type,
                    resource_id,
                    current.version,
                    current.last_updated,
                    method,
                    current.blob,
                    current.json,
                    row[1],
                )
            made = self._new_version(resource_type, resource_id, row, method, content, data)
            found = index(resource)
            pk = self._write_resource(made, row, found.subject, digest)
            self._write_version(pk, made)
            self._write_index(pk, found)
            self._changed.append(made)
        return made

    def delete(self, resource_type: str, resource_id: str, if_match: str | None = None) -> Version | None:
        """Leaves a tombstone; None where there never was such a resource.

        Raises:
            Refused: 412 `if_match` is not the current version.
        """
        with self.transaction():
            row = self.db.one(
                "SELECT pk, version, last_updated, deleted FROM resource WHERE type = ? AND id = ?",
                resource_type,
                resource_id,
            )
            if not row:
                return None
            if row[3]:
                return self.current(resource_type, resource_id)
            _check_match(row, if_match)
            made = self._new_version(resource_type, resource_id, row, "DELETE", {}, None)
            pk = self._write_resource(made, row, None, "")
            self._write_version(pk, made)
            self._write_index(pk, Index(None, frozenset(), ()))
            self._changed.append(made)
        return made

    def put_many(self, resources: Iterable[dict[str, Any]]) -> int:
        """All in one transaction, each with its own id; returns how many were new or changed.

        Raises:
            Refused: one of them cannot be stored; then none is.
        """
        with self.transaction():
            return sum(self.put(resource).changed for resource in resources)

    def put_file(self, name: str, data: bytes, content_type: str) -> None:
        """Answered at `/files/NAME`."""
        with self.db.write():
            self.db.run("INSERT OR REPLACE INTO file VALUES (?, ?, ?)", name, content_type, self.db.keep(data))

    def file(self, name: str) -> tuple[bytes, str] | None:
        row = self.db.one("SELECT sha256, content_type FROM file WHERE name = ?", name)
        return (self.db.bytes(row[0]), row[1]) if row else None

    def presign(self, name: str, seconds: float = 300) -> str:
        """The path and query under which the file needs no credentials until it expires."""
        expires = now_ms() + int(seconds * 1000)
        signature = self.db.sign(f"file\n{name}\n{expires}")
        return f"/files/{quote(name)}?{urlencode({'expires': expires, 'signature': signature})}"

    def presigned(self, name: str, expires: str, signature: str) -> bool:
        return self.db.signed(f"file\n{name}\n{expires}", signature) and int(expires) > now_ms()

    def rendered(self, text: str, origin: str) -> str:
        """A resource's text with the addresses that only the running server knows."""
        if "sandbox://" not in text:
            return text
        return PLACEHOLDER.sub(
            lambda m: origin + (self.presign(unquote(m[2])) if m[1] == "/presigned" else f"/files/{m[2]}"), text
        )

    def types(self) -> set[str]:
        return {row[0] for row in self.db.all("SELECT DISTINCT type FROM resource WHERE deleted = 0")}

    def _new_version(
        self, resource_type: str, resource_id: str, row: Row | None, method: str, content: Resource, data: bytes | None
    ) -> Version:
        if row:
            self._now = max(self._now, row[2] + 1)
        previous: int = row[1] if row else 0
        text = ""
        if method != "DELETE":
            meta = {**content.get("meta", {}), "versionId": str(previous + 1), "lastUpdated": instant(self._now)}
            text = _dumps(
                {"resourceType": resource_type, "id": resource_id, "meta": meta}
                | {k: v for k, v in content.items() if k != "meta"}
            )
        blob = None if data is None else self.db.keep(data)
        return Version(resource_type, resource_id, previous + 1, self._now, method, blob, text, previous, changed=True)

    def _write_resource(self, made: Version, row: Row | None, subject: str | None, digest: str) -> int:
        values = (made.version, made.last_updated, int(made.deleted), subject, digest)
        if row:
            self.db.run(
                "UPDATE resource SET version = ?, last_updated = ?, deleted = ?, subject = ?, digest = ? WHERE pk = ?",
                *values,
                row[0],
            )
            return row[0]
        return self.db.run(
            "INSERT INTO resource (type, id, version, last_updated, deleted, subject, digest) VALUES (?, ?, ?, ?, ?, ?, ?)",
            made.type,
            made.id,
            *values,
        )

    def _write_version(self, pk: int, made: Version) -> None:
        self.db.run(
            "INSERT INTO version VALUES (?, ?, ?, ?, ?, ?)",
            pk,
            made.version,
            made.last_updated,
            made.method,
            made.blob,
            made.json,
        )

    def _write_index(self, pk: int, found: Index) -> None:
        self.db.run("DELETE FROM term WHERE resource = ?", pk)
        self.db.run("DELETE FROM moment WHERE resource = ?", pk)
        self.db.many("INSERT INTO term VALUES (?, ?, ?, ?)", ((pk, *term) for term in sorted(found.terms)))
        self.db.many("INSERT INTO moment VALUES (?, ?, ?, ?)", ((pk, name, *span) for name, span in found.moments))


def new_id() -> str:
    return str(uuid.uuid4())


def _identity(resource: Resource) -> tuple[str, str]:
    resource_type, resource_id = resource.get("resourceType"), resource.get("id")
    if not isinstance(resource_type, str) or resource_type not in TYPES:
        raise Refused(400, "invalid", f"{str(resource_type)[:64]!r} is not a resource type of FHIR R4")
    if not isinstance(resource_id, str) or not ID.fullmatch(resource_id):
        raise Refused(
            400, "value", f"{str(resource_id)[:100]!r} is not an id: 1 to 64 letters, digits, hyphens and dots"
        )
    if not isinstance(resource.get("meta", {}), dict):
        raise Refused(400, "structure", "meta is not an object")
    return resource_type, resource_id


def _content(resource: Resource) -> tuple[Resource, bytes | None]:
    """The resource without what the server owns, and a Binary's bytes apart."""
    content = dict(resource)
    meta = {k: v for k, v in content.pop("meta", {}).items() if k not in ("versionId", "lastUpdated")}
    if meta:
        content["meta"] = meta
    if content["resourceType"] != "Binary":
        return content, None
    try:
        return content, b64decode("".join(str(content.pop("data", "")).split()), validate=True)
    except (Base64Error, ValueError) as error:
        raise Refused(400, "value", f"Binary.data is not base64: {error}") from error


def _digest(content: Resource, data: bytes | None) -> str:
    digest = hashlib.sha256(_dumps(content, sort_keys=True).encode())
    if data is not None:
        digest.update(hashlib.sha256(data).digest())
    return digest.hexdigest()


def _dumps(content: Resource, *, sort_keys: bool = False) -> str:
    try:
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=sort_keys, allow_nan=False)
        text.encode()
    except ValueError as error:  # NaN, infinity, or half of a surrogate pair
        raise Refused(400, "value", f"The resource cannot be written as JSON: {error}") from error
    return text


def _check_match(row: Row | None, if_match: str | None) -> None:
    if if_match is None:
        return
    wanted = if_match.strip().removeprefix("W/").strip('"')
    if wanted == "*" and row and not row[3]:
        return
    if not row or row[3] or wanted != str(row[1]):
        actual = f"the current version is {row[1]}" if row and not row[3] else "there is no current version"
        raise Refused(412, "conflict", f"If-Match asks for version {wanted}; {actual}")
