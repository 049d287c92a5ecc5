"""Rows and resources for tests. Everything is made through the domain where the domain can make it."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.api.kit import ids
from app.connectors.platform.port import PlatformKind
from app.connectors.provider.port import Auth, PatientField
from app.core.crypto import Vault
from app.domain.conflicts.models import Conflict
from app.domain.connections import commands as connections
from app.domain.connections.models import Provider
from app.domain.identity import commands as identity
from app.domain.identity.models import Role, User
from app.domain.notifications import recording as notifications
from app.domain.notifications.models import Notification
from app.domain.notifications.rules import Note
from app.domain.patients.models import Patient

PASSWORD = "healthy-eating-2026"
_hashed: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Person:
    id: UUID
    email: str
    name: str

    @property
    def gid(self) -> str:
        return ids.encode("User", self.id)


async def person(session: AsyncSession, role: str, name: str | None = None) -> Person:
    """An account. The password's hash is made once a run: it is slow on purpose."""
    if "hash" not in _hashed:
        _hashed["hash"] = await identity.hash_password(PASSWORD)
    row = User(
        email=f"{role.lower()}-{uuid4().hex[:8]}@example.test",
        name=name or f"{role.title()} {uuid4().hex[:4]}",
        type=Role(role),
        password_hash=_hashed["hash"],
    )
    session.add(row)
    await session.flush()
    return Person(row.id, row.email, row.name)


async def provider(
    session: AsyncSession, vault: Vault, base_url: str, *, auth: Auth | None = None, **given: Any
) -> Provider:
    """A connection that is ready for use; no probe is asked for."""
    name = given.pop("name", f"Provider {uuid4().hex[:6]}")
    return await connections.save_provider(session, vault, name=name, base_url=base_url, auth=auth or Auth(), **given)


async def platform(
    session: AsyncSession, vault: Vault, base_url: str, key: tuple[str, str] = ("key", "secret")
) -> UUID:
    return await connections.save_platform(
        session,
        vault,
        name=f"Platform {uuid4().hex[:6]}",
        kind=PlatformKind.CAREPATRON,
        base_url=base_url,
        username=key[0],
        password=key[1],
    )


async def patient(session: AsyncSession, dietician: Person, **given: Any) -> Patient:
    """A patient of a dietician; `primary_provider_id`, `provider_patient_id`, `platform_id`, `account_id` … as columns."""
    row = Patient(
        **{"name": f"Patient {uuid4().hex[:6]}", "email": None, "user_id": dietician.id} | given  # type: ignore[operator]
    )
    session.add(row)
    await session.flush()
    await session.refresh(row)
    return row


async def conflict(session: AsyncSession, row: Patient, **given: Any) -> Conflict:
    """A detail of a connected patient that was changed on both sides."""
    values: dict[str, Any] = {"field": PatientField.PHONE, "base": "1", "ours": "2", "theirs": "3"}
    made = Conflict(
        patient_id=row.id,
        provider_id=row.primary_provider_id,
        provider_patient_id=row.provider_patient_id,
        **values | given,
    )
    session.add(made)
    await session.flush()
    await session.refresh(made)
    return made


async def notification(session: AsyncSession, who: Person, note: Note) -> UUID:
    """What a person was told last."""
    await notifications.tell_anew(session, who.id, note)
    found = await session.scalars(
        select(Notification.id).where(Notification.user_id == who.id).order_by(Notification.id.desc()).limit(1)
    )
    return found.one()


def fhir_patient(patient_id: str, family: str = "Test", given: str = "Case") -> dict[str, Any]:
    return {"resourceType": "Patient", "id": patient_id, "name": [{"family": family, "given": [given]}]}


def attachment(text: str | bytes = "a note", content_type: str = "text/plain", **given: Any) -> dict[str, Any]:
    data = text.encode() if isinstance(text, str) else text
    return {
        "contentType": content_type,
        "data": base64.b64encode(data).decode(),
        "size": len(data),
        "hash": base64.b64encode(hashlib.sha1(data).digest()).decode(),
    } | given


def note(patient_id: str, number: int | str, text: str | bytes = "", **given: Any) -> dict[str, Any]:
    """A DocumentReference with an inline text."""
    return {
        "resourceType": "DocumentReference",
        "id": f"{patient_id}-note-{number}",
        "status": "current",
        "type": {"coding": [{"system": "http://loinc.org", "code": "11506-3", "display": "Progress note"}]},
        "description": f"Progress note {number}",
        "subject": {"reference": f"Patient/{patient_id}"},
        "date": "2025-03-01T10:00:00+00:00",
        "content": [{"attachment": attachment(text or f"Note {number} of {patient_id}: eats well.")}],
    } | given


def report(patient_id: str, number: int | str, text: str | bytes = "", **given: Any) -> dict[str, Any]:
    """A DiagnosticReport with an inline presented form."""
    return {
        "resourceType": "DiagnosticReport",
        "id": f"{patient_id}-report-{number}",
        "status": "final",
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "LAB"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "11502-2"}], "text": f"Laboratory report {number}"},
        "subject": {"reference": f"Patient/{patient_id}"},
        "effectiveDateTime": "2025-04-01T10:00:00+00:00",
        "presentedForm": [attachment(text or f"Report {number} of {patient_id}: HbA1c 42 mmol/mol.")],
    } | given


def resources(patient_id: str, notes: int, reports: int = 0) -> Sequence[dict[str, Any]]:
    return [
        fhir_patient(patient_id),
        *(note(patient_id, number) for number in range(notes)),
        *(report(patient_id, number) for number in range(reports)),
    ]
