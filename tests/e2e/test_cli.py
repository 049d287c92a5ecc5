"""The command as a person at a terminal or a script meets it: plain lines, exit codes, errors in words."""

import asyncio
import os
import sys
from dataclasses import dataclass

import pytest

from app.core.resources import Resources
from app.schema import sdl
from tasks.broker import Worker
from tests import factories
from tests.conftest import People, Sandbox, free_port
from tests.runs import ROOT, connected_to


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    error: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


async def healthrecords(*words: str, **environment: str) -> Said:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app.cli",
        *words,
        cwd=ROOT,
        env=os.environ | environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await asyncio.wait_for(process.communicate(), 60)
    return Said(process.returncode or 0, out.decode(), error.decode())


@dataclass(frozen=True)
class Terminal:
    """`healthrecords sync` as the dietician."""

    url: str
    email: str

    async def sync(self, *words: str, **environment: str) -> Said:
        own = {"HEALTHRECORDS_EMAIL": self.email, "HEALTHRECORDS_PASSWORD": factories.PASSWORD}
        return await healthrecords("sync", *words, **(own | {"HEALTHRECORDS_PUBLIC_URL": self.url} | environment))


@pytest.fixture
def terminal(server: str, people: People) -> Terminal:
    return Terminal(server, people.dietician.email)


async def test_plain_lines_show_the_way_to_the_end(
    terminal: Terminal, resources: Resources, sandbox: Sandbox, people: People, worker: Worker
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=6))
    patient = await connected_to(resources, people, sandbox, "amara", page_size=2)

    said = await terminal.sync(patient, "--follow")

    assert (said.code, said.error) == (0, "")
    assert said.lines[0].endswith("is queued.")
    assert said.lines[-1] == "SUCCEEDED: 6 of 6 listed · 6 created · 6 published"
    steps = said.lines[1:-1]
    percents = [int(step[:3]) for step in steps]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert any("publishing" in step for step in steps)
    assert "\x1b" not in said.out


async def test_gaps_are_named_with_steps_and_exit_with_two(
    terminal: Terminal, resources: Resources, sandbox: Sandbox, people: People, worker: Worker
) -> None:
    empty = factories.note("amara", "empty", content=[{"attachment": {"contentType": "text/plain"}}])
    sandbox.ehr.put_many([*factories.resources("amara", notes=1), empty])
    patient = await connected_to(resources, people, sandbox, "amara")

    said = await terminal.sync(patient, "--follow")

    assert said.code == 2
    named = said.lines.index(next(line for line in said.lines if "amara-note-empty" in line))
    assert "(ATTACHMENT_EMPTY)" in said.lines[named]
    assert said.lines[named + 1].strip().startswith("·")


async def test_a_failed_run_says_why_and_exits_with_one(
    terminal: Terminal, resources: Resources, sandbox: Sandbox, people: People, worker: Worker
) -> None:
    said = await terminal.sync(await connected_to(resources, people, sandbox, "nobody"), "--follow")
    assert said.code == 1
    assert "FAILED" in said.out
    assert "PATIENT_UNKNOWN" in said.out


async def test_without_follow_it_only_asks(
    terminal: Terminal, resources: Resources, sandbox: Sandbox, people: People
) -> None:
    said = await terminal.sync(await connected_to(resources, people, sandbox, "amara"))
    assert (said.code, len(said.lines)) == (0, 1)


async def test_errors_are_worded_and_exit_with_one(terminal: Terminal, people: People) -> None:
    wrong, unknown, away = await asyncio.gather(
        terminal.sync("anybody", HEALTHRECORDS_PASSWORD="not the password"),
        terminal.sync("nobody of this name"),
        terminal.sync("anybody", "--url", f"http://127.0.0.1:{free_port()}"),
    )
    assert (wrong.code, unknown.code, away.code) == (1, 1, 1)
    assert wrong.error.startswith("UNAUTHENTICATED: ")
    assert unknown.error.startswith("NOT_FOUND: «nobody of this name»")
    assert away.error.startswith("UNREACHABLE: ")
    assert "Traceback" not in wrong.error + unknown.error + away.error


async def test_an_ambiguous_name_lists_whom_it_fits(terminal: Terminal, resources: Resources, people: People) -> None:
    async with resources.db.transaction() as session:
        for name in ("Ana Lopez", "Ana Lindt"):
            await factories.patient(session, people.dietician, name=name)
    said = await terminal.sync("Ana L")
    assert said.code == 1
    assert said.error.startswith("AMBIGUOUS: ")
    assert "Ana Lopez" in said.error
    assert "Ana Lindt" in said.error


async def test_the_schema_is_printed_and_is_as_committed() -> None:
    printed, checked = await asyncio.gather(healthrecords("schema"), healthrecords("schema", "--check"))
    assert (printed.code, printed.out) == (0, sdl())
    assert checked.code == 0, checked.error
