"""The enums of connections to providers, described."""

from app.api.kit.enums import described
from app.connectors.provider.port import AuthKind, SinceFilter
from app.domain.connections.models import HealthStatus

__all__ = ["AuthKind", "HealthStatus", "SinceFilter"]

described(
    AuthKind,
    "AuthKind",
    "How we prove ourselves to a provider.",
    NONE="Not at all: open servers.",
    BEARER="With a fixed bearer token.",
    BASIC="With a user name and a password (RFC 7617).",
    SMART_BACKEND="With SMART Backend Services: a signed assertion buys short-lived tokens.",
)
described(
    SinceFilter,
    "SinceFilter",
    "What a server does with a search for what has changed since (`_lastUpdated`).",
    UNKNOWN="It was not seen yet: its own `self` link is looked at each time.",
    APPLIED="It applies it: a quick synchronisation asks for changes only.",
    IGNORED="It lists everything all the same, and so does each synchronisation.",
    REFUSED="It refuses such a search; everything is listed each time.",
)
described(
    HealthStatus,
    "HealthStatus",
    "How a provider answered when it was last asked.",
    UNKNOWN="It has not been asked yet.",
    HEALTHY="It answered, and does what is needed.",
    DEGRADED="It answered, but lacks something essential: see the capabilities.",
    UNREACHABLE="It did not answer, or refused us.",
)
