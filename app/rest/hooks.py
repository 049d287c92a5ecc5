"""What the endpoints share at which other systems' messages arrive, before anything is known of the sender."""

import asyncio

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

AT_ONCE = 4
"""A burst of messages must not take every database connection from those who wait for an answer."""
SECONDS = 10
"""How long a body may take to arrive. Messages are small: whoever needs longer only holds a connection."""


async def body(request: Request, most: int) -> bytes | Response:
    """The body, before anything is held that others wait for; else the answer: 413 where it is longer than is taken,
    announced or not, 408 where it does not arrive in time."""
    too_large = refused(413, "TOO_LARGE", f"A message has at most {most} bytes.")
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared) > most:
        return too_large
    found = bytearray()
    try:
        async with asyncio.timeout(SECONDS):
            async for piece in request.stream():
                found += piece
                if len(found) > most:
                    return too_large
    except TimeoutError:
        late = refused(408, "TIMEOUT", f"The body has not arrived within {SECONDS} seconds.")
        late.headers["Connection"] = "close"
        return late
    except ClientDisconnect:
        # Nobody is there to be answered; a body that broke off would not match its signature.
        return too_large
    return bytes(found)


def refused(status: int, code: str, message: str) -> Response:
    return JSONResponse({"code": code, "message": message}, status)
