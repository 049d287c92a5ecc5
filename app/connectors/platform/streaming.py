"""A request's body with a large file in it, sent piece by piece and never held whole."""

import base64
from collections.abc import AsyncIterator
from uuid import uuid4

from app.core.blobs import Stored

GAP = uuid4().hex
"""Stands in a body for the file. Nobody outside knows it, so that nobody can put it there."""


def filled(body: bytes, file: Stored) -> Stored:
    """The body with the file where `GAP` stands. Reading it raises ValueError for a file of another size than it says."""
    head, _, tail = body.partition(GAP.encode())

    async def chunks() -> AsyncIterator[bytes]:
        yield head
        left = file.size
        async for chunk in file.chunks():
            left -= len(chunk)
            if left < 0:
                break
            yield chunk
        if left:
            raise ValueError("the file is not of the size that was said of it")
        yield tail

    return Stored(len(head) + file.size + len(tail), chunks)


def in_base64(file: Stored) -> Stored:
    """The file as RFC 4648, 4 writes it, in one line."""

    async def chunks() -> AsyncIterator[bytes]:
        rest = b""
        async for chunk in file.chunks():
            rest += chunk
            whole = len(rest) - len(rest) % 3
            yield base64.b64encode(rest[:whole])
            rest = rest[whole:]
        yield base64.b64encode(rest)

    return Stored((file.size + 2) // 3 * 4, chunks)
