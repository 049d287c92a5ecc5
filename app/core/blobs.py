"""Files, content-addressed: the key is the SHA-256 of the bytes, so storing twice is storing once."""

import hashlib
from pathlib import Path
from urllib.parse import unquote, urlsplit

from obstore.exceptions import AlreadyExistsError
from obstore.store import LocalStore, ObjectStore, from_url


class BlobMissingError(Exception):
    """The store does not have what a row points at."""


class Blobs:
    def __init__(self, url: str) -> None:
        """`file:///folder`, or an URL of S3, GCS or Azure that obstore understands."""
        parts = urlsplit(url)
        self._store: ObjectStore = (
            LocalStore(Path(unquote(parts.path)), mkdir=True) if parts.scheme == "file" else from_url(url)
        )

    async def put(self, data: bytes) -> str:
        """Stores the bytes and returns their SHA-256 in hex."""
        sha256 = hashlib.sha256(data).hexdigest()
        try:
            await self._store.put_async(_path(sha256), data, mode="create", use_multipart=False)
        except AlreadyExistsError:
            return sha256
        return sha256

    async def get(self, sha256: str) -> bytes:
        """The bytes; BlobMissingError where there are none."""
        try:
            result = await self._store.get_async(_path(sha256))
            return bytes(await result.bytes_async())
        except FileNotFoundError:
            raise BlobMissingError(sha256) from None


def _path(sha256: str) -> str:
    # One level of 256 folders: with two, nearly every new file would make a folder first.
    return f"{sha256[:2]}/{sha256}"
