"""A provider is tried out when it is connected, again every day, and when it surprises a run."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import select
from starlette.responses import Response
from starlette.types import ASGIApp

from app.connectors.provider.port import SearchFacts, SinceFilter, Strategy
from app.core import work
from app.core.resources import Resources
from app.domain.connections import rules
from app.domain.connections.events import PROBE
from app.domain.connections.models import Provider
from sandbox.ehr.app import create_app as create_ehr
from sandbox.serve import serving
from tasks.broker import Worker
from tests import factories
from tests.conftest import People, Sandbox
from tests.domain.rows import rows
from tests.runs import Layer, SignIn, connected, run_to_end

NOT_SUPPORTED = '{"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "not-supported"}]}'


async def _provider(resources: Resources) -> Provider:
    async with resources.db.reading() as session:
        (provider,) = (await session.scalars(select(Provider))).all()
    return provider


async def _probed(resources: Resources, seconds: float = 30) -> Provider:
    """Once the probe that was asked for is done."""
    async with asyncio.timeout(seconds):
        while (found := await _provider(resources)).health_checked_at is None:  # noqa: ASYNC110 - a worker writes it
            await asyncio.sleep(0.02)
    return found


@asynccontextmanager
async def _spoilt(sandbox: Sandbox, **given: Any) -> AsyncGenerator[tuple[Layer, str]]:
    app: ASGIApp = create_ehr(sandbox.ehr)
    layer = Layer(app, **given)
    async with serving(layer) as url:
        yield layer, f"{url}/fhir"


async def test_a_connection_is_tried_out_on_one_of_our_patients(
    resources: Resources, people: People, sandbox: Sandbox, worker: Worker
) -> None:
    sandbox.ehr.put_many(factories.resources("p1", notes=4, reports=1))
    async with _spoilt(sandbox) as (layer, fhir):
        await connected(resources, people, "p1", fhir=fhir)
        provider = await _provider(resources)
        async with resources.db.transaction() as session:
            await work.ask(session, PROBE, provider.id)
        found = await _probed(resources)
    card = {line["name"]: line for line in found.capabilities}
    assert found.health_status == "HEALTHY"
    for name in ("_lastUpdated filter", "_sort", "Page size", "Next links", "Batch of reads", "POST _search", "Clock"):
        assert card[name]["supported"], card[name]
    assert card["Bundle.total"]["detail"] == "told: 4"
    applied = tuple(SearchFacts(it, since=SinceFilter.APPLIED) for it in ("DiagnosticReport", "DocumentReference"))
    assert rules.strategy_of(found) == Strategy(applied, batch=True)
    assert {words.partition(" ")[0] for words in layer.asked} <= {"GET", "HEAD", "POST"}
    assert sum(layer.asked.values()) < 35
    waiting = "SELECT due_at > now() + interval '23 hours' FROM work WHERE kind = :kind AND done_at IS NULL"
    assert await rows(resources, waiting, kind=PROBE) == [True]


async def test_a_server_that_is_away_is_said_to_be_unreachable(
    resources: Resources, people: People, worker: Worker
) -> None:
    await connected(resources, people, "p1", fhir="http://127.0.0.1:9/fhir")
    provider = await _provider(resources)
    async with resources.db.transaction() as session:
        await work.ask(session, PROBE, provider.id)
    found = await _probed(resources)
    assert found.health_status == "UNREACHABLE"
    assert (found.health_detail or "").startswith("PROVIDER_UNREACHABLE")


@pytest.mark.parametrize("batch", [True, False])
async def test_what_a_run_learns_is_known_to_the_next_and_tried_out(
    resources: Resources, people: People, sandbox: Sandbox, worker: Worker, sign_in: SignIn, *, batch: bool
) -> None:
    def only_post(words: str) -> Response | None:
        if words.startswith("POST /fhir") and "_search" not in words and not batch:
            return Response("", 404)
        listing = words.startswith(("GET /fhir/DocumentReference?", "GET /fhir/DiagnosticReport?"))
        return Response(NOT_SUPPORTED, 405, media_type="application/fhir+json") if listing else None

    sandbox.ehr.put_many(factories.resources("p1", notes=2))
    client = await sign_in(people.dietician)
    async with _spoilt(sandbox, rule=only_post) as (layer, fhir):
        patient = await connected(resources, people, "p1", fhir=fhir)
        run = await run_to_end(client, patient)
        assert (run["status"], run["counts"]["created"]) == ("SUCCEEDED", 2)
        found = await _probed(resources)
        assert all(rules.strategy_of(found).search(it).post for it in ("DocumentReference", "DiagnosticReport"))
        assert rules.strategy_of(found).batch is batch
        layer.asked.clear()
        assert (await run_to_end(client, patient))["status"] == "SUCCEEDED"
        assert not [words for words in layer.asked if words.startswith("GET /fhir/D")]
