"""The kinds of work that this context asks for."""

PROBE = "connections.probe"
"""Try out what a provider's server really does. Subject: the provider."""
