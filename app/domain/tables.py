"""Every table of the product, for migrations and for the exported SQL."""

from app.core import events, gates, work
from app.core.db import Base
from app.domain.conflicts import models as conflicts
from app.domain.connections import models as connections
from app.domain.documents import models as documents
from app.domain.identity import models as identity
from app.domain.notifications import models as notifications
from app.domain.patients import models as patients
from app.domain.sync import models as sync
from app.domain.updates import models as updates
from app.domain.updates.exports import models as exports

CONTEXTS = (
    events,
    gates,
    work,
    identity,
    connections,
    patients,
    documents,
    sync,
    updates,
    exports,
    conflicts,
    notifications,
)
metadata = Base.metadata
