"""Jobs of the documents context."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.platform.port import PlatformErrorCode
from app.core import work
from app.core.resources import Resources
from app.core.work import Claim
from app.domain.connections import commands as connections
from app.domain.connections import queries as connection_queries
from app.domain.documents import queries as documents
from app.domain.documents.events import UPLOADED
from app.domain.patients import queries as patients
from app.domain.patients.models import Patient
from app.domain.sync import publishing
from app.domain.sync.handover import Handover
from app.domain.sync.publishing import Remainder
from tasks.runtime import Job, TryLater
from tasks.sync.publishing import hand_over
from tasks.sync.trip import Target

SOON = 2.0


async def uploaded(resources: Resources, claim: Claim) -> None:
    """What a person has uploaded, edited or deleted goes into the care platform at once, whether a run follows or not."""
    while True:
        found = await _whereto(resources, claim)
        if found is not None:
            handover, patient, target = found
            await hand_over(resources, claim, handover, patient, target)
        async with resources.db.transaction() as session:
            # Whoever edits the document holds its row: they come before this, and are seen, or after, and ask again.
            await documents.rows_locked(session, [claim.subject_id])
            left = await publishing.remainder(session, found[0]) if found else Remainder(unseen=False, elsewhere=False)
            if not left.unseen and not left.elsewhere:
                await work.finish(session, claim)
                return
            await work.hold(session, claim)
        if left.elsewhere:
            detail = "another job has the document in hand"
            raise TryLater(PlatformErrorCode.UNAVAILABLE, detail, SOON, waiting=True)


async def _whereto(resources: Resources, claim: Claim) -> tuple[Handover, Patient, Target] | None:
    """None where there is nowhere to hand the document to."""
    async with resources.db.transaction() as session:
        await work.hold(session, claim)
        document = await documents.document(session, claim.subject_id)
        patient = await patients.patient(session, document.patient_id) if document else None
        if document is None or patient is None or patient.platform_id is None:
            return None
        platform = await connection_queries.platform(session, patient.platform_id)
        if platform is None:
            return None
        connection = connections.platform_connection(
            platform, resources.vault, resources.settings.networks, resources.gates
        )
        handover = Handover(claim.id, platform.id, patient.id, patient.user_id, document_id=document.id)
        return handover, patient, Target(platform.id, connection)


async def abandon(session: AsyncSession, document_id: UUID, code: str, detail: str) -> None:
    """The history says that the platform does not have it; the next run takes it up again. Nothing is locked: here the work
    row is, and whoever edits the document comes to that after it."""
    document = await documents.document(session, document_id)
    if document is not None:
        publishing.note_undelivered(session, document, code, detail)


JOBS = {UPLOADED: Job(run=uploaded, abandon=abandon)}
