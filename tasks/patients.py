"""Jobs of the patients context."""

from app.core import work
from app.core.resources import Resources
from app.core.work import Claim
from app.domain.documents import recording as documents
from app.domain.patients.events import DELETED
from app.domain.sync import commands as sync
from tasks.runtime import Job


async def deleted(resources: Resources, claim: Claim) -> None:
    async with resources.db.transaction() as session:
        await work.finish(session, claim)
        await sync.hide_patient(session, claim.subject_id)
        await documents.hide_patient(session, claim.subject_id)


JOBS = {DELETED: Job(run=deleted)}
