"""The gate of a connection: one pace and one breaker for all processes, kept by the database."""

import asyncio
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import pytest
from sqlalchemy import event, text

from app.core import gates
from app.core.gate import OPEN, Closed, Crowded, Outcome
from app.core.gates import SharedGate
from app.core.resources import Resources, open_resources
from app.core.settings import Settings

KEY = "providers/0197"


@pytest.fixture
async def two(settings: Settings) -> AsyncGenerator[tuple[SharedGate, SharedGate]]:
    """The same gate in two processes: nothing is shared between them but the database."""
    async with AsyncExitStack() as stack:
        ours, theirs = [await stack.enter_async_context(open_resources(settings)) for _ in range(2)]
        yield ours.gates.of(KEY), theirs.gates.of(KEY)


async def ask(gate: SharedGate, outcome: Outcome | None = Outcome.WELL, wait: float | None = None) -> None:
    async with gate.passing() as passage:
        if outcome is not None:
            passage.note(outcome, wait)


async def refused(gate: SharedGate) -> Closed:
    with pytest.raises(Closed) as found:
        await ask(gate)
    return found.value


async def fail(gate: SharedGate, times: int = gates.FAILURES) -> None:
    for _ in range(times):
        await ask(gate, Outcome.FAILED)


async def sql(resources: Resources, statement: str) -> None:
    async with resources.db.transaction() as session:
        await session.execute(text(statement))


async def row(resources: Resources) -> Any:
    async with resources.db.reading() as session:
        return (await session.execute(text("SELECT *, paused_until - now() AS pause FROM gates"))).one()


async def pass_time(resources: Resources, seconds: float) -> None:
    """Moves everything that the row remembers into the past, and what the processes believe of it out of date."""
    moved = ", ".join(
        f"{name} = {name} - interval '{seconds} seconds'"
        for name in ("refilled_at", "slowed_at", "paused_until", "probe_at")
    )
    await sql(resources, f"UPDATE gates SET {moved}")
    await asyncio.sleep(gates.BELIEVED_SECONDS + 0.05)


@contextmanager
def counted(*found: Resources) -> Generator[list[str]]:
    """The statements about gates that these processes make."""
    statements: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "gates" in statement:
            statements.append(statement)

    for it in found:
        event.listen(it.db.engine.sync_engine, "before_cursor_execute", note)
    yield statements
    for it in found:
        event.remove(it.db.engine.sync_engine, "before_cursor_execute", note)


async def test_a_thousand_requests_cost_a_score_of_statements(resources: Resources) -> None:
    gate = resources.gates.of(KEY, 400)
    with counted(resources) as statements:
        await asyncio.gather(*(ask(gate) for _ in range(1000)))
    assert len(statements) <= 20


async def test_two_processes_share_one_pace(two: tuple[SharedGate, SharedGate]) -> None:
    for gate in two:
        gate.per_second, gate.burst_seconds = 50, 1
    began = time.monotonic()
    await asyncio.gather(*(ask(gate) for gate in two for _ in range(75)))
    # A burst of 50, then 50 a second; a last handful of each may lie unused.
    assert time.monotonic() - began > 1.5


async def test_tokens_are_given_out_once_however_many_ask_at_the_same_moment(settings: Settings) -> None:
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(open_resources(settings)) for _ in range(4)]
        found = [it.gates.of(KEY, 40) for it in opened]
        began = time.monotonic()
        await asyncio.gather(*(ask(gate) for gate in found for _ in range(30)))
        took = time.monotonic() - began
    assert took > (120 - 40) / 40 * 0.9


async def test_a_process_has_a_bounded_number_of_requests_under_way(resources: Resources) -> None:
    gate, now, most = resources.gates.of(KEY), 0, 0

    async def slow() -> None:
        nonlocal now, most
        async with gate.passing() as passage:
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.01)
            now -= 1
            passage.note(Outcome.WELL)

    await asyncio.gather(*(slow() for _ in range(50)))
    assert most == gates.IN_FLIGHT


