"""Valkey on this machine, over a Unix socket, for development and for tests. It may lose everything at any moment."""

import shutil
import signal
import socket
from pathlib import Path
from urllib.parse import quote

from app.core.embedded import account as accounts
from app.core.embedded.binaries import valkey_server
from app.core.embedded.errors import EmbeddedError
from app.core.embedded.paths import Lock, make_data_dir, private, socket_folder
from app.core.embedded.server import Program, Running

SOCKET = "valkey.sock"


def start(data_dir: Path) -> Running:
    """A server whose append-only file lies under `data_dir`. `EmbeddedError` says what is wrong and how to mend it.

    From the main thread; blocks for 0.1 s.
    """
    data_dir = make_data_dir(data_dir)
    account = accounts.own()
    binary = valkey_server()
    lock = Lock(data_dir / "valkey.lock")
    try:
        folder = private(data_dir / "valkey", account)
        program = _program(binary, folder, socket_folder(data_dir, account, SOCKET) / SOCKET)
        try:
            return Running(program, lock)
        except EmbeddedError as error:
            if "append only" not in error.what.lower() and "aof" not in error.what.lower():
                raise
            # Its file is damaged. Nothing in it is the truth: begin with an empty one.
            _set_aside(folder)
            return Running(program, lock)
    except BaseException:
        lock.release()
        raise


def _set_aside(folder: Path) -> None:
    aside = folder.with_name("valkey.broken")
    if aside.exists():
        shutil.rmtree(aside)
    folder.rename(aside)
    private(folder, accounts.own())


def _program(binary: Path, folder: Path, path: Path) -> Program:
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(folder),
        "pidfile": str(folder / "valkey.pid"),
        "daemonize": "no",
        "set-proc-title": "no",
        "appendonly": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    return Program(
        name="Valkey",
        argv=[str(binary), *(word for name, value in options.items() for word in (f"--{name}", value))],
        account=accounts.own(),
        url=f"unix://{quote(str(path))}",
        log=folder.with_name("valkey.log"),
        pid_file=folder / "valkey.pid",
        mark=str(folder),
        sockets=[path],
        ready=lambda _: _answers(path),
        stop_signal=signal.SIGTERM,
        hard_signal=signal.SIGKILL,
    )


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1)
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
