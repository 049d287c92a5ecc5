"""What a person does with notifications."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import invalid, not_found
from app.domain.identity.policies import Actor
from app.domain.notifications import queries
from app.domain.notifications.models import Notification

MAX_IDS = 100


def check_number(ids: Sequence[object]) -> None:
    """Before anybody looks at a single one of them."""
    if len(ids) > MAX_IDS:
        raise invalid(f"At most {MAX_IDS} notifications at once.", "ids")


async def read(session: AsyncSession, actor: Actor, ids: Sequence[UUID]) -> list[Notification]:
    """Marks them as read, all or none, in the order in which they are named. What was read before stays as it was."""
    check_number(ids)
    wanted = list(dict.fromkeys(ids))
    found = await queries.locked(session, actor, wanted)
    if len(found) < len(wanted):
        raise not_found("notification", "ids")
    for row in found.values():
        if row.read_at is None:
            row.read_at = func.clock_timestamp()
    await session.flush()
    for row in found.values():
        await session.refresh(row)
    return [found[it] for it in wanted]
