"""What was seen at a care platform is recorded of what no job has in hand."""

from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.platform.port import ReceiptState
from app.core.resources import Resources
from app.domain.documents import recording as documents
from app.domain.documents.storing import Origin
from app.domain.patients.models import Patient
from app.domain.sync import commands, looking
from app.domain.sync.handover import Handover
from app.domain.sync.models import PlatformReceipt
from tests import factories
from tests.conftest import People
from tests.domain.documents.arrivals import incoming
from tests.domain.rows import actor, rows, sql

Record = Callable[[AsyncSession, Handover, Collection[looking.Known]], Awaitable[None]]
FOUND = "SELECT state, work_id IS NULL FROM platform_receipts"


@pytest.fixture
async def handover(resources: Resources, people: People, patient: Patient) -> Handover:
    """A look at a platform that is still at work on a file, which a job of a moment ago has in hand."""
    assert patient.primary_provider_id
    async with resources.db.transaction() as session:
        platform_id = await factories.platform(session, resources.vault, "http://127.0.0.1:9")
        run = await commands.request(session, actor(people.dietician), patient.id)
        origin = Origin(patient.id, people.dietician.id, patient.primary_provider_id, "The EHR", run.id)
        await documents.receive(session, origin, [incoming("DocumentReference/1", "a")])
    ((document_id, file_id),) = await rows(resources, "SELECT document_id, id FROM files")
    (work_id,) = await rows(resources, "SELECT id FROM work WHERE subject_id = :run", run=run.id)
    async with resources.db.transaction() as session:
        session.add(
            PlatformReceipt(
                platform_id=platform_id,
                patient_id=patient.id,
                document_id=document_id,
                file_id=file_id,
                reference="r1",
                attachment_id="9",
                state=ReceiptState.PROCESSING,
                work_id=work_id,
            )
        )
    return Handover(uuid4(), platform_id, patient.id, people.dietician.id)


async def seen(resources: Resources) -> list[looking.Known]:
    found: list[UUID] = await rows(resources, "SELECT id FROM platform_receipts")
    return [looking.Known(it, "9", ReceiptState.PROCESSING) for it in found]


@pytest.mark.parametrize(
    ("record", "state"), [(looking.record_removed, "REMOVED"), (looking.record_confirmed, "CONFIRMED")]
)
async def test_what_a_job_had_in_hand_that_has_ended_is_recorded_and_what_an_open_one_has_is_not(
    resources: Resources, handover: Handover, record: Record, state: str
) -> None:
    async with resources.db.transaction() as session:
        await record(session, handover, await seen(resources))
    assert await rows(resources, FOUND) == [("PROCESSING", False)]
    ended = datetime(2026, 1, 1, tzinfo=UTC)
    await sql(resources, "UPDATE work SET done_at = :ended", ended=ended)
    async with resources.db.transaction() as session:
        await record(session, handover, await seen(resources))
    assert await rows(resources, FOUND) == [(state, True)]
