"""Reads of conflicts and of what is known of the provider's side; what a caller sees starts from `visible`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import page
from app.core.errors import not_found
from app.core.work import Work, is_open
from app.domain.conflicts import rules
from app.domain.conflicts.models import Conflict, ConflictState, DetailsStatus, ProviderDetails
from app.domain.conflicts.policies import may_see, readable_patients
from app.domain.identity.policies import Actor
from app.domain.patients import queries as patients
from app.domain.patients.events import EDITED
from app.domain.patients.models import Patient

NEWEST = page.Order("conflicts", ((Conflict.id, UUID),), descending=True)
OF_THE_LINK = and_(
    Conflict.patient_id == Patient.id,
    Conflict.provider_id == Patient.primary_provider_id,
    Conflict.provider_patient_id == Patient.provider_patient_id,
)

CURRENT = and_(
    ProviderDetails.patient_id == Patient.id,
    ProviderDetails.provider_id == Patient.primary_provider_id,
    ProviderDetails.provider_patient_id == Patient.provider_patient_id,
)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a patient's details stand to the provider's."""

    status: DetailsStatus
    error_code: str | None
    compared_at: datetime | None


def visible(actor: Actor) -> Select[Conflict]:
    """Open ones with a former provider are moot."""
    seen = select(Patient.id).where(
        Conflict.patient_id == Patient.id,
        readable_patients(actor),
        or_(Conflict.state != ConflictState.OPEN, OF_THE_LINK),
    )
    return select(Conflict).where(Conflict.deleted_at.is_(None), seen.exists())


async def listed(
    session: AsyncSession, actor: Actor, patient_id: UUID, state: ConflictState | None = None
) -> Select[Conflict]:
    """A patient's conflicts. Refuses who may see the patient but not these."""
    patient = await patients.get(session, actor, patient_id)
    if patient is None:
        raise not_found("patient", "patientId")
    if refusal := may_see(actor, patient):
        raise refusal
    statement = visible(actor).where(Conflict.patient_id == patient_id)
    return statement.where(Conflict.state == state) if state else statement


async def get(session: AsyncSession, actor: Actor, conflict_id: UUID) -> Conflict | None:
    return await session.scalar(visible(actor).where(Conflict.id == conflict_id))


async def by_ids(session: AsyncSession, actor: Actor, ids: Sequence[UUID]) -> dict[UUID, Conflict]:
    rows = await session.scalars(visible(actor).where(Conflict.id.in_(ids)))
    return {row.id: row for row in rows}


async def standings(session: AsyncSession, actor: Actor, patient_ids: Sequence[UUID]) -> dict[UUID, Standing]:
    rows = await session.execute(
        select(
            Patient,
            ProviderDetails,
            select(func.count()).where(OF_THE_LINK, Conflict.state == ConflictState.OPEN).scalar_subquery(),
            select(Work.id).where(Work.kind == EDITED, Work.subject_id == Patient.id, is_open()).exists(),
        )
        .outerjoin(ProviderDetails, CURRENT)
        .where(Patient.id.in_(patient_ids), readable_patients(actor))
    )
    found: dict[UUID, Standing] = {}
    for patient, joined, conflicts, sending in rows:
        held = cast("ProviderDetails | None", joined)
        status = rules.status(patient, held, conflicts, sending=sending)
        code = held.error_code if held is not None and status is DetailsStatus.FAILED else None
        found[patient.id] = Standing(status, code, held.compared_at if held is not None else None)
    return found


async def held(session: AsyncSession, patient: Patient) -> ProviderDetails | None:
    """For workers and commands: what is known of the provider's side of this patient. Whoever changes it has locked the
    patient."""
    statement = select(ProviderDetails).where(
        ProviderDetails.patient_id == patient.id,
        ProviderDetails.provider_id == patient.primary_provider_id,
        ProviderDetails.provider_patient_id == patient.provider_patient_id,
    )
    return await session.scalar(statement.execution_options(populate_existing=True))


async def open_conflicts(session: AsyncSession, patient: Patient) -> Sequence[Conflict]:
    rows = await session.scalars(
        select(Conflict)
        .where(
            Conflict.patient_id == patient.id,
            Conflict.provider_id == patient.primary_provider_id,
            Conflict.provider_patient_id == patient.provider_patient_id,
            Conflict.state == ConflictState.OPEN,
        )
        .order_by(Conflict.id)
        .execution_options(populate_existing=True)
    )
    return rows.all()


async def fresh(session: AsyncSession, conflict_id: UUID) -> Conflict:
    """As it stands now that the patient is locked."""
    statement = select(Conflict).where(Conflict.id == conflict_id).execution_options(populate_existing=True)
    return (await session.scalars(statement)).one()
