"""A synchronisation by the product, from the request to the moment in which its client sees its end."""

import asyncio
import time
from contextlib import ExitStack, aclosing
from datetime import datetime
from typing import Any

from sqlalchemy import select

from app.api.kit import ids
from app.cli.client import Client
from app.connectors.platform.port import PlatformKind
from app.core import work
from app.core.resources import open_resources
from app.core.settings import Settings
from app.domain.connections import commands as connections
from app.domain.connections.events import PROBE
from app.domain.connections.models import HealthStatus, Provider
from app.domain.identity import commands as identity
from app.domain.identity.models import Role
from app.domain.patients.models import Patient
from bench import documents
from bench.measured import Measured, Wrong
from bench.stage import Installation, Sandbox, Stage, database, installation, sandbox

POLL_SECONDS = 0.03
EMAIL, PASSWORD = "dietician@bench.test", "healthy-eating-bench"


def measure(stage: Stage, *, publish: bool, watched: bool = False) -> Measured:
    """`watched`: by a subscriber who is told of every single document; else the client asks from time to time."""
    with ExitStack() as stack:
        outside = stack.enter_context(sandbox(stage))
        settings = stack.enter_context(database(stage))
        patient = asyncio.run(_prepare(settings, stage, outside, publish=publish))
        here = stack.enter_context(installation(settings))
        return asyncio.run(_synchronise(here, outside, patient, stage.documents, publish=publish, watched=watched))


async def _prepare(settings: Settings, stage: Stage, outside: Sandbox, *, publish: bool) -> str:
    """A dietician with one patient; the patient's id as clients see it."""
    async with open_resources(settings) as resources, resources.db.transaction() as session:
        dietician = await identity.ensure_user(
            session, email=EMAIL, name="Bench", role=Role.DIETICIAN, password=PASSWORD
        )
        provider = await connections.save_provider(
            session, resources.vault, name="EHR", base_url=outside.fhir, auth=stage.auth
        )
        username, password = documents.PLATFORM_KEY
        platform_id = await connections.save_platform(
            session,
            resources.vault,
            name="Platform",
            kind=PlatformKind.CAREPATRON,
            base_url=outside.platform,
            username=username,
            password=password,
        )
        patient = Patient(
            name="Mark Bench",
            user_id=dietician,
            primary_provider_id=provider.id,
            provider_patient_id=documents.PATIENT,
            platform_id=platform_id if publish else None,
        )
        session.add(patient)
        # As for every new connection: what the server really does is tried out once, before anybody synchronises.
        await work.ask(session, PROBE, provider.id)
        await session.flush()
        return ids.encode("Patient", patient.id)


async def _synchronise(
    here: Installation, outside: Sandbox, patient: str, count: int, *, publish: bool, watched: bool
) -> Measured:
    processes = (here.worker, here.web, outside.process)
    async with Client(here.settings.base_url) as client:
        await client.sign_in(EMAIL, PASSWORD)
        await _probed(here.settings)
        before = [process.cpu() for process in processes]
        begun = time.perf_counter()
        payload = await client.change("PatientSync", "patientSync", patientId=patient)
        run_id = payload["syncRun"]["id"]
        await (_followed if watched else _ended)(client, run_id)
        seconds = time.perf_counter() - begun
        spent = {
            process.name: after - earlier
            for process, earlier in zip(processes, before, strict=True)
            if earlier is not None and (after := process.cpu()) is not None
        }
        run = (await client.ask("SyncRunGet", id=run_id))["syncRun"]
    _check(run, count, publish=publish)
    return Measured(seconds, spent, _lasted(run))


async def _followed(client: Client, run_id: str) -> None:
    async with aclosing(client.follow("SyncProgress", runId=run_id)) as events:
        async for data in events:
            if data["syncProgress"]["kind"] == "RUN_FINISHED":
                return


async def _ended(client: Client, run_id: str) -> None:
    while (await client.ask("SyncRunGet", id=run_id))["syncRun"]["finishedAt"] is None:  # noqa: ASYNC110 - another process ends it
        await asyncio.sleep(POLL_SECONDS)


async def _probed(settings: Settings) -> None:
    async with open_resources(settings) as resources, asyncio.timeout(30):
        while True:
            async with resources.db.reading() as session:
                if await session.scalar(select(Provider.health_status)) is not HealthStatus.UNKNOWN:
                    return
            await asyncio.sleep(0.1)


def _lasted(run: dict[str, Any]) -> float:
    """Seconds between the start and the end of the run by the database's clock, without the way to the subscriber."""
    return (datetime.fromisoformat(run["finishedAt"]) - datetime.fromisoformat(run["startedAt"])).total_seconds()


def _check(run: dict[str, Any], count: int, *, publish: bool) -> None:
    counts = run["counts"]
    wanted = {"created": count, "failed": 0, "published": count if publish else 0}
    got = {name: counts[name] for name in wanted}
    if run["status"] != "SUCCEEDED" or got != wanted:
        raise Wrong(f"The run ended as {run['status']} with {counts}; {wanted} was expected.")
