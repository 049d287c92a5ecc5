"""The GraphQL edge of synchronisation: runs, their progress, the log."""

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry

from app.api.connections import Provider
from app.api.kit import ids
from app.api.kit.connection import After, Connection, First, Search, connect
from app.api.kit.context import Info
from app.api.kit.node import Node, of_row
from app.api.kit.payload import UserError, errors, refusable
from app.api.kit.permission import SignedIn
from app.api.sync_enums import LogStatus, RunMode, RunStage, RunStatus, RunTrigger, Severity
from app.connectors.provider.fhir.client import RESOURCE_TYPES
from app.domain.connections import queries as connections
from app.domain.documents import queries as documents
from app.domain.patients import queries as patients
from app.domain.sync import catalogue, commands, models, queries, rules

if TYPE_CHECKING:
    from app.api.documents import Document
    from app.api.patients import Patient

Run = strawberry.Parent[models.SyncRun]


@strawberry.type(description="A run's counters. Each resource at the provider is counted once.")
class SyncCounts:
    expected: int = strawberry.field(description="How many resources the provider has announced so far.")
    discovered: int = strawberry.field(description="How many it has listed.")
    fetched: int = strawberry.field(description="How many files were fetched.")
    created: int = strawberry.field(description="Documents that are new here.")
    updated: int = strawberry.field(description="Documents with a new version.")
    unchanged: int = strawberry.field(description="Resources that are as they were.")
    joined: int = strawberry.field(
        description="Resources that carry a note that is here already from another resource."
    )
    skipped: int = strawberry.field(description="Resources that are no documents, or were listed twice.")
    withdrawn: int = strawberry.field(description="Documents that are retracted or gone at the provider.")
    failed: int = strawberry.field(description="Resources that left nothing behind.")
    published: int = strawberry.field(description="Documents that the care platform has confirmed.")
    bytes: int = strawberry.field(description="Bytes of files fetched.")


@strawberry.type(description="A failure in words, with what to do about it.")
class SyncError:
    code: str = strawberry.field(description="The code of the failure catalogue.")
    message: str = strawberry.field(description="What happened, in a sentence.")
    steps: list[str] = strawberry.field(description="Two to four steps to mend it.")
    retryable: bool = strawberry.field(description="Whether another try is likely to help.")


def in_words(code: str) -> SyncError:
    """A code of the catalogue, in words."""
    advice = catalogue.advice(code)
    return SyncError(code=code, message=advice.message, steps=list(advice.steps), retryable=advice.retryable)


@strawberry.type(description="How much of one resource type a run has seen.")
class SyncCoverage:
    resource_type: str = strawberry.field(description="The FHIR resource type.")
    pages_fetched: int = strawberry.field(description="Pages fetched and stored.")
    expected: int | None = strawberry.field(description="What the provider announced; null where it did not.")
    seen: int = strawberry.field(description="Resources listed.")
    failed: int = strawberry.field(description="Resources that could not be stored completely.")
    complete: bool = strawberry.field(description="Whether the listing came to its end.")


@strawberry.type(description="Something that a run could not do, or noticed.")
@of_row(models.SyncFailure)
class SyncFailure(Node):
    reference: str = strawberry.field(description="The resource at the provider, or what else it is about.")
    code: str = strawberry.field(description="The code of the failure catalogue.")
    severity: Severity = strawberry.field(description="Whether it left a gap.")

    @strawberry.field(description="What happened, in a sentence.")
    def message(self, root: strawberry.Parent[models.SyncFailure]) -> str:
        return catalogue.advice(root.code).message

    @strawberry.field(description="Two to four steps to mend it.")
    def steps(self, root: strawberry.Parent[models.SyncFailure]) -> list[str]:
        return list(catalogue.advice(root.code).steps)

    @strawberry.field(description="Whether another try is likely to help.")
    def retryable(self, root: strawberry.Parent[models.SyncFailure]) -> bool:
        return catalogue.advice(root.code).retryable


