"""Whatever a server does to hold us, an exchange ends in time, and nobody else waits for it."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.responses import Response

from app.connectors.guard import look_up
from app.connectors.http import Room, exchange, open_client
from app.connectors.provider import connect
from app.connectors.provider.port import Attachment, Connection, Fetched, Limits, ProviderError, ProviderErrorCode
from app.core.settings import LOOPBACK
from app.core.spool import OF_ONE, SMALL, Spool
from tests.connectors.scripted import Scripted

SHORT = Limits(connect_seconds=0.4, read_seconds=0.6, total_seconds=1.2)
"""A thirtieth of the real ones, in the same order."""
PATIENCE = 30
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\nContent-Length: 100000\r\n\r\n"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw(serve: Serve) -> AsyncGenerator[str]:
    """A server of plain bytes; its base address."""
    serving: set[asyncio.Task[None]] = set()

    async def tracked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            # The client has given up, or the test is over.
            await serve(reader, writer)
        writer.close()
        serving.discard(task)

    server = await asyncio.start_server(tracked, "127.0.0.1")
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/fhir"
        for task in [*serving]:
            task.cancel()


async def silent(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(600)


async def dripping_head(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for byte in HEAD * 100:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.05)


async def dripping_body(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD)
    for _ in range(10_000):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def stalling(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"x" * 10)
    await writer.drain()
    await asyncio.sleep(600)


def _left(folder: Path) -> list[Path]:
    return [*folder.iterdir()]


async def _code(base: str, **given: object) -> ProviderErrorCode:
    connection = Connection(base, limits=SHORT, networks=LOOPBACK)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(ProviderError) as caught:
            async with connect(connection, **given) as provider:  # type: ignore[arg-type]
                await provider.fetch(Attachment(url=f"{base}/Binary/1"))
    assert caught.value.retryable
    return caught.value.code


@pytest.mark.parametrize("serve", [silent, stalling, dripping_head, dripping_body])
async def test_a_server_that_holds_us_is_left(serve: Serve) -> None:
    async with raw(serve) as base:
        assert await _code(base) is ProviderErrorCode.TIMEOUT


async def test_a_port_that_swallows_connections_is_left() -> None:
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        # A full queue: the system answers no further hello, as a firewall that drops packets does.
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                # That is what a connection under way says.
                waiting.connect(listener.getsockname())
        base = f"http://127.0.0.1:{listener.getsockname()[1]}/fhir"
        assert await _code(base) is ProviderErrorCode.UNREACHABLE


async def test_a_name_server_that_says_nothing_is_left_and_asked_once_for_all() -> None:
    released = threading.Event()
    asked: list[str] = []

    def hanging(host: str, _port: int, **_: object) -> Sequence[tuple[object, ...]]:
        asked.append(host)
        released.wait(PATIENCE)
        raise OSError

    async def resolver(host: str, port: int) -> Sequence[str]:
        return await look_up(host, port, hanging)

    connection = Connection("http://ehr.example.test/fhir", limits=SHORT, networks=LOOPBACK)
    async with asyncio.timeout(PATIENCE):
        async with connect(connection, resolver=resolver) as provider:
            wanted = [Attachment(url=f"{connection.base_url}/Binary/{number}") for number in range(8)]
            outcomes = await asyncio.gather(*(provider.fetch(it) for it in wanted), return_exceptions=True)
        assert {it.code for it in outcomes if isinstance(it, ProviderError)} == {ProviderErrorCode.UNREACHABLE}
        assert (len(outcomes), asked) == (8, ["ehr.example.test"])
        # Others are looked up while that thread still hangs.
        assert "127.0.0.1" in await look_up("localhost", 80)
        assert not released.is_set()
        released.set()


async def test_a_name_that_nobody_knows_is_unreachable() -> None:
    async def nobody(_host: str, _port: int) -> Sequence[str]:
        raise OSError(-2, "Name or service not known")

    assert await _code("http://ehr.example.test/fhir", resolver=nobody) is ProviderErrorCode.UNREACHABLE


async def test_a_slow_provider_holds_up_nobody_else(server: Scripted, tmp_path: Path) -> None:
    server.on("GET /fhir/Binary/1", Response(b"x" * (SMALL + 1), media_type="application/pdf"))
    spool = Spool(tmp_path)

    async def large_and_slow(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD.replace(b"100000", b"9000000") + b"x" * (SMALL + 1))
        await writer.drain()
        await asyncio.sleep(600)

    patient = Limits(connect_seconds=600, read_seconds=600, total_seconds=600)
    async with (
        raw(large_and_slow) as base,
        connect(Connection(base, limits=patient, networks=LOOPBACK, spool=spool)) as slow,
    ):
        waiting = [asyncio.create_task(slow.fetch(Attachment(url=f"{base}/{number}"))) for number in range(20)]
        async with asyncio.timeout(PATIENCE):
            while len(_left(tmp_path)) < OF_ONE:  # noqa: ASYNC110 - threads write them
                await asyncio.sleep(0.01)
            async with connect(Connection(server.base, networks=LOOPBACK, spool=spool)) as quick:
                for _ in range(30):
                    fetched: Fetched = await quick.fetch(Attachment(url=f"{server.base}/Binary/1"))
                    fetched.close()
        assert not any(it.done() for it in waiting)
        for it in waiting:
            it.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    assert _left(tmp_path) == []


async def test_waiting_for_room_is_not_held_against_a_server(server: Scripted, tmp_path: Path) -> None:
    server.on("GET /x", Response(b"x" * (SMALL + 1)))
    spool = Spool(tmp_path)
    async with open_client(connect_seconds=3, read_seconds=5, user_agent="t/1", allow=LOOPBACK) as client:
        request = client.build_request("GET", f"{server.origin}/x")
        async with contextlib.AsyncExitStack() as others:
            for _ in range(OF_ONE):
                await others.enter_async_context(spool.turn(server.place))
            room = Room(2 * SMALL, SMALL, spool)
            asking = asyncio.create_task(exchange(client, request, seconds=1, cap=room))
            await asyncio.sleep(1.5)
            assert not asking.done()
        answer = await asyncio.wait_for(asking, PATIENCE)
    assert (answer.size, answer.body) == (SMALL + 1, b"")
    assert answer.file is not None
    answer.file.close()
