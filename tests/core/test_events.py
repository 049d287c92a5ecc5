"""Events are rows: contiguous in each stream, in the order of commits."""

import asyncio
from uuid import uuid4

import pytest

from app.core import events
from app.core.db import outbox
from app.core.events import Happened
from app.core.resources import Resources

STREAM = "trial/1"


async def append(resources: Resources, *kinds: str, stream: str = STREAM) -> int:
    async with resources.db.transaction() as session:
        return await events.append(session, stream, [Happened(kind) for kind in kinds])


async def seqs(resources: Resources, after: int = 0, **given: int) -> list[int]:
    async with resources.db.reading() as session:
        return [event.seq for event in await events.after(session, STREAM, after, **given)]


async def test_seq_is_contiguous_under_twenty_transactions_at_once(resources: Resources) -> None:
    await asyncio.gather(*(append(resources, *(["THING"] * (1 + n % 3))) for n in range(20)))
    found = await seqs(resources)
    assert found == list(range(1, 1 + sum(1 + n % 3 for n in range(20))))
    async with resources.db.reading() as session:
        assert await events.last_seq(session, STREAM) == found[-1]


async def test_a_reader_never_sees_a_hole_while_others_write(resources: Resources) -> None:
    writing = asyncio.gather(*(append(resources, "A", "B") for _ in range(15)))
    while not writing.done():
        found = await seqs(resources)
        assert found == list(range(1, len(found) + 1))
        await asyncio.sleep(0)
    await writing
    assert len(await seqs(resources)) == 30


async def test_the_events_of_a_transaction_stand_together_in_their_order(resources: Resources) -> None:
    await asyncio.gather(*(append(resources, "FIRST", "SECOND", "THIRD") for _ in range(6)))
    async with resources.db.reading() as session:
        kinds = [event.kind for event in await events.after(session, STREAM, 0)]
    assert kinds == ["FIRST", "SECOND", "THIRD"] * 6


async def test_a_transaction_that_is_rolled_back_leaves_no_hole(resources: Resources) -> None:
    await append(resources, "A")

    async def rolled_back() -> None:
        async with resources.db.transaction() as session:
            assert await events.append(session, STREAM, [Happened("LOST"), Happened("LOST")]) == 3
            raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError, match="changed my mind"):
        await rolled_back()
    assert await append(resources, "B") == 2
    assert await seqs(resources) == [1, 2]


async def test_after_gives_the_next_ones_in_order_and_no_more_than_asked(resources: Resources) -> None:
    await append(resources, *"ABCDEFGH")
    assert await seqs(resources, 3) == [4, 5, 6, 7, 8]
    assert await seqs(resources, 3, limit=2) == [4, 5]
    assert await seqs(resources, 8) == []
    assert await seqs(resources, 800) == []


async def test_streams_do_not_know_of_each_other(resources: Resources) -> None:
    await append(resources, "A", "B")
    assert await append(resources, "C", stream="trial/2") == 1
    assert await seqs(resources) == [1, 2]


async def test_nothing_that_happened_moves_no_counter(resources: Resources) -> None:
    await append(resources, "A")
    async with resources.db.transaction() as session:
        await events.append(session, STREAM, [])
        assert outbox(session).pokes == {}
    assert await append(resources, "B") == 2


async def test_one_poke_names_the_last_seq_of_a_stream(resources: Resources) -> None:
    document = uuid4()
    async with resources.db.transaction() as session:
        await events.append(session, STREAM, [Happened("A"), Happened("B", {"document": document})])
        await events.append(session, STREAM, [Happened("C")])
        assert outbox(session).pokes == {STREAM: 3}
    async with resources.db.reading() as session:
        second = (await events.after(session, STREAM, 1))[0]
    assert second.ids == {"document": str(document)}
