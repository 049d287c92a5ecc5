"""More EHRs with the same content: one for each provider that is to fail in a way of its own."""

import contextlib
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.ehr.app import create_app as create_ehr
from sandbox.ehr.store import Store
from sandbox.serve import serving


@dataclass
class Clocked:
    """Stands before a server and keeps when it was asked for what."""

    app: ASGIApp
    url: str = ""
    asked: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/fhir"):
            self.asked.append((time.monotonic(), scope["path"]))
        await self.app(scope, receive, send)

    @property
    def fhir(self) -> str:
        return f"{self.url}/fhir"

    def moments(self, path: str) -> list[float]:
        return [moment for moment, asked in self.asked if asked.startswith(path)]


@contextlib.asynccontextmanager
async def another_ehr(store: Store) -> AsyncGenerator[Clocked]:
    front = Clocked(create_ehr(store))
    async with serving(front) as url:
        front.url = url
        yield front
