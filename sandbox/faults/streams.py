"""Faults of the connection: late, slow, cut, of a wrong length, lost."""

from datetime import UTC, datetime
from email.utils import format_datetime

from starlette.types import Message

from sandbox.faults.call import Answer, Call

TICKS = 10
"""A second."""


async def close(call: Call) -> None:
    await call.break_off()


async def hang(call: Call) -> None:
    if await call.held(call.options["seconds"]):
        await call.forward()


async def hang_middle(call: Call) -> None:
    found = await call.answered()
    await call.send(found.start())
    middle = _at(call, found)
    await call.send(_part(found.body[:middle], more=True))
    if await call.held(call.options["seconds"]):
        await call.send(_part(found.body[middle:], more=False))


async def slow(call: Call) -> None:
    found = await call.answered()
    await call.send(found.start())
    step = max(1, round(call.options["bytes_per_second"] / TICKS))
    pause = step / call.options["bytes_per_second"]
    for start in range(0, len(found.body), step):
        if not await call.held(0 if call.off.is_set() else pause):
            return
        await call.send(_part(found.body[start : start + step], more=True))
    await call.send(_part(b"", more=False))


async def cut(call: Call) -> None:
    found = (await call.answered()).but()
    await call.send(found.start())
    await call.send(_part(found.body[: _at(call, found)], more=True))
    await call.break_off()


async def wrong_length(call: Call) -> None:
    """Past the server's own HTTP, which would not send it."""
    found = await call.answered()
    declared = max(0, len(found.body) + call.options["by"])
    headers = [it for it in found.headers if it[0].lower() != b"content-length"]
    headers += [
        (b"content-length", str(declared).encode()),
        (b"date", format_datetime(datetime.now(UTC), usegmt=True).encode()),
        (b"connection", b"close"),
    ]
    lines = [f"HTTP/1.1 {found.status} Declared".encode(), *(name + b": " + value for name, value in headers)]
    await call.break_off(b"\r\n".join(lines) + b"\r\n\r\n" + found.body)


async def lost_answer(call: Call) -> None:
    """The server does its work, and nobody hears of it."""
    await call.answered()
    if await call.held(call.options["seconds"]):
        await call.break_off()


async def content_type(call: Call) -> None:
    await (await call.answered()).but(content_type=call.options["content_type"]).send(call.send)


def _at(call: Call, found: Answer) -> int:
    """Where it stops: never behind the last byte but one."""
    return min(int(len(found.body) * call.options["at"]), max(len(found.body) - 1, 0))


def _part(body: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}
