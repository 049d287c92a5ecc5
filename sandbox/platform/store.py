"""The platform's patients, uploads and attachments, in one SQLite file that survives a restart."""

# ruff: noqa: S608 - only our own column names and conditions are composed; every value is bound.

import json
import secrets
from base64 import b64decode, b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.sqlite import Database, Row, hashed, instant, now_ms

SCHEMA = """
CREATE TABLE IF NOT EXISTS credential (username TEXT PRIMARY KEY, password TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS patient (
    id INTEGER PRIMARY KEY AUTOINCREMENT, first_name TEXT NOT NULL, last_name TEXT NOT NULL, date_of_birth TEXT,
    external_identifier TEXT, archived_at INTEGER, updated_at INTEGER NOT NULL, words TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS upload (
    key TEXT PRIMARY KEY, patient_id INTEGER NOT NULL, content_type TEXT NOT NULL, size INTEGER NOT NULL,
    sha256 TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS attachment (
    id INTEGER PRIMARY KEY AUTOINCREMENT, patient_id INTEGER NOT NULL, description TEXT, filename TEXT,
    content_type TEXT, size INTEGER, external_id TEXT, sha256 TEXT NOT NULL, created_at INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS attachment_by_patient ON attachment (patient_id);
CREATE TABLE IF NOT EXISTS metadata (attachment_id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS webhook (
    id INTEGER PRIMARY KEY AUTOINCREMENT, style TEXT NOT NULL, url TEXT NOT NULL, secret TEXT NOT NULL,
    is_enabled INTEGER NOT NULL, failures INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS delivery (
    id INTEGER PRIMARY KEY AUTOINCREMENT, webhook_id INTEGER NOT NULL, kind TEXT NOT NULL, attachment_id INTEGER NOT NULL,
    patient_id INTEGER NOT NULL, status INTEGER
);
"""

LARGEST_UPLOAD = 25 * 1024 * 1024
PAGE = 100
POLICY_SECONDS = 900
PROCESSING_MS = 150


@dataclass(frozen=True, slots=True)
class Upload:
    key: str
    patient_id: int
    content_type: str
    size: int
    sha256: str


