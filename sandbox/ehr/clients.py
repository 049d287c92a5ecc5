"""Who may call the EHR: registered clients, the tokens that they were given, the assertions that they used."""

import json
import secrets
import time
from dataclasses import dataclass
from typing import Any, Literal

from sandbox.sqlite import Database, hashed

Kind = Literal["smart", "bearer", "basic"]

TOKEN_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Client:
    client_id: str
    scopes: tuple[str, ...]


class Clients:
    def __init__(self, db: Database) -> None:
        self._db = db

    def register(
        self,
        client_id: str,
        kind: Kind,
        *,
        secret: str = "",
        jwks: dict[str, Any] | None = None,
        scopes: str = "system/*.rs",
    ) -> None:
        """`smart` needs a JWKS of public keys; `bearer` a token and `basic` a password as `secret`. Replaces a former
        registration of the same id.

        Raises:
            ValueError: the kind's credential is missing.
        """
        if kind == "smart" and not jwks:
            raise ValueError("a SMART client needs a JWKS")
        if kind != "smart" and not secret:
            raise ValueError(f"a {kind} client needs a secret")
        self._db.run(
            "INSERT OR REPLACE INTO client VALUES (?, ?, ?, ?, ?)",
            client_id,
            kind,
            hashed(secret) if secret else None,
            json.dumps(jwks) if jwks else None,
            scopes,
        )

    def smart(self, client_id: str) -> tuple[Client, dict[str, Any]] | None:
        """A SMART client and its JWKS."""
        row = self._db.one("SELECT scopes, jwks FROM client WHERE client_id = ? AND kind = 'smart'", client_id)
        return (Client(client_id, tuple(row[0].split())), json.loads(row[1])) if row else None

    def basic(self, username: str, password: str) -> Client | None:
        row = self._db.one(
            "SELECT scopes FROM client WHERE client_id = ? AND kind = 'basic' AND secret = ?",
            username,
            hashed(password),
        )
        return Client(username, tuple(row[0].split())) if row else None

    def bearer(self, token: str) -> tuple[Client, bool] | None:
        """The token's client, and whether the token has expired."""
        row = self._db.one("SELECT client_id, scopes, expires_at FROM token WHERE hash = ?", hashed(token))
        if row:
            return Client(row[0], tuple(row[1].split())), row[2] <= time.time()
        row = self._db.one("SELECT client_id, scopes FROM client WHERE secret = ? AND kind = 'bearer'", hashed(token))
        return (Client(row[0], tuple(row[1].split())), False) if row else None

    def issue(self, client_id: str, scopes: tuple[str, ...], seconds: float = TOKEN_SECONDS) -> str:
        """A new bearer token. Expired ones are kept for an hour, to be told from unknown ones."""
        token = secrets.token_urlsafe(32)
        with self._db.write():
            self._db.run("DELETE FROM token WHERE expires_at < ?", time.time() - 3600)
            self._db.run(
                "INSERT INTO token VALUES (?, ?, ?, ?)",
                hashed(token),
                client_id,
                " ".join(scopes),
                time.time() + seconds,
            )
        return token

    def expire_tokens(self) -> None:
        """Every token that was issued is expired from now on."""
        self._db.run("UPDATE token SET expires_at = ? WHERE expires_at > ?", time.time(), time.time())

    def first_use(self, client_id: str, jti: str, expires_at: float) -> bool:
        """Remembers an assertion until it expires; false if it was used before."""
        with self._db.write():
            self._db.run("DELETE FROM assertion WHERE expires_at < ?", time.time() - 60)
            known = self._db.one("SELECT 1 FROM assertion WHERE client_id = ? AND jti = ?", client_id, jti)
            if not known:
                self._db.run("INSERT INTO assertion VALUES (?, ?, ?)", client_id, jti, expires_at)
            return known is None
