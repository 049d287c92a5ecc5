"""The ASGI application."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute

from app.api.kit.view import GraphQLView
from app.core.blobs import BlobMissingError
from app.core.db import unavailable
from app.core.resources import open_resources
from app.core.settings import Settings, settings
from app.rest import files, health, platform_hooks, provider_hooks, wellknown
from app.rest.limits import BodyLimit
from app.schema import schema


async def database_away(_request: Request, error: Exception) -> Response:
    refusal = unavailable(error)
    if refusal is None:
        raise error
    return JSONResponse({"code": str(refusal.code), "message": refusal.message}, 503)


async def file_lost(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"code": "NOT_FOUND", "message": "This file is missing in our store."}, 404)


async def home(_request: Request) -> Response:
    return RedirectResponse("/graphql")


def create_app(wanted: Settings) -> Starlette:
    development = wanted.environment == "development"

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        async with open_resources(wanted) as resources:
            app.state.resources = resources
            yield

    graphql = GraphQLView(schema, development=development)
    providers, platforms = provider_hooks.ProviderHooks(), platform_hooks.PlatformHooks()
    return Starlette(
        lifespan=lifespan,
        middleware=[Middleware(BodyLimit)],
        exception_handlers={SQLAlchemyError: database_away, OSError: database_away, BlobMissingError: file_lost},
        routes=[
            Route("/", home),
            Route("/graphql", graphql),
            WebSocketRoute("/graphql", graphql),
            Route("/graphql/stream", GraphQLView(schema, development=development, stream=True)),
            Route("/files/{file_id:uuid}", files.download),
            Route("/hooks/providers/{subscription_id:uuid}", providers.notify, methods=provider_hooks.METHODS),
            Route(
                "/hooks/providers/{subscription_id:uuid}/{resource_type}/{resource_id}",
                providers.notify,
                methods=provider_hooks.METHODS,
            ),
            Route("/hooks/platforms/{platform_id:uuid}", platforms.receive, methods=["POST"]),
            Route("/.well-known/jwks.json", wellknown.jwks),
            Route("/healthz", health.healthz),
            Route("/readyz", health.readyz),
            Route("/metrics", health.metrics),
        ],
    )


def app() -> Starlette:
    """For `uvicorn --factory app.main:app`."""
    return create_app(settings())
