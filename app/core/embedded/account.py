"""Under which account a service runs. PostgreSQL refuses root, so root lends it the account `nobody`."""

import errno
import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.core.embedded.errors import EmbeddedError

NOBODY = 65534


@dataclass(frozen=True)
class Account:
    uid: int
    gid: int

    @property
    def foreign(self) -> bool:
        """Not the account of this process: what it is to write must be given to it."""
        return self.uid != os.geteuid()

    @property
    def drop(self) -> tuple[int, int] | None:
        return (self.uid, self.gid) if self.foreign else None

    def owns(self, path: Path) -> bool:
        return path.lstat().st_uid == self.uid

    def give(self, path: Path) -> None:
        if self.foreign:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def run(self, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Runs a short command as this account. `PermissionError` where it cannot reach the program."""
        others: list[int] | None = [] if self.foreign else None
        try:
            return subprocess.run(  # noqa: S603 - our own words, no shell
                argv,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                cwd="/",
                env=plain_environment(),
                user=self.uid if self.foreign else None,
                group=self.gid if self.foreign else None,
                extra_groups=others,
            )
        except OSError as error:
            if self.foreign and error.errno in (errno.EPERM, errno.EINVAL):
                # Root without the right to become another account (a container, a user namespace).
                raise EmbeddedError(
                    "PostgreSQL refuses to run as root, and this root may not become another account.",
                    "Run as an ordinary user, or set DATABASE_URL to a PostgreSQL server.",
                ) from error
            raise

    def reaches(self, folder: Path) -> bool:
        """Whether this account may walk into the folder."""
        if not self.foreign:
            return os.access(folder, os.X_OK)
        return self.run(["/bin/sh", "-c", 'test -x "$1"', "sh", str(folder)]).returncode == 0


def own() -> Account:
    return Account(os.geteuid(), os.getegid())


def for_cluster(folder: Path) -> Account:
    """The account for a PostgreSQL cluster: our own; for root its owner, if it has one, else nobody."""
    if os.geteuid() != 0:
        return own()
    if folder.is_dir() and (owner := folder.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return Account(NOBODY, NOBODY)
    return Account(entry.pw_uid, entry.pw_gid)


def plain_environment() -> dict[str, str]:
    """No PG* variable, no locale that may be missing, none of our secrets."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {"PATH": os.defpath, **kept, "LC_ALL": "C", "TZ": "UTC"}
