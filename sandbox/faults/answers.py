"""Faults that answer in the server's place."""

import json
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from sandbox.faults.call import Answer, Call, answer

FHIR_JSON = "application/fhir+json; charset=utf-8"
BLOCK = 1024 * 1024
CODES = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    409: "conflict",
    410: "deleted",
    412: "conflict",
    413: "too-long",
    422: "processing",
    429: "throttled",
    501: "not-supported",
    504: "timeout",
}
LOGIN = "<!doctype html>\n<title>Sign in</title>\n<h1>Your session has ended</h1>\n<form><input name=user></form>\n"


async def status(call: Call) -> None:
    given = call.options
    more: dict[str, Any] = given["headers"] or {}
    code = given["code"] or CODES.get(given["status"], "transient" if given["status"] >= 500 else "processing")
    headers: dict[str, str] = {name.lower(): str(value) for name, value in more.items()}
    if (wait := given["retry_after"]) is not None:
        headers["retry-after"] = str(wait)
    if (seconds := given["retry_after_date"]) is not None:
        headers["retry-after"] = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
    if given["status"] == 401 and "www-authenticate" not in headers:
        headers["www-authenticate"] = 'Bearer realm="fhir", error="invalid_token"'
    if given["body"] is not None:
        made = answer(given["status"], given["body"], "text/plain; charset=utf-8", headers)
    elif call.server == "ehr":
        made = _outcome(given["status"], code, "error", headers)
    else:
        made = _message(given["status"], "A fault that is switched on", headers=headers)
    await made.send(call.send)


async def outcome(call: Call) -> None:
    await _outcome(call.options["status"], call.options["code"], call.options["severity"]).send(call.send)


async def html(call: Call) -> None:
    await answer(call.options["status"], LOGIN, "text/html; charset=utf-8").send(call.send)


async def deep_json(call: Call) -> None:
    levels: int = call.options["levels"]
    body = '{"resourceType":"Bundle","type":"searchset","extension":' + "[" * levels + "]" * levels + "}"
    await answer(200, body, _json_type(call)).send(call.send)


async def gzip_bomb(call: Call) -> None:
    """Spaces are JSON too: only who counts while unpacking is safe. Deflate packs them 1000 to 1."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)

    def blocks() -> Iterator[bytes]:
        for _ in range(call.options["mb"]):
            yield packer.compress(b" " * BLOCK)
        yield packer.compress(b'{"resourceType":"Bundle","type":"searchset"}') + packer.flush()

    await _stream(call, blocks(), _json_type(call), {"content-encoding": "gzip"})


async def huge_json(call: Call) -> None:
    def blocks() -> Iterator[bytes]:
        yield b'{"resourceType":"Bundle","type":"searchset","language":"'
        for _ in range(call.options["mb"]):
            yield b"x" * BLOCK
        yield b'"}'

    await _stream(call, blocks(), _json_type(call), {})


async def huge_file(call: Call) -> None:
    """Made while it is sent: no block is held."""
    megabytes: int = call.options["mb"]
    blocks = (bytes([number % 256]) * BLOCK for number in range(megabytes))
    await _stream(call, blocks, call.options["content_type"], {"content-length": str(megabytes * BLOCK)})


async def errors_200(call: Call) -> None:
    await _message(200, call.options["message"], call.options["errors"]).send(call.send)


async def quota(call: Call) -> None:
    words = "The storage of this account is used up"
    await _message(call.options["status"], words, {"quota": "is used up"}).send(call.send)


async def _stream(call: Call, blocks: Iterator[bytes], content_type: str, headers: dict[str, str]) -> None:
    start = answer(200, b"", content_type, headers)
    kept = [it for it in start.headers if it[0] != b"content-length" or "content-length" in headers]
    await call.send({"type": "http.response.start", "status": 200, "headers": kept})
    # A block at a time: `send` waits until the client has taken enough of the former ones.
    for block in blocks:
        await call.send({"type": "http.response.body", "body": block, "more_body": True})
    await call.send({"type": "http.response.body", "body": b""})


def _outcome(status: int, code: str, severity: str, headers: dict[str, str] | None = None) -> Answer:
    return answer(status, json.dumps(outcome_of(code, severity)), FHIR_JSON, headers)


def outcome_of(code: str, severity: str) -> dict[str, Any]:
    issue = {"severity": severity, "code": code, "diagnostics": "A fault that is switched on"}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def _message(
    status: int, message: str, errors: dict[str, Any] | None = None, headers: dict[str, str] | None = None
) -> Answer:
    content: dict[str, Any] = {"message": message} | ({"errors": errors} if errors else {})
    return answer(status, json.dumps(content), "application/json", headers)


def _json_type(call: Call) -> str:
    return FHIR_JSON if call.server == "ehr" else "application/json"
