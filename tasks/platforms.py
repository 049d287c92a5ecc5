"""Jobs of the connections context that are about care platforms."""

from app.connectors.platform import connect_platform, is_watched
from app.connectors.platform.port import PlatformError, Watching
from app.core import work
from app.core.resources import Resources
from app.core.work import Claim
from app.domain.connections import commands, platforms, queries
from app.domain.connections.events import WATCH
from tasks.runtime import Job, may_try_again, try_again


async def watch(resources: Resources, claim: Claim) -> None:
    """Makes the platform's webhook, or sets it going again where the platform has disabled it; and once more in some hours."""
    async with resources.db.reading() as session:
        platform = await queries.platform(session, claim.subject_id)
    if platform is None or platform.deleted_at is not None or not is_watched(platform.kind):
        async with resources.db.transaction() as session:
            await work.finish(session, claim)
        return
    seen: Watching | None = None
    problem: PlatformError | None = None
    networks = resources.settings.networks
    try:
        async with connect_platform(
            commands.platform_connection(platform, resources.vault, networks, resources.gates)
        ) as opened:
            seen = await opened.watch(platforms.webhook_url(resources.settings.base_url, platform.id))
    except PlatformError as error:
        if may_try_again(claim, error):
            raise try_again(claim, error) from error
        problem = error
    async with resources.db.transaction() as session:
        await work.finish(session, claim)
        if seen is not None:
            await platforms.note_watched(session, resources.vault, platform.id, seen)
        elif problem is not None:
            await platforms.note_unwatched(session, platform.id, problem.code, problem.detail)


JOBS = {WATCH: Job(run=watch, abandon=platforms.note_unwatched)}
