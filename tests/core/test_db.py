"""What an error of the database says of the data."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.core.resources import Resources


async def test_an_error_does_not_repeat_what_was_bound_to_the_statement(resources: Resources) -> None:
    with pytest.raises(DBAPIError) as caught:
        async with resources.db.transaction() as session:
            await session.execute(text("SELECT CAST(:name AS text) FROM nowhere"), {"name": "Amara Oduya"})
    assert "nowhere" in str(caught.value)
    assert "Amara" not in str(caught.value)
