"""No value of any input of any root field is our defect: it is taken, or refused in words and with a code."""

import json
import random
from typing import Any

import httpx
import pytest

from app.core.resources import Resources
from app.schema import schema
from tests.api.asking import SignIn, create_patient, send, upload
from tests.api.odd import Odd
from tests.api.test_sync import connected, started
from tests.conftest import People

ROUNDS = 12
ROOTS = schema._schema
LEFT_OUT = {"sessionDelete"}
"""It takes nothing, and ends what the others need."""
FIELDS = [
    (kind, name)
    for kind, root in (("query", ROOTS.query_type), ("mutation", ROOTS.mutation_type))
    if root is not None
    for name in root.fields
    if name not in LEFT_OUT
]


def problems(answer: httpx.Response) -> list[str]:
    """What a client must never be told, and what it should have been."""
    if answer.status_code not in (200, 400):
        return [f"HTTP {answer.status_code}: {answer.text[:200]}"]
    body = answer.json()
    found: list[str] = []
    for error in body.get("errors") or []:
        code = error.get("extensions", {}).get("code")
        if code in (None, "INTERNAL") or not error["message"]:
            found.append(json.dumps(error)[:300])
    return found + (["a traceback"] if "Traceback" in answer.text else [])


@pytest.mark.parametrize(("kind", "name"), FIELDS, ids=[name for _, name in FIELDS])
async def test_odd_values_are_taken_or_refused_in_words(
    resources: Resources, people: People, sign_in: SignIn, kind: str, name: str
) -> None:
    caller = await sign_in(
        people.admin if name in ("providerCreate", "users", "deadLetters", "deadLetterReplay") else people.dietician
    )
    owner = await sign_in(people.dietician)
    patient, plain = await connected(resources, people.dietician), await create_patient(owner, "Plain")
    document = await upload(owner, plain)
    run = await started(owner, patient)
    found = {"patientId": patient, "documentId": document, "runId": run["id"], "dieticianId": people.dietician.gid}
    subject = next((value for key, value in found.items() if key.removesuffix("Id") in name.lower()), patient)
    odd = Odd(random.Random(f"{name} 2026"), found | {"id": subject})
    root = ROOTS.query_type if kind == "query" else ROOTS.mutation_type
    assert root is not None
    wrong: list[tuple[str, Any]] = []
    for _ in range(ROUNDS):
        query, variables = odd.request(kind, name, root.fields[name])
        wrong += [(it, variables) for it in problems(await send(caller, query, variables))]
    assert not wrong, f"{wrong[0][0]} for {json.dumps(wrong[0][1])[:600]}"


async def test_what_odd_values_left_behind_can_be_read(resources: Resources, people: People, sign_in: SignIn) -> None:
    """Whatever was taken must come out again: in lists, in search, by id."""
    owner = await sign_in(people.dietician)
    patient, plain = await connected(resources, people.dietician), await create_patient(owner, "Plain")
    document = await upload(owner, plain)
    dice = random.Random("left behind")
    assert ROOTS.mutation_type is not None
    assert ROOTS.query_type is not None
    for name in ("documentUpload", "patientCreate", "patientUpdate", "documentUpdate", "patientSync") * 8:
        odd = Odd(dice, {"patientId": patient, "id": document if name.startswith("document") else patient})
        await send(owner, *odd.request("mutation", name, ROOTS.mutation_type.fields[name]))
    for search in (None, "a", "x"):
        for name in ("documents", "patients", "logs"):
            query, _ = Odd(random.Random(1), {}).request("query", name, ROOTS.query_type.fields[name])
            query = query[query.index("{") :]
            call = f"{name}(first: 100{', search: ' + json.dumps(search) if search else ''})"
            query = "{ " + call + query[query.index("{ __typename") :]
            assert problems(await send(owner, query)) == []
