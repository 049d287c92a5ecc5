"""Models, migrations and the seed's tables say the same."""

import asyncio

from alembic import command
from sqlalchemy import text

from app import migrations
from app.core.resources import Resources
from app.core.settings import Settings
from app.domain.tables import metadata

RECORD = {"id", "created_at", "updated_at", "deleted_at"}
# Tables that are no records of the domain, each with the reason.
WITHOUT_RECORD = {
    "event": "append-only, found by stream and seq",
    "event_stream": "a counter, locked and moved on",
    "gates": "one row for each connection, made when it is first asked",
    "work": "ends by done_at or dead_at, is never hidden",
    "document_texts": "one half of a row of healthcare_documents, hidden with it",
}
SEED = {
    "users": {"id", "email", "name", "type", "carepatron_id", "created_at", "updated_at"},
    "patients": {
        "id",
        "name",
        "email",
        "contact_details",
        "medical_history",
        "dietary_preferences",
        "carepatron_patient_id",
        "user_id",
        "created_at",
        "updated_at",
    },
    "healthcare_documents": {
        "id",
        "patient_id",
        "type",
        "date",
        "content",
        "source",
        "created_at",
        "updated_at",
    },
    "synchronization_log": {"id", "patient_id", "document_id", "action", "timestamp", "status", "details"},
}
COLUMNS = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
TRIGGERS = (
    "SELECT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
    "WHERE t.tgname = 'touch_updated_at' AND t.tgenabled = 'O'"
)


async def columns(resources: Resources) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    async with resources.db.reading() as session:
        for table, column in await session.execute(text(COLUMNS)):
            found.setdefault(table, set()).add(column)
    return found


async def test_models_and_migrations_do_not_drift_apart(settings: Settings) -> None:
    """Raises where they do, and says what differs: add a migration."""
    await asyncio.to_thread(migrations.check, settings.database_url)
    assert metadata.tables


async def test_every_migration_can_be_taken_back_and_done_again(settings: Settings, resources: Resources) -> None:
    config = migrations.config(settings.database_url)
    await asyncio.to_thread(command.downgrade, config, "base")
    assert set(await columns(resources)) <= {"alembic_version"}, "a downgrade leaves tables behind"

    await asyncio.to_thread(migrations.upgrade, settings.database_url)
    await asyncio.to_thread(migrations.check, settings.database_url)
    assert set(metadata.tables) <= set(await columns(resources))


def test_every_table_is_a_record() -> None:
    found = [
        f"{name}: derive it from `Record`, or say in WITHOUT_RECORD why not"
        for name, table in metadata.tables.items()
        if name not in WITHOUT_RECORD and not set(table.columns.keys()) >= RECORD
    ]
    assert not found, "\n" + "\n".join(found)
    assert set(metadata.tables) >= set(WITHOUT_RECORD), "WITHOUT_RECORD names a table that is gone"


async def test_the_tables_of_the_seed_have_its_columns(resources: Resources) -> None:
    found = await columns(resources)
    missing = {name: wanted - found.get(name, set()) for name, wanted in SEED.items()}
    assert not any(missing.values()), f"the seed's columns keep their names: {missing}"


async def test_every_updated_at_is_kept_by_the_database(resources: Resources) -> None:
    found = await columns(resources)
    async with resources.db.reading() as session:
        kept = set((await session.scalars(text(TRIGGERS))).all())
    wanted = {name for name, its_columns in found.items() if "updated_at" in its_columns}
    assert kept == wanted, f"add or remove the trigger touch_updated_at in a migration: {kept ^ wanted}"


async def test_a_change_by_hand_moves_updated_at(resources: Resources) -> None:
    async with resources.db.transaction() as session:
        await session.execute(text("INSERT INTO users (email, name, type) VALUES ('a@b.c', 'A', 'ADMIN')"))
    async with resources.db.transaction() as session:
        await session.execute(text("UPDATE users SET name = 'B', updated_at = '2000-01-01'"))
    async with resources.db.reading() as session:
        assert await session.scalar(text("SELECT bool_and(updated_at > created_at) FROM users"))
