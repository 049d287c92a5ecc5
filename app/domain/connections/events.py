"""The kinds of work that this context asks for."""

PROBE = "connections.probe"
"""Try out what a provider's server really does. Subject: the provider."""
HEALTH_CHANGED = "connections.health_changed"
"""Tell who should know that a provider answers otherwise than before. Subject: the provider."""
WATCH = "connections.watch"
"""See to it that a care platform tells us of changes, now and again every few hours. Subject: the platform."""
