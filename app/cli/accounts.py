"""Accounts from the command line."""

from app.core.resources import open_resources
from app.core.settings import Settings
from app.domain.identity import commands, queries
from app.domain.identity.models import Role


async def ensure(settings: Settings, *, email: str, name: str, role: Role, password: str) -> bool:
    """Whether the account is new."""
    async with open_resources(settings) as resources, resources.db.transaction() as session:
        if await queries.by_email(session, email):
            return False
        await commands.ensure_user(session, email=email, name=name, role=role, password=password)
        return True
