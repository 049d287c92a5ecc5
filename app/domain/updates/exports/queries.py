"""Reads of exports, of their files, and of what waits in them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import page
from app.domain.connections.models import Provider
from app.domain.documents.models import DocumentSource
from app.domain.identity.policies import Actor
from app.domain.patients.models import Patient
from app.domain.sync.models import OPEN_STATUSES, RunStatus, SyncRun
from app.domain.updates.exports.models import OPEN_STATES, Export, ExportFile, ExportPart, ExportResource, ExportState
from app.domain.updates.exports.policies import readable

EXPORTS = page.Order("exports", ((Export.id, UUID),), descending=True)
DONE = (ExportState.SUCCEEDED, ExportState.SUCCEEDED_WITH_GAPS)
WELL = (RunStatus.SUCCEEDED, RunStatus.CANCELLED)
"""How a run may end without anybody having to look again; who cancelled one had a reason."""


@dataclass(frozen=True, slots=True)
class Census:
    """The patients of an export: whose run is still to come, how many runs there are, how many have ended, how many of those
    not well."""

    pending: int
    runs: int
    ended: int
    failed: int


# What people see.


def visible(actor: Actor) -> Select[Export]:
    return select(Export).where(Export.deleted_at.is_(None), readable(actor))


def of_provider(actor: Actor, provider_id: UUID) -> Select[Export]:
    return visible(actor).where(Export.provider_id == provider_id)


async def get(session: AsyncSession, actor: Actor, export_id: UUID) -> Export | None:
    return await session.scalar(visible(actor).where(Export.id == export_id))


async def provider(session: AsyncSession, provider_id: UUID) -> Provider | None:
    return await session.scalar(select(Provider).where(Provider.id == provider_id, Provider.deleted_at.is_(None)))


async def open_export(session: AsyncSession, provider_id: UUID, group_id: str) -> Export | None:
    return await session.scalar(
        select(Export).where(
            Export.provider_id == provider_id, Export.group_id == group_id, Export.state.in_(OPEN_STATES)
        )
    )


async def reached(session: AsyncSession, provider_id: UUID, group_id: str) -> datetime | None:
    """The moment of the last export of a group that was read without a gap: changes since are all that is new."""
    return await session.scalar(
        select(func.max(Export.transaction_time)).where(
            Export.provider_id == provider_id,
            Export.group_id == group_id,
            Export.state.in_(DONE),
            Export.gaps == 0,
        )
    )


# What workers ask; no person stands behind it.


async def export(session: AsyncSession, export_id: UUID) -> Export | None:
    return await session.get(Export, export_id)


async def export_locked(session: AsyncSession, export_id: UUID) -> Export:
    statement = select(Export).where(Export.id == export_id).with_for_update()
    return (await session.scalars(statement.execution_options(populate_existing=True))).one()


async def age(session: AsyncSession, export_id: UUID) -> float:
    """Seconds since the provider accepted it."""
    since = func.clock_timestamp() - Export.started_at
    return float(await session.scalar(select(func.extract("epoch", since)).where(Export.id == export_id)) or 0)


async def next_file(session: AsyncSession, export_id: UUID) -> ExportFile | None:
    return await session.scalar(
        select(ExportFile)
        .where(ExportFile.export_id == export_id, ExportFile.done.is_(False))
        .order_by(ExportFile.number)
        .limit(1)
    )


async def file_locked(session: AsyncSession, file_id: UUID) -> ExportFile:
    statement = select(ExportFile).where(ExportFile.id == file_id).with_for_update()
    return (await session.scalars(statement.execution_options(populate_existing=True))).one()


async def lost(session: AsyncSession, export_id: UUID) -> str | None:
    """Why there is nothing at all in it: the code of a file that could not be had, where no other could either."""
    output = (ExportFile.export_id == export_id, ExportFile.part == ExportPart.OUTPUT)
    had = exists().where(*output, ExportFile.error_code.is_(None))
    return await session.scalar(select(ExportFile.error_code).where(*output, ~had).limit(1))


async def subjects(session: AsyncSession, provider_id: UUID) -> set[str]:
    """Whom we know at a provider, by their ids there."""
    rows = await session.scalars(select(Patient.provider_patient_id).where(_connected(provider_id)).distinct())
    return {it for it in rows if it}


async def subjects_of(session: AsyncSession, provider_id: UUID, references: Collection[str]) -> dict[str, str]:
    """Whose the documents are that came from these resources, by their ids at the provider."""
    rows = await session.execute(
        select(DocumentSource.reference, Patient.provider_patient_id)
        .join(Patient, Patient.id == DocumentSource.patient_id)
        .where(
            DocumentSource.provider_id == provider_id,
            DocumentSource.reference.in_(references),
            DocumentSource.withdrawn_at.is_(None),
            _connected(provider_id),
        )
    )
    return {reference: subject for reference, subject in rows if subject}


def _connected(provider_id: UUID) -> ColumnElement[bool]:
    return (
        (Patient.primary_provider_id == provider_id)
        & Patient.provider_patient_id.is_not(None)
        & Patient.deleted_at.is_(None)
    )


def _pending(row: Export) -> ColumnElement[bool]:
    waiting = exists().where(ExportResource.export_id == row.id, ExportResource.subject == Patient.provider_patient_id)
    begun = exists().where(SyncRun.export_id == row.id, SyncRun.patient_id == Patient.id)
    return _connected(row.provider_id) & waiting & ~begun


async def startable(session: AsyncSession, row: Export, limit: int) -> Sequence[UUID]:
    """Patients for whom something waits, whose run is still to come, and who have no other one under way."""
    busy = exists().where(SyncRun.patient_id == Patient.id, SyncRun.status.in_(OPEN_STATUSES))
    rows = await session.scalars(select(Patient.id).where(_pending(row), ~busy).order_by(Patient.id).limit(limit))
    return rows.all()


async def census(session: AsyncSession, row: Export) -> Census:
    pending = await session.scalar(select(func.count()).select_from(Patient).where(_pending(row)))
    ended = SyncRun.status.not_in(OPEN_STATUSES)
    counts = await session.execute(
        select(
            func.count(),
            func.count().filter(ended),
            func.count().filter(ended, SyncRun.status.not_in(WELL)),
        ).where(SyncRun.export_id == row.id)
    )
    return Census(pending or 0, *counts.one())


async def settled(session: AsyncSession, row: Export) -> Sequence[tuple[str, UUID, bool]]:
    """For whom something still lies here though their run has ended: the id at the provider, ours, and whether it ended well."""
    lying = exists().where(ExportResource.export_id == row.id, ExportResource.subject == SyncRun.provider_patient_id)
    rows = await session.execute(
        select(SyncRun.provider_patient_id, SyncRun.patient_id, SyncRun.status.in_(WELL)).where(
            SyncRun.export_id == row.id, SyncRun.status.not_in(OPEN_STATUSES), lying
        )
    )
    return [(it[0], it[1], it[2]) for it in rows]


async def awaited(session: AsyncSession, row: Export) -> set[str]:
    """Ids at the provider of those whose run is under way, or still to come."""
    under_way = await session.scalars(
        select(SyncRun.provider_patient_id).where(SyncRun.export_id == row.id, SyncRun.status.in_(OPEN_STATUSES))
    )
    to_come = await session.scalars(select(Patient.provider_patient_id).where(_pending(row)))
    return {*under_way, *(it for it in to_come if it)}


async def runs_under_way(session: AsyncSession, export_id: UUID) -> int:
    found = select(func.count()).where(SyncRun.export_id == export_id, SyncRun.status.in_(OPEN_STATUSES))
    return await session.scalar(found) or 0


async def never_listed(session: AsyncSession, provider_id: UUID) -> set[UUID]:
    """Patients of whom this provider has never been asked: what was there before is not among its changes."""
    asked = exists().where(
        SyncRun.patient_id == Patient.id,
        SyncRun.provider_id == provider_id,
        SyncRun.provider_patient_id == Patient.provider_patient_id,
        SyncRun.finished_at.is_not(None),
    )
    return {*await session.scalars(select(Patient.id).where(_connected(provider_id), ~asked))}


# What a patient's run takes.


async def counted(session: AsyncSession, export_id: UUID, subject: str, resource_type: str) -> int:
    found = select(func.count()).where(*_of(export_id, subject), ExportResource.resource_type == resource_type)
    return await session.scalar(found.where(ExportResource.data.is_not(None))) or 0


async def sizes(
    session: AsyncSession, export_id: UUID, subject: str, resource_type: str, after: UUID | None, limit: int
) -> Sequence[tuple[UUID, int]]:
    """The next resources and how large each is."""
    row = ExportResource
    statement = select(row.id, func.octet_length(row.data)).where(
        *_of(export_id, subject), row.resource_type == resource_type, row.data.is_not(None)
    )
    if after is not None:
        statement = statement.where(row.id > after)
    return [(it[0], it[1]) for it in await session.execute(statement.order_by(row.id).limit(limit))]


async def resources(session: AsyncSession, ids: Sequence[UUID]) -> Sequence[tuple[str, bytes]]:
    row = ExportResource
    rows = await session.execute(select(row.reference, row.data).where(row.id.in_(ids)).order_by(row.id))
    return [(reference, data or b"") for reference, data in rows]


async def deleted(session: AsyncSession, export_id: UUID, subject: str) -> Sequence[str]:
    """What the provider says that it has deleted."""
    row = ExportResource
    statement = select(row.reference).where(*_of(export_id, subject), row.data.is_(None)).order_by(row.reference)
    return (await session.scalars(statement)).all()


def _of(export_id: UUID, subject: str) -> tuple[ColumnElement[bool], ...]:
    return ExportResource.export_id == export_id, ExportResource.subject == subject


def leftovers(export_id: UUID, limit: int) -> Select[UUID]:
    """What nobody takes any more: all but that of runs that are under way."""
    wanted = exists().where(
        SyncRun.export_id == export_id,
        SyncRun.provider_patient_id == ExportResource.subject,
        SyncRun.status.in_(OPEN_STATUSES),
    )
    return select(ExportResource.id).where(ExportResource.export_id == export_id, ~wanted).limit(limit)
