"""PostgreSQL on this machine, over a Unix socket, for development and for tests. Production has a server of its own."""

import contextlib
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from app.core.embedded import account as accounts
from app.core.embedded.account import Account, plain_environment
from app.core.embedded.binaries import postgres_bin_for
from app.core.embedded.errors import EmbeddedError
from app.core.embedded.launch import command
from app.core.embedded.paths import Lock, cluster_home, displaced, make_data_dir, socket_folder
from app.core.embedded.server import Program, Running

USER = DATABASE = "healthrecords"
PORT = 5432
"""Only a part of the socket's name."""
SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    "shared_buffers": "64MB",
    # A request that was given up must not keep its backend busy.
    "client_connection_check_interval": "500ms",
    "idle_in_transaction_session_timeout": "60s",
}
WITHOUT_FSYNC = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def start(data_dir: Path, *, fsync: bool = True, settings: Mapping[str, str] | None = None) -> Running:
    """A server whose cluster lies under `data_dir`, with an empty database `healthrecords` the first time.

    `settings` are server settings that win over ours. `EmbeddedError` says what is wrong and how to mend it.
    From the main thread; blocks for 0.2 to 1 s.
    """
    data_dir = make_data_dir(data_dir)
    account = accounts.for_cluster(data_dir / "postgres")
    binaries, version = postgres_bin_for(account)
    home = cluster_home(data_dir, account)
    lock = Lock(home / "postgres.lock")
    try:
        cluster = home / "postgres"
        _ensure_cluster(cluster, binaries, version, account)
        sockets = socket_folder(home, account, f".s.PGSQL.{PORT}")
        chosen = {**SETTINGS, **({} if fsync else WITHOUT_FSYNC), **(settings or {})}
        return Running(_program(cluster, binaries, account, sockets, chosen), lock)
    except BaseException:
        lock.release()
        raise


def erase(data_dir: Path) -> None:
    """Removes the stopped cluster for good, also one that had to be put outside of the data folder."""
    elsewhere = displaced(data_dir)
    for folder in (data_dir / "postgres", elsewhere):
        if folder is not None and folder.exists():
            shutil.rmtree(folder)
    (data_dir / "postgres.id").unlink(missing_ok=True)


def _program(cluster: Path, binaries: Path, account: Account, sockets: Path, settings: Mapping[str, str]) -> Program:
    options = [f"{name}={value}" for name, value in {**settings, "unix_socket_directories": str(sockets)}.items()]
    pid_file = cluster / "postmaster.pid"
    socket = sockets / f".s.PGSQL.{PORT}"
    return Program(
        name="PostgreSQL",
        argv=[str(binaries / "postgres"), "-D", str(cluster), *(word for option in options for word in ("-c", option))],
        account=account,
        url=f"postgresql+asyncpg://{USER}@/{DATABASE}?host={quote(str(sockets))}&port={PORT}",
        log=cluster.parent / "postgres.log",
        pid_file=pid_file,
        mark=str(cluster),
        sockets=[socket, socket.with_name(f"{socket.name}.lock")],
        ready=lambda pid: _ready(pid_file, pid),
        # SIGINT: end the sessions, write a checkpoint, go. SIGQUIT: go now, recover at the next start.
        stop_signal=signal.SIGINT,
        hard_signal=signal.SIGQUIT,
        # Backends of a server that was killed notice it a moment later.
        passing="is still in use",
    )


def _ready(pid_file: Path, pid: int) -> bool:
    """What `pg_ctl` looks at: the eighth line, once the first one is this server's."""
    try:
        lines = pid_file.read_text(errors="replace").splitlines()
    except OSError:
        return False
    return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _ensure_cluster(cluster: Path, binaries: Path, version: int, account: Account) -> None:
    for unfinished in cluster.parent.glob("postgres.new-*"):
        # An initdb that lost its parent a moment ago may be removing it too.
        shutil.rmtree(unfinished, ignore_errors=True)
    marker = cluster / "PG_VERSION"
    if not marker.exists():
        if cluster.exists():
            # Never made by us in this state: kept, in case it is dear to somebody.
            cluster.rename(cluster.with_name(f"postgres.broken-{int(time.time())}"))
        _create(cluster, binaries, account)
    elif (found := marker.read_text().strip()) != str(version):
        raise EmbeddedError(
            f"The database in {cluster} was made by PostgreSQL {found}; the one installed is {version}.",
            "Set HEALTHRECORDS_PG_BIN to that version, or move the folder away to begin with an empty database.",
        )
    if not account.owns(cluster):
        raise EmbeddedError(
            f"The database in {cluster} belongs to another account (uid {cluster.stat().st_uid}).",
            f"Run as that account, give the folder to uid {account.uid}, or set HEALTHRECORDS_DATA_DIR.",
        )


def _create(cluster: Path, binaries: Path, account: Account) -> None:
    """Complete or absent: it gets its name when everything is in it."""
    fresh = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=cluster.parent))
    try:
        account.give(fresh)
        locale = ["-A", "trust", "-E", "UTF8", "--locale-provider=builtin", "--locale=C.UTF-8", "--no-sync"]
        _run([str(binaries / "initdb"), "-D", str(fresh), "-U", USER, *locale, "--no-instructions"], account)
        single = [str(binaries / "postgres"), "--single", "-F", "-D", str(fresh), "postgres"]
        _run(single, account, f"CREATE DATABASE {DATABASE}\n")
        fresh.rename(cluster)
    except BaseException:
        with contextlib.suppress(OSError):
            # The next start removes what is left.
            shutil.rmtree(fresh)
        raise


def _run(argv: list[str], account: Account, said: str = "") -> None:
    done = subprocess.run(  # noqa: S603 - our own words, no shell
        command(argv, signal.SIGTERM, account.drop),
        input=said,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        cwd="/",
        env=plain_environment(),
        start_new_session=True,
        umask=0o077,
    )
    if done.returncode != 0 or "ERROR:" in done.stderr:
        raise EmbeddedError(
            f"PostgreSQL could not make its cluster ({Path(argv[0]).name}):\n{done.stderr.strip()[-2000:]}",
            "Make room on the disk, or set HEALTHRECORDS_DATA_DIR to a folder that may be written.",
        )
