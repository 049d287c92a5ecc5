"""Writes of patients' records."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.provider.port import PatientField
from app.core import work
from app.core.db import Json, one_at_a_time
from app.core.errors import invalid, not_found
from app.domain.connections import queries as connections
from app.domain.identity.policies import Actor
from app.domain.patients import queries, rules
from app.domain.patients.events import DELETED, EDITED
from app.domain.patients.models import Patient, PatientSyncStatus
from app.domain.patients.policies import may_create, may_edit

EDIT_ATTEMPTS = 6
SETTLE = timedelta(seconds=1)
"""How long an edit waits before the provider is told: a second one that follows at once goes with it."""


@dataclass(frozen=True, slots=True)
class Details:
    """What a dietician enters. A field that is None on an edit stays as it is."""

    name: str | None = None
    email: str | None = None
    birth_date: date | None = None
    phone: str | None = None
    address: str | None = None
    medical_history: str | None = None
    allergies: list[str] | None = None
    restrictions: list[str] | None = None
    notes: str | None = None
    primary_provider_id: UUID | None = None
    provider_patient_id: str | None = None
    platform_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Created:
    """Either the new `patient`, or the `existing` one that is likely the same person."""

    patient: Patient | None = None
    existing: Patient | None = None


async def create(session: AsyncSession, actor: Actor, details: Details, *, allow_duplicate: bool = False) -> Created:
    if refusal := may_create(actor):
        raise refusal
    name, email = rules.checked_name(details.name or ""), rules.checked_email(details.email)
    # Two clients adding the same person at once come one after the other, so that the second finds the first's.
    await one_at_a_time(session, f"patients/{actor.id}")
    if not allow_duplicate and (existing := await queries.likely_same(session, actor, name, email)):
        return Created(existing=existing)
    platform = await connections.default_platform(session)
    patient = Patient(
        name=name,
        email=email,
        user_id=actor.id,
        contact_details={},
        dietary_preferences={},
        platform_id=platform.id if platform else None,
    )
    await _apply(session, actor, patient, details)
    session.add(patient)
    await session.flush()
    await session.refresh(patient)
    return Created(patient=patient)


async def update(session: AsyncSession, actor: Actor, patient_id: UUID, details: Details) -> Patient:
    patient = await _editable(session, actor, patient_id)
    before, linked = rules.details_of(patient), _link_of(patient)
    if details.name is not None:
        patient.name = rules.checked_name(details.name)
    if details.email is not None:
        patient.email = rules.checked_email(details.email)
    await _apply(session, actor, patient, details)
    if _link_of(patient) != linked:
        # What waited for the former provider is no edit of what the new one holds.
        patient.edited_details = {}
    else:
        await _note_edits(session, patient, before)
    await session.flush()
    await session.refresh(patient)
    return patient


async def _note_edits(session: AsyncSession, patient: Patient, before: Mapping[PatientField, str]) -> None:
    """What the provider is to be told, with what it was before the first edit that it has not been told of."""
    now = rules.details_of(patient)
    changed = {field: value for field, value in before.items() if now[field] != value}
    if patient.primary_provider_id is not None and changed:
        patient.edited_details = {**changed, **patient.edited_details}
        await work.ask(session, EDITED, patient.id, max_attempts=EDIT_ATTEMPTS, after=SETTLE)


def _link_of(patient: Patient) -> tuple[UUID | None, str | None]:
    return patient.primary_provider_id, patient.provider_patient_id


def take_details(patient: Patient, values: Mapping[PatientField, str]) -> None:
    """The provider's values take the place of ours. They fit (`rules.fitting`); the row is locked."""
    for field, value in values.items():
        match field:
            case PatientField.NAME:
                patient.name = value
            case PatientField.BIRTH_DATE:
                patient.birth_date = date.fromisoformat(value)
            case PatientField.EMAIL:
                patient.email = value or None
            case PatientField.PHONE | PatientField.ADDRESS:
                patient.contact_details = {**patient.contact_details, field.value: value}


