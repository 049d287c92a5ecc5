"""Starts a program so that it dies with its parent. Also a script of its own: only the standard library, nothing of ours.

A script between `fork` and `exec` rather than `preexec_fn`: that one may hang in a process with threads, and the
kernel forgets the parent-death signal when the account changes, so the order here matters.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1


def die_with_parent(sign: signal.Signals) -> None:
    """The kernel sends `sign` to this process when the thread that started it ends. Linux only; elsewhere nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(sign), 0, 0, 0)


def command(argv: Sequence[str], sign: signal.Signals, account: tuple[int, int] | None = None) -> list[str]:
    """The command line that runs `argv` as `account` (uid, gid) and gives it `sign` when this process dies.

    The kernel watches the thread that starts the program: start it from one that lives as long as the process.
    """
    uid, gid = account or (-1, -1)
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(int(sign)), str(uid), str(gid), *argv]


def main(parent: int, sign: int, uid: int, gid: int, argv: list[str]) -> None:
    for inherited in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(inherited, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    die_with_parent(signal.Signals(sign))
    if os.getppid() != parent:
        # It died before the kernel was told to watch it.
        sys.exit(1)
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - a program and its arguments, no shell
    except OSError as error:
        sys.exit(f"{argv[0]}: {error.strerror}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:])
