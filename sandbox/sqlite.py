"""What both stores need of SQLite: one file, short transactions, content-addressed bytes, a signing secret."""

import hashlib
import hmac
import secrets
import sqlite3
import threading
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Row = tuple[Any, ...]

SCHEMA = """
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS blob (sha256 TEXT PRIMARY KEY, data BLOB NOT NULL);
"""


BUSY_SECONDS = 5.0


class Database:
    """One connection with a lock, so that any thread may use it; other processes may open the same file.

    A writer waits up to `BUSY_SECONDS` for another process's transaction, then raises `sqlite3.OperationalError`.
    """

    def __init__(self, path: Path, schema: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._depth = 0
        self._connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        # Sandbox data may be lost with the machine's power, not with a process: NORMAL saves an fsync a commit.
        self._connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-32768;")
        self._connection.executescript(SCHEMA + schema)
        with self.write():
            self.run("INSERT OR IGNORE INTO setting VALUES ('secret', ?)", secrets.token_hex(32))
        self._secret = self.setting("secret").encode()

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def one(self, sql: str, *values: object) -> Row | None:
        with self._lock:
            return self._connection.execute(sql, values).fetchone()

    def all(self, sql: str, *values: object) -> list[Row]:
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def run(self, sql: str, *values: object) -> int:
        """Returns the id of the row that an INSERT made."""
        with self._lock:
            return self._connection.execute(sql, values).lastrowid or 0

    def many(self, sql: str, rows: Iterable[Row]) -> None:
        with self._lock:
            self._connection.executemany(sql, rows)

    @contextmanager
    def write(self) -> Generator[bool]:
        """One transaction, committed at the end of the outermost block; yields whether this is the outermost."""
        with self._lock:
            if self._depth:
                yield False
                return
            self._connection.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield True
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            else:
                self._connection.execute("COMMIT")
            finally:
                self._depth = 0

    def setting(self, name: str, default: str = "") -> str:
        row = self.one("SELECT value FROM setting WHERE name = ?", name)
        return row[0] if row else default

    def set(self, name: str, value: str) -> None:
        self.run(
            "INSERT INTO setting VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value
        )

    def keep(self, data: bytes) -> str:
        """Stores bytes once, whatever refers to them, and returns their SHA-256."""
        digest = hashlib.sha256(data).hexdigest()
        self.run("INSERT OR IGNORE INTO blob VALUES (?, ?)", digest, data)
        return digest

    def bytes(self, digest: str) -> bytes:
        row = self.one("SELECT data FROM blob WHERE sha256 = ?", digest)
        return row[0] if row else b""

    def sign(self, text: str) -> str:
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()

    def signed(self, text: str, signature: str) -> bool:
        return hmac.compare_digest(self.sign(text).encode(), signature.encode())


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def instant(ms: int) -> str:
    """`2026-01-31T08:15:30.123Z`."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def hashed(secret: str) -> str:
    """Credentials of a sandbox are random and short-lived; a plain hash only keeps them out of the file."""
    return hashlib.sha256(secret.encode()).hexdigest()
