"""The GraphQL edge of what differs between here and the provider."""

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry

from app.api.kit import ids
from app.api.kit.connection import After, Connection, First, connect
from app.api.kit.context import Info
from app.api.kit.enums import described
from app.api.kit.node import Node, of_row
from app.api.kit.payload import UserError, errors, refusable
from app.api.kit.permission import SignedIn
from app.connectors.provider.port import PatientField
from app.domain.conflicts import commands, models, queries
from app.domain.conflicts.models import ConflictState, DetailsStatus, Resolution
from app.domain.patients import queries as patients

if TYPE_CHECKING:
    from app.api.patients import Patient

Row = strawberry.Parent[models.Conflict]

described(
    PatientField,
    "PatientField",
    "The details of a patient that a provider holds too.",
    NAME="The full name.",
    BIRTH_DATE="The date of birth.",
    EMAIL="The e-mail address.",
    PHONE="The telephone number.",
    ADDRESS="The postal address.",
)
described(
    ConflictState,
    "ConflictState",
    "Whether somebody has decided.",
    OPEN="Not yet: neither side is overwritten.",
    RESOLVED="Yes; or both sides came to agree by themselves.",
)
described(
    Resolution,
    "ConflictChoice",
    "Whose value holds.",
    OURS="The one here: it is sent to the provider.",
    THEIRS="The provider's: it takes the place of the one here.",
)
described(
    DetailsStatus,
    "PatientDetailsStatus",
    "How a patient's details here stand to those at the provider.",
    NOT_CONNECTED="The patient has no provider.",
    NOT_COMPARED="The provider's record has not been read yet: the next synchronisation reads it.",
    IN_STEP="Both sides say the same.",
    DIFFERENT="They differed when they were first compared, and nobody has changed either since.",
    SENDING="What was edited here is on its way to the provider.",
    CONFLICT="Both sides changed the same: see `patientConflicts`.",
    FAILED="What was edited here could not be sent: see `detailsError`, mend it with `patientDetailsRetry`.",
)


@strawberry.type(description="A detail of a patient that was changed here and at the provider, to different values.")
@of_row(models.Conflict)
class PatientConflict(Node):
    field: PatientField = strawberry.field(description="Which detail.")
    base: str | None = strawberry.field(
        description="What both sides last agreed on; null where nothing is known of that. Empty: nothing was held."
    )
    ours: str = strawberry.field(description="What is held here; empty where nothing is.")
    theirs: str = strawberry.field(description="What the provider holds; empty where it holds nothing.")
    state: ConflictState = strawberry.field(description="Whether it has been decided.")
    resolution: Resolution | None = strawberry.field(description="Whose value holds, once that is decided.")
    resolved_at: dt.datetime | None = strawberry.field(description="When it was decided.")

    @strawberry.field(description="When it was noticed.")
    def detected_at(self, root: Row) -> dt.datetime:
        return root.created_at

    @strawberry.field(description="Whose detail.")
    async def patient(self, root: Row, info: Info) -> Annotated["Patient", strawberry.lazy("app.api.patients")]:
        return await info.context.load(patients.by_ids, root.patient_id)


@strawberry.type(description="The answer to deciding a conflict.")
class ConflictPayload:
    conflict: PatientConflict | None = strawberry.field(default=None, description="The conflict as it is now.")
    patient: Annotated["Patient", strawberry.lazy("app.api.patients")] | None = strawberry.field(
        default=None, description="The record as it is now."
    )
    user_errors: list[UserError] = errors()


@strawberry.type(description="The answer to sending a patient's details once more.")
class PatientDetailsPayload:
    patient: Annotated["Patient", strawberry.lazy("app.api.patients")] | None = strawberry.field(
        default=None, description="The record; its `detailsStatus` says how it goes on."
    )
    user_errors: list[UserError] = errors()


@strawberry.type
class ConflictsQuery:
    @strawberry.field(
        permission_classes=[SignedIn],
        description="What was changed both here and at the provider, the latest first. For the responsible dietician only.",
    )
    async def patient_conflicts(
        self,
        info: Info,
        patient_id: Annotated[strawberry.ID, strawberry.argument(description="Whose details.")],
        first: First,
        after: After = None,
        state: Annotated[
            ConflictState | None, strawberry.argument(description="Only these; all of them if not given.")
        ] = None,
    ) -> Connection[PatientConflict]:
        row_id = ids.decode(patient_id, "Patient", "patientId")
        statement: Any = await info.context.read(queries.listed, row_id, state)
        return await connect(info.context, statement, queries.NEWEST, first, after)


@strawberry.type
class ConflictsMutation:
    @strawberry.mutation(
        permission_classes=[SignedIn],
        description="Decides a conflict. Ours is sent to the provider in the background, theirs is taken over at once.",
    )
    @refusable(ConflictPayload)
    async def conflict_resolve(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The conflict.")],  # noqa: A002
        choice: Annotated[Resolution, strawberry.argument(description="Whose value holds.")],
    ) -> ConflictPayload:
        row_id = ids.decode(id, "PatientConflict", "id")
        found: Any = await info.context.execute(commands.resolve, info.context.actor, row_id, choice)
        return ConflictPayload(conflict=found.conflict, patient=found.patient)

    @strawberry.mutation(
        permission_classes=[SignedIn],
        description="Sends once more what was edited here and the provider has not taken.",
    )
    @refusable(PatientDetailsPayload)
    async def patient_details_retry(
        self, info: Info, patient_id: Annotated[strawberry.ID, strawberry.argument(description="Whose details.")]
    ) -> PatientDetailsPayload:
        row_id = ids.decode(patient_id, "Patient", "patientId")
        patient: Any = await info.context.execute(commands.retry, info.context.actor, row_id)
        return PatientDetailsPayload(patient=patient)


async def find(info: Info, row_id: UUID) -> Any:
    return await info.context.read(queries.get, row_id)


NODES: dict[str, Callable[[Info, UUID], Any]] = {"PatientConflict": find}