async def test_a_dead_server_is_asked_twenty_times_at_most_by_two_processes(
    two: tuple[SharedGate, SharedGate],
) -> None:
    asked = 0

    async def knock(gate: SharedGate) -> None:
        nonlocal asked
        async with gate.passing() as passage:
            asked += 1
            await asyncio.sleep(0.02)
            passage.note(Outcome.FAILED)

    answers = await asyncio.gather(*(knock(gate) for gate in two for _ in range(60)), return_exceptions=True)
    assert gates.FAILURES <= asked <= 20
    assert sum(isinstance(it, Closed) for it in answers) == 120 - asked
    for gate in two:
        assert not (await refused(gate)).throttled


async def test_an_open_breaker_says_at_once_how_long_it_stays_so(
    two: tuple[SharedGate, SharedGate], resources: Resources
) -> None:
    ours, theirs = two
    await fail(ours)
    for gate in (ours, theirs):
        assert 0 < (await refused(gate)).seconds <= gates.FIRST_PROBE_SECONDS
    with counted(resources) as statements:
        for _ in range(20):
            await refused(ours)
    assert statements == []


async def test_one_request_tries_whether_it_is_back_and_nobody_else_in_thirty_seconds(
    two: tuple[SharedGate, SharedGate], resources: Resources
) -> None:
    await fail(two[0])
    await pass_time(resources, gates.FIRST_PROBE_SECONDS)
    async with two[1].passing() as probe:
        for gate in two:
            assert 20 < (await refused(gate)).seconds <= gates.PROBE_SECONDS
        probe.note(Outcome.FAILED)
    for gate in two:
        assert 20 < (await refused(gate)).seconds <= gates.PROBE_SECONDS


async def test_a_probe_that_goes_well_opens_the_gate_for_everybody(
    two: tuple[SharedGate, SharedGate], resources: Resources
) -> None:
    await fail(two[0])
    await pass_time(resources, gates.FIRST_PROBE_SECONDS)
    await ask(two[1])
    await asyncio.gather(*(ask(two[1]) for _ in range(10)))
    await asyncio.sleep(gates.BELIEVED_SECONDS + 0.05)
    await asyncio.gather(*(ask(two[0]) for _ in range(10)))
    assert ((await row(resources)).failures, (await row(resources)).probe_at) == (0, None)


async def test_a_probe_of_which_nothing_is_heard_is_followed_by_another(
    two: tuple[SharedGate, SharedGate], resources: Resources
) -> None:
    await fail(two[0])
    await pass_time(resources, gates.FIRST_PROBE_SECONDS)
    await ask(two[0], None)
    await refused(two[1])
    await pass_time(resources, gates.PROBE_SECONDS)
    await ask(two[1])
    assert (await row(resources)).probe_at is None


async def test_a_latecomer_who_went_well_does_not_close_the_breaker(resources: Resources) -> None:
    gate = resources.gates.of(KEY)
    async with gate.passing() as late:
        await fail(gate)
        late.note(Outcome.WELL)
    assert (await row(resources)).probe_at is not None
    await refused(gate)


async def test_failures_count_only_in_a_row(two: tuple[SharedGate, SharedGate], resources: Resources) -> None:
    for _ in range(3):
        await fail(two[0], gates.FAILURES - 1)
        await ask(two[0])
        assert (await row(resources)).failures == 0
    await ask(two[1])


async def test_what_says_nothing_about_the_connection_is_not_counted(resources: Resources) -> None:
    gate = resources.gates.of(KEY)
    for _ in range(10):
        await ask(gate, None)
        with pytest.raises(ValueError, match="of our own"):
            async with gate.passing():
                raise ValueError("of our own")
    assert (await row(resources)).failures == 0


