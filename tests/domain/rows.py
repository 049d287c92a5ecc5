"""What the domain's tests share: callers, and what the database holds."""

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.core.errors import ErrorCode, Refusal
from app.core.resources import Resources
from app.domain.identity.models import Role
from app.domain.identity.policies import Actor
from app.domain.tables import metadata
from tests import factories
from tests.conftest import People


def actor(person: factories.Person, role: Role = Role.DIETICIAN) -> Actor:
    return Actor(person.id, role, uuid4())


def actors(people: People) -> dict[str, Actor]:
    """One of each kind of caller."""
    return {
        "dietician": actor(people.dietician),
        "other dietician": actor(people.other_dietician),
        "practitioner": actor(people.practitioner, Role.PRACTITIONER),
        "patient": actor(people.patient, Role.PATIENT),
        "admin": actor(people.admin, Role.ADMIN),
    }


async def everything(resources: Resources) -> dict[str, tuple[int, str]]:
    """How many rows each table holds, and a hash of all of them: equal when nothing has changed."""
    found: dict[str, tuple[int, str]] = {}
    async with resources.db.reading() as session:
        for table in metadata.tables:
            statement = f"SELECT count(*), coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM {table} t"
            row = (await session.execute(text(statement))).one()
            found[table] = (row[0], row[1])
    return found


async def rows(resources: Resources, statement: str, **given: Any) -> list[Any]:
    """The rows of a statement; of one column, its values."""
    async with resources.db.reading() as session:
        found = (await session.execute(text(statement), given)).all()
    return [row[0] if len(row) == 1 else tuple(row) for row in found]


async def sql(resources: Resources, statement: str, **given: Any) -> None:
    async with resources.db.transaction() as session:
        await session.execute(text(statement), given)


def refusal_of(caught: pytest.ExceptionInfo[Refusal]) -> tuple[ErrorCode, tuple[str, ...]]:
    return caught.value.code, caught.value.field
