"""Jobs of the sync context."""

from app.domain.sync import recording
from app.domain.sync.events import LOOK, RUN
from tasks.runtime import Job
from tasks.sync.looking import look
from tasks.sync.run import synchronise

JOBS = {
    RUN: Job(run=synchronise, postpone=recording.schedule_retry, abandon=recording.fail),
    LOOK: Job(run=look),
}
