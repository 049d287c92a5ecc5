"""What the connectors tell a connection's gate, and what they say where it is closed."""

from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from app.connectors.platform import connect_platform
from app.connectors.platform.port import PlatformConnection, PlatformError, PlatformErrorCode, PlatformKind
from app.connectors.provider import connect
from app.connectors.provider.port import Attachment, Connection, Fetched, Limits, ProviderError, ProviderErrorCode
from app.core.gates import FAILURES
from app.core.resources import Resources
from app.core.settings import LOOPBACK
from tests.conftest import free_port
from tests.connectors.scripted import Cut, Reply, Scripted, fhir, outcome

QUICK = Limits(connect_seconds=1, read_seconds=0.5, total_seconds=1)
PATIENT = "GET /fhir/Patient/p"
KEY = "providers/1"


async def ask(resources: Resources, base: str, **given: Any) -> ProviderError | None:
    wanted = Connection(base, limits=QUICK, networks=LOOPBACK, gate=resources.gates.of(KEY), **given)
    try:
        async with connect(wanted) as provider:
            await provider.patient("p")
    except ProviderError as error:
        return error
    return None


async def is_open(resources: Resources) -> bool:
    """Whether a request to the provider would be sent."""
    async with resources.gates.of(KEY).passing():
        return True


@pytest.mark.parametrize(
    "reply", [Response("", 500), Response("", 502), outcome("transient", 500), outcome("timeout", 504)], ids=range(4)
)
async def test_a_server_that_does_not_work_is_left_alone_after_a_few_failures(
    resources: Resources, server: Scripted, reply: Reply
) -> None:
    server.on(PATIENT, reply)
    for _ in range(FAILURES):
        problem = await ask(resources, server.base)
        assert problem is not None
        assert problem.asked
    problem = await ask(resources, server.base)
    assert problem is not None
    assert (problem.code, problem.asked, problem.retryable) == (ProviderErrorCode.UNAVAILABLE, False, True)
    assert 0 < (problem.retry_after or 0) <= 5
    assert len(server.asked) == FAILURES


async def test_a_server_that_is_not_there_is_left_alone_too(resources: Resources) -> None:
    base = f"http://127.0.0.1:{free_port()}/fhir"
    codes = [getattr(await ask(resources, base), "code", None) for _ in range(FAILURES + 1)]
    assert codes == [ProviderErrorCode.UNREACHABLE] * FAILURES + [ProviderErrorCode.UNAVAILABLE]


@pytest.mark.parametrize(
    "reply",
    [
        Response("", 400),
        Response("", 401),
        outcome("not-found", 404),
        outcome("deleted", 500),
        Response("", 501),
        Response("<html>please sign in", 200, media_type="text/html"),
        Response("{", 200, media_type="application/fhir+json"),
        Response("x", 200, headers={"content-encoding": "gzip"}),
    ],
    ids=range(8),
)
async def test_an_answer_that_we_do_not_like_is_no_failure_of_the_connection(
    resources: Resources, server: Scripted, reply: Reply
) -> None:
    server.on(PATIENT, reply)
    for _ in range(FAILURES * 2):
        problem = await ask(resources, server.base)
        assert problem is not None
        assert problem.asked
    assert await is_open(resources)


@pytest.mark.parametrize("status", [429, 503])
async def test_a_server_that_names_a_moment_is_not_asked_before_it(
    resources: Resources, server: Scripted, status: int
) -> None:
    server.on(PATIENT, Response("", status, {"Retry-After": "120"}))
    first, second = [await ask(resources, server.base) for _ in range(2)]
    assert first is not None
    assert second is not None
    assert (first.asked, first.retry_after) == (True, 120)
    assert (second.asked, second.code is ProviderErrorCode.THROTTLED) == (False, status == 429)
    assert 110 < (second.retry_after or 0) <= 120
    assert len(server.asked) == 1


async def test_files_at_another_host_have_nothing_to_do_with_it(
    resources: Resources, server: Scripted, elsewhere: Scripted
) -> None:
    elsewhere.on("GET /file", Response("", 500))
    server.on(PATIENT, fhir({"resourceType": "Patient", "id": "p"}))
    wanted = Connection(
        server.base,
        file_hosts=(elsewhere.place,),
        limits=QUICK,
        networks=LOOPBACK,
        gate=resources.gates.of(KEY),
    )
    async with connect(wanted) as provider:
        for _ in range(FAILURES * 2):
            with pytest.raises(ProviderError) as found:
                await provider.fetch(Attachment(url=f"{elsewhere.origin}/file"))
            assert found.value.asked
    assert await ask(resources, server.base) is None
    server.on(PATIENT, Response("", 500))
    for _ in range(FAILURES):
        await ask(resources, server.base)
    elsewhere.on("GET /file", Response("there"))
    async with connect(wanted) as provider:
        assert await provider.fetch(Attachment(url=f"{elsewhere.origin}/file")) == Fetched(b"there", "")


async def confirm(resources: Resources, server: Scripted) -> PlatformError | None:
    gate = resources.gates.of("platforms/1")
    wanted = PlatformConnection(PlatformKind.CAREPATRON, f"{server.origin}/api", "key", networks=LOOPBACK, gate=gate)
    try:
        async with connect_platform(wanted) as platform:
            await platform.confirm("9")
    except PlatformError as error:
        return error
    return None


@pytest.mark.parametrize("reply", [Response("", 500), Response("", 504), Cut()], ids=range(3))
async def test_a_platform_that_does_not_work_is_left_alone(
    resources: Resources, server: Scripted, reply: Reply
) -> None:
    server.on("GET /api/patient_attachments/9", reply)
    found = [await confirm(resources, server) for _ in range(FAILURES + 1)]
    assert [error.asked for error in found if error] == [True] * FAILURES + [False]
    assert found[-1] is not None
    assert (found[-1].code, found[-1].ambiguous) == (PlatformErrorCode.UNAVAILABLE, False)
    assert len(server.asked) == FAILURES


@pytest.mark.parametrize("status", [401, 404, 413, 422, 507])
async def test_a_platform_that_refuses_works_all_the_same(resources: Resources, server: Scripted, status: int) -> None:
    server.on("GET /api/patient_attachments/9", JSONResponse({"message": "no"}, status))
    found = [await confirm(resources, server) for _ in range(FAILURES * 2)]
    assert all(error and error.asked for error in found)
