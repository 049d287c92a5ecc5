"""Reads of patients; everything starts from `visible(actor)`."""

from collections.abc import Sequence
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Select, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import page
from app.domain.identity.policies import Actor
from app.domain.patients.models import Patient, PatientSyncStatus
from app.domain.patients.policies import readable
from app.domain.patients.rules import same_name


class PatientOrder(StrEnum):
    """How patients are sorted."""

    NAME = "NAME"
    NEWEST = "NEWEST"


ORDERS = {
    PatientOrder.NAME: page.Order("name", ((func.lower(Patient.name), str), (Patient.id, UUID))),
    PatientOrder.NEWEST: page.Order("newest", ((Patient.id, UUID),), descending=True),
}


def visible(actor: Actor) -> Select[Patient]:
    return select(Patient).where(Patient.deleted_at.is_(None), readable(actor))


def listed(
    actor: Actor,
    *,
    search: str | None = None,
    dietician_id: UUID | None = None,
    provider_id: UUID | None = None,
    sync_statuses: Sequence[PatientSyncStatus] | None = None,
) -> Select[Patient]:
    statement = visible(actor)
    if search:
        statement = statement.where(
            Patient.name.icontains(search, autoescape=True) | Patient.email.icontains(search, autoescape=True)
        )
    if dietician_id:
        statement = statement.where(Patient.user_id == dietician_id)
    if provider_id:
        statement = statement.where(Patient.primary_provider_id == provider_id)
    if sync_statuses:
        statement = statement.where(Patient.sync_status.in_(sync_statuses))
    return statement


async def get(session: AsyncSession, actor: Actor, patient_id: UUID) -> Patient | None:
    return await session.scalar(visible(actor).where(Patient.id == patient_id))


async def get_locked(session: AsyncSession, actor: Actor, patient_id: UUID) -> Patient | None:
    """For a change: nobody else changes the row until the transaction ends."""
    return await session.scalar(visible(actor).where(Patient.id == patient_id).with_for_update())


async def get_kept(session: AsyncSession, actor: Actor, patient_id: UUID) -> Patient | None:
    """For a run that is to be: the record is not deleted until the transaction ends, and may be written to. Workers hold a run
    when they write to its patient, so whoever asks for a run must not hold the patient against them."""
    return await session.scalar(
        visible(actor).where(Patient.id == patient_id).with_for_update(read=True, key_share=True)
    )


async def by_ids(session: AsyncSession, actor: Actor, ids: Sequence[UUID]) -> dict[UUID, Patient]:
    """For edges: whose run or document this is, also in the moment between a record's deletion and that of its rows."""
    rows = await session.scalars(select(Patient).where(readable(actor), Patient.id.in_(ids)))
    return {row.id: row for row in rows}


async def patient(session: AsyncSession, patient_id: UUID) -> Patient | None:
    """For workers, who act on an accepted request."""
    return await session.scalar(select(Patient).where(Patient.id == patient_id, Patient.deleted_at.is_(None)))


async def patient_locked(session: AsyncSession, patient_id: UUID) -> Patient | None:
    """The same, for a change. Whoever changes details locks the patient before the work row that tells of it."""
    statement = select(Patient).where(Patient.id == patient_id, Patient.deleted_at.is_(None))
    # Not against those who only keep it: who asks for a run may be waiting for the holder of this.
    statement = statement.with_for_update(key_share=True)
    return await session.scalar(statement.execution_options(populate_existing=True))


async def patient_kept(session: AsyncSession, patient_id: UUID) -> Patient | None:
    """As `get_kept`, for work that nobody has pressed for."""
    statement = select(Patient).where(Patient.id == patient_id, Patient.deleted_at.is_(None))
    return await session.scalar(statement.with_for_update(read=True, key_share=True))


async def one_at(session: AsyncSession, provider_id: UUID) -> str | None:
    """The id at a provider of a patient whom its server is likely to know: the one whose records were last known to be
    complete."""
    return await session.scalar(
        select(Patient.provider_patient_id)
        .where(
            Patient.deleted_at.is_(None),
            Patient.primary_provider_id == provider_id,
            Patient.provider_patient_id.is_not(None),
        )
        .order_by(Patient.last_verified_at.desc().nulls_last(), Patient.id)
        .limit(1)
    )


async def likely_same(session: AsyncSession, actor: Actor, name: str, email: str | None) -> Patient | None:
    """Somebody the caller already has with this e-mail address, or with the same name where one address is unknown."""
    if email:
        by_email = await session.scalar(visible(actor).where(Patient.email == email).limit(1))
        if by_email is not None:
            return by_email
    words = same_name(name)
    # Without accents and leading punctuation, as `same_name` compares: «Émile» begins with an e.
    plain = func.regexp_replace(func.normalize(func.lower(Patient.name), literal_column("NFKD")), "^[^[:alnum:]]+", "")
    rows = await session.scalars(visible(actor).where(plain.startswith(words[:1], autoescape=True)))
    for row in rows:
        if same_name(row.name) == words and (email is None or row.email is None or row.email == email):
            return row
    return None
