"""Other people's FHIR servers and data. What is not on this machine is a reason to skip, said in words."""

import asyncio
import base64
import contextlib
import gzip
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SHARED, free_port

DATA = SHARED / "data" / "fhir"
TOOLS = SHARED / "tools"
# As the first lines of memfhir.mjs ask for.
PACKAGES = ("core", "definitions", "fhir-router", "fhirtypes")
VERSION = "5.2.13"
INSTALL_SECONDS = 300
START_SECONDS = 90

Resource = dict[str, Any]


def read(folder: Path, *names: str) -> Iterator[Resource]:
    for name in names:
        with gzip.open(folder / f"{name}.ndjson.gz", "rt", encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def attachments(resource: Resource) -> list[Resource]:
    if resource["resourceType"] == "DocumentReference":
        return [content["attachment"] for content in resource["content"]]
    return resource.get("presentedForm", [])


def inline_sha256(attachment: Resource) -> str:
    return hashlib.sha256(base64.b64decode(attachment["data"])).hexdigest()


def subject(resource: Resource) -> str:
    return resource["subject"]["reference"].removeprefix("Patient/")


def reference(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def shared(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"the shared {path.name} does not lie beside the project")
    return path


@pytest.fixture(scope="session")
def synthea() -> Path:
    return shared(DATA / "synthea")


@pytest.fixture(scope="session")
def nasty() -> Path:
    return shared(DATA / "nasty")


@pytest.fixture(scope="session")
def packages() -> Path:
    """A folder with the packages that memfhir is made of; installed once a machine."""
    shared(TOOLS / "memfhir.mjs")
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are needed for another FHIR server")
    folder = Path(tempfile.gettempdir()) / f"healthrecords-memfhir-{VERSION}"
    if not (folder / "complete").exists():
        folder.mkdir(exist_ok=True)
        words = [npm, "install", "--no-audit", "--no-fund", *(f"@medplum/{name}@{VERSION}" for name in PACKAGES)]
        try:
            subprocess.run(words, cwd=folder, capture_output=True, timeout=INSTALL_SECONDS, check=True)
        except subprocess.SubprocessError as error:
            pytest.skip(f"npm could not install another FHIR server: {error}")
        (folder / "complete").touch()
    return folder


@contextlib.asynccontextmanager
async def running(words: Sequence[str], folder: Path, said: bytes) -> AsyncGenerator[None]:
    """A program for as long as the block lasts, from when it has said that it is ready."""
    process = await asyncio.create_subprocess_exec(*words, cwd=folder, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            while said not in (line := await process.stdout.readline()):
                assert line, f"{words[0]} ended with {await process.wait()}"
        yield
    finally:
        process.kill()
        await process.communicate()


@contextlib.asynccontextmanager
async def memfhir(packages: Path, *data: Path, files: str = "") -> AsyncGenerator[str]:
    """An independent FHIR server in memory; its base."""
    port = free_port()
    words = ["node", str(TOOLS / "memfhir.mjs"), "--port", str(port)]
    words += [word for path in data for word in ("--data", str(path))]
    words += ["--files", files] if files else []
    async with running(words, packages, b"memfhir http"):
        yield f"http://127.0.0.1:{port}/fhir/R4"


@contextlib.asynccontextmanager
async def file_server(folder: Path) -> AsyncGenerator[str]:
    """Serves a folder's files at another origin."""
    port = free_port()
    words = [sys.executable, str(shared(TOOLS / "files_server.py")), str(folder), str(port)]
    async with running(words, folder, b"files on"):
        yield f"http://127.0.0.1:{port}"
