"""A deployment: web and worker are asked to stop in the middle of everything, and are gone in time with nothing lost."""

import asyncio
import base64
import json
import os
import signal
import time
from uuid import uuid4

import websockets
from websockets.typing import Subprotocol

from app.core import work
from app.core.resources import Resources
from app.core.settings import Settings
from app.operations import operation
from tests.conftest import People
from tests.faults.processes import Web, signed_in
from tests.faults.stubborn_worker import PATIENT, STUBBORN
from tests.runs import Books, Workers

STUCK = 50
EXIT_SECONDS = 15
DRAIN_SECONDS = 30
LEASED = "SELECT count(*) FROM work WHERE lease_until > clock_timestamp()"


async def follow(web: Web, token: str) -> websockets.ClientConnection:
    """A socket that follows the activity, as the console does."""
    socket = await websockets.connect(
        web.url.replace("http", "ws") + "/graphql", subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None
    )
    await socket.send(json.dumps({"type": "connection_init", "payload": {"Authorization": token}}))
    assert json.loads(await socket.recv())["type"] == "connection_ack"
    payload = {"query": operation("SyncActivity"), "operationName": "SyncActivity"}
    await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
    return socket


async def deaf(settings: Settings) -> asyncio.StreamWriter:
    """A socket that was opened and is never read from again, not even its end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", settings.port, limit=1)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        f"GET /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n".encode()
    )
    await writer.drain()
    assert (await reader.readexactly(12)) == b"HTTP/1.1 101"
    return writer


async def test_web_is_gone_in_time_and_tells_its_sockets_to_come_back(
    settings: Settings, people: People, web: Web
) -> None:
    async with signed_in(web.url, people.dietician) as client:
        token = client._http.headers["Authorization"]
        following = [await follow(web, token) for _ in range(5)]
        hanging = [await deaf(settings) for _ in range(STUCK)]
        began = time.monotonic()
        assert web.running is not None
        web.running.process.send_signal(signal.SIGTERM)
        for socket in following:
            await asyncio.wait_for(socket.wait_closed(), EXIT_SECONDS)
        code = await asyncio.wait_for(web.running.process.wait(), EXIT_SECONDS + 5)
        gone = time.monotonic() - began
        for writer in hanging:
            writer.close()

    assert code == 0
    assert gone <= EXIT_SECONDS
    # 1012, «service restart»: clients come back by themselves; after 1000 they would not.
    assert {socket.close_code for socket in following} == {1012}


async def test_a_worker_gives_everything_back_that_can_be_given_back_and_goes(
    resources: Resources, books: Books, processes: Workers
) -> None:
    worker = await processes.start("tests.faults.stubborn_worker")
    async with resources.db.transaction() as session:
        for kind in (PATIENT, PATIENT, STUBBORN):
            await work.ask(session, kind, uuid4())
    await books.until(LEASED, lambda held: held == 3)
    began = time.monotonic()
    worker.process.send_signal(signal.SIGTERM)
    code = await asyncio.wait_for(worker.process.wait(), DRAIN_SECONDS + 5)
    gone = time.monotonic() - began

    assert gone <= DRAIN_SECONDS
    assert code in (0, 1)
    held = "SELECT attempts, lease_until FROM work WHERE kind = :kind"
    assert [tuple(row) for row in await books.all(held, kind=PATIENT)] == [(0, None)] * 2
    # What does not listen to anybody has a lease that ends.
    assert await books.until(LEASED, lambda left: left == 0) == 0
    assert await books.one("SELECT count(*) FROM work WHERE done_at IS NOT NULL OR dead_at IS NOT NULL") == 0
