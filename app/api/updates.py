"""The GraphQL edge of updates that nobody presses for: schedules, and what providers tell us of."""

import datetime as dt
from typing import Annotated, Any

import strawberry

from app.api.connections import ProviderPayload
from app.api.kit import ids
from app.api.kit.context import Info
from app.api.kit.enums import described
from app.api.kit.node import of_row
from app.api.kit.payload import refusable
from app.api.kit.permission import SignedIn
from app.api.sync import SyncError, in_words
from app.domain.connections.models import Provider
from app.domain.updates import commands, models
from app.domain.updates.models import SubscriptionStatus

described(
    SubscriptionStatus,
    "SubscriptionStatus",
    "How a provider's notifications stand.",
    REQUESTED="The provider was asked, or is about to be; it has not confirmed it yet.",
    ACTIVE="The provider notifies us of changes.",
    ERROR="It does not at the moment. It is asked again every few minutes.",
    OFF="An administrator has turned them off.",
)


@strawberry.type(description="How often a provider's patients are synchronised by themselves.")
@of_row(Provider)
class ProviderSchedule:
    @strawberry.field(
        description="Minutes between two synchronisations of a patient; each patient has a turn of its own."
    )
    def every_minutes(self, root: strawberry.Parent[Provider]) -> int:
        return root.sync_every_minutes or 0

    @strawberry.field(description="After how many days everything is compared, and not only what has changed.")
    def sweep_every_days(self, root: strawberry.Parent[Provider]) -> int:
        return root.sweep_every_days


Row = strawberry.Parent[models.Subscription]


@strawberry.type(
    description="A provider's notifications of one resource type. Synchronisation by the schedule goes on beside them."
)
@of_row(models.Subscription)
class ProviderSubscription:
    resource_type: str = strawberry.field(description="The FHIR resource type.")
    status: SubscriptionStatus = strawberry.field(description="How it stands.")
    last_heard_at: dt.datetime | None = strawberry.field(description="When the provider last sent anything.")
    checked_at: dt.datetime | None = strawberry.field(description="When the provider was last asked how it stands.")
    gaps: int = strawberry.field(description="How often notifications were missing; then all patients were looked at.")
    ignored: int = strawberry.field(description="How many notifications were about nobody who is connected here.")

    @strawberry.field(description="The address that the provider calls: its firewall has to let that through.")
    def endpoint(self, root: Row, info: Info) -> str:
        return commands.endpoint(root.id, info.context.resources.settings.base_url)

    @strawberry.field(description="Why it does not work, with what to do about it.")
    def error(self, root: Row) -> SyncError | None:
        return in_words(root.error_code) if root.error_code else None


@strawberry.type
class UpdatesMutation:
    @strawberry.mutation(
        permission_classes=[SignedIn],
        description="Turns a provider's notifications of changes on or off (administrators).",
    )
    @refusable(ProviderPayload)
    async def provider_subscription_set(
        self,
        info: Info,
        provider_id: Annotated[strawberry.ID, strawberry.argument(description="The provider.")],
        enabled: Annotated[bool, strawberry.argument(description="Whether it is to notify us.")],
    ) -> ProviderPayload:
        context = info.context
        provider: Any = await context.execute(
            commands.set_subscription,
            context.actor,
            context.resources.vault,
            ids.decode(provider_id, "Provider", "providerId"),
            enabled=enabled,
        )
        return ProviderPayload(provider=provider)
