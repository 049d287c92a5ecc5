"""What the probes share: a server, a patient to try on where there is one, and how an attempt ends."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import httpx

from app.connectors.http import Answer
from app.connectors.provider.fhir.auth import Session
from app.connectors.provider.fhir.resources import Bundle, CapabilityStatement, RestResource
from app.connectors.provider.fhir.search import Manner
from app.connectors.provider.fhir.transport import FHIR_JSON, decode, failure, resolve
from app.connectors.provider.port import Capability, ProviderError, ProviderErrorCode

SECONDS = 15.0
ALTOGETHER = 120.0
"""Seconds that one attempt, and all of them, may take."""
BYTES = 8 * 1024 * 1024

NO_PATIENT = "not tried: no patient of ours is connected here yet"

_T = TypeVar("_T")

# What is the matter with the whole connection, not with one capability of the server.
_ENDS_IT = (
    ProviderErrorCode.UNREACHABLE,
    ProviderErrorCode.TIMEOUT,
    ProviderErrorCode.UNAUTHORIZED,
    ProviderErrorCode.ADDRESS_REFUSED,
)


@dataclass(slots=True)
class Trial:
    """One probe. `manners` is what the searches have taught so far."""

    session: Session
    patient_id: str | None
    statement: CapabilityStatement | None = None
    manners: dict[str, Manner] = field(default_factory=dict[str, Manner])
    deadline: float = field(default_factory=lambda: time.monotonic() + ALTOGETHER)

    @property
    def about(self) -> dict[str, str]:
        """What every search says first."""
        return {"patient": self.patient_id} if self.patient_id else {}

    async def attempt(self, work: Callable[[], Awaitable[_T]], *, essential: bool = False) -> _T | ProviderError:
        """How an attempt ended. Raises `ProviderError` where we are asked to slow down or do not ask ourselves, and for what
        is `essential` also where the server is gone or refuses us altogether."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            return ProviderError(ProviderErrorCode.TIMEOUT, "not tried: the server had taken too long with the rest")
        seconds = min(SECONDS, left)
        try:
            async with asyncio.timeout(seconds):
                return await work()
        except TimeoutError:
            error = ProviderError(ProviderErrorCode.TIMEOUT, f"it took more than {seconds:.0f} seconds")
        except ProviderError as caught:
            error = caught
        if error.code is ProviderErrorCode.THROTTLED or not error.asked or (essential and error.code in _ENDS_IT):
            raise error
        return error

    def url(self, path: str, query: dict[str, str] | None = None) -> httpx.URL:
        address = resolve(self.session.base, path)
        return address.copy_merge_params(query) if query else address

    async def bundle(self, path: str, query: dict[str, str] | None = None) -> Bundle:
        """Raises `ProviderError` for any other answer."""
        answer = await self.session.ask(self.url(path, query), FHIR_JSON, cap=BYTES)
        return read_bundle(answer)

    def declared(self, resource_type: str) -> RestResource:
        rests = (self.statement.rest if self.statement else None) or ()
        found = (it for rest in rests for it in rest.resource or () if it.type == resource_type)
        return next(found, RestResource(resource_type))

    def interactions(self, resource_type: str) -> set[str]:
        return {it.code or "" for it in self.declared(resource_type).interaction or ()}


def read_bundle(answer: Answer) -> Bundle:
    if problem := failure(answer):
        raise problem
    return decode(answer, Bundle, "Bundle")


def yes(name: str, detail: str) -> Capability:
    return Capability(name, supported=True, detail=detail)


def no(name: str, detail: str) -> Capability:
    return Capability(name, supported=False, detail=detail)
