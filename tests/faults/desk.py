"""A dietician who edits the details of one connected patient, and a door before the provider's server that spoils updates."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.cli.client import Client
from app.core.resources import Resources
from sandbox.ehr.app import create_app as create_ehr
from sandbox.ehr.store import Store
from sandbox.serve import serving
from tasks.broker import Worker
from tests.api.asking import nodes
from tests.conftest import People, Sandbox
from tests.runs import Books, SignIn, connected, run_to_end, swallow

SECONDS = 60
ODD = {"url": "https://vendor.example/odd", "extension": [{"url": "deep", "valueDecimal": 2.5}]}
CHART: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "amara",
    "extension": [ODD],
    "name": [{"use": "official", "family": "Okafor", "given": ["Amara"], "extension": [ODD]}],
    "telecom": [
        {"system": "phone", "value": "020 7946 0001", "use": "home"},
        {"system": "email", "value": "amara@example.test"},
    ],
    "birthDate": "1979-02-01",
    "_birthDate": {"extension": [ODD]},
    "address": [{"use": "home", "line": ["1 Mill Lane"], "city": "Leeds", "text": "1 Mill Lane, Leeds"}],
    "vendorField": {"kept": [1, None, "x"]},
}


@dataclass
class Door:
    """Before the EHR: what happens to each PUT is told beforehand; then they go through."""

    app: ASGIApp
    plans: list[Callable[[Scope, Receive, Send], Awaitable[None]]]
    puts: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "PUT":
            self.puts += 1
            if self.plans:
                await self.plans.pop(0)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def answer(self, status: int, code: str, times: int = 1) -> None:
        issue = {"severity": "error", "code": code}
        reply = JSONResponse({"resourceType": "OperationOutcome", "issue": [issue]}, status)
        self.plans += [reply] * times

    def take_silently(self, then: Callable[[Send], Awaitable[None]]) -> None:
        """The EHR takes the change, and its answer never arrives."""

        async def plan(scope: Scope, receive: Receive, send: Send) -> None:
            await swallow(self.app, scope, receive)
            await then(send)

        self.plans.append(plan)


@dataclass
class Desk:
    """A dietician with one connected patient, whose details were compared once."""

    client: Client
    patient: str
    ehr: Store
    door: Door
    books: Books

    async def edit(self, **given: Any) -> None:
        contact = {key: given.pop(key) for key in ("phone", "address") if key in given}
        wanted = given | ({"contactDetails": contact} if contact else {})
        await self.client.change("PatientUpdate", "patientUpdate", id=self.patient, input=wanted)

    async def shown(self) -> dict[str, Any]:
        found = (await self.client.ask("PatientDetailsGet", id=self.patient))["patient"]
        return found | found.pop("contactDetails")

    async def until(self, *statuses: str) -> dict[str, Any]:
        async with asyncio.timeout(SECONDS):
            while True:
                with contextlib.suppress(httpx.ReadError):
                    # After seconds of silence the server closes a connection in the moment in which it is used again.
                    found = await self.shown()
                    if found["detailsStatus"] in statuses:
                        return found
                await asyncio.sleep(0.05)

    def chart(self) -> dict[str, Any]:
        found = self.ehr.current("Patient", "amara")
        assert found
        return json.loads(found.json)

    def versions(self) -> int:
        return len(self.ehr.history("Patient", "amara"))

    def provider_edits(self, **changes: Any) -> None:
        """Somebody at the provider saves the record."""
        now = self.chart()
        for key, value in changes.items():
            if key in ("phone", "email"):
                next(it for it in now["telecom"] if it["system"] == key)["value"] = value
            else:
                now[key] = value
        self.ehr.put(now)

    async def quiet(self) -> None:
        """Until nothing is under way about these details."""
        waiting = (
            "SELECT count(*) FROM work WHERE (kind LIKE 'conflicts.%' OR kind = 'patients.edited') AND done_at IS NULL"
        )
        await self.books.until(f"{waiting} AND dead_at IS NULL", lambda n: n == 0, SECONDS)

    async def conflicts(self, state: str | None = None) -> list[dict[str, Any]]:
        answer = await self.client.ask("PatientConflicts", patientId=self.patient, first=10, state=state)
        return nodes(answer["patientConflicts"])

    async def told(self, *kinds: str) -> list[dict[str, Any]]:
        """The notifications, once there is one of each kind."""
        async with asyncio.timeout(SECONDS):
            while True:
                found = nodes((await self.client.ask("NotificationList", first=20))["notifications"])
                if {*kinds} <= {it["kind"] for it in found}:
                    return found
                await asyncio.sleep(0.05)

    async def logged(self, action: str) -> list[tuple[str, str]]:
        rows = await self.books.all(
            "SELECT status, details FROM synchronization_log WHERE action = :action ORDER BY timestamp", action=action
        )
        return [(row.status, row.details) for row in rows]


@pytest.fixture
async def door(sandbox: Sandbox) -> Door:
    return Door(create_ehr(sandbox.ehr), [])


@pytest.fixture
async def fhir(door: Door) -> AsyncGenerator[str]:
    async with serving(door) as url:
        yield f"{url}/fhir"


@pytest.fixture
async def desk(
    resources: Resources, sandbox: Sandbox, people: People, door: Door, fhir: str, sign_in: SignIn, books: Books
) -> Desk:
    sandbox.ehr.put(CHART)
    client = await sign_in(people.dietician)
    patient = await connected(resources, people, "amara", fhir=fhir)
    return Desk(client, patient, sandbox.ehr, door, books)


@pytest.fixture
async def compared(desk: Desk, worker: Worker) -> Desk:
    """After a run, which fills in what is not known here; the name that was typed here stays."""
    run = await run_to_end(desk.client, desk.patient)
    assert run["status"] == "SUCCEEDED"
    found = await desk.shown()
    assert (found["phone"], found["email"], found["birthDate"], found["address"]) == (
        "020 7946 0001",
        "amara@example.test",
        "1979-02-01",
        "1 Mill Lane, Leeds",
    )
    assert (found["name"] != "Amara Okafor", found["detailsStatus"]) == (True, "DIFFERENT")
    assert desk.versions() == 1
    return desk


def but(chart: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A chart as it would be with some fields changed, without what the server owns."""
    return {key: value for key, value in (chart | changes).items() if key != "meta"}
