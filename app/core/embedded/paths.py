"""Where services keep their data and their sockets, and the lock that says whose they are."""

import fcntl
import hashlib
import os
import re
import secrets
import stat
import tempfile
import time
from pathlib import Path

from app.core.embedded.account import Account
from app.core.embedded.errors import EmbeddedError

SHARED = Path("/var/tmp")  # noqa: S108 - names in it are random or hashed, owners are checked
LONGEST_SOCKET = 90
"""Bytes. The kernel takes 107 (macOS: 103); PostgreSQL adds the suffix of its lock file."""
HARMLESS = re.compile(r"[A-Za-z0-9 _./@+=-]+")
LOCK_PATIENCE = 2.0


class Lock:
    """Held by the process that runs a service. The kernel lets go of it however that process ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + LOCK_PATIENCE
        while not self._taken():
            if time.monotonic() > deadline:
                raise self._refused()
            time.sleep(0.05)
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)

    def _taken(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _refused(self) -> EmbeddedError:
        holder = os.pread(self._descriptor, 20, 0).decode(errors="replace") or "unknown"
        self.release()
        return EmbeddedError(
            f"Another process (pid {holder}) already runs the services of {self._path.parent}.",
            "Stop it first, or set HEALTHRECORDS_DATA_DIR to another folder.",
        )

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def make_data_dir(data_dir: Path) -> Path:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        return data_dir.resolve()
    except OSError as error:
        raise EmbeddedError(
            f"The data folder {data_dir} cannot be made: {error.strerror}.",
            "Set HEALTHRECORDS_DATA_DIR to a folder that may be written.",
        ) from error


def private(folder: Path, account: Account) -> Path:
    """A folder that only `account` may enter, made if need be. Refuses a symbolic link and a stranger's folder."""
    try:
        folder.mkdir(mode=0o700)
        account.give(folder)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != account.uid:
            raise EmbeddedError(
                f"{folder} is not a folder of the account {account.uid}.",
                "Remove it, or set HEALTHRECORDS_DATA_DIR to another folder.",
            ) from None
        if stat.S_IMODE(found.st_mode) != 0o700:
            folder.chmod(0o700)
    except OSError as error:
        raise EmbeddedError(
            f"The folder {folder} cannot be made: {error.strerror}.",
            "Set HEALTHRECORDS_DATA_DIR to a folder that may be written.",
        ) from error
    return folder


def cluster_home(data_dir: Path, account: Account) -> Path:
    """The folder that holds the cluster: the data folder, or, where `account` cannot reach it, one in /var/tmp.

    That one is named by an identifier kept in the data folder, so that it follows the folder when it is moved, and a
    data folder that was deleted and made anew never meets the old database.
    """
    pointer = data_dir / "postgres.id"
    if not pointer.exists():
        if account.reaches(data_dir):
            return data_dir
        if (data_dir / "postgres").exists():
            raise EmbeddedError(
                f"The account {account.uid}, which owns the database in {data_dir}, may not enter that folder.",
                "Move the data folder to where every account may pass, or run as that account.",
            )
        pointer.write_text(secrets.token_hex(8))
    return private(SHARED / f"healthrecords-{_identifier(pointer)}", account)


def displaced(data_dir: Path) -> Path | None:
    """The folder outside of the data folder that holds its cluster, if there is one."""
    pointer = data_dir / "postgres.id"
    return SHARED / f"healthrecords-{_identifier(pointer)}" if pointer.exists() else None


def _identifier(pointer: Path) -> str:
    identifier = pointer.read_text().strip()
    if not re.fullmatch(r"[0-9a-f]{16}", identifier):
        raise EmbeddedError(f"{pointer} does not hold an identifier.", "Restore it, or remove the data folder.")
    return identifier


def socket_folder(home: Path, account: Account, file: str) -> Path:
    """A private folder in which a socket named `file` has a path that kernels, PostgreSQL and URLs accept."""
    inside = home / (f"sockets-{account.uid}" if account.foreign else "sockets")
    if _fits(inside / file):
        return private(inside, account)
    name = "healthrecords-" + hashlib.sha256(f"{account.uid}:{home}".encode()).hexdigest()[:16]
    for base in (Path(tempfile.gettempdir()), Path("/tmp"), SHARED):  # noqa: S108 - `private` checks the owner
        if _fits(base / name / file) and account.reaches(base):
            return private(base / name, account)
    raise EmbeddedError(
        f"No folder for sockets has a short enough path (data folder: {home}).",
        "Set TMPDIR or HEALTHRECORDS_DATA_DIR to a folder with a short path.",
    )


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= LONGEST_SOCKET and HARMLESS.fullmatch(str(path)) is not None
