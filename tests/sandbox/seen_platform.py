"""Faults of the platform, and of the notifications that it sends."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.serve import serving
from tests.faulty import faults

from .fault_house import House, seen


@seen("duplicate-webhook")
async def duplicate_webhook(house: House) -> None:
    thrice = {"fault": "duplicate-webhook", "copies": 3, "times": 1}
    async with receiver(house, "/hook") as received, faults(str(house.platform.base_url), thrice) as on:
        await attach(house)
        await until(lambda: len(received) >= 4)
        assert await on.struck() == [1]
    first = next(body for _, body in received if json.loads(body)["type"].endswith("created"))
    assert [body for _, body in received].count(first) == 3


@seen("late-webhook")
async def late_webhook(house: House) -> None:
    late = {"fault": "late-webhook", "seconds": 0.5, "match": {"path": "/slow"}}
    async with receiver(house, "/slow", "/quick") as received, faults(str(house.platform.base_url), late):
        await attach(house)
        await until(lambda: len(received) >= 4)
    assert [path for path, _ in received] == ["/quick", "/quick", "/slow", "/slow"]


@seen("errors-200")
async def errors_200(house: House) -> None:
    async with faults(str(house.platform.base_url), {"fault": "errors-200", "errors": {"last_name": "is odd"}}):
        answer = await house.platform.post("/patients", json={"first_name": "A", "last_name": "B"})
    assert (answer.status_code, answer.json()["errors"]) == (200, {"last_name": "is odd"})
    assert (await house.platform.get("/patients")).json()["total_entries"] == 0


@seen("quota")
async def quota(house: House) -> None:
    async with faults(str(house.platform.base_url), {"fault": "quota", "status": 422}):
        answer = await house.platform.post("/patient_attachments", json={})
        assert (answer.status_code, list(answer.json()["errors"])) == (422, ["quota"])
        assert (await house.platform.get("/patients")).status_code == 200


@seen("slow-processing")
async def slow_processing(house: House) -> None:
    url = f"/patient_attachments/{await attach(house)}"
    await asyncio.sleep(0.3)
    assert (await house.platform.get(url)).json()["processing_completed"] is True
    async with faults(str(house.platform.base_url), {"fault": "slow-processing", "ms": 100_000}):
        assert (await house.platform.get(url)).json()["processing_completed"] is False
        listed = (await house.platform.get("/patient_attachments")).json()["patient_attachments"]
        assert [it["processing_completed"] for it in listed] == [False]


async def attach(house: House) -> str:
    """A new attachment at the platform; its id."""
    made = (await house.platform.post("/patients", json={"first_name": "A", "last_name": "B"})).json()
    form = (await house.platform.get(f"/patients/{made['id']}/attachment_presigned_post")).json()
    stored = await house.platform.post(form["url"], data=form["fields"], files={"file": ("a.txt", b"a", "text/plain")})
    fields = {"patient_id": made["id"], "upload_url": stored.headers["location"]}
    key = {"Idempotency-Key": "12345678"}
    return (await house.platform.post("/patient_attachments", json=fields, headers=key)).json()["id"]


@contextlib.asynccontextmanager
async def receiver(house: House, *paths: str) -> AsyncGenerator[list[tuple[str, bytes]]]:
    """What the platform's webhooks bring, in the order of its arrival: path and body."""
    received: list[tuple[str, bytes]] = []

    async def take(request: Request) -> Response:
        received.append((request.url.path, await request.body()))
        return Response(status_code=204)

    async with serving(Starlette(routes=[Route("/{path:path}", take, methods=["POST"])])) as url:
        for path in paths:
            made = await house.platform.post("/control/webhooks", json={"url": url + path, "secret": "s"})
            assert made.status_code == 201
        yield received


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - it comes through a socket
            await asyncio.sleep(0.01)
