"""What resolvers hold: the caller, and ways to read, load and execute. Nothing here outlives one read or one transaction:
on a socket this object lives for hours."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Concatenate, ParamSpec
from uuid import UUID

import strawberry
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection
from strawberry.dataloader import DataLoader

from app.core.errors import ErrorCode, Refusal
from app.core.resources import Resources
from app.domain.identity import queries as identity
from app.domain.identity.commands import ACCESS_AUDIENCE
from app.domain.identity.policies import Actor

P = ParamSpec("P")
UNIQUE_VIOLATION = "23505"
Batch = Callable[[AsyncSession, Actor, Sequence[Any]], Awaitable[dict[Any, Any]]]
Command = Callable[Concatenate[AsyncSession, P], Awaitable[Any]]


class Context:
    """One HTTP request, or one socket."""

    def __init__(self, resources: Resources, connection: HTTPConnection) -> None:
        self.resources = resources
        self.connection_params: dict[str, Any] = {}
        self._connection = connection
        self._socket = connection.scope["type"] == "websocket"
        self._actor: Actor | None = None
        self._loaders: dict[Hashable, DataLoader[Any, Any]] = {}

    @property
    def actor(self) -> Actor:
        """The caller. Fields that anybody may ask for never touch it."""
        if self._actor is None:
            raise unauthenticated()
        return self._actor

    async def authenticate(self, *, anew: bool = False) -> Actor | None:
        """Looks up the session behind the bearer token: once a request, each time on a socket and where it is asked for."""
        if self._actor is None or self._socket or anew:
            self._actor = await self._find_actor()
        return self._actor

    async def _find_actor(self) -> Actor | None:
        header = self._connection.headers.get("authorization") or self.connection_params.get("Authorization")
        scheme, _, token = header.partition(" ") if isinstance(header, str) else ("", "", "")
        usable = scheme.lower() == "bearer" and token.isascii()
        claims = self.resources.vault.verify(token.strip(), ACCESS_AUDIENCE) if usable else None
        if claims is None:
            return None
        async with self.resources.db.reading() as session:
            return await identity.actor_of_session(session, UUID(claims["sid"]))

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncSession]:
        """A session for one read. Resolvers run side by side: each takes its own."""
        async with self.resources.db.reading() as session:
            yield session

    async def read(
        self, query: Callable[Concatenate[AsyncSession, Actor, P], Awaitable[Any]], *args: P.args, **kwargs: P.kwargs
    ) -> Any:
        async with self.reading() as session:
            return await query(session, self.actor, *args, **kwargs)

    async def load(self, batch: Batch, key: Hashable) -> Any:
        """The row for a key, asked for together with those that other resolvers ask for at the same moment."""
        if key is None:
            return None
        loader = self._loaders.get(batch)
        if loader is None:
            loader = self._loaders[batch] = DataLoader(load_fn=self._in_one_query(batch), cache=False)
        return await loader.load(key)

    def _in_one_query(self, batch: Batch) -> Callable[[list[Any]], Awaitable[list[Any]]]:
        async def load(keys: list[Any]) -> list[Any]:
            found = await self.read(batch, list(dict.fromkeys(keys)))
            return [found.get(key) for key in keys]

        return load

    async def execute(self, command: Command[P], *args: P.args, **kwargs: P.kwargs) -> Any:
        """Runs a command in a transaction of its own. A refusal rolls everything back, and so does losing a race for something
        unique."""
        try:
            async with self.resources.db.transaction() as session:
                return await command(session, *args, **kwargs)
        except IntegrityError as error:
            if getattr(error.orig, "sqlstate", None) != UNIQUE_VIOLATION:
                raise
            raise Refusal(ErrorCode.CONFLICT, "Somebody else did the same at this moment. Please try again.") from error


Info = strawberry.Info[Context, None]


def unauthenticated() -> Refusal:
    return Refusal(ErrorCode.UNAUTHENTICATED, "Please sign in.")