async def send_details(session: AsyncSession, patient: Patient, edits: Mapping[PatientField, str]) -> None:
    """Asks for another exchange about these fields, with what the provider is known to hold of them. The row is locked."""
    patient.edited_details = {**patient.edited_details, **edits}
    await work.ask(session, EDITED, patient.id, max_attempts=EDIT_ATTEMPTS)


def settle_edits(patient: Patient, fields: set[PatientField]) -> None:
    """These edits are no longer to be told. The row is locked."""
    patient.edited_details = {name: value for name, value in patient.edited_details.items() if name not in fields}


async def delete(session: AsyncSession, actor: Actor, patient_id: UUID) -> UUID:
    """Hides the record at once; its documents and runs follow by the work that is asked for here."""
    patient = await _editable(session, actor, patient_id)
    patient.deleted_at = func.now()
    await work.ask(session, DELETED, patient.id)
    return patient.id


async def note_sync(
    session: AsyncSession, patient_id: UUID, status: PatientSyncStatus, *, verified_at: datetime | None = None
) -> None:
    """How the latest run stands, kept on the patient for lists and filters."""
    patient = await queries.patient(session, patient_id)
    if patient is None:
        return
    patient.sync_status = status
    if verified_at:
        patient.last_verified_at = verified_at


async def note_platform_patient(
    session: AsyncSession, patient_id: UUID, platform_id: UUID, platform_patient_id: str
) -> None:
    """Not where the patient has another platform by now: there, this id may be somebody else's."""
    patient = await queries.patient_locked(session, patient_id)
    if patient is not None and patient.platform_id == platform_id:
        patient.carepatron_patient_id = platform_patient_id


async def _editable(session: AsyncSession, actor: Actor, patient_id: UUID) -> Patient:
    patient = await queries.get_locked(session, actor, patient_id)
    if patient is None:
        raise not_found("patient", "id")
    if refusal := may_edit(actor, patient):
        raise refusal
    return patient


async def _apply(session: AsyncSession, actor: Actor, patient: Patient, details: Details) -> None:
    if details.birth_date is not None:
        patient.birth_date = rules.checked_birth_date(details.birth_date, datetime.now(UTC).date())
    if details.medical_history is not None:
        patient.medical_history = rules.checked_text(details.medical_history, "medicalHistory")
    patient.contact_details = _merged(
        patient.contact_details,
        phone=rules.checked_text(details.phone, "phone"),
        address=rules.checked_text(details.address, "address"),
    )
    patient.dietary_preferences = _merged(
        patient.dietary_preferences,
        allergies=None if details.allergies is None else rules.checked_items(details.allergies, "allergies"),
        restrictions=None
        if details.restrictions is None
        else rules.checked_items(details.restrictions, "restrictions"),
        notes=rules.checked_text(details.notes, "notes"),
    )
    await _link(session, actor, patient, details)


async def _link(session: AsyncSession, actor: Actor, patient: Patient, details: Details) -> None:
    """Who the patient is at the primary provider, and which platform takes the documents."""
    if details.primary_provider_id is not None:
        if await connections.get(session, actor, details.primary_provider_id) is None:
            raise not_found("provider", "primaryProviderId")
        if details.primary_provider_id != patient.primary_provider_id:
            # So is the id at a provider: the refusal below asks for the new one.
            patient.provider_patient_id = None
        patient.primary_provider_id = details.primary_provider_id
    if details.provider_patient_id is not None:
        patient.provider_patient_id = details.provider_patient_id.strip() or None
    if details.platform_id is not None:
        if await connections.get_platform(session, actor, details.platform_id) is None:
            raise not_found("platform", "platformId")
        if details.platform_id != patient.platform_id:
            # The id there is one platform's: at another it may be somebody else's.
            patient.carepatron_patient_id = None
        patient.platform_id = details.platform_id
    if patient.primary_provider_id and not patient.provider_patient_id:
        raise invalid("Please give the patient's id at this provider.", "providerPatientId")


def _merged(before: Json | None, **changes: object) -> Json:
    return {**(before or {}), **{key: value for key, value in changes.items() if value is not None}}
