"""The yardsticks: one process with plain httpx that fetches the same pages and files with the same credentials, and
throws them away. `sequential` is the one that the project's target means."""

import asyncio
import time
from base64 import b64decode
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urljoin

import httpx
import uvloop

from app.connectors.provider.fhir.auth import assertion
from app.connectors.provider.port import Auth
from bench.documents import PATIENT, PLATFORM_KEY, urls
from bench.measured import Measured, Wrong
from bench.stage import Sandbox, Stage, sandbox

RESOURCE_TYPES = ("DocumentReference", "DiagnosticReport")
PAGE_SIZE = 50
AT_ONCE = 8
POLL_SECONDS = 0.1
VENDOR = "bench (bench@example.test)"


def sequential(stage: Stage) -> Measured:
    """One request after the other."""

    def work(outside: Sandbox) -> int:
        with _client(outside, stage.auth) as client:
            found = 0
            for resources in _pages(client, outside.fhir):
                found += len(resources)
                for url in urls(resources):
                    client.get(urljoin(f"{outside.fhir}/", url)).raise_for_status().read()
            return found

    return _timed(stage, work)


def publishing(stage: Stage) -> Measured:
    """The same, and then each file's way into the platform. What is still being processed is asked for at the end, when
    most is done, so that this loop does not wait after each file."""

    def work(outside: Sandbox) -> int:
        with _client(outside, stage.auth) as client, _platform(outside) as platform:
            person = {"first_name": "Mark", "last_name": "Bench", "external_identifier": "bench"}
            patient = platform.post("/patients", json=person).raise_for_status().json()["id"]
            sent: list[str] = []
            for resources in _pages(client, outside.fhir):
                for resource in resources:
                    data = _file(client, outside.fhir, resource)
                    sent.append(_put(platform, patient, resource["id"], data))
            for attachment in sent:
                while not platform.get(f"/patient_attachments/{attachment}").json()["processing_completed"]:
                    time.sleep(POLL_SECONDS)
            return len(sent)

    return _timed(stage, work)


def eight_at_once(stage: Stage) -> Measured:
    """Files fetched by eight requests at a time; pages one after the other, since each names the next."""

    async def work(outside: Sandbox) -> int:
        gate = asyncio.Semaphore(AT_ONCE)
        headers = {"Authorization": _token(outside.fhir, stage.auth)}
        async with httpx.AsyncClient(headers=headers, trust_env=False) as client:

            async def fetch(url: str) -> None:
                async with gate:
                    (await client.get(urljoin(f"{outside.fhir}/", url))).raise_for_status()

            found = 0
            for resource_type in RESOURCE_TYPES:
                link = _first(outside.fhir, resource_type)
                while link:
                    resources, link = _read((await client.get(link)).raise_for_status())
                    found += len(resources)
                    await asyncio.gather(*map(fetch, urls(resources)))
            return found

    return _timed(stage, lambda outside: uvloop.run(work(outside)))


def _timed(stage: Stage, work: Callable[[Sandbox], int]) -> Measured:
    with sandbox(stage) as outside:
        before, cpu = outside.process.cpu(), time.process_time()
        begun = time.perf_counter()
        found = work(outside)
        seconds = time.perf_counter() - begun
        spent = {"loop": time.process_time() - cpu}
        if before is not None and (after := outside.process.cpu()) is not None:
            spent["sandbox"] = after - before
    if found != stage.documents:
        raise Wrong(f"The bare loop met {found} documents instead of {stage.documents}.")
    return Measured(seconds, spent)


@contextmanager
def _client(outside: Sandbox, auth: Auth) -> Generator[httpx.Client]:
    with httpx.Client(headers={"Authorization": _token(outside.fhir, auth)}, trust_env=False) as client:
        yield client


@contextmanager
def _platform(outside: Sandbox) -> Generator[httpx.Client]:
    headers = {"User-Agent": VENDOR}
    with httpx.Client(base_url=outside.platform, auth=PLATFORM_KEY, headers=headers, trust_env=False) as client:
        yield client


def _token(base: str, auth: Auth) -> str:
    """SMART Backend Services, as the engine does it: discovery, a signed assertion, a token."""
    with httpx.Client(trust_env=False) as client:
        url = client.get(f"{base}/.well-known/smart-configuration").raise_for_status().json()["token_endpoint"]
        form = {
            "grant_type": "client_credentials",
            "scope": auth.scope,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion(auth, url),
        }
        return f"Bearer {client.post(url, data=form).raise_for_status().json()['access_token']}"


def _first(base: str, resource_type: str) -> str:
    return f"{base}/{resource_type}?patient={PATIENT}&_count={PAGE_SIZE}"


def _read(answer: httpx.Response) -> tuple[list[dict[str, Any]], str]:
    """The page's resources and the address of the next page."""
    bundle = answer.json()
    links = {link["relation"]: link["url"] for link in bundle["link"]}
    return [entry["resource"] for entry in bundle.get("entry", ())], links.get("next", "")


def _pages(client: httpx.Client, base: str) -> Generator[list[dict[str, Any]]]:
    for resource_type in RESOURCE_TYPES:
        link = _first(base, resource_type)
        while link:
            resources, link = _read(client.get(link).raise_for_status())
            yield resources


def _file(client: httpx.Client, base: str, resource: dict[str, Any]) -> bytes:
    if addresses := urls([resource]):
        return client.get(urljoin(f"{base}/", addresses[0])).raise_for_status().content
    inline = resource["presentedForm"][0] if "presentedForm" in resource else resource["content"][0]["attachment"]
    return b64decode(inline["data"])


def _put(platform: httpx.Client, patient: str, reference: str, data: bytes) -> str:
    """The attachment's id at the platform."""
    form = platform.get(f"/patients/{patient}/attachment_presigned_post").raise_for_status().json()
    # The address is signed for everybody: the key is for the platform's own API.
    stored = httpx.Request("POST", form["url"], data=form["fields"], files={"file": (reference, data)})
    location = platform.send(stored, auth=None).raise_for_status().headers["location"]
    body = {"patient_id": patient, "upload_url": location, "external_id": reference}
    headers = {"Idempotency-Key": f"bench-{reference}"}
    return platform.post("/patient_attachments", json=body, headers=headers).raise_for_status().json()["id"]
