"""The GraphQL edge of identity: signing in and out, who I am, accounts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import strawberry

from app.api.kit.connection import After, Connection, First, Search, connect
from app.api.kit.context import Info
from app.api.kit.enums import described
from app.api.kit.node import Node, of_row
from app.api.kit.payload import UserError, errors, refusable
from app.api.kit.permission import Anyone, SignedIn
from app.core.passwords import verify_password
from app.domain.identity import commands, models, queries
from app.domain.identity.models import Role

described(
    Role,
    "Role",
    "What a person is here.",
    DIETICIAN="Cares for patients and brings their documents together.",
    PATIENT="Sees the own record.",
    PRACTITIONER="Another professional, who sees what is shared with them.",
    ADMIN="Looks after users and connections; sees no clinical content.",
)


@strawberry.type(description="A person with an account.")
@of_row(models.User)
class User(Node):
    email: str = strawberry.field(description="The address that they sign in with.")
    name: str = strawberry.field(description="Their full name.")
    role: Role = strawberry.field(description="What they are here.")
    carepatron_id: str | None = strawberry.field(description="Their id in the care platform, if they have one.")


@strawberry.type(description="The tokens of a signed-in client.")
class Session:
    access_token: str = strawberry.field(
        description="For the header `Authorization: Bearer …`; good until `expiresAt`."
    )
    refresh_token: str = strawberry.field(description="Buys the next tokens, once: see `sessionRefresh`.")
    expires_at: datetime = strawberry.field(description="When the access token ends.")
    user: User = strawberry.field(description="Who is signed in.")


@strawberry.input(description="An account's credentials.")
class SessionCreateInput:
    email: str = strawberry.field(description="The account's e-mail address.")
    password: str = strawberry.field(description="The account's password.")


@strawberry.type(description="The answer to signing in.")
class SessionPayload:
    session: Session | None = strawberry.field(default=None, description="The new session; null when it was refused.")
    user_errors: list[UserError] = errors()


@strawberry.type(description="The answer to signing out.")
class SessionDeletePayload:
    deleted: bool = strawberry.field(default=False, description="Whether the session has ended.")
    user_errors: list[UserError] = errors()


@strawberry.input(description="Which accounts to list.")
class UserFilter:
    roles: list[Role] | None = strawberry.field(default=None, description="Only accounts with one of these roles.")


@strawberry.type
class IdentityQuery:
    @strawberry.field(permission_classes=[SignedIn], description="Who is signed in.")
    async def viewer(self, info: Info) -> User:
        user: Any = await info.context.read(queries.get, info.context.actor.id)
        return user

    @strawberry.field(permission_classes=[SignedIn], description="Accounts: all for administrators, else the own one.")
    async def users(
        self,
        info: Info,
        first: First,
        after: After = None,
        search: Search = None,
        filter: Annotated[UserFilter | None, strawberry.argument(description="Which to list.")] = None,  # noqa: A002 - the contract's name
    ) -> Connection[User]:
        roles: Sequence[Role] | None = filter.roles if filter else None
        statement = queries.listed(info.context.actor, search, roles)
        return await connect(info.context, statement, queries.BY_NAME, first, after, search)


@strawberry.type
class IdentityMutation:
    @strawberry.mutation(permission_classes=[Anyone], description="Signs in with an e-mail address and a password.")
    @refusable(SessionPayload)
    async def session_create(
        self,
        info: Info,
        input: Annotated[SessionCreateInput, strawberry.argument(description="The credentials.")],  # noqa: A002
    ) -> SessionPayload:
        context = info.context
        async with context.reading() as session:
            user = await queries.by_email(session, input.email)
        if not await verify_password(user.password_hash if user else None, input.password) or user is None:
            raise commands.wrong_credentials()
        session: Any = await context.execute(commands.sign_in, context.resources.vault, user)
        return SessionPayload(session=session)

    @strawberry.mutation(
        permission_classes=[Anyone], description="Exchanges a refresh token for new tokens; it is spent."
    )
    @refusable(SessionPayload)
    async def session_refresh(
        self,
        info: Info,
        refresh_token: Annotated[str, strawberry.argument(description="The refresh token of the session.")],
    ) -> SessionPayload:
        session: Any = await info.context.execute(commands.refresh_session, info.context.resources.vault, refresh_token)
        return SessionPayload(session=session)

    @strawberry.mutation(permission_classes=[SignedIn], description="Signs out: ends the session of this token.")
    @refusable(SessionDeletePayload)
    async def session_delete(self, info: Info) -> SessionDeletePayload:
        await info.context.execute(commands.sign_out, info.context.actor)
        return SessionDeletePayload(deleted=True)


async def find(info: Info, row_id: UUID) -> Any:
    return await info.context.read(queries.get, row_id)


NODES = {"User": find}
