"""The server and the scene of this folder."""

from tests.api.house import resources, server, settings, short_logs
from tests.api.scene import scene

__all__ = ["resources", "scene", "server", "settings", "short_logs"]
