"""Clients that ask and leave before they are answered."""

import asyncio
import contextlib
import json
import time

from sqlalchemy import text
from sqlalchemy.pool import AsyncAdaptedQueuePool

from app.cli.client import Client
from app.core.resources import Resources
from app.core.settings import Settings
from app.operations import operation
from tests.conftest import People
from tests.faults.figures import Figures
from tests.faults.processes import Web, signed_in
from tests.faults.scale import scaled
from tests.runs import Books

CLIENTS = scaled(100, 1000)
BACKENDS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
)
WAITING = f"{BACKENDS} AND wait_event_type = 'Lock'"


def request(web: Web, client: Client, path: str, name: str, **variables: object) -> bytes:
    body = json.dumps({"query": operation(name), "variables": variables, "operationName": name}).encode()
    host = web.url.removeprefix("http://")
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Authorization: {client._http.headers['Authorization']}\r\n"
        f"Accept: {'text/event-stream' if path.endswith('stream') else 'application/json'}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def asking(port: int, words: bytes) -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(words)
    return writer


def ours(resources: Resources) -> int:
    """The backends that serve this test and not the web server."""
    pool = resources.db.engine.pool
    assert isinstance(pool, AsyncAdaptedQueuePool)
    return pool.checkedin() + pool.checkedout()


async def until_quick(client: Client) -> float:
    """Seconds until a list is answered again."""
    began = time.monotonic()
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(Exception):
                # Everything that is refused is refused for the crowd's sake: the next try may be served.
                await client.ask("DocumentList", first=1)
                return time.monotonic() - began
            await asyncio.sleep(0.05)


async def test_clients_that_leave_in_mid_query_leave_nothing_behind(
    resources: Resources, settings: Settings, people: People, books: Books, web: Web, figures: Figures
) -> None:
    """Every query hangs at a lock that somebody holds; then all callers are gone, and the lock still is not."""
    async with signed_in(web.url, people.dietician) as client:
        words = [
            request(web, client, "/graphql", "DocumentList", first=20, search="eats"),
            request(web, client, "/graphql/stream", "SyncActivity"),
        ]
        async with resources.db.transaction() as holding:
            await holding.execute(text("LOCK TABLE healthcare_documents, event IN ACCESS EXCLUSIVE MODE"))
            crowd = await asyncio.gather(*(asking(settings.port, words[number % 2]) for number in range(CLIENTS)))
            hanging = await books.until(WAITING, lambda waiting: waiting >= settings.pool_size // 2)
            for client_gone in crowd:
                # No goodbye: the connection is reset.
                client_gone.transport.abort()
            await asyncio.sleep(2)
            backends = await books.one(BACKENDS) - ours(resources)
            still = await books.one(WAITING)
        quick = await until_quick(client)

    assert backends <= settings.pool_size
    figures.note(
        "leaving",
        clients=CLIENTS,
        queries_that_hung=hanging,
        backends_2_seconds_later=backends,
        of_them_still_in_a_query=still,
        pool_size=settings.pool_size,
        seconds_until_served_again=quick,
    )
