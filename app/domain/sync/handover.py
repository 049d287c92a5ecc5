"""What every job needs that moves files into a care platform or out of it: whose they are, and which of them it may touch."""

# ruff: noqa: S608 - only our own conditions are put together; every value is bound.

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.work import LEASE
from app.domain.sync import catalogue, queries
from app.domain.sync.models import LogAction, LogStatus, SyncFailure, SynchronizationLog, SyncRun
from app.domain.sync.recording import Problem, note_problems

FROM = """
    platform_receipts r
    JOIN files f ON f.id = r.file_id
    JOIN healthcare_documents d ON d.id = r.document_id
"""
HERE = """
    r.platform_id = :platform_id AND r.patient_id = :patient_id
    AND (CAST(:document_id AS uuid) IS NULL OR r.document_id = CAST(:document_id AS uuid))
"""
NEWEST = "(SELECT max(n.version) FROM files n WHERE n.document_id = d.id)"
WANTED = f"""
    (d.deleted_at IS NULL AND d.status IN ('CURRENT', 'SUPERSEDED') AND f.sha256 IS NOT NULL AND f.version = {NEWEST})
"""
"""The platform shows the files of a document as it stands: the latest, of what holds or was replaced by another document."""
FREE = """
    (r.work_id IS NULL OR r.work_id = :work_id OR NOT EXISTS (
      SELECT FROM work w WHERE w.id = r.work_id
       AND (w.done_at IS NULL AND w.dead_at IS NULL
            OR greatest(w.done_at, w.dead_at) > clock_timestamp() - CAST(:lease AS interval))
    ))
"""
"""Nobody else has it in hand. A job that was ended from outside may have sent something a moment ago: its heartbeat takes
that long to notice."""


@dataclass(frozen=True, slots=True)
class Handover:
    """A job that hands documents over: all of a patient's for a run, else those of one document."""

    work_id: UUID
    platform_id: UUID
    patient_id: UUID
    owner_id: UUID
    run_id: UUID | None = None
    document_id: UUID | None = None

    @property
    def values(self) -> dict[str, Any]:
        """For the statements above."""
        return {
            "work_id": self.work_id,
            "platform_id": self.platform_id,
            "patient_id": self.patient_id,
            "document_id": self.document_id,
            "lease": LEASE,
        }


INTRODUCE = text(
    f"""
    INSERT INTO platform_introductions AS r (platform_id, patient_id, work_id)
    VALUES (:platform_id, :patient_id, :work_id)
    ON CONFLICT (patient_id, platform_id) DO UPDATE SET work_id = excluded.work_id WHERE {FREE}
    RETURNING r.id
    """
)
INTRODUCED = text("UPDATE platform_introductions SET work_id = NULL WHERE work_id = :work_id")


async def may_introduce(session: AsyncSession, handover: Handover) -> bool:
    """Takes the patient in hand, unless another job has: two that look for a record at once would both make one."""
    return await session.scalar(INTRODUCE, handover.values) is not None


async def introduced(session: AsyncSession, handover: Handover) -> None:
    await session.execute(INTRODUCED, {"work_id": handover.work_id})


async def run_of(session: AsyncSession, handover: Handover) -> SyncRun | None:
    """The run, locked, where one stands behind it."""
    return await queries.run_locked(session, handover.run_id) if handover.run_id else None


def log(
    session: AsyncSession,
    handover: Handover,
    action: LogAction,
    status: LogStatus,
    details: str,
    document_id: UUID | None = None,
) -> None:
    session.add(
        SynchronizationLog(
            patient_id=handover.patient_id,
            owner_id=handover.owner_id,
            document_id=document_id,
            run_id=handover.run_id,
            action=action,
            status=status,
            details=details,
        )
    )


async def note_again(session: AsyncSession, handover: Handover, problems: list[Problem]) -> None:
    """Gaps that the history tells of already, and that this run has too."""
    for problem in problems:
        session.add(
            SyncFailure(
                run_id=handover.run_id,
                reference=problem.reference,
                code=problem.code,
                detail=problem.detail,
                severity=problem.severity,
            )
        )


async def note(session: AsyncSession, handover: Handover, problems: list[Problem]) -> None:
    """Gaps of the run, where there is one; else lines of the history."""
    run = await run_of(session, handover) if problems else None
    if run is not None:
        note_problems(session, run, problems)
        return
    for problem in problems:
        words = f"{problem.reference}: {catalogue.advice(problem.code).message} ({problem.code})"
        log(session, handover, problem.action, LogStatus.ERROR, words, problem.document_id)
