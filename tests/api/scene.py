"""A dietician's patient with everything that can hang on one, and one caller of every kind. Tests that share it only read, or
are refused."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.api.kit import ids
from app.cli.client import Client
from app.core.resources import Resources
from app.domain.documents.models import DocumentStatus, DocumentType, HealthcareDocument, SourceKind
from app.domain.notifications.rules import of_conflict
from app.domain.sync.catalogue import LISTING_SHORT
from app.domain.sync.models import Severity, SyncFailure
from tests import factories
from tests.api.asking import upload

CALLERS = ("nobody", "owner", "other", "practitioner", "patient", "admin")
NOWHERE = "http://127.0.0.1:9/fhir"
TABLES = (
    "users",
    "providers",
    "platforms",
    "patients",
    "healthcare_documents",
    "document_texts",
    "document_versions",
    "files",
    "sync_runs",
    "synchronization_log",
    "subscriptions",
    "subscription_notifications",
    "patient_updates",
    "exports",
    "work",
    "event",
    "provider_details",
    "conflicts",
    "notifications",
)


@dataclass(frozen=True, slots=True)
class Scene:
    resources: Resources
    people: dict[str, factories.Person]
    clients: dict[str, Client]
    ids: dict[str, str]
    """`patient` and what hangs on it; `theirs` is a patient of the other dietician's."""

    async def digest(self) -> dict[str, str]:
        """Every table as it stands, in a few letters each: equal where nothing has changed."""
        async with self.resources.db.reading() as session:
            return {
                table: await session.scalar(
                    text(f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t")
                )
                or ""
                for table in TABLES
            }


async def received(resources: Resources, patient: Any, provider_id: UUID, **given: Any) -> str:
    """A document that came from a provider."""
    wanted = {
        "title": "From the provider",
        "type": DocumentType.LAB_REPORT,
        "author": "Dr Lab",
        "status": DocumentStatus.CURRENT,
        "date": None,
        "content_hash": b"hash",
    } | given
    async with resources.db.transaction() as session:
        row = HealthcareDocument(
            patient_id=patient.id,
            owner_id=patient.user_id,
            source=SourceKind.PROVIDER,
            source_name="The clinic",
            provider_id=provider_id,
            **wanted,
        )
        session.add(row)
        await session.flush()
        return ids.encode("Document", row.id)


@pytest.fixture(scope="session")
async def scene(resources: Resources, server: str) -> AsyncGenerator[Scene]:
    roles = dict(zip(CALLERS[1:], ("DIETICIAN", "DIETICIAN", "PRACTITIONER", "PATIENT", "ADMIN"), strict=True))
    async with resources.db.transaction() as session:
        people = {caller: await factories.person(session, role) for caller, role in roles.items()}
        provider = await factories.provider(session, resources.vault, NOWHERE)
        connected = {"primary_provider_id": provider.id, "provider_patient_id": "p"}
        patient = await factories.patient(session, people["owner"], account_id=people["patient"].id, **connected)
        theirs = await factories.patient(session, people["other"], **connected)
        conflict = await factories.conflict(session, patient)
        note = of_conflict(patient, conflict)
        told = await factories.notification(session, people["owner"], note)
    async with AsyncExitStack() as stack:
        clients = {caller: await stack.enter_async_context(Client(server)) for caller in CALLERS}
        for caller, person in people.items():
            await clients[caller].sign_in(person.email, factories.PASSWORD)
        owner = clients["owner"]
        known = {
            "patient": ids.encode("Patient", patient.id),
            "theirs": ids.encode("Patient", theirs.id),
            "provider": ids.encode("Provider", provider.id),
            "user": people["owner"].gid,
            "conflict": ids.encode("PatientConflict", conflict.id),
            "notification": ids.encode("Notification", told),
        }
        known["uploaded"] = await upload(owner, known["patient"])
        known["received"] = await received(resources, patient, provider.id)
        run = await owner.change("PatientSync", "patientSync", patientId=known["patient"])
        known["run"] = run["syncRun"]["id"]
        await owner.change("SyncCancel", "syncCancel", runId=known["run"])
        document = (await owner.ask("DocumentGet", id=known["uploaded"]))["document"]
        known["file"] = document["files"][0]["id"]
        logs = (await owner.ask("LogList", first=1))["logs"]
        known["log"] = logs["edges"][0]["node"]["id"]
        async with resources.db.transaction() as session:
            run_id = ids.decode(known["run"], "SyncRun")
            session.add(
                SyncFailure(
                    run_id=run_id,
                    reference="DocumentReference/1",
                    code=LISTING_SHORT,
                    detail="",
                    severity=Severity.FAILURE,
                )
            )
        yield Scene(resources, people, clients, known)
