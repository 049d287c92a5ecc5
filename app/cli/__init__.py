"""The command `healthrecords`."""

from app.cli.main import app

__all__ = ["app"]