@strawberry.type(description="One synchronisation of one patient.")
@of_row(models.SyncRun)
class SyncRun(Node):
    status: RunStatus = strawberry.field(description="How it stands.")
    stage: RunStage = strawberry.field(description="What it is doing.")
    mode: RunMode = strawberry.field(description="What it compares.")
    trigger: RunTrigger = strawberry.field(description="Who asked for it.")
    percent: int = strawberry.field(description="The share done, 0 to 100; never falls.")
    estimated: bool = strawberry.field(description="Whether the total is an estimate.")
    started_at: dt.datetime | None = strawberry.field(description="When a worker took it up.")
    finished_at: dt.datetime | None = strawberry.field(description="When it ended.")
    created_at: dt.datetime = strawberry.field(description="When it was asked for.")

    @strawberry.field(description="Its counters.")
    def counts(self, root: Run) -> SyncCounts:
        names = SyncCounts.__annotations__
        return SyncCounts(**{name: getattr(root, name) for name in names})

    @strawberry.field(description="Why it failed, or why it waits for another try.")
    def error(self, root: Run) -> SyncError | None:
        return in_words(root.error_code) if root.error_code else None

    @strawberry.field(description="Whose documents it brings.")
    async def patient(self, root: Run, info: Info) -> Annotated["Patient", strawberry.lazy("app.api.patients")]:
        return await info.context.load(patients.by_ids, root.patient_id)

    @strawberry.field(description="Where it brings them from.")
    async def provider(self, root: Run, info: Info) -> Provider:
        return await info.context.load(connections.by_ids, root.provider_id)

    @strawberry.field(description="How much of each resource type it has seen.")
    async def coverage(self, root: Run, info: Info) -> list[SyncCoverage]:
        async with info.context.reading() as session:
            pages = await queries.pages(session, root.id)
        return [
            SyncCoverage(
                resource_type=part.resource_type,
                pages_fetched=part.pages_fetched,
                expected=part.expected,
                seen=part.seen,
                failed=part.failed,
                complete=part.complete,
            )
            for part in rules.coverage(pages, RESOURCE_TYPES)
        ]

    @strawberry.field(description="What it could not do, or noticed.")
    async def failures(self, root: Run, info: Info, first: First, after: After = None) -> Connection[SyncFailure]:
        return await connect(info.context, queries.failures(root.id), queries.FAILURES, first, after)


@strawberry.type(description="An entry of the history of a patient's documents.")
@of_row(models.SynchronizationLog)
class Log(Node):
    action: str = strawberry.field(description="What happened: manual_sync, automatic_update, document_created, …")
    status: LogStatus = strawberry.field(description="How it ended.")
    timestamp: dt.datetime = strawberry.field(description="When it happened.")
    details: str = strawberry.field(description="More about it, in words.")

    @strawberry.field(description="Whose history it is.")
    async def patient(
        self, root: strawberry.Parent[models.SynchronizationLog], info: Info
    ) -> Annotated["Patient", strawberry.lazy("app.api.patients")]:
        return await info.context.load(patients.by_ids, root.patient_id)

    @strawberry.field(description="The document that it is about, if there is one and it is still there.")
    async def document(
        self, root: strawberry.Parent[models.SynchronizationLog], info: Info
    ) -> Annotated["Document", strawberry.lazy("app.api.documents")] | None:
        return await info.context.load(documents.by_ids, root.document_id)

    @strawberry.field(description="The run that it belongs to.")
    async def run(self, root: strawberry.Parent[models.SynchronizationLog], info: Info) -> SyncRun | None:
        return await info.context.read(queries.get, root.run_id) if root.run_id else None


@strawberry.input(description="Which log entries to list.")
class LogFilter:
    patient_id: strawberry.ID | None = strawberry.field(default=None, description="Only this patient's.")
    document_id: strawberry.ID | None = strawberry.field(default=None, description="Only this document's.")
    run_id: strawberry.ID | None = strawberry.field(default=None, description="Only this run's.")
    actions: list[str] | None = strawberry.field(default=None, description="Only these actions.")
    statuses: list[LogStatus] | None = strawberry.field(default=None, description="Only these.")
    from_: dt.datetime | None = strawberry.field(default=None, name="from", description="At this time or later.")
    to: dt.datetime | None = strawberry.field(default=None, description="At this time or earlier.")

    def wanted(self) -> queries.LogFilter:
        def row(value: str | None, kind: str, field: str) -> UUID | None:
            return ids.decode(value, kind, "filter", field) if value else None

        return queries.LogFilter(
            patient_id=row(self.patient_id, "Patient", "patientId"),
            document_id=row(self.document_id, "Document", "documentId"),
            run_id=row(self.run_id, "SyncRun", "runId"),
            actions=self.actions,
            statuses=self.statuses,
            since=self.from_,
            until=self.to,
        )


