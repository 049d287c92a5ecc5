"""What is told, in which words. No I/O, no health data: names, and sentences of the failure catalogue."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from app.connectors.provider.port import ProviderErrorCode
from app.domain.conflicts import rules as conflicts
from app.domain.conflicts.models import Conflict, ProviderDetails
from app.domain.connections.models import Provider
from app.domain.notifications.models import NotificationKind, SubjectType
from app.domain.patients.models import Patient
from app.domain.sync import catalogue
from app.domain.sync.models import RunStatus, SyncRun

LOST = (ProviderErrorCode.UNREACHABLE, ProviderErrorCode.UNAUTHORIZED)
"""What concerns a whole connection, and not one patient."""


@dataclass(frozen=True, slots=True)
class Note:
    """A notification before it has a reader."""

    kind: NotificationKind
    title: str
    body: str
    subject_type: SubjectType
    subject_id: UUID
    patient_id: UUID | None = None
    code: str | None = None
    hint: str = ""
    fold: str | None = None


def run_fold(patient_id: UUID) -> str:
    return f"sync/{patient_id}"


def failure_fold(patient_id: UUID) -> str:
    return f"details/{patient_id}"


def conflict_fold(conflict_id: UUID) -> str:
    return f"conflict/{conflict_id}"


def connection_fold(provider_id: UUID) -> str:
    return f"provider/{provider_id}"


def of_run(patient: Patient, run: SyncRun, failures: Sequence[tuple[str, int]]) -> Note:
    """A run that failed, or left gaps; `failures` are the codes of its gaps, the most frequent first."""
    failed = run.status is RunStatus.FAILED
    code = (run.error_code or catalogue.WORKER_FAILED) if failed else _leading(run, failures)
    count = sum(number for _, number in failures)
    what = "the synchronisation failed" if failed else "the synchronisation is incomplete"
    gaps = f" ({count} of what the provider holds could not be had.)" if count and not failed else ""
    return Note(
        kind=NotificationKind.SYNC_FAILED if failed else NotificationKind.SYNC_INCOMPLETE,
        title=f"{patient.name}: {what}",
        body=catalogue.advice(code).message + gaps,
        subject_type=SubjectType.RUN,
        subject_id=run.id,
        patient_id=patient.id,
        code=code,
        hint=f"{code}, run {run.id}",
        fold=run_fold(patient.id),
    )


def _leading(run: SyncRun, failures: Sequence[tuple[str, int]]) -> str:
    return failures[0][0] if failures else run.error_code or catalogue.LISTING_SHORT


def of_failed_details(patient: Patient, held: ProviderDetails, code: str) -> Note:
    return Note(
        kind=NotificationKind.DETAILS_FAILED,
        title=f"{patient.name}: the provider has not been told of your change",
        body=catalogue.advice(code).message,
        subject_type=SubjectType.PATIENT,
        subject_id=patient.id,
        patient_id=patient.id,
        code=code,
        hint=f"{code}, details {held.id}",
        fold=failure_fold(patient.id),
    )


def of_sent_details(patient: Patient) -> Note:
    return Note(
        kind=NotificationKind.DETAILS_SENT,
        title=f"{patient.name}: the provider has your change",
        body="What you changed in the patient's details is in the provider's record too.",
        subject_type=SubjectType.PATIENT,
        subject_id=patient.id,
        patient_id=patient.id,
    )


def of_conflict(patient: Patient, conflict: Conflict) -> Note:
    """Which field, and not its values."""
    return Note(
        kind=NotificationKind.DETAILS_CONFLICT,
        title=f"{patient.name}: you and the provider differ in the {conflicts.WORDS[conflict.field]}",
        body=catalogue.advice(catalogue.DETAILS_CONFLICT).message,
        subject_type=SubjectType.CONFLICT,
        subject_id=conflict.id,
        patient_id=patient.id,
        code=catalogue.DETAILS_CONFLICT,
        hint=f"{catalogue.DETAILS_CONFLICT}, conflict {conflict.id}",
        fold=conflict_fold(conflict.id),
    )


def of_connection(provider: Provider, code: str) -> Note:
    return Note(
        kind=NotificationKind.CONNECTION_LOST,
        title=f"{provider.name}: the connection does not work",
        body=catalogue.advice(code).message,
        subject_type=SubjectType.PROVIDER,
        subject_id=provider.id,
        code=code,
        hint=f"{code}, provider {provider.id}",
        fold=connection_fold(provider.id),
    )


def steps(code: str | None, hint: str, support_email: str) -> list[str]:
    """The catalogue's steps, and whom to ask when they have not helped."""
    found = list(catalogue.advice(code).steps) if code else []
    if support_email and hint:
        found.append(f"If nothing helps, write to {support_email} and name: {hint}.")
    return found
