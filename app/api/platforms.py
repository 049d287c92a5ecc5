"""The GraphQL edge of connections: care platforms."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import strawberry

from app.api.kit import ids
from app.api.kit.connection import After, Connection, First, connect
from app.api.kit.context import Info
from app.api.kit.enums import described
from app.api.kit.node import Node, of_row
from app.api.kit.payload import UserError, errors, refusable
from app.api.kit.permission import SignedIn
from app.connectors.platform.port import PlatformKind
from app.domain.connections import models, platforms, queries
from app.domain.connections.platforms import Changes
from app.domain.connections.policies import may_administer

described(
    PlatformKind,
    "PlatformKind",
    "The care platforms that we speak to.",
    NONE="None: documents stay in our own records.",
    CAREPATRON="A Carepatron-style REST API; Carepatron itself publishes none.",
    HEALTHIE="Healthie's GraphQL API.",
)


@strawberry.type(description="How a care platform tells us of changes.")
class PlatformWebhook:
    url: str = strawberry.field(description="Where the platform is to send its messages.")
    is_agreed: bool = strawberry.field(
        description="Whether a secret is agreed on, without which no message is believed."
    )
    checked_at: datetime | None = strawberry.field(
        description="When we last saw to it that the platform sends them, where we can."
    )
    problem: str | None = strawberry.field(
        description="The code of the failure catalogue of what stood in the way, if anything did."
    )


@strawberry.type(description="A care platform: where dieticians work, and where documents are handed to.")
@of_row(models.Platform)
class Platform(Node):
    name: str = strawberry.field(description="What people call it.")
    kind: PlatformKind = strawberry.field(description="What it speaks.")
    base_url: str = strawberry.field(description="Its address.")
    created_at: datetime = strawberry.field(description="When the connection was made.")

    @strawberry.field(description="How it tells us of changes; null for who is no administrator.")
    def webhook(self, root: strawberry.Parent[models.Platform], info: Info) -> PlatformWebhook | None:
        if may_administer(info.context.actor):
            return None
        return PlatformWebhook(
            url=platforms.webhook_url(info.context.resources.settings.base_url, root.id),
            is_agreed=root.webhook_secret is not None,
            checked_at=root.webhook_checked_at,
            problem=root.webhook_problem,
        )


@strawberry.input(description="A new connection to a care platform.")
class PlatformCreateInput:
    name: str = strawberry.field(description="What people call it; unique.")
    kind: PlatformKind = strawberry.field(description="What it speaks.")
    base_url: str = strawberry.field(description="Its address.")
    username: str = strawberry.field(description="The API key, or the user of HTTP basic authentication.")
    password: str = strawberry.field(default="", description="The password, where there is one.")


@strawberry.input(description="What changes in the connection to a care platform. What is not given stays as it is.")
class PlatformUpdateInput:
    name: str | None = strawberry.field(default=None, description="What people call it; unique.")
    base_url: str | None = strawberry.field(
        default=None, description="Its address. At another host, the credentials are to be given again, whole."
    )
    username: str | None = strawberry.field(
        default=None, description="The API key, or the user of HTTP basic authentication."
    )
    password: str | None = strawberry.field(default=None, description="The password, where there is one.")
    webhook_secret: str | None = strawberry.field(
        default=None, description="What the platform signs its messages with, where the platform has made the secret."
    )
    rotate_webhook_secret: bool = strawberry.field(
        default=False, description="Makes a new secret for the webhook; the former one is refused from then on."
    )

    def changes(self) -> Changes:
        return Changes(**vars(self))


@strawberry.type(description="The answer to creating or changing a platform.")
class PlatformPayload:
    platform: Platform | None = strawberry.field(default=None, description="The platform; null when it was refused.")
    webhook_secret: str | None = strawberry.field(
        default=None,
        description="The new secret of its webhook, where we have made one: to be entered there now. It is never shown again.",
    )
    user_errors: list[UserError] = errors()


@strawberry.type
class PlatformsQuery:
    @strawberry.field(permission_classes=[SignedIn], description="The care platforms that documents can be handed to.")
    async def platforms(self, info: Info, first: First, after: After = None) -> Connection[Platform]:
        statement = queries.visible_platforms(info.context.actor)
        return await connect(info.context, statement, queries.PLATFORMS, first, after)


@strawberry.type
class PlatformsMutation:
    @strawberry.mutation(permission_classes=[SignedIn], description="Connects a care platform (administrators).")
    @refusable(PlatformPayload)
    async def platform_create(
        self,
        info: Info,
        input: Annotated[PlatformCreateInput, strawberry.argument(description="The new connection.")],  # noqa: A002
    ) -> PlatformPayload:
        context = info.context
        made: Any = await context.execute(
            platforms.create,
            context.actor,
            context.resources.vault,
            name=input.name,
            kind=input.kind,
            base_url=input.base_url,
            username=input.username,
            password=input.password,
        )
        return PlatformPayload(platform=made.platform, webhook_secret=made.webhook_secret)

    @strawberry.mutation(
        permission_classes=[SignedIn], description="Changes the connection to a care platform (administrators)."
    )
    @refusable(PlatformPayload)
    async def platform_update(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The platform.")],  # noqa: A002
        input: Annotated[PlatformUpdateInput, strawberry.argument(description="What changes.")],  # noqa: A002
    ) -> PlatformPayload:
        context = info.context
        row_id = ids.decode(id, "Platform", "id")
        made: Any = await context.execute(
            platforms.update, context.actor, context.resources.vault, row_id, input.changes()
        )
        return PlatformPayload(platform=made.platform, webhook_secret=made.webhook_secret)


async def find(info: Info, row_id: UUID) -> Any:
    return await info.context.read(queries.get_platform, row_id)


NODES = {"Platform": find}
