"""A provider hangs: it is left in time, it is tried again later, and nobody else waits for it."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Generator

import pytest

from app.connectors.provider import connect
from app.connectors.provider.port import Connection, Limits, ProviderError, ProviderErrorCode
from app.core.resources import Resources
from tasks.broker import Worker
from tests import factories
from tests.conftest import People, Sandbox
from tests.faults.figures import Figures
from tests.faults.scale import FULL, scaled
from tests.faults.servers import another_ehr
from tests.faulty import faults
from tests.runs import Books, SignIn, connected, connected_to, run_to_end, start_run

LIMITS = scaled(Limits(connect_seconds=0.4, read_seconds=0.6, total_seconds=1.2), Limits())
LATE = 1.0
"""Seconds that a busy machine may need to notice that time is up."""


@contextlib.contextmanager
def never_accepting() -> Generator[str]:
    """An address whose queue is full: nobody is refused, and nobody comes in."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                # It is on its way: that is all it is for.
                waiting.connect(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/fhir"


async def left_after(url: str) -> tuple[float, ProviderErrorCode]:
    """Seconds until a provider is given up, and as what."""
    began = time.monotonic()
    async with connect(Connection(url, limits=LIMITS, networks=("127.0.0.0/8",))) as provider:
        with pytest.raises(ProviderError) as refused:
            await provider.page("DocumentReference", "amara")
    assert refused.value.retryable
    return time.monotonic() - began, refused.value.code


async def test_a_provider_that_hangs_is_left_in_time(sandbox: Sandbox, figures: Figures) -> None:
    sandbox.ehr.put_many(factories.resources("amara", 20))
    async with contextlib.AsyncExitStack() as stack:

        async def hung(rule: dict[str, object]) -> str:
            front = await stack.enter_async_context(another_ehr(sandbox.ehr))
            await stack.enter_async_context(faults(front.url, rule))
            return front.fhir

        addresses = [
            stack.enter_context(never_accepting()),
            await hung({"fault": "hang"}),
            await hung({"fault": "hang-middle"}),
            await hung({"fault": "slow", "bytes_per_second": scaled(10, 1)}),
        ]
        (connecting, *others) = await asyncio.gather(*(left_after(url) for url in addresses))

    wanted = [LIMITS.connect_seconds, LIMITS.read_seconds, LIMITS.read_seconds, LIMITS.total_seconds]
    found = [connecting, *others]
    assert [code for _, code in found] == [ProviderErrorCode.UNREACHABLE, *[ProviderErrorCode.TIMEOUT] * 3]
    for seconds, limit in zip([seconds for seconds, _ in found], wanted, strict=True):
        assert limit - 0.05 <= seconds <= limit + LATE
    names = ("connecting", "reading", "reading_half_an_answer", "one_byte_a_second")
    figures.note(
        "hanging", **{f"{name}_left_after_seconds": seconds for name, (seconds, _) in zip(names, found, strict=True)}
    )


async def test_a_provider_that_hangs_is_left_in_time_and_others_are_served_meanwhile(
    resources: Resources,
    sandbox: Sandbox,
    people: People,
    books: Books,
    figures: Figures,
    worker: Worker,
    sign_in: SignIn,
) -> None:
    """Two of a worker's four places hang."""
    sandbox.ehr.put_many([*factories.resources("amara", 2), *factories.resources("healthy", scaled(30, 800))])
    client = await sign_in(people.dietician)
    healthy = await connected_to(resources, people, sandbox, "healthy")
    await run_to_end(client, healthy)

    async def timed() -> float:
        began = time.monotonic()
        assert (await run_to_end(client, healthy, mode="FULL"))["status"] == "SUCCEEDED"
        return time.monotonic() - began

    async def best(of: Callable[[], Awaitable[float]]) -> float:
        return min([await of() for _ in range(scaled(1, 5))])

    alone = await best(timed)
    async with another_ehr(sandbox.ehr) as front, faults(front.url, {"fault": "hang"}):
        runs = [await start_run(client, await connected(resources, people, "amara", fhir=front.fhir)) for _ in range(2)]
        await books.until("SELECT count(*) FROM sync_runs WHERE status = 'RUNNING'", lambda running: running == 2)
        beside = await best(timed)
        for run in runs:
            await client.change("SyncCancel", "syncCancel", runId=run)

    assert not FULL or beside <= 1.2 * alone + 0.1
    assert await books.one("SELECT count(*) FROM sync_runs WHERE status = 'CANCELLED'") == 2
    figures.note("hanging", others_slower_percent=round(100 * (beside / alone - 1)))
