"""The GraphQL edge of connections: Primary Healthcare Providers."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry

from app.api.connection_enums import AuthKind, HealthStatus, SinceFilter
from app.api.connection_inputs import ProviderCreateInput, ProviderUpdateInput
from app.api.kit import ids
from app.api.kit.connection import After, Connection, First, connect
from app.api.kit.context import Info
from app.api.kit.node import Node, of_row
from app.api.kit.payload import UserError, errors, refusable
from app.api.kit.permission import SignedIn
from app.domain.connections import commands, models, queries, rules
from app.domain.connections.policies import may_administer, may_inspect
from app.domain.updates import queries as updates
from app.domain.updates.exports import queries as exports

if TYPE_CHECKING:
    from app.api.exports import Export
    from app.api.updates import ProviderSchedule, ProviderSubscription


@strawberry.type(description="A provider's health.")
class ProviderHealth:
    status: HealthStatus = strawberry.field(description="How it answered.")
    checked_at: datetime | None = strawberry.field(description="When it was asked.")
    detail: str | None = strawberry.field(description="What went wrong, if anything did.")


@strawberry.type(description="A line of a provider's capability card: tried out, not believed.")
class ProviderCapability:
    name: str = strawberry.field(description="What was tried.")
    supported: bool = strawberry.field(description="Whether it works.")
    detail: str = strawberry.field(description="What was seen; the reason for a «no».")


@strawberry.type(description="How a provider takes a search for one kind of resource.")
class ProviderSearch:
    resource_type: str = strawberry.field(description="The kind: a FHIR resource type.")
    since: SinceFilter = strawberry.field(description="What it does with a search for what has changed since.")
    post: bool = strawberry.field(description="Whether it refuses GET, and is asked by POST.")
    status: bool = strawberry.field(description="Whether it demands that a search names every status.")


@strawberry.type(description="What is known of a provider's server, and how it is asked because of that.")
class ProviderStrategy:
    searches: list[ProviderSearch] = strawberry.field(
        description="Kinds of resource that are searched for in another way than FHIR's plain one."
    )
    page_size: int | None = strawberry.field(
        description="Never more resources a page than this; null where no limit was met with."
    )
    batch: bool | None = strawberry.field(
        description="Whether small files are fetched together; null where it was not tried."
    )


@strawberry.type(description="What administrators set on a provider.")
class ProviderSettings:
    file_hosts: list[str] = strawberry.field(description="Further `host:port` that attachments may lie at.")
    page_size: int = strawberry.field(description="Resources that are asked for on a page.")
    requests_per_second: float | None = strawberry.field(
        description="The most that it wants to be asked; null where no limit is known."
    )
    sync_every_minutes: int | None = strawberry.field(
        description="How often its patients are synchronised without being asked; null: never."
    )
    sweep_every_days: int = strawberry.field(
        description="How often everything is compared, and not only what the provider says has changed."
    )
    key_changes_at: datetime | None = strawberry.field(
        description="From when on we sign with the newest key; null where no key was ever changed."
    )
    revision: int = strawberry.field(description="Grows with each change: what `expectedRevision` is compared with.")


Row = strawberry.Parent[models.Provider]


@strawberry.type(description="A Primary Healthcare Provider: the FHIR server that documents come from.")
@of_row(models.Provider)
class Provider(Node):
    name: str = strawberry.field(description="What people call it.")
    auth_kind: AuthKind = strawberry.field(description="How we prove ourselves there.")
    created_at: datetime = strawberry.field(description="When the connection was made.")

    @strawberry.field(description="The FHIR base address; null for patients.")
    def base_url(self, root: Row, info: Info) -> str | None:
        return root.base_url if may_inspect(info.context.actor) else None

    @strawberry.field(description="How it answered when it was last asked; null for patients.")
    def health(self, root: Row, info: Info) -> ProviderHealth | None:
        if not may_inspect(info.context.actor):
            return None
        return ProviderHealth(status=root.health_status, checked_at=root.health_checked_at, detail=root.health_detail)

    @strawberry.field(description="What its server really does: the capability card; null for patients.")
    def capabilities(self, root: Row, info: Info) -> list[ProviderCapability] | None:
        if not may_inspect(info.context.actor):
            return None
        return [ProviderCapability(**line) for line in root.capabilities]

    @strawberry.field(description="How its server is asked, and why; null for all but administrators.")
    def strategy(self, root: Row, info: Info) -> ProviderStrategy | None:
        if may_administer(info.context.actor):
            return None
        known = rules.strategy_of(root)
        searches = [
            ProviderSearch(resource_type=it.resource_type, since=it.since, post=it.post, status=it.status)
            for it in known.searches
        ]
        return ProviderStrategy(searches=searches, page_size=known.page_size, batch=known.batch)

    @strawberry.field(description="What administrators have set; null for all others.")
    def settings(self, root: Row, info: Info) -> ProviderSettings | None:
        if may_administer(info.context.actor):
            return None
        return ProviderSettings(
            file_hosts=root.file_hosts,
            page_size=root.page_size,
            requests_per_second=root.requests_per_second,
            sync_every_minutes=root.sync_every_minutes,
            sweep_every_days=root.sweep_every_days,
            key_changes_at=root.key_changes_at,
            revision=root.revision,
        )

    @strawberry.field(description="When its patients are synchronised by themselves; null: never, and for patients.")
    def schedule(
        self, root: Row, info: Info
    ) -> Annotated["ProviderSchedule", strawberry.lazy("app.api.updates")] | None:
        shown: Any = root if root.sync_every_minutes and may_inspect(info.context.actor) else None
        return shown

    @strawberry.field(
        description="What it notifies us of, once an administrator has turned that on; null for patients."
    )
    async def subscriptions(
        self, root: Row, info: Info
    ) -> list[Annotated["ProviderSubscription", strawberry.lazy("app.api.updates")]] | None:
        if not may_inspect(info.context.actor):
            return None
        return await info.context.load(updates.by_providers, root.id) or []

    @strawberry.field(
        description="Exports of whole groups that administrators have asked it for, the latest first; empty for all others."
    )
    async def exports(
        self, root: Row, info: Info, first: First, after: After = None
    ) -> Connection[Annotated["Export", strawberry.lazy("app.api.exports")]]:
        wanted = exports.of_provider(info.context.actor, root.id)
        return await connect(info.context, wanted, exports.EXPORTS, first, after)


@strawberry.type(description="The answer to making or changing a provider.")
class ProviderPayload:
    provider: Provider | None = strawberry.field(default=None, description="The provider; null when it was refused.")
    user_errors: list[UserError] = errors()


@strawberry.type
class ConnectionsQuery:
    @strawberry.field(permission_classes=[SignedIn], description="The providers that patients can be connected to.")
    async def providers(self, info: Info, first: First, after: After = None) -> Connection[Provider]:
        return await connect(info.context, queries.visible(info.context.actor), queries.BY_NAME, first, after)


@strawberry.type
class ConnectionsMutation:
    @strawberry.mutation(
        permission_classes=[SignedIn],
        description="Connects a provider (administrators). What it does is tried out at once.",
    )
    @refusable(ProviderPayload)
    async def provider_create(
        self,
        info: Info,
        input: Annotated[ProviderCreateInput, strawberry.argument(description="The new connection.")],  # noqa: A002
    ) -> ProviderPayload:
        context = info.context
        provider: Any = await context.execute(
            commands.create_provider,
            context.actor,
            context.resources.vault,
            name=input.name,
            base_url=input.base_url,
            auth=input.auth.auth(),
            file_hosts=input.file_hosts or (),
            page_size=50 if input.page_size is None else input.page_size,
            requests_per_second=input.requests_per_second,
            sync_every_minutes=input.sync_every_minutes,
            sweep_every_days=input.sweep_every_days,
        )
        return ProviderPayload(provider=provider)

    @strawberry.mutation(
        permission_classes=[SignedIn],
        description="Changes a connection (administrators). A new address or new credentials are tried out at once.",
    )
    @refusable(ProviderPayload)
    async def provider_update(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The provider.")],  # noqa: A002
        input: Annotated[ProviderUpdateInput, strawberry.argument(description="The change.")],  # noqa: A002
    ) -> ProviderPayload:
        context = info.context
        provider: Any = await context.execute(
            commands.update_provider,
            context.actor,
            context.resources.vault,
            ids.decode(id, "Provider", "id"),
            input.settings(),
            expected_revision=input.expected_revision,
        )
        return ProviderPayload(provider=provider)

    @strawberry.mutation(
        permission_classes=[SignedIn],
        description="Tries out again what a provider's server does (administrators); its card is renewed within a minute or two.",
    )
    @refusable(ProviderPayload)
    async def provider_probe(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The provider.")],  # noqa: A002
    ) -> ProviderPayload:
        context = info.context
        provider: Any = await context.execute(commands.ask_for_probe, context.actor, ids.decode(id, "Provider", "id"))
        return ProviderPayload(provider=provider)

    @strawberry.mutation(
        permission_classes=[SignedIn],
        description=(
            "Makes a new key for a SMART connection (administrators). It is published at once, beside the former one, and "
            "used ten minutes later; the former one stays published for an hour after that."
        ),
    )
    @refusable(ProviderPayload)
    async def provider_key_rotate(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The provider.")],  # noqa: A002
    ) -> ProviderPayload:
        context = info.context
        provider: Any = await context.execute(
            commands.rotate_key, context.actor, context.resources.vault, ids.decode(id, "Provider", "id")
        )
        return ProviderPayload(provider=provider)


async def find(info: Info, row_id: UUID) -> Any:
    return await info.context.read(queries.get, row_id)


NODES = {"Provider": find}
