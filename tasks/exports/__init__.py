"""Jobs that take a provider's export of a whole group from its beginning to its end."""

from app.domain.updates.events import EXPORT
from app.domain.updates.exports import recording
from tasks.exports.run import export
from tasks.runtime import Job

JOBS = {EXPORT: Job(run=export, postpone=recording.postponed, abandon=recording.abandoned)}
