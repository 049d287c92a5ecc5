"""What a process may take: memory while it runs, time to end."""

import os
import resource
import sys
import threading

import structlog

log = structlog.get_logger(__name__)


def limit_memory(megabytes: int) -> None:
    """A greedy job gets a MemoryError instead of the machine an early end. Holds for what this process, and each that it
    starts, may write to (RLIMIT_DATA, which Linux counts without files and address space that is only reserved). 0: no
    limit. Elsewhere than on Linux there is none."""
    if sys.platform != "linux" or not megabytes:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = megabytes * 1024 * 1024
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
    log.info("memory.limited", megabytes=wanted // (1024 * 1024))


def exit_within(seconds: float) -> None:
    """Ends the process by then, even where a thread hangs that nobody can interrupt. For a process that is stopping anyway:
    what it held is in rows whose leases end."""
    last = threading.Timer(seconds, _leave)
    last.daemon = True
    last.start()


def _leave() -> None:
    log.error("process.cut_off", threads=[thread.name for thread in threading.enumerate()])
    os._exit(1)
