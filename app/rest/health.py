"""Whether this process lives, whether it can serve, and what it counts."""

import asyncio

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from prometheus_client import REGISTRY as PROCESS
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.core import work
from app.core.resources import Resources


async def healthz(_request: Request) -> Response:
    return JSONResponse({"status": "alive"})


async def readyz(request: Request) -> Response:
    """Ready with a database. Without Redis reads and writes go on; only liveness slows down, so that is said but not fatal."""
    resources: Resources = request.app.state.resources
    try:
        async with asyncio.timeout(3):
            await resources.db.ping()
    except (SQLAlchemyError, OSError, TimeoutError):
        return JSONResponse({"status": "unavailable", "database": "away"}, status_code=503)
    try:
        async with asyncio.timeout(1):
            await resources.db.signals.ping()
    except (RedisError, OSError, TimeoutError):
        return JSONResponse({"status": "ready", "database": "here", "redis": "away"})
    return JSONResponse({"status": "ready", "database": "here", "redis": "here"})


async def metrics(request: Request) -> Response:
    """Prometheus' text format: this process, and the work of the whole installation."""
    resources: Resources = request.app.state.resources
    registry = CollectorRegistry()
    jobs = Gauge(
        "healthrecords_work",
        "Jobs by kind and state: due, leased, waiting, dead.",
        ["kind", "state"],
        registry=registry,
    )
    async with resources.db.reading() as session:
        for kind, state, number in await work.census(session):
            jobs.labels(kind, state).set(number)
    return Response(generate_latest(PROCESS) + generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