async def test_a_servers_wish_closes_the_gate_for_everybody_and_never_opens_early(
    two: tuple[SharedGate, SharedGate], resources: Resources
) -> None:
    await ask(two[0], Outcome.THROTTLED, 120)
    for gate in two:
        closed = await refused(gate)
        assert closed.throttled
        assert 110 < closed.seconds <= 120
    # A shorter wish, of a request that was under way, takes nothing back.
    await sql(resources, "UPDATE gates SET paused_until = paused_until")
    await pass_time(resources, 115)
    assert (await row(resources)).pause.total_seconds() > 2
    await refused(two[1])
    await pass_time(resources, 5)
    await ask(two[1])


async def test_a_wish_beyond_all_measure_is_kept_for_an_hour(resources: Resources) -> None:
    gate = resources.gates.of(KEY)
    await ask(gate, Outcome.THROTTLED, 86_400)
    assert 3500 < (await refused(gate)).seconds <= gates.LONGEST_WAIT


async def test_a_short_wish_is_sat_out_in_place(two: tuple[SharedGate, SharedGate]) -> None:
    await ask(two[0], Outcome.OVERLOADED, 1)
    began = time.monotonic()
    await ask(two[1])
    assert time.monotonic() - began > 0.9


@pytest.mark.parametrize("outcome", [Outcome.THROTTLED, Outcome.OVERLOADED])
async def test_without_a_wish_the_pauses_grow_and_a_success_ends_that(resources: Resources, outcome: Outcome) -> None:
    gate, found = resources.gates.of(KEY), list[float]()
    for _ in range(4):
        await ask(gate, outcome)
        found.append((await row(resources)).pause.total_seconds())
        await pass_time(resources, 300)
        if outcome is Outcome.OVERLOADED:
            await sql(resources, "UPDATE gates SET failures = 0")
    for number, seconds in enumerate(found):
        assert 2**number * 0.4 < seconds <= 2**number
    await ask(gate)
    assert (await row(resources)).pauses == 0


async def test_several_who_meet_one_pause_count_once(resources: Resources) -> None:
    gate = resources.gates.of(KEY)

    async def throttled() -> None:
        async with gate.passing() as passage:
            await asyncio.sleep(0.1)
            passage.note(Outcome.THROTTLED, 30)

    await asyncio.gather(*(throttled() for _ in range(gates.IN_FLIGHT)))
    found = await row(resources)
    assert (found.pauses, found.pace, found.failures) == (1, 0.5, 0)


async def test_the_pace_that_a_429_has_halved_comes_back(resources: Resources) -> None:
    gate = resources.gates.of(KEY)
    for _ in range(3):
        await ask(gate, Outcome.THROTTLED, 0)
        await asyncio.sleep(0.01)
    halved = (await row(resources)).pace
    assert halved < 0.2
    await pass_time(resources, 2 * gates.MENDING_SECONDS)
    await ask(gate, Outcome.THROTTLED, 0)
    assert halved < (await row(resources)).pace < 0.5


async def test_a_key_has_nothing_to_do_with_another(resources: Resources) -> None:
    await fail(resources.gates.of(KEY))
    await ask(resources.gates.of("platforms/0197"))


async def test_where_nobody_counts_everybody_passes() -> None:
    passed = 0
    for _ in range(20):
        async with OPEN.passing() as passage:
            passage.note(Outcome.FAILED)
            passed += 1
    assert passed == 20


async def test_a_connection_takes_half_of_the_places_and_gives_them_back(resources: Resources) -> None:
    seats = resources.settings.worker_threads // 2
    with _seated(resources, seats):
        with pytest.raises(Crowded), resources.gates.seat(KEY):
            raise AssertionError
        with resources.gates.seat("platforms/0197"):
            assert True
    with resources.gates.seat(KEY):
        assert True


@contextmanager
def _seated(resources: Resources, number: int) -> Generator[None]:
    if number == 0:
        yield
        return
    with resources.gates.seat(KEY), _seated(resources, number - 1):
        yield
