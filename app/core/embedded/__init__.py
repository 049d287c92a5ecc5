"""PostgreSQL and Valkey on this machine: `postgres.start(data_dir)` and `valkey.start(data_dir)` give a `Running`."""

from app.core.embedded.errors import EmbeddedError
from app.core.embedded.server import Running

__all__ = ["EmbeddedError", "Running"]
