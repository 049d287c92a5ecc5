"""Jobs of the connections context."""

from uuid import UUID

from app.connectors.provider import connect
from app.connectors.provider.port import Connection, Probed, ProviderError, ProviderErrorCode
from app.core import work
from app.core.resources import Resources
from app.core.work import Claim
from app.domain.connections import commands, queries, recording
from app.domain.connections.events import PROBE
from app.domain.patients import queries as patients
from tasks.runtime import Job, TryLater, try_again

LATER = 60.0
"""Seconds until a server that asks us to slow down is tried out again, where it does not say itself."""


async def probe(resources: Resources, claim: Claim) -> None:
    """Tries out what a provider's server does, and keeps the answer as its card and as facts for the next run."""
    wanted, patient_id = await _wanted(resources, claim.subject_id)
    found, detail = None, "the connection is gone"
    if wanted is not None:
        try:
            found = await _probed(wanted, patient_id)
        except ProviderError as error:
            if not error.asked and claim.may_wait:
                raise try_again(claim, error) from error
            # A gate that we keep closed ourselves says nothing new about the server.
            if (error.code is ProviderErrorCode.THROTTLED or not error.asked) and not claim.last:
                raise TryLater(error.code, error.detail, error.retry_after or LATER) from error
            detail = str(error)
    async with resources.db.transaction() as session:
        await work.finish(session, claim)
        if found is not None:
            await recording.record_probe(session, claim.subject_id, found)
        else:
            await recording.record_unreachable(session, claim.subject_id, detail)


async def _wanted(resources: Resources, provider_id: UUID) -> tuple[Connection | None, str | None]:
    """The way to the provider, and the id of one of its patients to try things on."""
    async with resources.db.reading() as session:
        provider = await queries.provider(session, provider_id)
        if provider is None or provider.deleted_at is not None:
            return None, None
        patient_id = await patients.one_at(session, provider_id)
    settings = resources.settings
    limit, networks = settings.max_attachment_bytes, settings.networks
    return commands.connection(provider, resources.vault, limit, networks, resources.spool, resources.gates), patient_id


async def _probed(wanted: Connection, patient_id: str | None) -> Probed:
    async with connect(wanted) as opened:
        return await opened.probe(patient_id)


JOBS = {PROBE: Job(run=probe)}
