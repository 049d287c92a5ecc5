"""Faults of what a server lets one do: refused ways to ask, expired tokens, attachments that stay in process."""

import time
from typing import Any, cast

from sandbox.ehr.dates import span
from sandbox.ehr.outcome import Refused
from sandbox.faults.answers import FHIR_JSON
from sandbox.faults.bundles import posted_search, searches
from sandbox.faults.call import Asked, Call, Json, answer
from sandbox.faults.options import Option

_CODES = """
    invalid structure required value invariant security login unknown expired forbidden suppressed processing
    not-supported duplicate multiple-matches not-found deleted too-long code-invalid extension too-costly
    business-rule conflict transient lock-error no-store exception timeout incomplete throttled informational
"""
ISSUE_CODES = tuple(_CODES.split())
"""R4, value set issue-type (http://hl7.org/fhir/R4/valueset-issue-type.html)."""


def got_searches(asked: Asked) -> bool:
    return searches(asked) and asked.method == "GET"


def reads(asked: Asked) -> bool:
    return asked.path.startswith("/fhir/") and (asked.method == "GET" or posted_search(asked))


def batches(asked: Asked) -> bool:
    return asked.method == "POST" and asked.path in ("/fhir", "/fhir/")


def authorised(asked: Asked) -> bool:
    return asked.path.startswith(("/fhir/", "/files/"))


def creations(asked: Asked) -> bool:
    return asked.method == "POST" and asked.path in ("/upload", "/patient_attachments")


def attachments(asked: Asked) -> bool:
    return asked.path.startswith("/patient_attachments")


def instant_option() -> Option:
    def check(value: Any) -> str:
        try:
            span(str(value))
        except ValueError as error:
            return f"must be a date or an instant: {error}"
        return ""

    return Option(None, check)


async def expired_token(call: Call) -> None:
    """Tokens given out up to now are refused from now on, as if their time had come. A new one works."""
    if call.store:
        call.store.clients.expire_tokens()
    await call.forward()


async def refuse_get_search(call: Call) -> None:
    await _refuse(call, 405, "not-supported", "This server searches by POST only")


async def demand_status(call: Call) -> None:
    names = {name.partition(":")[0] for name, _ in call.params}
    if "status" in names or "_page" in names:
        call.spare()
        await call.forward()
    else:
        await _refuse(call, 400, "required", "The search parameter status is required")


async def refuse_batch(call: Call) -> None:
    await _refuse(call, 405, "not-supported", "This server takes no batches")


async def slow_processing(call: Call) -> None:
    found = await call.answered()
    content = found.json()
    if content is None:
        call.spare()
    else:
        for attachment in cast("list[Json]", content.get("patient_attachments", [content])):
            if "created_at" in attachment:
                done = span(attachment["created_at"])[0] + call.options["ms"] <= time.time() * 1000
                attachment["processing_completed"] = done
        found = found.with_json(content)
    await found.send(call.send)


async def _refuse(call: Call, status: int, code: str, words: str) -> None:
    await answer(status, Refused(status, code, words).outcome, FHIR_JSON).send(call.send)
