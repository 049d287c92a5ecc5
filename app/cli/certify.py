"""`healthrecords certify`: what our connector can do with somebody's FHIR server."""

import asyncio
import json
import re
import sys
from collections.abc import Callable
from dataclasses import asdict
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.table import Table

from app.connectors.provider.certify import Card, Line, Verdict, Wanted, certify
from app.connectors.provider.port import Auth, AuthKind, Connection, Limits
from app.core.settings import Settings, settings

MARKS = {Verdict.YES: "[green]✓[/green]", Verdict.NO: "[red]✗[/red]", Verdict.SKIPPED: "[dim]–[/dim]"}
WIDTH = 140
ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
REFERENCE = re.compile(rf"[A-Z][A-Za-z]+/{ID.pattern}")


def command(
    url: Annotated[str, typer.Argument(help="The FHIR base, e.g. https://fhir.example.org/r4")],
    patient: Annotated[
        str, typer.Option(help="The logical id of a patient with documents; found by itself if not given.")
    ] = "",
    bearer: Annotated[str, typer.Option(help="A token.", envvar="CERTIFY_BEARER")] = "",
    basic: Annotated[str, typer.Option(help="USER:PASSWORD", envvar="CERTIFY_BASIC")] = "",
    client_id: Annotated[str, typer.Option(help="SMART Backend Services: our client id there.")] = "",
    key: Annotated[
        Path | None, typer.Option(help="SMART: our private key, PEM (P-384 or RSA).", exists=True, dir_okay=False)
    ] = None,
    key_id: Annotated[str, typer.Option(help="SMART: the key's id (kid) in our JWKS.")] = "",
    token_url: Annotated[str, typer.Option(help="SMART: the token endpoint, where it is not discovered.")] = "",
    scope: Annotated[str, typer.Option(help="SMART: the scopes to ask for.")] = "",
    file_host: Annotated[
        list[str] | None, typer.Option(help="HOST:PORT that attachments may lie at. Repeatable.")
    ] = None,
    network: Annotated[
        list[str] | None, typer.Option(help="A private network (CIDR) that the server may lie in. Repeatable.")
    ] = None,
    page_size: Annotated[int, typer.Option(min=1, max=200, help="Resources that are asked for on a page.")] = 20,
    files: Annotated[int, typer.Option(min=0, max=10_000, help="Attachments of each kind to fetch.")] = 10,
    deleted: Annotated[str, typer.Option(help="A resource that was deleted there, e.g. DocumentReference/7.")] = "",
    write: Annotated[
        bool, typer.Option("--write", help="Also change the telephone number of --patient, and put it back.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Fail at any «no», not only at what is needed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Try a FHIR server with our connector: what works, and why not. Exit code 0: everything that is needed does; 1: it
    does not; 2: the command is not right. Nothing is changed there unless --write is given."""
    auth = _auth(bearer, basic, client_id, key, key_id, token_url, scope)
    connection = _connection(settings(), url, auth, file_host or [], network or [], page_size)
    _check_words(patient, deleted, write=write)
    card = _tried(Wanted(connection, patient, deleted, files, write), as_json=as_json, strict=strict)
    raise typer.Exit(0 if card.passed(strict=strict) else 1)


def _tried(wanted: Wanted, *, as_json: bool, strict: bool) -> Card:
    if as_json:
        card = asyncio.run(certify(wanted))
        typer.echo(json.dumps(as_dict(card, strict=strict), indent=2))
    else:
        card = asyncio.run(certify(wanted, _progress(Console(stderr=True, highlight=False))))
        # In a pipe there is no width: wide enough that words stay together.
        show(Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH), card, strict=strict)
    return card


def as_dict(card: Card, *, strict: bool) -> dict[str, Any]:
    return {**asdict(card), "passed": card.passed(strict=strict), "strict": strict}


def show(console: Console, card: Card, *, strict: bool) -> None:
    table = Table("", "", "What", box=None, pad_edge=False, header_style="dim")
    table.add_column("Why", overflow="fold")
    group = ""
    for line in card.lines:
        table.add_row(
            "" if line.group == group else f"[bold]{line.group}[/bold]", MARKS[line.verdict], line.name, _why(line)
        )
        group = line.group
    console.print(table)
    needed = [line for line in card.lines if line.verdict is Verdict.NO and line.needed]
    other = [line for line in card.lines if line.verdict is Verdict.NO and not line.needed]
    console.print(f"\n{card.server}: {card.requests} requests in {card.seconds} s.")
    if needed:
        console.print(f"[red]A synchronisation will not be complete: {len(needed)} of what it needs do not work.[/red]")
    else:
        console.print("[green]Everything that a synchronisation needs works.[/green]")
    if other:
        console.print(f"{len(other)} more do not work{', and --strict demands them' if strict else ''}.")


def _why(line: Line) -> str:
    words = line.detail.replace("[", r"\[")
    return f"[red]{words}[/red]" if line.verdict is Verdict.NO and line.needed else words


def _progress(console: Console) -> Callable[[Line], None]:
    """One line a group, at a terminal: a large chart takes minutes."""
    seen: set[str] = set()

    def told(line: Line) -> None:
        if console.is_terminal and line.group not in seen:
            seen.add(line.group)
            console.print(f"[dim]{line.group} …[/dim]")

    return told


def _auth(bearer: str, basic: str, client_id: str, key: Path | None, key_id: str, token_url: str, scope: str) -> Auth:
    if sum(map(bool, (bearer, basic, client_id))) > 1:
        raise typer.BadParameter("only one of --bearer, --basic and --client-id")
    if bool(client_id) != bool(key):
        raise typer.BadParameter("--client-id and --key belong together")
    if bearer:
        return Auth(AuthKind.BEARER, token=bearer)
    if basic:
        user, colon, password = basic.partition(":")
        if not colon:
            raise typer.BadParameter("--basic is USER:PASSWORD")
        return Auth(AuthKind.BASIC, username=user, password=password)
    if key is None:
        return Auth()
    return Auth(
        AuthKind.SMART_BACKEND,
        client_id=client_id,
        private_key=key.read_text(errors="replace"),
        key_id=key_id,
        token_url=token_url,
        scope=scope or Auth().scope,
    )


def _connection(
    ours: Settings, url: str, auth: Auth, file_hosts: list[str], private: list[str], page_size: int
) -> Connection:
    try:
        base = httpx.URL(url.strip())
    except httpx.InvalidURL as error:
        raise typer.BadParameter(f"{url!r} is no address: {error}") from error
    if base.scheme not in ("http", "https") or not base.host or base.userinfo or base.query or base.fragment:
        raise typer.BadParameter("the base must be http or https, with no user name, query or fragment")
    for each in private:
        try:
            ip_network(each)
        except ValueError as error:
            raise typer.BadParameter(f"--network: {error}") from error
    return Connection(
        url,
        auth,
        tuple(file_hosts),
        page_size,
        Limits(attachment_bytes=ours.max_attachment_bytes),
        networks=(*ours.networks, *private),
    )


def _check_words(patient: str, deleted: str, *, write: bool) -> None:
    if write and not patient:
        # Somebody's record is not to be changed because it happened to be found first.
        raise typer.BadParameter("--write needs --patient: whose record may be changed and put back")
    if patient and not ID.fullmatch(patient):
        raise typer.BadParameter("--patient is a logical id: up to 64 letters, digits, hyphens and dots")
    if deleted and not REFERENCE.fullmatch(deleted):
        raise typer.BadParameter("--deleted is a reference, e.g. DocumentReference/7")
