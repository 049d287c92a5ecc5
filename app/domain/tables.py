"""Every table of the product, for migrations and for the exported SQL."""

from app.core import events, work
from app.core.db import Base
from app.domain.connections import models as connections
from app.domain.documents import models as documents
from app.domain.identity import models as identity
from app.domain.patients import models as patients
from app.domain.sync import models as sync

CONTEXTS = (events, work, identity, connections, patients, documents, sync)
metadata = Base.metadata
