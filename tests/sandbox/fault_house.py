"""What the tests of the faults share."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from sandbox.ehr.store import Store as EhrStore
from tests.faulty import faults

from .conftest import pages

BROKEN = (httpx.RemoteProtocolError, httpx.ReadError)
LIST = "/fhir/DocumentReference?patient=p1&_count=2"


@dataclass(frozen=True, slots=True)
class House:
    """Both servers; an EHR with five documents of p1, and one Binary."""

    ehr: httpx.AsyncClient
    store: EhrStore
    platform: httpx.AsyncClient

    async def strike(self, name: str, url: str = LIST, **options: Any) -> httpx.Response:
        """What one request meets while the fault is on; asserts that it struck."""
        async with faults(str(self.ehr.base_url), {"fault": name, **options}) as on:
            answer = await self.ehr.get(url)
            assert await on.struck() == [1]
        return answer

    async def listed(self, name: str, url: str = LIST, **options: Any) -> list[dict[str, Any]]:
        async with faults(str(self.ehr.base_url), {"fault": name, **options}):
            return await pages(self.ehr, url)


async def beginning(client: httpx.AsyncClient, url: str, seconds: float = 5) -> tuple[bytes, httpx.TransportError]:
    """What arrives of a body that does not arrive whole, and how it ends."""
    got = b""
    try:
        async with client.stream("GET", url, timeout=seconds) as answer:
            async for chunk in answer.aiter_raw():
                got += chunk
    except httpx.TransportError as error:
        return got, error
    pytest.fail("it arrived whole")


Seen = Callable[[House], Awaitable[None]]
SEEN: dict[str, Seen] = {}


def seen(name: str) -> Callable[[Seen], Seen]:
    def keep(test: Seen) -> Seen:
        SEEN[name] = test
        return test

    return keep


def resources(bundles: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [entry["resource"] for bundle in bundles for entry in bundle.get("entry", [])]
