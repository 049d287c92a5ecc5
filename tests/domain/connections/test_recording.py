"""What probes and runs find out about a provider."""

from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from app.connectors.provider.port import Capability, Probed, SearchFacts, SinceFilter, Strategy
from app.core import work
from app.core.resources import Resources
from app.domain.connections import queries, recording, rules
from app.domain.connections.events import PROBE
from tests import factories
from tests.domain.rows import rows

URL = "https://ehr.example.test/fhir"
CARD = (Capability("DocumentReference search", False, "403"), Capability("_lastUpdated filter", True, "applied"))
APPLIED = SearchFacts("DocumentReference", since=SinceFilter.APPLIED)
OPEN = "SELECT kind, subject_id, due_at > now() + interval '23 hours', due_at > now() + interval '50 minutes' FROM work WHERE kind = 'connections.probe'"


async def _provider(resources: Resources) -> UUID:
    async with resources.db.transaction() as session:
        return (await factories.provider(session, resources.vault, URL)).id


async def _known(resources: Resources, provider_id: UUID) -> Strategy:
    async with resources.db.reading() as session:
        found = await queries.provider(session, provider_id)
    assert found is not None
    return rules.strategy_of(found)


async def _record(resources: Resources, provider_id: UUID, *strategies: Strategy) -> None:
    for strategy in strategies:
        async with resources.db.transaction() as session:
            await recording.record_probe(session, provider_id, Probed(CARD, strategy))


async def test_what_a_probe_found_is_kept_and_the_next_one_is_asked_for(resources: Resources) -> None:
    provider_id = await _provider(resources)
    strategy = Strategy((APPLIED,), page_size=20, batch=True)
    await _record(resources, provider_id, strategy)
    ((status, lines, checked),) = await rows(
        resources, "SELECT health_status, capabilities, health_checked_at IS NOT NULL FROM providers"
    )
    assert (status, checked) == ("DEGRADED", True)
    assert lines[0] == {"name": "DocumentReference search", "supported": False, "detail": "403"}
    assert await _known(resources, provider_id) == strategy
    assert await rows(resources, OPEN) == [(PROBE, provider_id, True, True)]


async def test_a_server_that_cannot_be_reached_keeps_its_card_and_is_tried_again_soon(resources: Resources) -> None:
    provider_id = await _provider(resources)
    await _record(resources, provider_id, Strategy(batch=True))
    async with resources.db.transaction() as session:
        await session.execute(text("DELETE FROM work"))
        await recording.record_unreachable(session, provider_id, "no answer")
        await recording.record_unreachable(session, uuid4(), "a provider that is gone")
    assert await rows(
        resources, "SELECT health_status, health_detail, jsonb_array_length(capabilities) FROM providers"
    ) == [("UNREACHABLE", "no answer", 2)]
    assert await _known(resources, provider_id) == Strategy(batch=True)
    assert await rows(resources, OPEN) == [(PROBE, provider_id, False, True)]


async def test_what_a_probe_could_not_try_stays_as_it_was_known(resources: Resources) -> None:
    provider_id = await _provider(resources)
    refused = SearchFacts("DiagnosticReport", since=SinceFilter.REFUSED, post=True)
    await _record(resources, provider_id, Strategy((refused,), page_size=5, batch=True), Strategy((APPLIED,)))
    expected = (SearchFacts("DiagnosticReport", since=SinceFilter.REFUSED), APPLIED)
    assert await _known(resources, provider_id) == Strategy(expected)


async def test_a_run_adds_its_lessons_to_what_others_have_learnt_meanwhile(resources: Resources) -> None:
    provider_id = await _provider(resources)
    before = Strategy((APPLIED,), batch=True)
    await _record(resources, provider_id, before)
    first = Strategy((APPLIED, SearchFacts("DiagnosticReport", status=True)), batch=True)
    second = Strategy((APPLIED,), page_size=12, batch=False)
    for after in (first, second, before):
        async with resources.db.transaction() as session:
            await recording.record_learnt(session, provider_id, before, after)
    expected = Strategy((SearchFacts("DiagnosticReport", status=True), APPLIED), page_size=12, batch=False)
    assert await _known(resources, provider_id) == expected


async def test_facts_that_cannot_be_read_any_more_are_learnt_again(resources: Resources) -> None:
    provider_id = await _provider(resources)
    async with resources.db.transaction() as session:
        await session.execute(text("""UPDATE providers SET strategy = '{"batch": "perhaps"}'"""))
    assert await _known(resources, provider_id) == Strategy()


async def test_suspicion_leads_to_a_probe_at_once_but_not_again_and_again(resources: Resources) -> None:
    provider_id = await _provider(resources)

    async def suspected(checked: str) -> list[Any]:
        async with resources.db.transaction() as session:
            await session.execute(text("DELETE FROM work"))
            await session.execute(text(f"UPDATE providers SET health_checked_at = {checked}"))
        async with resources.db.transaction() as session:
            await work.ask(session, PROBE, provider_id, after=recording.AGAIN)
            await recording.suspect(session, provider_id)
            await recording.suspect(session, uuid4())
        return await rows(resources, "SELECT due_at <= clock_timestamp() FROM work")

    assert await suspected("NULL") == [True]
    assert await suspected("now() - interval '2 hours'") == [True]
    assert await suspected("now()") == [False]


async def test_a_probe_that_is_under_way_is_not_asked_for_again(resources: Resources) -> None:
    provider_id = await _provider(resources)
    async with resources.db.transaction() as session:
        work_id = await work.ask(session, PROBE, provider_id)
    assert work_id is not None
    async with resources.db.transaction() as session:
        assert await work.claim(session, work_id)
    async with resources.db.transaction() as session:
        assert await work.ask(session, PROBE, provider_id) is None
