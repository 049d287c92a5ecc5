"""graphql-transport-ws as a client speaks it (github.com/enisdenjo/graphql-ws, PROTOCOL.md)."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from app.cli.client import Client
from app.operations import operation

PROTOCOL = Subprotocol("graphql-transport-ws")
SECONDS = 15


class Wire:
    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, frame: Any) -> None:
        await self._connection.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))

    async def receive(self) -> dict[str, Any]:
        return json.loads(await asyncio.wait_for(self._connection.recv(), SECONDS))

    async def closed(self) -> int:
        """The code that the server closes with; whatever it still sends is passed over."""
        try:
            while True:
                await asyncio.wait_for(self._connection.recv(), SECONDS)
        except ConnectionClosed as end:
            return end.rcvd.code if end.rcvd else 0

    async def begin(self, payload: Any = None) -> dict[str, Any]:
        await self.send({"type": "connection_init"} | ({} if payload is None else {"payload": payload}))
        return await self.receive()

    async def subscribe(self, key: str, query: str, **payload: Any) -> None:
        await self.send({"type": "subscribe", "id": key, "payload": {"query": query} | payload})

    async def ask(self, key: str, name: str, **variables: Any) -> None:
        await self.subscribe(key, operation(name), operationName=name, variables=variables)

    async def until(self, key: str) -> list[dict[str, Any]]:
        """The messages of one operation to its end."""
        seen: list[dict[str, Any]] = []
        while not seen or seen[-1]["type"] not in ("complete", "error"):
            message = await self.receive()
            if message.get("id") == key:
                seen.append(message)
        return seen


def bearer(client: Client) -> dict[str, str]:
    return {"Authorization": client._http.headers["Authorization"]}


@asynccontextmanager
async def wire(server: str, path: str = "/graphql", **options: Any) -> AsyncGenerator[Wire]:
    wanted: dict[str, Any] = {"subprotocols": [PROTOCOL], "proxy": None} | options
    async with connect(server.replace("http://", "ws://") + path, **wanted) as connection:
        yield Wire(connection)
