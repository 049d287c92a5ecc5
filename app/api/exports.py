"""The GraphQL edge of exports: a provider's documents of a whole group at once, for administrators."""

import datetime as dt
from typing import Annotated, Any
from uuid import UUID

import strawberry

from app.api.connections import Provider
from app.api.kit import ids
from app.api.kit.context import Info
from app.api.kit.enums import described
from app.api.kit.node import Node, of_row
from app.api.kit.payload import UserError, errors, refusable
from app.api.kit.permission import SignedIn
from app.api.sync import SyncError, in_words
from app.domain.connections import queries as connections
from app.domain.sync import catalogue
from app.domain.updates.exports import commands, models, queries
from app.domain.updates.exports.models import ExportState

described(
    ExportState,
    "ExportState",
    "How an export stands.",
    REQUESTED="The provider is about to be asked for it.",
    PREPARING="The provider prepares it, and is asked from time to time how that goes.",
    LOADING="Its files are fetched and sorted by patient.",
    STORING="Each patient's synchronisation takes what is theirs.",
    SUCCEEDED="Everything that it holds is here.",
    SUCCEEDED_WITH_GAPS="It ended, and something is missing: see `problems`, and the patients' own synchronisations.",
    FAILED="It could not go on. What patients had received by then stays.",
    CANCELLED="An administrator has stopped it. What patients had received by then stays.",
)

Row = strawberry.Parent[models.Export]


@strawberry.type(description="An export's counters.")
class ExportCounts:
    files: int = strawberry.field(description="Files that the provider has made.")
    files_done: int = strawberry.field(description="Files that were read, or given up.")
    resources: int = strawberry.field(description="Resources of our patients.")
    deletions: int = strawberry.field(description="Documents here of which the provider says that it has deleted them.")
    unknown: int = strawberry.field(description="Resources of nobody who is connected here; they are not kept.")
    bytes: int = strawberry.field(description="Bytes of lines read.")
    gaps: int = strawberry.field(description="What of it is missing here.")
    patients: int = strawberry.field(description="Patients for whom there is something in it.")
    patients_done: int = strawberry.field(description="Patients whose synchronisation has ended.")
    patients_failed: int = strawberry.field(
        description="Patients whose synchronisation has left a gap; another one looks again."
    )


@strawberry.type(description="Something of an export that is missing here.")
class ExportProblem:
    place: str = strawberry.field(description="Where: a file and a line, or the manifest.")
    code: str = strawberry.field(description="The code of the failure catalogue.")
    message: str = strawberry.field(description="What happened, in a sentence.")
    steps: list[str] = strawberry.field(description="Two to four steps to mend it.")
    detail: str = strawberry.field(description="More about it; never a patient's data.")


@strawberry.type(description="A provider's export of the documents of a whole group (HL7 Bulk Data Access).")
@of_row(models.Export)
class Export(Node):
    state: ExportState = strawberry.field(description="How it stands.")
    percent: int = strawberry.field(description="The share done, 0 to 100; never falls.")
    since: dt.datetime | None = strawberry.field(
        description="Only what has changed since was asked for; null: everything."
    )
    transaction_time: dt.datetime | None = strawberry.field(
        description="Up to this moment on the provider's clock everything is in it."
    )
    progress: str = strawberry.field(description="The provider's own words while it prepares the export.")
    created_at: dt.datetime = strawberry.field(description="When it was asked for.")
    started_at: dt.datetime | None = strawberry.field(description="When the provider accepted it.")
    finished_at: dt.datetime | None = strawberry.field(description="When it ended.")

    @strawberry.field(description="The group's id at the provider; null: all patients.")
    def group_id(self, root: Row) -> str | None:
        return root.group_id or None

    @strawberry.field(description="Its counters.")
    def counts(self, root: Row) -> ExportCounts:
        return ExportCounts(**{name: getattr(root, name) for name in ExportCounts.__annotations__})

    @strawberry.field(description="Why it failed, or why it waits for another try.")
    def error(self, root: Row) -> SyncError | None:
        return in_words(root.error_code) if root.error_code else None

    @strawberry.field(description="The first hundred of its gaps.")
    def problems(self, root: Row) -> list[ExportProblem]:
        return [_problem(it) for it in root.problems]

    @strawberry.field(description="Who makes it.")
    async def provider(self, root: Row, info: Info) -> Provider:
        return await info.context.load(connections.by_ids, root.provider_id)


def _problem(noted: dict[str, Any]) -> ExportProblem:
    advice = catalogue.advice(noted["code"])
    return ExportProblem(**noted, message=advice.message, steps=list(advice.steps))


@strawberry.type(description="The answer to asking for an export, or to stopping one.")
class ExportPayload:
    export: Export | None = strawberry.field(default=None, description="The export; null when it was refused.")
    user_errors: list[UserError] = errors()


@strawberry.type
class ExportsMutation:
    @strawberry.mutation(
        permission_classes=[SignedIn],
        description="Asks a provider for the documents of a whole group (administrators). An export of the same group that "
        "is under way already is returned, not doubled.",
    )
    @refusable(ExportPayload)
    async def provider_export(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The provider.")],  # noqa: A002
        group_id: Annotated[
            str | None,
            strawberry.argument(description="The group's id there; null: all patients that the provider lets us see."),
        ] = None,
        everything: Annotated[
            bool,
            strawberry.argument(
                description="Whether everything is asked for, and not only what has changed since the last export."
            ),
        ] = False,
    ) -> ExportPayload:
        row_id = ids.decode(id, "Provider", "id")
        row: Any = await info.context.execute(
            commands.request, info.context.actor, row_id, group_id, everything=everything
        )
        return ExportPayload(export=row)

    @strawberry.mutation(
        permission_classes=[SignedIn],
        description="Stops an export (administrators). What patients have received stays.",
    )
    @refusable(ExportPayload)
    async def provider_export_cancel(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The export.")],  # noqa: A002
    ) -> ExportPayload:
        row: Any = await info.context.execute(commands.cancel, info.context.actor, ids.decode(id, "Export", "id"))
        return ExportPayload(export=row)


async def find(info: Info, row_id: UUID) -> Any:
    return await info.context.read(queries.get, row_id)


NODES = {"Export": find}
