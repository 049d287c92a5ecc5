"""When an automatic run is due and how much it compares; who may notify us. No I/O."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from app.connectors.provider.port import SinceFilter
from app.domain.connections.models import Provider
from app.domain.connections.rules import strategy_of
from app.domain.sync.models import RunMode
from app.domain.updates.models import PatientUpdate

SECRET_HEADER = "X-Healthrecords-Secret"  # noqa: S105 - a header's name
SIGNATURE_HEADER = "X-Healthrecords-Signature"
TIMESTAMP_HEADER = "X-Healthrecords-Timestamp"
TOLERANCE = timedelta(minutes=5)
"""How far a signed timestamp may lie from our own clock."""

DAY = timedelta(days=1)
PHASE_BITS = 32
UNFILTERED = (SinceFilter.IGNORED, SinceFilter.REFUSED)


@dataclass(frozen=True, slots=True)
class History:
    """When a patient's ended runs were asked for: the last that listed everything, the last of those that really saw
    everything, and the last, of any mode, whose listing had a gap."""

    full: datetime | None = None
    complete: datetime | None = None
    suspicious: datetime | None = None


def phase(patient_id: UUID, interval: timedelta) -> int:
    """Seconds into the interval at which this patient's turn comes: the same each time, another for other patients."""
    return (patient_id.int & ((1 << PHASE_BITS) - 1)) % int(interval.total_seconds())


def next_turn(patient_id: UUID, every_minutes: int, after: datetime) -> datetime:
    """The patient's first turn that comes later than a moment."""
    interval = timedelta(minutes=every_minutes)
    seconds, offset = int(interval.total_seconds()), phase(patient_id, interval)
    turns = int((after.timestamp() - offset) // seconds)
    return datetime.fromtimestamp((turns + 1) * seconds + offset, UTC)


def ignores_since(provider: Provider) -> bool:
    """Whether the provider's card says that `_lastUpdated` is ignored or refused: then asking for changes lists everything
    anyway."""
    if searches := strategy_of(provider).searches:
        return any(it.since in UNFILTERED for it in searches)
    return any(it["name"].startswith("_lastUpdated") and not it["supported"] for it in provider.capabilities)


def mode(provider: Provider, marks: PatientUpdate, history: History, now: datetime, *, scheduled: bool) -> RunMode:
    """How much the next automatic run compares. A listing of everything that shows gaps again is repeated once a day."""
    if ignores_since(provider) or marks.removed_at is not None:
        return RunMode.FULL
    if not scheduled:
        return RunMode.INCREMENTAL
    if marks.suspect_at is not None or _later(history.suspicious, history.full):
        return RunMode.FULL
    if history.full is not None and now - history.full < DAY:
        return RunMode.INCREMENTAL
    swept_lately = history.complete is not None and now - history.complete < DAY * provider.sweep_every_days
    return RunMode.INCREMENTAL if swept_lately and not _later(history.suspicious, history.complete) else RunMode.FULL


def _later(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and (other is None or one > other)


def signature(secret: str, subscription_id: UUID, timestamp: str, body: bytes) -> str:
    """`v1=` and the hexadecimal HMAC-SHA256 of `<subscription id>.<timestamp>.<raw body>`."""
    signed = f"{subscription_id}.{timestamp}.".encode() + body
    return f"v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def unproven(secret: str, subscription_id: UUID, headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
    """Why a caller has not shown that they know the secret; None where they have. A signature that is sent must be right;
    servers that cannot sign send the secret itself."""
    given = headers.get(SIGNATURE_HEADER)
    if given is None:
        shown = headers.get(SECRET_HEADER, "")
        return None if hmac.compare_digest(shown.encode(), secret.encode()) else "The secret is missing or wrong."
    timestamp = headers.get(TIMESTAMP_HEADER, "")
    if not hmac.compare_digest(given.strip().encode(), signature(secret, subscription_id, timestamp, body).encode()):
        return "The signature is wrong."
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12):
        return "The timestamp is not a number of seconds."
    if abs(int(timestamp) - now.timestamp()) > TOLERANCE.total_seconds():
        return "Stale timestamp."
    return None
