"""The server of this folder."""

from tests.api.house import resources, server, settings, short_logs

__all__ = ["resources", "server", "settings", "short_logs"]
