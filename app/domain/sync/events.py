"""Streams and kinds of what happens in synchronisation."""

from enum import StrEnum
from uuid import UUID

RUN = "sync.run"
"""Synchronise a patient. Subject: the run."""
LOOK = "sync.look"
"""Look what has changed at a care platform. Subject: the platform's event that gave the reason."""
RUN_ENDED = "sync.run_ended"
"""Tell who should know how a run has ended. Subject: the run."""


class SyncEventKind(StrEnum):
    """What happened in a run."""

    RUN_QUEUED = "RUN_QUEUED"
    RUN_STARTED = "RUN_STARTED"
    RUN_RESUMED = "RUN_RESUMED"
    STAGE_CHANGED = "STAGE_CHANGED"
    PAGE_STORED = "PAGE_STORED"
    DOCUMENT_CREATED = "DOCUMENT_CREATED"
    DOCUMENT_UPDATED = "DOCUMENT_UPDATED"
    DOCUMENT_WITHDRAWN = "DOCUMENT_WITHDRAWN"
    DOCUMENT_PUBLISHED = "DOCUMENT_PUBLISHED"
    RETRY_SCHEDULED = "RETRY_SCHEDULED"
    RUN_FINISHED = "RUN_FINISHED"


def run_stream(run_id: UUID) -> str:
    """Everything in one run; ends with RUN_FINISHED."""
    return f"sync_run/{run_id}"


def activity_stream(user_id: UUID) -> str:
    """The runs of all patients of a dietician, without single documents."""
    return f"sync_activity/{user_id}"
