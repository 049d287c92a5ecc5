"""`healthrecords up`: everything on one machine, from nothing."""

import asyncio
import json
import os
import secrets
import socket
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from rich.console import Console
from rich.table import Table

from app import migrations
from app.core.embedded import EmbeddedError, Running, postgres, valkey
from app.core.settings import Settings
from app.core.supervisor import Child, follow_parent, run
from seeds import demo, people


@dataclass(frozen=True, slots=True)
class Places:
    """Where the sandbox listens: beside the web server."""

    ehr_port: int
    platform_port: int

    @classmethod
    def of(cls, settings: Settings) -> "Places":
        return cls(settings.port + 1, settings.port + 2)

    @property
    def ehr(self) -> str:
        return f"http://127.0.0.1:{self.ehr_port}/fhir"

    @property
    def platform(self) -> str:
        return f"http://127.0.0.1:{self.platform_port}"


def up(settings: Settings) -> int:
    """Runs until a signal, or until the parent is gone. Returns the exit code."""
    follow_parent()
    places = Places.of(settings)
    for port in (settings.port, places.ehr_port, places.platform_port):
        _claim(port)
    data = settings.data_dir.resolve()
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as stack:
        services: list[Running] = []
        settings = settings.model_copy(update={"data_dir": data, "demo": True, "secret_key": _secret(settings, data)})
        if not settings.database_url:
            services.append(stack.enter_context(postgres.start(data)))
            settings.database_url = services[-1].url
        if not settings.redis_url:
            services.append(stack.enter_context(valkey.start(data)))
            settings.redis_url = services[-1].url
        _note_addresses(settings)
        migrations.upgrade(settings.database_url)
        seeded = seed(settings)

        def revive() -> None:
            for service in services:
                service.revive()

        return run(_children(settings, places), on_ready=lambda: _banner(settings, places, seeded), each_second=revive)


def seed(settings: Settings) -> demo.Seeded:
    places = Places.of(settings)
    return asyncio.run(demo.seed(settings, places.ehr, places.platform))


def _claim(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise EmbeddedError(
                f"Port {port} is in use.", "Stop what listens there, or choose another: PORT=8100 make run"
            ) from None


def _secret(settings: Settings, data: Path) -> str:
    """The installation's secret, made at the first start and kept readable for its owner only."""
    if settings.secret_key:
        return settings.secret_key
    path = data / "secret"
    if not path.exists():
        draft = path.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_hex(32))
        draft.rename(path)
    return path.read_text()


def _note_addresses(settings: Settings) -> None:
    """For `healthrecords doctor`, in the same folder."""
    note = {"database_url": settings.database_url, "redis_url": settings.redis_url}
    (settings.data_dir / "running.json").write_text(json.dumps(note))


def _children(settings: Settings, places: Places) -> list[Child]:
    env = {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "PORT": str(settings.port),
        "HEALTHRECORDS_SECRET_KEY": settings.secret_key,
        "HEALTHRECORDS_DATA_DIR": str(settings.data_dir),
        "HEALTHRECORDS_DEMO": "1",
    }
    command = (sys.executable, "-m", "app.cli")

    def answers(url: str) -> bool:
        try:
            with urlopen(url, timeout=1) as answer:  # noqa: S310 - our own address
                return answer.status == 200
        except (URLError, OSError):
            return False

    return [
        Child("sandbox", (*command, "sandbox"), env, lambda: answers(f"{places.ehr}/metadata")),
        Child(
            "web",
            (*command, "serve", "--graceful", "2"),
            env,
            lambda: answers(f"http://127.0.0.1:{settings.port}/readyz"),
        ),
        Child("worker", (*command, "worker", "--until-stdin-closes"), env),
    ]


def _banner(settings: Settings, places: Places, seeded: demo.Seeded) -> None:
    console = Console(width=max(100, os.get_terminal_size().columns if sys.stdout.isatty() else 100))
    console.print(f"\nhealthrecords is ready at [bold]{settings.base_url}/graphql[/bold] (Ctrl-C ends it)")
    console.print(
        f"Sandbox: EHR {places.ehr} ({seeded.patients} patients, {seeded.documents} documents), platform {places.platform}\n",
        soft_wrap=True,
    )
    table = Table("Demo account", "Role", "Password")
    for email, _, role in people.ACCOUNTS:
        table.add_row(email, role.lower(), people.PASSWORD)
    console.print(table)
    sys.stdout.flush()