@strawberry.type(description="The answer to starting, stopping or retrying a synchronisation.")
class SyncRunPayload:
    sync_run: SyncRun | None = strawberry.field(default=None, description="The run as it stands.")
    user_errors: list[UserError] = errors()


@strawberry.type
class SyncQuery:
    @strawberry.field(permission_classes=[SignedIn], description="One run; null where there is none for the caller.")
    async def sync_run(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The run.")],  # noqa: A002
    ) -> SyncRun | None:
        run_id = ids.decode_or_none(id, "SyncRun")
        return await find_run(info, run_id) if run_id else None

    @strawberry.field(
        permission_classes=[SignedIn], description="The history of the caller's patients, the latest first."
    )
    async def logs(
        self,
        info: Info,
        first: First,
        after: After = None,
        search: Search = None,
        filter: Annotated[LogFilter | None, strawberry.argument(description="Which to list.")] = None,  # noqa: A002
    ) -> Connection[Log]:
        wanted = filter.wanted() if filter else queries.LogFilter()
        statement = queries.listed_logs(info.context.actor, wanted, search)
        return await connect(info.context, statement, queries.LOGS, first, after, search)

    @strawberry.field(
        permission_classes=[SignedIn], description="One log entry; null where there is none for the caller."
    )
    async def log(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The entry.")],  # noqa: A002
    ) -> Log | None:
        log_id = ids.decode_or_none(id, "Log")
        return await find_log(info, log_id) if log_id else None


@strawberry.type
class SyncMutation:
    @strawberry.mutation(
        permission_classes=[SignedIn],
        description="Starts a patient's synchronisation. One that is under way already is returned, not doubled.",
    )
    @refusable(SyncRunPayload)
    async def patient_sync(
        self,
        info: Info,
        patient_id: Annotated[strawberry.ID, strawberry.argument(description="Whose documents.")],
        mode: Annotated[RunMode, strawberry.argument(description="What to compare.")] = RunMode.INCREMENTAL,
        idempotency_key: Annotated[
            str | None,
            strawberry.argument(
                description="The same key brings back the run that it started, however often it is sent."
            ),
        ] = None,
    ) -> SyncRunPayload:
        row_id = ids.decode(patient_id, "Patient", "patientId")
        run: Any = await info.context.execute(
            commands.request, info.context.actor, row_id, mode=mode, idempotency_key=idempotency_key
        )
        return SyncRunPayload(sync_run=run)

    @strawberry.mutation(permission_classes=[SignedIn], description="Stops a run. What it has stored stays.")
    @refusable(SyncRunPayload)
    async def sync_cancel(
        self, info: Info, run_id: Annotated[strawberry.ID, strawberry.argument(description="The run.")]
    ) -> SyncRunPayload:
        row_id = ids.decode(run_id, "SyncRun", "runId")
        run: Any = await info.context.execute(commands.cancel, info.context.actor, row_id)
        return SyncRunPayload(sync_run=run)

    @strawberry.mutation(permission_classes=[SignedIn], description="Starts another run that takes up what is missing.")
    @refusable(SyncRunPayload)
    async def sync_retry(
        self,
        info: Info,
        run_id: Annotated[strawberry.ID, strawberry.argument(description="The run.")],
        everything: Annotated[
            bool,
            strawberry.argument(
                description="Whether the care platform is offered again what it refused for good or what was removed there."
            ),
        ] = False,
    ) -> SyncRunPayload:
        row_id = ids.decode(run_id, "SyncRun", "runId")
        run: Any = await info.context.execute(commands.retry, info.context.actor, row_id, everything=everything)
        return SyncRunPayload(sync_run=run)


async def find_run(info: Info, row_id: UUID) -> Any:
    return await info.context.read(queries.get, row_id)


async def find_log(info: Info, row_id: UUID) -> Any:
    return await info.context.read(queries.get_log, row_id)


async def find_failure(info: Info, row_id: UUID) -> Any:
    return await info.context.read(queries.get_failure, row_id)


NODES = {"SyncRun": find_run, "Log": find_log, "SyncFailure": find_failure}
