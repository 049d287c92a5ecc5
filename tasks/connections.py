"""Jobs of the connections context."""

from app.connectors.provider import connect
from app.connectors.provider.port import ProviderError
from app.core import work
from app.core.resources import Resources
from app.core.work import Claim
from app.domain.connections import commands, queries
from app.domain.connections.events import PROBE
from tasks.runtime import Job


async def probe(resources: Resources, claim: Claim) -> None:
    """Tries out what a provider's server does and keeps the answer as its card."""
    async with resources.db.reading() as session:
        provider = await queries.provider(session, claim.subject_id)
    card, detail = None, "the connection is gone"
    if provider is not None:
        wanted = commands.connection(provider, resources.vault, resources.settings.max_attachment_bytes)
        try:
            async with connect(wanted) as opened:
                card = await opened.probe()
        except ProviderError as error:
            detail = str(error)
    async with resources.db.transaction() as session:
        await work.finish(session, claim)
        if card is not None:
            await commands.record_probe(session, claim.subject_id, card)
        else:
            await commands.record_unreachable(session, claim.subject_id, detail)


JOBS = {PROBE: Job(run=probe)}
