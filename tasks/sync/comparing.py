"""After a complete listing of everything: what is gone at the provider is withdrawn here, if it is really gone."""

import random
from collections.abc import Sequence
from functools import partial

from app.connectors.provider.port import Provider, ProviderError, ResourceStatus
from app.core.resources import Resources
from app.core.work import Claim
from app.domain.documents import queries as documents
from app.domain.sync import catalogue, queries, recording, rules
from app.domain.sync.models import RunStage
from app.domain.sync.recording import Problem
from tasks.sync.patience import patiently
from tasks.sync.trip import Trip, recording_as

LOOKED_AT = 20
"""How many of the missing are asked for by name before a listing is believed."""


async def compare(resources: Resources, claim: Claim, trip: Trip, provider: Provider) -> None:
    """Withdraws what the listing did not show. A listing that hides what can still be read (an index that lags, a search that has
    stopped working) is a gap, and nothing is withdrawn because of it."""
    async with recording_as(resources, claim) as session:
        run = await recording.enter(session, trip.run.id, RunStage.STORING)
        if not rules.withdraws(run, await queries.pages(session, trip.run.id), provider.resource_types):
            return
        listed = await queries.references_listed(session, trip.run.id)
        origin = trip.origin
        unseen = await documents.sources_unseen(session, origin.provider_id, origin.patient_id, listed)
        missing = [it.reference for it in unseen]
    hidden = await _hidden(provider, missing, trip.run.provider_patient_id)
    async with recording_as(resources, claim) as session:
        if hidden:
            detail = f"{len(missing)} known resources were not listed, and {hidden} can still be read"
            gap = Problem(rules.WHOLE_LISTING, catalogue.LISTING_SHORT, detail)
            await recording.give_up_listing(session, trip.run.id, gap)
        else:
            await recording.withdraw(session, trip.origin)


async def _hidden(provider: Provider, missing: Sequence[str], provider_patient_id: str) -> int:
    """How many of some of the missing are there all the same, this patient's, and hold: what was entered in error, a server
    may leave out of its searches."""
    found = 0
    for reference in random.sample(missing, min(LOOKED_AT, len(missing))):
        try:
            entry = await patiently(partial(provider.read, reference))
            holds = entry.status is not ResourceStatus.ENTERED_IN_ERROR
            found += holds and rules.is_ours(entry, provider_patient_id)
        except ProviderError as error:
            if error.retryable:
                raise
            # Deleted, unknown, no longer for us, no longer a document: what the listing says.
            continue
    return found