class Store:
    def __init__(self, path: Path) -> None:
        self.db = Database(path, SCHEMA)

    def close(self) -> None:
        self.db.close()

    def register_key(self, username: str, password: str) -> None:
        self.db.run("INSERT OR REPLACE INTO credential VALUES (?, ?)", username, hashed(password))

    def knows(self, username: str, password: str) -> bool:
        row = self.db.one("SELECT 1 FROM credential WHERE username = ? AND password = ?", username, hashed(password))
        return row is not None

    def knows_key(self, key: str) -> bool:
        """For an API that wants the key alone."""
        return self.db.one("SELECT 1 FROM credential WHERE username = ?", key) is not None

    def set_quota(self, attachments: int | None) -> None:
        """How many attachments there is room for; None: as many as there are."""
        self.db.set("quota", "" if attachments is None else str(attachments))

    def is_full(self) -> bool:
        quota = self.db.setting("quota")
        there = (self.db.one("SELECT count(*) FROM attachment") or (0,))[0]
        return bool(quota) and there >= int(quota)

    def set_processing_ms(self, milliseconds: int) -> None:
        """How long after its creation an attachment is still being processed."""
        self.db.set("processing_ms", str(milliseconds))

    def create_patient(
        self, first_name: str, last_name: str, date_of_birth: str | None, external_identifier: str | None
    ) -> int:
        words = "\n".join(filter(None, (f"{first_name} {last_name}", external_identifier))).casefold()
        return self.db.run(
            "INSERT INTO patient (first_name, last_name, date_of_birth, external_identifier, updated_at, words)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            first_name,
            last_name,
            date_of_birth,
            external_identifier,
            now_ms(),
            words,
        )

    def patient(self, patient_id: int | None) -> dict[str, Any] | None:
        row = self.db.one(f"SELECT {PATIENT} FROM patient WHERE id = ?", patient_id)
        return _patient(row) if row else None

    def patients(self, q: str, page: int, per_page: int) -> tuple[list[dict[str, Any]], int]:
        """A page, and how many there are in all pages. `q` is sought within names and external identifiers."""
        where, value = "instr(words, ?) > 0", q.strip().casefold()
        total = (self.db.one(f"SELECT count(*) FROM patient WHERE {where}", value) or (0,))[0]
        rows = self.db.all(
            f"SELECT {PATIENT} FROM patient WHERE {where} ORDER BY id LIMIT ? OFFSET ?",
            value,
            per_page,
            (page - 1) * per_page,
        )
        return [_patient(row) for row in rows], total

    def presigned_fields(self, patient_id: int, seconds: float = POLICY_SECONDS) -> dict[str, str]:
        """What an upload's form must carry: a key below a prefix of its own, a policy that expires, its signature."""
        prefix = f"tmp/{patient_id}-{secrets.token_hex(12)}/"
        policy = {"prefix": prefix, "patient_id": patient_id, "expires": now_ms() + int(seconds * 1000)}
        encoded = b64encode(json.dumps(policy).encode()).decode()
        return {"key": prefix + "${filename}", "policy": encoded, "x-amz-signature": self.db.sign(f"policy\n{encoded}")}

    def patient_of_policy(self, key: str, policy: str, signature: str) -> int | None:
        """Whose upload it is; None if the signature is wrong, the policy has expired, or the key is not its own."""
        if not self.db.signed(f"policy\n{policy}", signature):
            return None
        said: dict[str, Any] = json.loads(b64decode(policy))
        if said["expires"] <= now_ms() or not key.startswith(said["prefix"]):
            return None
        return said["patient_id"]

    def keep_upload(self, key: str, patient_id: int, content_type: str, data: bytes) -> None:
        with self.db.write():
            digest = self.db.keep(data)
            self.db.run(
                "INSERT OR REPLACE INTO upload VALUES (?, ?, ?, ?, ?)", key, patient_id, content_type, len(data), digest
            )

    def upload(self, key: str) -> Upload | None:
        row = self.db.one("SELECT key, patient_id, content_type, size, sha256 FROM upload WHERE key = ?", key)
        return Upload(*row) if row else None

    def create_attachment(self, upload: Upload, description: str | None, external_id: str | None) -> dict[str, Any]:
        """Always a new one, also from an upload that another was made from."""
        made = self.db.run(
            "INSERT INTO attachment (patient_id, description, filename, content_type, size, external_id, sha256, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            upload.patient_id,
            description,
            upload.key.rpartition("/")[2],
            upload.content_type,
            upload.size,
            external_id,
            upload.sha256,
            now_ms(),
        )
        row = self.db.one(f"SELECT {ATTACHMENT} FROM attachment WHERE id = ?", made)
        return self._attachment(row or ())

    def note_metadata(self, attachment_id: str, text: str) -> None:
        self.db.run("INSERT OR REPLACE INTO metadata VALUES (?, ?)", int(attachment_id), text)

    def metadata(self, attachment_id: str) -> str | None:
        row = self.db.one("SELECT text FROM metadata WHERE attachment_id = ?", int(attachment_id))
        return row[0] if row else None

    def attachment(self, attachment_id: int | None) -> dict[str, Any] | None:
        row = self.db.one(f"SELECT {ATTACHMENT} FROM attachment WHERE id = ?", attachment_id)
        return self._attachment(row) if row else None

    def attachments(self, patient_id: int | None, page: int) -> tuple[list[dict[str, Any]], int]:
        """A page of a patient's attachments, or of everybody's, and how many there are in all pages."""
        where, values = ("patient_id = ?", (patient_id,)) if patient_id is not None else ("1", ())
        total = (self.db.one(f"SELECT count(*) FROM attachment WHERE {where}", *values) or (0,))[0]
        rows = self.db.all(
            f"SELECT {ATTACHMENT} FROM attachment WHERE {where} ORDER BY id LIMIT ? OFFSET ?",
            *values,
            PAGE,
            (page - 1) * PAGE,
        )
        return [self._attachment(row) for row in rows], total

    def attachments_after(self, patient_id: int | None, after: int, limit: int) -> tuple[list[dict[str, Any]], int]:
        """A patient's attachments behind one of them, and how many there are in all."""
        total = (self.db.one("SELECT count(*) FROM attachment WHERE patient_id = ?", patient_id) or (0,))[0]
        rows = self.db.all(
            f"SELECT {ATTACHMENT} FROM attachment WHERE patient_id = ? AND id > ? ORDER BY id LIMIT ?",
            patient_id,
            after,
            limit,
        )
        return [self._attachment(row) for row in rows], total

    def delete_attachment(self, attachment_id: int | None) -> dict[str, Any] | None:
        """The attachment as it was; None where there is none."""
        with self.db.write():
            found = self.attachment(attachment_id)
            self.db.run("DELETE FROM attachment WHERE id = ?", attachment_id)
            self.db.run("DELETE FROM metadata WHERE attachment_id = ?", attachment_id)
            return found

    def stored(self, patient_id: int | None) -> list[dict[str, Any]]:
        """All attachments with the hash of their bytes, for tests that compare what arrived."""
        where, values = ("WHERE patient_id = ?", (patient_id,)) if patient_id is not None else ("", ())
        rows = self.db.all(
            f"SELECT id, patient_id, external_id, size, sha256 FROM attachment {where} ORDER BY id", *values
        )
        return [
            {"id": str(number), "patient_id": str(patient), "external_id": external_id, "size": size, "sha256": sha256}
            for number, patient, external_id, size, sha256 in rows
        ]

    def add_webhook(self, style: str, url: str, secret: str, *, is_enabled: bool = True) -> int:
        """`style` is `timestamped` or `healthie`: who signs how."""
        return self.db.run(
            "INSERT INTO webhook (style, url, secret, is_enabled) VALUES (?, ?, ?, ?)", style, url, secret, is_enabled
        )

    def webhooks(self) -> list[dict[str, Any]]:
        rows = self.db.all("SELECT id, style, url, secret, is_enabled, failures FROM webhook ORDER BY id")
        names = ("id", "style", "url", "secret", "is_enabled", "failures")
        return [dict(zip(names, (*row[:4], bool(row[4]), row[5]), strict=True)) for row in rows]

    def enable_webhook(self, webhook_id: int, *, is_enabled: bool) -> None:
        self.db.run("UPDATE webhook SET is_enabled = ?, failures = 0 WHERE id = ?", is_enabled, webhook_id)

    def note_delivery(self, webhook_id: int, kind: str, attachment_id: str, patient_id: str) -> int:
        return self.db.run(
            "INSERT INTO delivery (webhook_id, kind, attachment_id, patient_id) VALUES (?, ?, ?, ?)",
            webhook_id,
            kind,
            int(attachment_id),
            int(patient_id),
        )

    def deliveries(self) -> list[dict[str, Any]]:
        """What webhooks were told, and how they answered: 0 for «not at all»."""
        rows = self.db.all("SELECT id, webhook_id, kind, attachment_id, patient_id, status FROM delivery ORDER BY id")
        names = ("id", "webhook_id", "kind", "attachment_id", "patient_id", "status")
        return [dict(zip(names, (*row[:3], str(row[3]), str(row[4]), row[5]), strict=True)) for row in rows]

    def note_answer(self, delivery_id: int, webhook_id: int, status: int, most_failures: int) -> None:
        """Counts failures in a row; who has failed too often is told nothing any more."""
        with self.db.write():
            self.db.run("UPDATE delivery SET status = ? WHERE id = ?", status, delivery_id)
            if 200 <= status < 300:
                self.db.run("UPDATE webhook SET failures = 0 WHERE id = ?", webhook_id)
                return
            self.db.run("UPDATE webhook SET failures = failures + 1 WHERE id = ?", webhook_id)
            self.db.run("UPDATE webhook SET is_enabled = 0 WHERE id = ? AND failures >= ?", webhook_id, most_failures)

    def _attachment(self, row: Row) -> dict[str, Any]:
        number, patient_id, description, filename, content_type, size, external_id, created_at = row
        return {
            "id": str(number),
            "patient_id": str(patient_id),
            "description": description,
            "filename": filename,
            "content_type": content_type,
            "size": size,
            "external_id": external_id,
            "processing_completed": now_ms() >= created_at + int(self.db.setting("processing_ms", str(PROCESSING_MS))),
            "created_at": instant(created_at),
        }


PATIENT = "id, first_name, last_name, date_of_birth, external_identifier, archived_at, updated_at"
ATTACHMENT = "id, patient_id, description, filename, content_type, size, external_id, created_at"


def _patient(row: Row) -> dict[str, Any]:
    number, first_name, last_name, date_of_birth, external_identifier, archived_at, updated_at = row
    return {
        "id": str(number),
        "first_name": first_name,
        "last_name": last_name,
        "date_of_birth": date_of_birth,
        "external_identifier": external_identifier,
        "archived_at": instant(archived_at) if archived_at is not None else None,
        "updated_at": instant(updated_at),
    }
