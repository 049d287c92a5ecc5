from contextlib import AbstractAsyncContextManager

from app.connectors.platform import carepatron
from app.connectors.platform.port import CarePlatform, ConnectPlatform, PlatformConnection, PlatformKind

__all__ = ["connect_platform"]

_ADAPTERS: dict[PlatformKind, ConnectPlatform] = {PlatformKind.CAREPATRON: carepatron.connect}


def connect_platform(connection: PlatformConnection) -> AbstractAsyncContextManager[CarePlatform]:
    """Opens the platform of this kind. Raises ValueError for NONE, to which nothing is ever published."""
    adapter = _ADAPTERS.get(connection.kind)
    if adapter is None:
        raise ValueError(f"there is no platform of the kind {connection.kind}")
    return adapter(connection)
