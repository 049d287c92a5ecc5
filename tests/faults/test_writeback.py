"""An edit of a patient's details reaches the provider once, whatever happens on the way, and overwrites nobody."""

import asyncio
import itertools
import json
import random
import signal
from collections.abc import Awaitable, Callable

import pytest
from starlette.types import Receive, Scope, Send

from app.connectors.provider.port import Limits
from tests.faults.desk import CHART, SECONDS, Desk, but
from tests.runs import Workers, run_to_end, swallow

SEED = 20261120


@pytest.mark.parametrize(
    ("status", "code"),
    [(412, "conflict"), (409, "conflict"), (409, "lock-error"), (500, "exception"), (503, "transient")],
)
async def test_a_passing_refusal_is_tried_again_and_ends_in_one_version(compared: Desk, status: int, code: str) -> None:
    compared.door.answer(status, code, times=2)
    async with compared.books.no_pauses():
        await compared.edit(phone="020 2222")
        assert (await compared.until("DIFFERENT", "FAILED", "CONFLICT"))["detailsStatus"] == "DIFFERENT"
    assert (compared.versions(), compared.door.puts) == (2, 3)
    assert compared.chart()["telecom"][0]["value"] == "020 2222"


async def test_a_record_that_never_stands_still_is_left_to_a_person(compared: Desk) -> None:
    compared.door.answer(412, "conflict", times=5)
    await compared.edit(phone="020 2222")
    await compared.until("CONFLICT")
    (conflict,) = await compared.conflicts()
    assert (conflict["ours"], conflict["theirs"], compared.versions()) == ("020 2222", "020 7946 0001", 1)
    await compared.client.change("ConflictResolve", "conflictResolve", id=conflict["id"], choice="OURS")
    await compared.until("DIFFERENT")
    assert compared.chart()["telecom"][0]["value"] == "020 2222"


async def silent(_send: Send) -> None:
    """For longer than a provider is waited for."""
    await asyncio.sleep(Limits().read_seconds + 2)


async def broken(_send: Send) -> None:
    raise ConnectionResetError


async def garbled(send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
    await send({"type": "http.response.body", "body": b"<html>"})


async def failing(send: Send) -> None:
    await send({"type": "http.response.start", "status": 500, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("then", [silent, broken, garbled, failing], ids=lambda it: it.__name__)
async def test_an_update_whose_answer_is_lost_is_looked_for_and_not_repeated(
    compared: Desk, then: Callable[[Send], Awaitable[None]]
) -> None:
    compared.door.take_silently(then)
    async with compared.books.no_pauses():
        await compared.edit(phone="020 2222")
        assert (await compared.until("DIFFERENT", "FAILED", "CONFLICT"))["detailsStatus"] == "DIFFERENT"
    assert (compared.versions(), compared.door.puts) == (2, 1)
    assert compared.chart()["telecom"][0]["value"] == "020 2222"
    assert await compared.conflicts() == []


@pytest.mark.parametrize("taken", [True, False])
async def test_a_worker_killed_between_the_update_and_its_record_leaves_one_version(
    desk: Desk, processes: Workers, taken: bool
) -> None:
    first = await processes.start()
    await run_to_end(desk.client, desk.patient)
    arrived = asyncio.Event()

    async def hang(scope: Scope, receive: Receive, _send: Send) -> None:
        if taken:
            await swallow(desk.door.app, scope, receive)
        arrived.set()
        while (await receive())["type"] != "http.disconnect":
            continue

    desk.door.plans.append(hang)
    await desk.edit(phone="020 2222")
    await asyncio.wait_for(arrived.wait(), SECONDS)
    await first.end(signal.SIGKILL)
    await desk.edit(address="2 Mill Lane, Leeds")
    await processes.start()

    await desk.until("DIFFERENT", "FAILED", "CONFLICT")
    assert await desk.conflicts() == []
    assert desk.chart()["telecom"][0]["value"] == "020 2222"
    assert desk.chart()["address"] == [CHART["address"][0] | {"line": ["2 Mill Lane"], "text": "2 Mill Lane, Leeds"}]
    assert desk.versions() == (3 if taken else 2)
    assert but(desk.chart(), telecom=0, address=0) == but(CHART, telecom=0, address=0)
    sent = await desk.books.all("SELECT attempts, done_at, dead_at FROM work WHERE kind = 'patients.edited'")
    assert all(row.done_at and not row.dead_at for row in sent)


async def test_a_provider_that_was_away_is_told_by_the_next_run(compared: Desk) -> None:
    compared.door.answer(503, "transient", times=6)
    async with compared.books.no_pauses():
        await compared.edit(phone="020 2222")
        assert (await compared.until("FAILED"))["detailsError"]["code"] == "PROVIDER_UNAVAILABLE"
    await run_to_end(compared.client, compared.patient)
    await compared.until("DIFFERENT")
    assert (compared.versions(), compared.chart()["telecom"][0]["value"]) == (2, "020 2222")
    await compared.books.until(
        "SELECT count(*) FROM notifications WHERE kind = 'DETAILS_FAILED' AND settled_at IS NULL", lambda n: n == 0
    )


@pytest.mark.parametrize("seed", range(SEED, SEED + 4))
async def test_two_sides_that_edit_at_once_lose_nothing(compared: Desk, seed: int) -> None:
    """Every value that either side entered is in force, or kept in a conflict, or was replaced by its own side."""
    dice = random.Random(seed)
    last: dict[str, dict[str, str]] = {"ours": {}, "theirs": {}}

    async def we() -> None:
        for n in range(6):
            field = dice.choice(("phone", "email"))
            value = f"020 1{n}" if field == "phone" else f"we{n}@example.test"
            await compared.edit(**{field: value})
            last["ours"][field] = value
            await asyncio.sleep(dice.uniform(0, 0.8))

    async def they() -> None:
        for n in range(6):
            field = dice.choice(("phone", "email"))
            value = f"020 2{n}" if field == "phone" else f"they{n}@example.test"
            compared.provider_edits(**{field: value})
            last["theirs"][field] = value
            await asyncio.sleep(dice.uniform(0, 0.8))

    async with compared.books.no_pauses():
        await asyncio.gather(we(), they())
        await compared.quiet()
    await run_to_end(compared.client, compared.patient)
    await compared.until("DIFFERENT", "CONFLICT")

    ours, theirs = await compared.shown(), {it["system"]: it["value"] for it in compared.chart()["telecom"]}
    clashes = {it["field"].lower(): it for it in await compared.conflicts("OPEN")}
    for field in ("phone", "email"):
        if field in clashes:
            assert (clashes[field]["ours"], clashes[field]["theirs"]) == (ours[field], theirs[field])
            assert ours[field] != theirs[field]
        else:
            assert ours[field] == theirs[field]
            assert ours[field] in {
                last["ours"].get(field),
                last["theirs"].get(field),
                "020 7946 0001",
                "amara@example.test",
            }
    history = [json.loads(it.json) for it in compared.ehr.history("Patient", "amara")]
    assert all(but(it, telecom=0) == but(CHART, telecom=0) for it in history), "nobody's other fields are touched"
    said = [json.dumps(it["telecom"]) for it in history]
    assert all(one != two for one, two in itertools.pairwise(said)), "no version says what the one before said"
