"""The connector's transport, which counts what it sends, and waits where the server asks us to."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx

from app.connectors.http import Answer, retry_after
from app.connectors.provider.certify.card import Group, Line, some
from app.connectors.provider.fhir.transport import Transport
from app.connectors.provider.port import Limits

BUSY = (429, 503)
PATIENCE = 30.0
"""Seconds that we wait at most where a server asks for a pause."""
TRIES = 4


class Watching(Transport):
    def __init__(self, client: httpx.AsyncClient, limits: Limits) -> None:
        super().__init__(client, limits)
        self.requests = 0
        self.throttled = 0
        self.unclear: list[str] = []
        """Retry-After headers that nobody can follow."""

    async def send(self, method: str, url: httpx.URL, headers: Mapping[str, str], **more: Any) -> Answer:
        for _ in range(TRIES - 1):
            answer = await self._once(method, url, headers, **more)
            if answer.status not in BUSY or (wait := self._pause(answer)) > PATIENCE:
                return answer
            await asyncio.sleep(wait)
        return await self._once(method, url, headers, **more)

    async def _once(self, method: str, url: httpx.URL, headers: Mapping[str, str], **more: Any) -> Answer:
        self.requests += 1
        return await super().send(method, url, headers, **more)

    def line(self, group: Group) -> Line:
        name = "Retry-After"
        if not self.throttled:
            return group.skipped(name, "not tried: the server never asked us to slow down")
        times = "once" if self.throttled == 1 else f"{self.throttled} times"
        if self.unclear:
            return group.no(name, f"asked us to slow down {times}, with what is no time: {some(self.unclear)}")
        return group.yes(name, f"asked us to slow down {times}, in a way that can be followed")

    def _pause(self, answer: Answer) -> float:
        self.throttled += 1
        wait = retry_after(answer.headers)
        told = answer.headers.get("retry-after", "")
        if wait is None:
            self.unclear.append(repr(told[:40]) if told else "no Retry-After at all")
        return 1.0 if wait is None else wait
