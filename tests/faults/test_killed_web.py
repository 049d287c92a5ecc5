"""The web server is killed while it changes things: whoever asks again with the same key gets the same answer, once done."""

import asyncio
import random
from typing import Any

import httpx

from app.cli.client import Client
from app.core.resources import Resources
from tests.conftest import People, Sandbox
from tests.faults.figures import Figures
from tests.faults.oracle import Oracle
from tests.faults.processes import Web, signed_in
from tests.faults.scale import SEED, scaled
from tests.runs import Books, SignIn, connected_to

KILLS = scaled(3, 50)
AT_ONCE = 6
ASK_AGAIN_SECONDS = 0.1


class Asker:
    """A client that repeats a request with its key until it is answered, as clients that lose their connection do."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.lost: set[str] = set()
        """The keys of requests whose answer was lost at least once."""

    async def sync(self, patient: str, key: str) -> dict[str, Any]:
        while True:
            try:
                return await self.client.change("PatientSync", "patientSync", patientId=patient, idempotencyKey=key)
            except httpx.TransportError:
                self.lost.add(key)
                await asyncio.sleep(ASK_AGAIN_SECONDS)


async def test_a_mutation_with_a_key_has_one_effect_however_often_the_server_dies(
    resources: Resources,
    sandbox: Sandbox,
    people: People,
    books: Books,
    oracle: Oracle,
    figures: Figures,
    web: Web,
) -> None:
    patients = [await connected_to(resources, people, sandbox, f"patient-{number}") for number in range(AT_ONCE)]
    dice = random.Random(SEED)
    async with signed_in(web.url, people.dietician) as client:
        asker = Asker(client)
        keys = 0
        for kill in range(KILLS):
            asking = [asyncio.create_task(asker.sync(patient, f"{kill}/{patient}")) for patient in patients]
            await asyncio.sleep(dice.uniform(0, 0.04))
            await web.end()
            await web.start()
            answers = await asyncio.gather(*asking)
            again = await asyncio.gather(*(asker.sync(patient, f"{kill}/{patient}") for patient in patients))
            assert answers == again
            keys += len({answer["syncRun"]["id"] for answer in answers})
            for answer in answers:
                # Nobody works on them here: the next round wants runs of its own.
                await client.change("SyncCancel", "syncCancel", runId=answer["syncRun"]["id"])

    assert keys == KILLS * AT_ONCE
    assert await books.one("SELECT count(*) FROM sync_runs") == keys
    assert (
        await books.one(
            "SELECT count(*) FROM sync_runs r WHERE NOT EXISTS (SELECT FROM sync_keys k WHERE k.run_id = r.id)"
        )
        == 0
    )
    assert await books.one("SELECT count(*) FROM work WHERE kind = 'sync.run'") == keys
    assert await books.one("SELECT count(*) FROM event WHERE kind = 'RUN_QUEUED' AND stream LIKE 'sync_run/%'") == keys
    await oracle.assert_the_books_are_straight()
    assert len(asker.lost) >= scaled(0, KILLS)
    figures.note("killed-web", kills=KILLS, keys=keys, of_them_lost_their_first_answer=len(asker.lost), effects=keys)


async def test_a_key_that_joined_a_run_under_way_keeps_its_answer(
    resources: Resources, sandbox: Sandbox, people: People, books: Books, sign_in: SignIn
) -> None:
    """Also when that run has ended meanwhile: it is what the second press was answered with."""
    patient = await connected_to(resources, people, sandbox, "amara")
    asker = Asker(await sign_in(people.dietician))
    first = await asker.sync(patient, "monday")
    joined = await asker.sync(patient, "also monday")
    assert joined == first
    await asker.client.change("SyncCancel", "syncCancel", runId=first["syncRun"]["id"])

    again = await asker.sync(patient, "also monday")

    assert again["syncRun"]["id"] == joined["syncRun"]["id"]
    assert await books.one("SELECT count(*) FROM sync_runs") == 1
