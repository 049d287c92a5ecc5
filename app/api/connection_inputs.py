"""What clients send to make and to change connections to providers."""

import strawberry
from strawberry import UNSET

from app.api.connection_enums import AuthKind
from app.connectors.provider.port import Auth
from app.domain.connections import commands


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
    requests_per_second: float | None = strawberry.field(
        default=None, description="The most that it wants to be asked, up to 1000; no limit if not given."
    )
    sync_every_minutes: int | None = strawberry.field(
        default=None, description="How often to synchronise its patients by itself, 1 to 10080; never if not given."
    )
    sweep_every_days: int | None = strawberry.field(
        default=None, description="How often everything is compared, 1 to 365; every 7 days if not given."
    )


@strawberry.input(description="A change of a connection. What is not given stays as it is.")
class ProviderUpdateInput:
    name: str | None = strawberry.field(default=None, description="What people call it; unique.")
    base_url: str | None = strawberry.field(
        default=None, description="The FHIR base address. On another host, a token or a password is to be given again."
    )
    auth: ProviderAuthInput | None = strawberry.field(
        default=None, description="How we prove ourselves there, whole: it takes the place of what was there."
    )
    file_hosts: list[str] | None = strawberry.field(
        default=None, description="Further `host:port` that attachments may lie at, all of them."
    )
    page_size: int | None = strawberry.field(default=None, description="Resources a page, 1 to 200.")
    requests_per_second: float | None = strawberry.field(
        default=UNSET, description="The most that it wants to be asked, up to 1000; null takes the limit away."
    )
    sync_every_minutes: int | None = strawberry.field(
        default=UNSET, description="How often to synchronise its patients by itself, 1 to 10080; null turns it off."
    )
    sweep_every_days: int | None = strawberry.field(
        default=None, description="How often everything is compared, 1 to 365."
    )
    expected_revision: int | None = strawberry.field(
        default=None, description="The revision that the change was made on: refused where there is a newer one."
    )

    def settings(self) -> commands.ProviderSettings:
        return commands.ProviderSettings(
            name=self.name,
            base_url=self.base_url,
            auth=self.auth.auth() if self.auth else None,
            file_hosts=self.file_hosts,
            page_size=self.page_size,
            requests_per_second=commands.KEEP if self.requests_per_second is UNSET else self.requests_per_second,
            sync_every_minutes=commands.KEEP if self.sync_every_minutes is UNSET else self.sync_every_minutes,
            sweep_every_days=self.sweep_every_days,
        )
