"""The GraphQL edge of connections: Primary Healthcare Providers."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import strawberry

from app.api.kit.connection import After, Connection, First, connect
from app.api.kit.context import Info
from app.api.kit.enums import described
from app.api.kit.node import Node, of_row
from app.api.kit.payload import UserError, errors, refusable
from app.api.kit.permission import SignedIn
from app.connectors.platform.port import PlatformKind
from app.connectors.provider.port import Auth, AuthKind
from app.domain.connections import commands, models, queries
from app.domain.connections.models import HealthStatus

described(
    AuthKind,
    "AuthKind",
    "How we prove ourselves to a provider.",
    NONE="Not at all: open servers.",
    BEARER="With a fixed bearer token.",
    BASIC="With a user name and a password (RFC 7617).",
    SMART_BACKEND="With SMART Backend Services: a signed assertion buys short-lived tokens.",
)
described(
    PlatformKind,
    "PlatformKind",
    "The care platforms that we speak to.",
    NONE="None: documents stay in our own records.",
    CAREPATRON="A Carepatron-style REST API; Carepatron itself publishes none.",
)
described(
    HealthStatus,
    "HealthStatus",
    "How a provider answered when it was last asked.",
    UNKNOWN="It has not been asked yet.",
    HEALTHY="It answered, and does what is needed.",
    DEGRADED="It answered, but lacks something essential: see the capabilities.",
    UNREACHABLE="It did not answer, or refused us.",
)


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


@strawberry.type(description="A Primary Healthcare Provider: the FHIR server that documents come from.")
@of_row(models.Provider)
class Provider(Node):
    name: str = strawberry.field(description="What people call it.")
    base_url: str = strawberry.field(description="The FHIR base address.")
    auth_kind: AuthKind = strawberry.field(description="How we prove ourselves there.")
    created_at: datetime = strawberry.field(description="When the connection was made.")

    @strawberry.field(description="How it answered when it was last asked.")
    def health(self, root: strawberry.Parent[models.Provider]) -> ProviderHealth:
        return ProviderHealth(status=root.health_status, checked_at=root.health_checked_at, detail=root.health_detail)

    @strawberry.field(description="What its server really does.")
    def capabilities(self, root: strawberry.Parent[models.Provider]) -> list[ProviderCapability]:
        return [ProviderCapability(**line) for line in root.capabilities]


@strawberry.type(description="A care platform: where dieticians work, and where documents are handed to.")
@of_row(models.Platform)
class Platform(Node):
    name: str = strawberry.field(description="What people call it.")
    kind: PlatformKind = strawberry.field(description="What it speaks.")
    base_url: str = strawberry.field(description="Its address.")
    created_at: datetime = strawberry.field(description="When the connection was made.")


@strawberry.input(description="How we prove ourselves to a provider. Which fields are needed depends on `kind`.")
class ProviderAuthInput:
    kind: AuthKind = strawberry.field(description="The way.")
    token: str | None = strawberry.field(default=None, description="For BEARER.")
    username: str | None = strawberry.field(default=None, description="For BASIC.")
    password: str | None = strawberry.field(default=None, description="For BASIC.")
    client_id: str | None = strawberry.field(default=None, description="For SMART_BACKEND.")
    private_key: str | None = strawberry.field(
        default=None,
        description="For SMART_BACKEND: PEM, P-384 or RSA. Made here where none is given: see /.well-known/jwks.json.",
    )
    key_id: str | None = strawberry.field(default=None, description="For SMART_BACKEND: the key's `kid`.")
    token_url: str | None = strawberry.field(default=None, description="For SMART_BACKEND: else it is discovered.")
    scope: str | None = strawberry.field(
        default=None, description="For SMART_BACKEND: else what synchronisation needs."
    )

    def auth(self) -> Auth:
        given = {name: value for name, value in vars(self).items() if value is not None}
        return Auth(**given)


@strawberry.input(description="A new connection to a provider.")
class ProviderCreateInput:
    name: str = strawberry.field(description="What people call it; unique.")
    base_url: str = strawberry.field(description="The FHIR base address.")
    auth: ProviderAuthInput = strawberry.field(description="How we prove ourselves there.")
    file_hosts: list[str] | None = strawberry.field(
        default=None, description="Further `host:port` that attachments may lie at. Anything else is refused."
    )
    page_size: int | None = strawberry.field(default=None, description="Resources a page, 1 to 200; 50 if not given.")


@strawberry.type(description="The answer to creating a provider.")
class ProviderPayload:
    provider: Provider | None = strawberry.field(default=None, description="The provider; null when it was refused.")
    user_errors: list[UserError] = errors()


@strawberry.input(description="A new connection to a care platform.")
class PlatformCreateInput:
    name: str = strawberry.field(description="What people call it; unique.")
    kind: PlatformKind = strawberry.field(description="What it speaks.")
    base_url: str = strawberry.field(description="Its address.")
    username: str = strawberry.field(description="The API key, or the user of HTTP basic authentication.")
    password: str = strawberry.field(default="", description="The password, where there is one.")


@strawberry.type(description="The answer to creating a platform.")
class PlatformPayload:
    platform: Platform | None = strawberry.field(default=None, description="The platform; null when it was refused.")
    user_errors: list[UserError] = errors()


@strawberry.type
class ConnectionsQuery:
    @strawberry.field(permission_classes=[SignedIn], description="The care platforms that documents can be handed to.")
    async def platforms(self, info: Info, first: First, after: After = None) -> Connection[Platform]:
        statement = queries.visible_platforms(info.context.actor)
        return await connect(info.context, statement, queries.PLATFORMS, first, after)

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
        )
        return ProviderPayload(provider=provider)

    @strawberry.mutation(permission_classes=[SignedIn], description="Connects a care platform (administrators).")
    @refusable(PlatformPayload)
    async def platform_create(
        self,
        info: Info,
        input: Annotated[PlatformCreateInput, strawberry.argument(description="The new connection.")],  # noqa: A002
    ) -> PlatformPayload:
        context = info.context
        platform: Any = await context.execute(
            commands.create_platform,
            context.actor,
            context.resources.vault,
            name=input.name,
            kind=input.kind,
            base_url=input.base_url,
            username=input.username,
            password=input.password,
        )
        return PlatformPayload(platform=platform)


async def find(info: Info, row_id: UUID) -> Any:
    return await info.context.read(queries.get, row_id)


async def find_platform(info: Info, row_id: UUID) -> Any:
    return await info.context.read(queries.get_platform, row_id)


NODES = {"Provider": find, "Platform": find_platform}
