"""The whole GraphQL schema, composed of the contexts' edges."""

from collections.abc import Iterable
from typing import Annotated, Any

import strawberry
from graphql import GraphQLError, lexicographic_sort_schema, print_schema
from strawberry.extensions import AddValidationRules, MaxTokensLimiter
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext
from strawberry.types.graphql import OperationType

from app.api import (
    conflicts,
    connections,
    documents,
    exports,
    identity,
    notifications,
    patients,
    platforms,
    sync,
    sync_live,
    updates,
    work,
)
from app.api.kit import ids
from app.api.kit.context import Info
from app.api.kit.masking import Masking
from app.api.kit.node import Node
from app.api.kit.parsing import Parsing, Validating
from app.api.kit.permission import SignedIn
from app.api.kit.scalars import SCALARS
from app.api.kit.strings import StorableLiterals

NODES = {
    **identity.NODES,
    **connections.NODES,
    **platforms.NODES,
    **patients.NODES,
    **documents.NODES,
    **sync.NODES,
    **exports.NODES,
    **conflicts.NODES,
    **notifications.NODES,
    **work.NODES,
}
MAX_TOKENS = 2000


@strawberry.type(description="What can be read.")
class Query(
    identity.IdentityQuery,
    connections.ConnectionsQuery,
    platforms.PlatformsQuery,
    patients.PatientsQuery,
    documents.DocumentsQuery,
    sync.SyncQuery,
    conflicts.ConflictsQuery,
    notifications.NotificationsQuery,
    work.WorkQuery,
):
    @strawberry.field(
        permission_classes=[SignedIn], description="Anything with an id; null where there is none for the caller."
    )
    async def node(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Its id.")],  # noqa: A002
    ) -> Node | None:
        found = ids.split(id)
        if found is None or found[0] not in NODES:
            return None
        node: Any = await NODES[found[0]](info, found[1])
        return node


@strawberry.type(description="What can be changed. Every mutation answers with `userErrors` where it was refused.")
class Mutation(
    identity.IdentityMutation,
    connections.ConnectionsMutation,
    platforms.PlatformsMutation,
    patients.PatientsMutation,
    documents.DocumentsMutation,
    sync.SyncMutation,
    updates.UpdatesMutation,
    exports.ExportsMutation,
    conflicts.ConflictsMutation,
    notifications.NotificationsMutation,
    work.WorkMutation,
):
    pass


@strawberry.type(description="What can be followed live.")
class Subscription(sync_live.SyncSubscription, notifications.NotificationsSubscription):
    pass


class Schema(strawberry.Schema):
    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Masking logs defects by their id; what clients got wrong is theirs, and may hold a patient's data."""

    async def execute(
        self, *args: Any, allowed_operation_types: Iterable[OperationType] | None = None, **kwargs: Any
    ) -> Any:
        """One answer has no place for a subscription: streams and sockets do not come through here."""
        allowed = set(allowed_operation_types or OperationType) - {OperationType.SUBSCRIPTION}
        return await super().execute(*args, allowed_operation_types=allowed, **kwargs)


def compose(*, in_order: bool) -> Schema:
    return Schema(
        Query,
        Mutation,
        Subscription,
        config=StrawberryConfig(auto_camel_case=True, sort_schema=in_order, scalar_map=SCALARS),
        extensions=[
            lambda: MaxTokensLimiter(MAX_TOKENS),
            lambda: AddValidationRules([StorableLiterals]),
            Parsing,
            Validating,
            Masking,
        ],
    )


schema = compose(in_order=False)
# Sorting makes plain enum types of Strawberry's: what is executed must not be sorted, or enums would arrive as strings.


def sdl() -> str:
    """The schema as it is committed: sorted, so that a moved class is no difference. Only here: Strawberry's own sorted
    schema forgets that its enums are enums, and hands resolvers plain strings."""
    return print_schema(lexicographic_sort_schema(schema._schema)) + "\n"  # noqa: SLF001 - Strawberry shows it nowhere else
