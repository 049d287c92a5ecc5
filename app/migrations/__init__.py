"""The way from one schema to the next."""

from pathlib import Path

from alembic import command
from alembic.config import Config


def config(url: str) -> Config:
    wanted = Config(attributes={"url": url})
    wanted.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    wanted.set_main_option("path_separator", "os")
    return wanted


def upgrade(url: str) -> None:
    """Brings a database to the newest schema. Runs an event loop of its own: call it outside of one."""
    command.upgrade(config(url), "head")


def check(url: str) -> None:
    """Raises where the models and the migrated schema differ."""
    command.check(config(url))
