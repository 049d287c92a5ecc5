"""`healthrecords doctor`: what is wrong, and how to mend it."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from tempfile import TemporaryFile

import redis.asyncio
from alembic.script import ScriptDirectory
from redis.exceptions import RedisError
from rich.console import Console
from rich.table import Table
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from app import migrations
from app.core.crypto import MIN_SECRET
from app.core.settings import Settings

OLDEST_POSTGRES = 180000


@dataclass(frozen=True, slots=True)
class Finding:
    """`remedy` is empty where all is well."""

    name: str
    well: bool
    seen: str
    remedy: str = ""


def good(name: str, seen: str) -> Finding:
    return Finding(name, True, seen)


def bad(name: str, seen: str, remedy: str) -> Finding:
    return Finding(name, False, seen, remedy)


async def examine(settings: Settings, *, as_json: bool) -> int:
    """0 where all is well, 1 otherwise."""
    settings = _of_a_running_demo(settings)
    findings = [_python(), _secret(settings), _data_dir(settings), *await _database(settings), await _redis(settings)]
    if as_json:
        print(json.dumps([asdict(it) for it in findings]))  # noqa: T201
    else:
        table = Table("", "Part", "Seen", "What to do")
        for it in findings:
            table.add_row("[green]well[/green]" if it.well else "[red]ill[/red]", it.name, it.seen, it.remedy)
        Console().print(table)
    return 0 if all(it.well for it in findings) else 1


def _of_a_running_demo(settings: Settings) -> Settings:
    """Where no address is given, those of the demo that was started in this folder."""
    note, secret = settings.data_dir / "running.json", settings.data_dir / "secret"
    if settings.database_url or not note.exists():
        return settings
    update = json.loads(note.read_text()) | ({"secret_key": secret.read_text()} if secret.exists() else {})
    return settings.model_copy(update=update)


def _python() -> Finding:
    return good("Python", ".".join(map(str, sys.version_info[:3])))


def _secret(settings: Settings) -> Finding:
    if len(settings.secret_key) >= MIN_SECRET:
        return good("Secret", "set")
    return bad(
        "Secret",
        "missing or short",
        f"Set HEALTHRECORDS_SECRET_KEY to at least {MIN_SECRET} random characters, or use `make run`.",
    )


def _data_dir(settings: Settings) -> Finding:
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=settings.data_dir):
            return good("Data folder", str(settings.data_dir))
    except OSError as error:
        return bad(
            "Data folder",
            f"{settings.data_dir}: {error.strerror}",
            "Let HEALTHRECORDS_DATA_DIR name a folder that can be written.",
        )


async def _database(settings: Settings) -> list[Finding]:
    if not settings.database_url:
        return [bad("Database", "no address", "Set DATABASE_URL, or start the demo with `make run`.")]
    engine = create_async_engine(settings.database_url, connect_args={"timeout": 5})
    try:
        async with engine.connect() as connection:
            checks: tuple[Callable[[AsyncConnection], Awaitable[Finding]], ...] = (_version, _schema, _work)
            return [await check(connection) for check in checks]
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        return [bad("Database", type(error).__name__, "Start PostgreSQL, and look at DATABASE_URL.")]
    finally:
        await engine.dispose()


async def _version(connection: AsyncConnection) -> Finding:
    number = int((await connection.scalar(text("SHOW server_version_num"))) or 0)
    if number >= OLDEST_POSTGRES:
        return good("PostgreSQL", f"{number // 10000}.{number % 10000}")
    return bad("PostgreSQL", str(number // 10000), "PostgreSQL 18 or newer is needed (uuidv7).")


async def _schema(connection: AsyncConnection) -> Finding:
    newest = ScriptDirectory.from_config(migrations.config("")).get_current_head()
    exists = await connection.scalar(text("SELECT to_regclass('alembic_version') IS NOT NULL"))
    found = await connection.scalar(text("SELECT version_num FROM alembic_version")) if exists else None
    if found == newest:
        return good("Schema", f"at {found}")
    return bad("Schema", f"at {found}, newest is {newest}", "Run `healthrecords migrate`.")


async def _work(connection: AsyncConnection) -> Finding:
    if not await connection.scalar(text("SELECT to_regclass('work') IS NOT NULL")):
        return bad("Work", "no table yet", "Run `healthrecords migrate`.")
    waiting, dead = (
        await connection.execute(
            text(
                "SELECT count(*) FILTER (WHERE done_at IS NULL AND dead_at IS NULL AND due_at < now() - interval '30 s'"
                " AND (lease_until IS NULL OR lease_until < now())), count(*) FILTER (WHERE dead_at IS NOT NULL) FROM work"
            )
        )
    ).one()
    if waiting:
        return bad(
            "Work", f"{waiting} jobs are overdue", "Start a worker: `healthrecords worker`, and look at its log."
        )
    return good("Work", f"nothing overdue, {dead} dead letters")


async def _redis(settings: Settings) -> Finding:
    if not settings.redis_url:
        return bad("Redis", "no address", "Set REDIS_URL, or start the demo with `make run`.")
    client = redis.asyncio.Redis.from_url(settings.redis_url, socket_connect_timeout=2, socket_timeout=2)
    try:
        async with asyncio.timeout(5):
            info = await client.info("memory")
    except (RedisError, OSError, TimeoutError) as error:
        return bad(
            "Redis",
            type(error).__name__,
            "Start Valkey, and look at REDIS_URL. Until then everything works, only later.",
        )
    finally:
        await client.aclose()
    policy = info.get("maxmemory_policy")
    if policy == "noeviction":
        return good("Redis", f"answers, {policy}")
    return bad("Redis", f"answers, {policy}", "Set maxmemory-policy to noeviction: hints must not vanish.")
