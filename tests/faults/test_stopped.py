"""The web server is asked to stop while clients hang on to it."""

import asyncio
import json
import signal
import time

import httpx
import pytest

from app.cli.client import Client
from app.core.settings import Settings
from app.operations import operation
from tests.conftest import People
from tests.faults.figures import Figures
from tests.faults.processes import Web, signed_in
from tests.faults.scale import FULL

STUCK = 50
EXIT_SECONDS = 15


async def stuck(settings: Settings, client: Client) -> asyncio.StreamWriter:
    """A stream that nobody reads, on a connection that stays."""
    body = json.dumps({"query": operation("SyncActivity"), "operationName": "SyncActivity"}).encode()
    _, writer = await asyncio.open_connection("127.0.0.1", settings.port)
    head = (
        f"POST /graphql/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: {client._http.headers['Authorization']}\r\nAccept: text/event-stream\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await writer.drain()
    return writer


async def half_asked(settings: Settings) -> asyncio.StreamWriter:
    """A request that is never sent to its end."""
    _, writer = await asyncio.open_connection("127.0.0.1", settings.port)
    writer.write(b"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    return writer


@pytest.mark.skipif(not FULL, reason="in small it is what test_shutdown.py tells; run make faults")
async def test_a_web_server_that_is_asked_to_stop_is_gone_in_time(
    settings: Settings, people: People, web: Web, figures: Figures
) -> None:
    async with signed_in(web.url, people.dietician) as client:
        hanging = [await (half_asked(settings) if number % 2 else stuck(settings, client)) for number in range(STUCK)]
        await asyncio.sleep(0.3)
        async with httpx.AsyncClient(trust_env=False) as visitor:
            assert (await visitor.get(f"{web.url}/readyz")).is_success
        began = time.monotonic()
        assert web.running is not None
        web.running.process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(web.running.process.wait(), EXIT_SECONDS + 5)
        gone = time.monotonic() - began
        for writer in hanging:
            writer.close()

    assert code == 0
    assert gone <= EXIT_SECONDS
    figures.note("stopped", stuck_sockets=STUCK, web_gone_after_seconds=gone)
