"""Whether the server can be reached, how the way to it is protected, and a patient to try it on."""

import asyncio
import ssl
import time
from contextlib import suppress

import httpx

from app.connectors.provider.certify.card import Group, Line
from app.connectors.provider.fhir.auth import Session
from app.connectors.provider.fhir.bundles import ids, read_page
from app.connectors.provider.fhir.resources import Bundle
from app.connectors.provider.fhir.transport import FHIR_JSON, decode, failure, resolve
from app.connectors.provider.port import ProviderError

TLS_SECONDS = 10.0
DAY = 86_400
SOON = 14
"""Days."""
LOCAL = ("localhost", "127.0.0.1", "::1")
GROUP = Group("Server")


async def reached(session: Session) -> tuple[bool, list[Line]]:
    """One request without credentials: any answer will do."""
    name, began = "Reachable", time.monotonic()
    url = resolve(session.base, "metadata")
    try:
        answer = await session.transport.send("GET", url, {"Accept": FHIR_JSON}, cap=session.limits.page_bytes)
    except ProviderError as error:
        return False, [GROUP.no(name, error.detail, needed=True)]
    took = (time.monotonic() - began) * 1000
    return True, [
        GROUP.yes(name, f"answered with {answer.status} in {took:.0f} ms", needed=True),
        await _encrypted(session.base),
    ]


async def _encrypted(base: httpx.URL) -> Line:
    name = "Encrypted (TLS)"
    if base.scheme != "https":
        if base.host in LOCAL:
            return GROUP.yes(name, "not encrypted, and does not leave this machine")
        return GROUP.no(name, "not encrypted: everybody on the way can read it")
    try:
        async with asyncio.timeout(TLS_SECONDS):
            opened = asyncio.open_connection(base.host, base.port or 443, ssl=httpx.create_ssl_context())
            _, writer = await opened
    except (OSError, TimeoutError) as error:
        return GROUP.no(name, f"the certificate could not be looked at ({type(error).__name__})")
    try:
        found: ssl.SSLObject = writer.get_extra_info("ssl_object")
        certificate = found.getpeercert() or {}
        left = (ssl.cert_time_to_seconds(str(certificate["notAfter"])) - time.time()) / DAY
        words = f"{found.version()}, the certificate is valid for {left:.0f} more days"
        return GROUP.judge(name, f"{words} only" if left < SOON else "", words)
    finally:
        writer.close()


async def somebody(session: Session) -> str:
    """The id of a patient who has documents, else of any; empty where the server tells of none."""
    for resource_type in ("DocumentReference", "DiagnosticReport", "Patient"):
        with suppress(ProviderError):
            # It is a guess: what refuses to be searched without a patient is asked about one later.
            if found := await _somebody(session, resource_type):
                return found
    return ""


async def _somebody(session: Session, resource_type: str) -> str:
    url = resolve(session.base, resource_type).copy_merge_params({"_count": "1"})
    answer = await session.ask(url, FHIR_JSON, cap=session.limits.page_bytes)
    if problem := failure(answer):
        raise problem
    if resource_type == "Patient":
        return next(iter(ids(decode(answer, Bundle, "Bundle"))), "")
    subjects = [it.subject for it in read_page(answer, resource_type, session.base).entries]
    found = (it.removeprefix("Patient/") for it in subjects if it.startswith("Patient/"))
    return next(found, "")
