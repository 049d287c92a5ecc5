"""The enums of synchronisation, described."""

from app.api.kit.enums import described
from app.domain.sync.events import SyncEventKind
from app.domain.sync.models import LogStatus, RunMode, RunStage, RunStatus, RunTrigger, Severity

__all__ = ["LogStatus", "RunMode", "RunStage", "RunStatus", "RunTrigger", "Severity", "SyncEventKind"]

described(
    RunStatus,
    "SyncStatus",
    "How a run stands.",
    QUEUED="It waits for a worker.",
    RUNNING="It is under way, or waits for another try.",
    SUCCEEDED="Everything was listed and nothing failed.",
    SUCCEEDED_WITH_GAPS="Something could not be had: see coverage and failures.",
    FAILED="It could not be done: see error.",
    CANCELLED="Somebody stopped it.",
)
described(
    RunStage,
    "SyncStage",
    "What a run is doing.",
    CONNECTING="Reaching the provider and verifying the patient.",
    LISTING="Asking for the next page.",
    FETCHING="Fetching the files of a page.",
    STORING="Comparing what was listed with what is here.",
    PUBLISHING="Handing documents to the care platform.",
    DONE="Nothing any more.",
)
described(
    RunMode,
    "SyncMode",
    "What a run compares.",
    INCREMENTAL="What the provider says has changed since the last run.",
    FULL="Everything; notices what is gone.",
    RETRY="What another run has failed at, and nothing else; asked for by `syncRetry`.",
)
described(
    RunTrigger, "SyncTrigger", "Who asked for a run.", MANUAL="A person.", AUTOMATIC="A schedule or the provider."
)
described(
    Severity,
    "SyncSeverity",
    "How bad a failure is.",
    FAILURE="It leaves a gap.",
    WARNING="Something to know; nothing is missing.",
)
described(
    LogStatus,
    "LogStatus",
    "How a logged event ended.",
    STARTED="It began.",
    SUCCESS="Well.",
    WARNING="Well, with something to know.",
    ERROR="Badly.",
)
described(
    SyncEventKind,
    "SyncEventKind",
    "What happened in a run.",
    RUN_QUEUED="It was asked for.",
    RUN_STARTED="A worker took it up.",
    RUN_RESUMED="A worker took it up again where it was left.",
    STAGE_CHANGED="It goes on to another stage.",
    PAGE_STORED="A page of resources, or a batch for the platform, is done.",
    DOCUMENT_CREATED="A document is new here.",
    DOCUMENT_UPDATED="A document has a new version.",
    DOCUMENT_WITHDRAWN="A document is retracted or gone at the provider.",
    DOCUMENT_PUBLISHED="The care platform has confirmed a document.",
    RETRY_SCHEDULED="Something passing stands in the way; it will be tried again.",
    RUN_FINISHED="It ended. The stream ends here too.",
)
