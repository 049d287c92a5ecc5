"""The sandbox's faults, switched on for the length of a block."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True, slots=True)
class On:
    client: httpx.AsyncClient
    ids: list[int]

    async def struck(self) -> list[int]:
        """How often each of the rules has struck."""
        rules = (await self.client.get("/control/faults")).json()["faults"]
        return [rule["struck"] for rule in rules if rule["id"] in self.ids]

    async def off(self) -> None:
        await self.client.delete("/control/faults", params={"id": self.ids})


@asynccontextmanager
async def faults(url: str, *rules: dict[str, Any]) -> AsyncGenerator[On]:
    """Rules as docs/guides/sandbox.md has them; `url` is any address at the server."""
    origin = httpx.URL(url).join("/")
    async with httpx.AsyncClient(base_url=origin, trust_env=False) as client:
        answer = await client.post("/control/faults", json=list(rules))
        assert answer.status_code == 201, answer.text
        on = On(client, [rule["id"] for rule in answer.json()["faults"]])
        try:
            yield on
        finally:
            await on.off()
