"""What the command offers. Each does its work elsewhere."""

import asyncio
import signal
import socket
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
import uvicorn
import uvloop
from rich.console import Console

from app import migrations
from app.cli import accounts, certify, demo, doctor, follow
from app.core.embedded import EmbeddedError
from app.core.errors import Refusal
from app.core.logs import configure
from app.core.process import exit_within
from app.core.settings import settings
from app.domain.identity.models import Role
from app.schema import sdl
from sandbox.serve import serve as serve_sandbox
from seeds.sql import schema_sql
from tasks.broker import run_worker

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="A patient's documents: fetched, kept current, shown live."
)
CLOSING_SECONDS = 4
ROOT = Path(__file__).parent.parent.parent
EXPORTS = {ROOT / "schema.graphql": sdl, ROOT / "seeds" / "schema.sql": schema_sql}


@app.command()
def up() -> None:
    """Start everything on this machine: database, queue, sandbox, web and worker. Ctrl-C ends it."""
    try:
        code = demo.up(settings())
    except EmbeddedError as error:
        Console(stderr=True).print(f"[red]{error}[/red]")
        code = 1
    raise typer.Exit(code)


@app.command()
def serve(
    graceful: Annotated[int, typer.Option(help="Seconds that open requests may take after SIGTERM.")] = 10,
) -> None:
    """Serve HTTP and WebSockets on HEALTHRECORDS_HOST and PORT."""
    configure()
    wanted = settings()
    server = Server(
        uvicorn.Config(
            "app.main:app",
            factory=True,
            host=wanted.host,
            port=wanted.port,
            access_log=False,
            log_config=None,
            ws_max_size=65536,
            timeout_graceful_shutdown=graceful,
            server_header=False,
        )
    )
    # uvicorn raises SIGTERM again once it has stopped: by then everything is closed, and the exit is a good one.
    signal.signal(signal.SIGTERM, _already_stopped)
    server.run()
    raise typer.Exit(0 if server.started else 3)


class Server(uvicorn.Server):
    """Ends in time also where something cannot be closed."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        exit_within((self.config.timeout_graceful_shutdown or 0) + CLOSING_SECONDS)
        await super().shutdown(sockets)


def _already_stopped(_number: int, _frame: FrameType | None) -> None:
    """The second SIGTERM finds nothing left to stop."""


@app.command()
def worker(
    until_stdin_closes: Annotated[bool, typer.Option(help="Also stop when standard input ends.")] = False,
) -> None:
    """Do the work that is due."""
    configure()
    uvloop.run(run_worker(settings(), watch_stdin=until_stdin_closes))


@app.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    migrations.upgrade(settings().database_url)
    Console().print("The database is at the newest schema.")


@app.command()
def seed() -> None:
    """Fill the demo: accounts, patients, connections, the sandbox's documents. Running it again changes nothing."""
    found = demo.seed(settings())
    Console().print(
        f"{found.patients} patients ({found.new_patients} new), {found.documents} documents at the sandbox EHR."
    )


@app.command()
def user(
    email: Annotated[str, typer.Argument(help="The e-mail address to sign in with.")],
    name: Annotated[str, typer.Option(help="The full name.")],
    role: Annotated[Role, typer.Option(help="What the person is here.")] = Role.ADMIN,
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, envvar="HEALTHRECORDS_PASSWORD")] = "",
) -> None:
    """Make an account: how the first administrator comes in. One that is there already stays as it is."""
    try:
        made = asyncio.run(accounts.ensure(settings(), email=email, name=name, role=role, password=password))
    except Refusal as refusal:
        Console(stderr=True).print(f"{refusal.code}: {refusal.message}", markup=False)
        raise typer.Exit(1) from None
    Console().print(f"{email} is {'a new account' if made else 'there already; nothing was changed'}.")


@app.command()
def sandbox(
    ehr_port: Annotated[int, typer.Option(help="Port of the EHR; PORT + 1 if not given.")] = 0,
    platform_port: Annotated[int, typer.Option(help="Port of the platform; PORT + 2 if not given.")] = 0,
) -> None:
    """Serve the sandbox: an EHR (FHIR R4) and a care platform to try things on."""
    wanted = settings()
    places = demo.Places.of(wanted)
    uvloop.run(
        serve_sandbox(wanted.data_dir / "sandbox", ehr_port or places.ehr_port, platform_port or places.platform_port)
    )


@app.command()
def sync(
    patient: Annotated[str, typer.Argument(help="The patient's name, or part of it, or id.")],
    follow_it: Annotated[bool, typer.Option("--follow", help="Stay and show the progress until the end.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Compare everything, not only what has changed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    url: Annotated[str, typer.Option(help="The server.", envvar="HEALTHRECORDS_PUBLIC_URL")] = "",
    email: Annotated[str, typer.Option(envvar="HEALTHRECORDS_EMAIL")] = "dietician@demo.test",
    password: Annotated[str, typer.Option(envvar="HEALTHRECORDS_PASSWORD")] = "healthy-eating-2026",  # noqa: S107 - the demo's
) -> None:
    """Synchronise a patient, as a client of the API."""
    wanted = follow.Wanted(url or settings().base_url, email, password, patient, full=full, follow=follow_it)
    raise typer.Exit(asyncio.run(follow.synchronise(wanted, follow.shown(as_json=as_json))))


@app.command()
def schema(
    write: Annotated[bool, typer.Option("--write", help="Write schema.graphql and seeds/schema.sql.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Fail where the committed files differ.")] = False,
) -> None:
    """Print the GraphQL schema, write it with the SQL schema, or check that both are as committed."""
    if write:
        for path, make in EXPORTS.items():
            path.write_text(make())
    elif check:
        stale = [path.name for path, make in EXPORTS.items() if not path.exists() or path.read_text() != make()]
        if stale:
            Console(stderr=True).print(
                f"Not as committed: {', '.join(stale)}. Run `make schema` and look at the difference."
            )
            raise typer.Exit(1)
    else:
        typer.echo(sdl(), nl=False)


@app.command("doctor")
def doctor_command(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Say what is wrong with this installation, and how to mend it."""
    raise typer.Exit(asyncio.run(doctor.examine(settings(), as_json=as_json)))


app.command("certify")(certify.command)
