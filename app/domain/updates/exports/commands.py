"""What an administrator decides of exports: to ask for one, to stop it."""

from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.provider.fhir.mapping import valid_id
from app.core import work
from app.core.db import one_at_a_time
from app.core.errors import ErrorCode, Refusal, invalid, not_found
from app.domain.identity.policies import Actor
from app.domain.updates.events import EXPORT
from app.domain.updates.exports import queries
from app.domain.updates.exports.models import OPEN_STATES, Export, ExportState
from app.domain.updates.exports.policies import may_administer

ATTEMPTS = 8


async def request(
    session: AsyncSession, actor: Actor, provider_id: UUID, group_id: str | None, *, everything: bool = False
) -> Export:
    """An export of a group's documents, or of all patients' where none is named: a new one, or the one under way. It asks for
    what has changed since the last one that had no gap; `everything` asks for the rest too."""
    if refusal := may_administer(actor):
        raise refusal
    if group_id is not None and not valid_id(group_id):
        raise invalid("This is no id that a group could have.", "groupId")
    if await queries.provider(session, provider_id) is None:
        raise not_found("provider", "id")
    group = group_id or ""
    await one_at_a_time(session, f"exports/{provider_id}/{group}")
    if found := await queries.open_export(session, provider_id, group):
        return found
    row = Export(
        provider_id=provider_id,
        group_id=group,
        requested_by=actor.id,
        since=None if everything else await queries.reached(session, provider_id, group),
    )
    session.add(row)
    await session.flush()
    await session.refresh(row)
    await work.ask(session, EXPORT, row.id, max_attempts=ATTEMPTS)
    return row


async def cancel(session: AsyncSession, actor: Actor, export_id: UUID) -> Export:
    """Stops an export. Runs of patients that have begun go on; the provider is told, and the rest is thrown away, in the
    background."""
    if refusal := may_administer(actor):
        raise refusal
    if await queries.get(session, actor, export_id) is None:
        raise not_found("export", "id")
    # The work row first, as workers lock it first too: the other way round, two of them could wait for each other.
    await work.ask(session, EXPORT, export_id, max_attempts=ATTEMPTS)
    row = await queries.export_locked(session, export_id)
    if row.state is ExportState.CANCELLED:
        return row
    if row.state not in OPEN_STATES:
        raise Refusal(ErrorCode.CONFLICT, "This export has ended already.", ("id",))
    row.state, row.finished_at = ExportState.CANCELLED, func.clock_timestamp()
    await session.flush()
    await session.refresh(row)
    return row
