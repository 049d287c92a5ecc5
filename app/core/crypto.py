"""Signing and sealing with keys derived from the one secret of the installation."""

import os
import time
from typing import Any

import jwt
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_BYTES = 12
MIN_SECRET = 32


class Vault:
    """Derives a key for each purpose, so that a token of one kind is never good for another."""

    def __init__(self, secret: str) -> None:
        if len(secret) < MIN_SECRET:
            raise ValueError(f"HEALTHRECORDS_SECRET_KEY needs at least {MIN_SECRET} characters.")
        self._secret = secret.encode()
        self._sealing = AESGCM(self._key("seal"))
        self._signing = self._key("sign")

    def _key(self, purpose: str) -> bytes:
        return HKDF(SHA256(), 32, salt=None, info=f"healthrecords/{purpose}".encode()).derive(self._secret)

    def seal(self, plain: bytes, bound_to: str) -> bytes:
        """AES-256-GCM. `bound_to` names the row, so that a ciphertext moved elsewhere does not open."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._sealing.encrypt(nonce, plain, bound_to.encode())

    def open(self, sealed: bytes, bound_to: str) -> bytes:
        """The plain bytes; `ValueError` when it was altered, moved, or sealed with another key."""
        try:
            return self._sealing.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to.encode())
        except InvalidTag:
            raise ValueError("sealed with another key, altered or moved") from None

    def sign(self, claims: dict[str, Any], audience: str, seconds: int) -> str:
        """A JWT (HS256) for one purpose, good for so many seconds."""
        now = int(time.time())
        return jwt.encode({**claims, "aud": audience, "iat": now, "exp": now + seconds}, self._signing, "HS256")

    def verify(self, token: str, audience: str) -> dict[str, Any] | None:
        """The claims, or None for a token that is forged, expired or meant for something else."""
        try:
            return jwt.decode(token, self._signing, algorithms=["HS256"], audience=audience)
        except jwt.InvalidTokenError:
            return None
