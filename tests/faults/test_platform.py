"""The care platform fails: every file arrives there once, or its absence is named."""

import asyncio
from collections import Counter

import pytest
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.kit import ids
from app.connectors.platform.port import PlatformKind
from app.core.resources import Resources
from sandbox.platform.app import create_app as create_platform
from sandbox.serve import serving
from tasks.broker import Worker
from tests import factories
from tests.conftest import People, Sandbox, free_port
from tests.faults.conftest import Fronts
from tests.faults.figures import Figures
from tests.faults.oracle import Oracle
from tests.platforms import at_platform, references
from tests.runs import Books, SignIn, connected, ended, run_to_end, start_run, swallow

CREATE = "/patient_attachments"


class TakesAndSaysNothing:
    """Lets the first creation of each kind happen and loses the answer, in one of three ways."""

    def __init__(self, app: ASGIApp, how: str) -> None:
        self.app = app
        self.how = how
        self.lost: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        creates = scope.get("method") == "POST" and scope["path"] in (CREATE, "/patients")
        if not creates or self.lost[scope["path"]] >= (3 if scope["path"] == CREATE else 1):
            await self.app(scope, receive, send)
            return
        self.lost[scope["path"]] += 1
        await swallow(self.app, scope, receive)
        if self.how == "504":
            await Response("gateway time-out", 504)(scope, receive, send)
        elif self.how == "garbled":
            await Response("<html>done</html>", 201)(scope, receive, send)
        else:
            await _break_off(send)


class TakesGraphQLAndSaysNothing:
    """The same for GraphQL, where every request looks alike from outside."""

    def __init__(self, app: ASGIApp, how: str) -> None:
        self.app = app
        self.how = how
        self.lost: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _whole(receive) if scope.get("method") == "POST" else b""
        replay = _once(body) if body else receive
        name = next((it for it in ("createClient", "createDocument") if f"mutation {it}".encode() in body), None)
        if name is None or self.lost[name] >= (3 if name == "createDocument" else 1):
            await self.app(scope, replay, send)
            return
        self.lost[name] += 1
        await swallow(self.app, scope, replay)
        if self.how == "504":
            await Response("gateway time-out", 504)(scope, receive, send)
        elif self.how == "error with 200":
            said = {"errors": [{"message": "Something went wrong", "extensions": {"code": "INTERNAL_SERVER_ERROR"}}]}
            await JSONResponse(said)(scope, receive, send)
        else:
            await _break_off(send)


async def _whole(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _once(body: bytes) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return receive


async def _break_off(send: Send) -> None:
    """Half an answer, and the connection is gone."""
    start: Message = {"type": "http.response.start", "status": 201, "headers": [(b"content-length", b"100")]}
    await send(start)
    await send({"type": "http.response.body", "body": b'{"id": ', "more_body": False})


async def test_a_platform_that_comes_up_late_receives_everything(
    resources: Resources, sandbox: Sandbox, people: People, worker: Worker, sign_in: SignIn
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=4))
    port = free_port()
    patient = await connected(resources, people, "amara", fhir=sandbox.fhir, platform=f"http://127.0.0.1:{port}")
    client = await sign_in(people.dietician)
    run_id = await start_run(client, patient)
    following = asyncio.create_task(ended(client, run_id))
    await asyncio.sleep(1.5)

    async with serving(create_platform(sandbox.platform), port):
        run = await following

    assert (run["status"], run["counts"]["published"]) == ("SUCCEEDED", 4), run
    assert Counter(event["kind"] for event in run["events"])["RETRY_SCHEDULED"] >= 1
    assert len(sandbox.platform.stored(None)) == 4


async def test_a_platform_that_stays_away_is_a_named_gap_and_the_next_run_fills_it(
    resources: Resources, sandbox: Sandbox, people: People, books: Books, worker: Worker, sign_in: SignIn
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=4))
    port = free_port()
    patient = await connected(resources, people, "amara", fhir=sandbox.fhir, platform=f"http://127.0.0.1:{port}")
    client = await sign_in(people.dietician)

    async with books.no_pauses():
        run = await run_to_end(client, patient)

    assert (run["status"], run["counts"]["created"], run["counts"]["published"]) == ("SUCCEEDED_WITH_GAPS", 4, 0)
    assert [(it["reference"], it["code"]) for it in run["failures"]] == [("platform", "PLATFORM_UNREACHABLE")]
    assert all(part["complete"] for part in run["coverage"])
    async with serving(create_platform(sandbox.platform), port):
        mended = await run_to_end(client, patient)
    assert (mended["status"], mended["counts"]["published"]) == ("SUCCEEDED", 4), mended
    references = [it["external_id"] for it in sandbox.platform.stored(None)]
    assert sorted(references) == sorted(await books.column("SELECT reference FROM platform_receipts"))


@pytest.mark.parametrize("how", ["504", "broken off", "garbled"])
async def test_a_platform_that_takes_a_file_and_loses_the_answer_has_it_once(
    how: str,
    resources: Resources,
    sandbox: Sandbox,
    people: People,
    books: Books,
    oracle: Oracle,
    figures: Figures,
    worker: Worker,
    sign_in: SignIn,
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=6))
    losing = TakesAndSaysNothing(create_platform(sandbox.platform), how)
    async with serving(losing) as platform:
        patient = await connected(resources, people, "amara", fhir=sandbox.fhir, platform=platform)
        client = await sign_in(people.dietician)
        runs = [await run_to_end(client, patient) for _ in range(3 if how == "garbled" else 1)]

    # What is no answer at all is not tried again by ourselves: first the patient, then the files were in doubt, and each
    # run after that looked before it sent.
    gaps = ["SUCCEEDED_WITH_GAPS", "SUCCEEDED_WITH_GAPS"] if how == "garbled" else []
    assert [run["status"] for run in runs] == [*gaps, "SUCCEEDED"]
    assert losing.lost == {"/patients": 1, CREATE: 3}
    stored = sandbox.platform.stored(None)
    assert len({it["patient_id"] for it in stored}) == 1
    assert sorted(it["external_id"] for it in stored) == sorted(
        await books.column("SELECT reference FROM platform_receipts WHERE state = 'CONFIRMED'")
    )
    assert len(stored) == 6
    await oracle.assert_nothing_is_lost_or_doubled()
    figures.note("silent-platform", **{f"answers_lost_by_{how.replace(' ', '_')}": 4, "documents_there_twice": 0})


@pytest.mark.parametrize("how", ["504", "broken off", "error with 200"])
async def test_healthie_takes_a_file_and_loses_the_answer_and_has_it_once(
    how: str,
    resources: Resources,
    sandbox: Sandbox,
    people: People,
    books: Books,
    worker: Worker,
    sign_in: SignIn,
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=6))
    losing = TakesGraphQLAndSaysNothing(create_platform(sandbox.platform), how)
    async with serving(losing) as platform:
        patient, _ = await at_platform(resources, people, sandbox, PlatformKind.HEALTHIE, platform)
        client = await sign_in(people.dietician)
        async with books.no_pauses():
            run = await run_to_end(client, patient)

    assert (run["status"], run["counts"]["published"]) == ("SUCCEEDED", 6), run
    assert losing.lost == {"createClient": 1, "createDocument": 3}
    assert len({it["patient_id"] for it in sandbox.platform.stored(None)}) == 1
    assert references(sandbox.platform) == sorted(
        await books.column("SELECT reference FROM platform_receipts WHERE state = 'CONFIRMED'")
    )
    assert len(references(sandbox.platform)) == 6


async def test_a_file_that_the_platform_refuses_is_named_and_the_others_arrive(
    resources: Resources,
    sandbox: Sandbox,
    fronts: Fronts,
    people: People,
    books: Books,
    worker: Worker,
    sign_in: SignIn,
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=4))
    patient = await connected(resources, people, "amara", fhir=sandbox.fhir, platform=fronts.platform_url)
    client = await sign_in(people.dietician)
    fronts.platform.rule = lambda asked: (
        Response('{"message": "no"}', 422) if asked == f"POST {CREATE}" and fronts.platform.asked[asked] == 2 else None
    )

    run = await run_to_end(client, patient)

    assert (run["status"], run["counts"]["published"]) == ("SUCCEEDED_WITH_GAPS", 3)
    assert [it["code"] for it in run["failures"]] == ["PLATFORM_REFUSED"]
    # The same file would meet the same answer: it stays a named gap until somebody asks for it.
    again = await run_to_end(client, patient)
    assert (again["status"], again["counts"]["published"]) == ("SUCCEEDED_WITH_GAPS", 0)
    assert [it["code"] for it in again["failures"]] == ["PLATFORM_REFUSED"]
    assert fronts.platform.asked[f"POST {CREATE}"] == 4
    assert len(sandbox.platform.stored(None)) == 3


async def test_what_a_run_was_refused_is_not_offered_again_when_it_is_taken_up_again(
    resources: Resources,
    sandbox: Sandbox,
    fronts: Fronts,
    people: People,
    books: Books,
    worker: Worker,
    sign_in: SignIn,
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=4))
    patient = await connected(resources, people, "amara", fhir=sandbox.fhir, platform=fronts.platform_url)
    client = await sign_in(people.dietician)
    answers = {2: Response('{"message": "no"}', 422), 3: Response("not now", 503)}
    fronts.platform.rule = lambda asked: (
        answers.get(fronts.platform.asked[asked]) if asked == f"POST {CREATE}" else None
    )

    async with books.no_pauses():
        run = await run_to_end(client, patient)

    assert "RETRY_SCHEDULED" in [event["kind"] for event in run["events"]]
    assert (run["status"], run["counts"]["published"]) == ("SUCCEEDED_WITH_GAPS", 3)
    assert [it["code"] for it in run["failures"]] == ["PLATFORM_REFUSED"]
    assert fronts.platform.asked[f"POST {CREATE}"] == 5


async def test_a_platform_that_is_connected_later_receives_what_is_here_already(
    resources: Resources, sandbox: Sandbox, people: People, worker: Worker, sign_in: SignIn
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=5))
    patient = await connected(resources, people, "amara", fhir=sandbox.fhir)
    client = await sign_in(people.dietician)
    assert (await run_to_end(client, patient))["counts"]["published"] == 0
    async with resources.db.transaction() as session:
        platform_id = await factories.platform(session, resources.vault, sandbox.platform_url)
    where = {"platformId": ids.encode("Platform", platform_id)}
    await client.change("PatientUpdate", "patientUpdate", id=patient, input=where)

    run = await run_to_end(client, patient)

    assert (run["status"], run["counts"]["created"], run["counts"]["published"]) == ("SUCCEEDED", 0, 5)
    assert len(sandbox.platform.stored(None)) == 5


async def test_what_was_entered_in_error_meanwhile_is_not_handed_over(
    resources: Resources, sandbox: Sandbox, people: People, worker: Worker, sign_in: SignIn, books: Books
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=3))
    port = free_port()
    patient = await connected(resources, people, "amara", fhir=sandbox.fhir, platform=f"http://127.0.0.1:{port}")
    client = await sign_in(people.dietician)
    async with books.no_pauses():
        assert (await run_to_end(client, patient))["status"] == "SUCCEEDED_WITH_GAPS"
    sandbox.ehr.put_many([factories.note("amara", 0, status="entered-in-error")])

    async with serving(create_platform(sandbox.platform), port):
        run = await run_to_end(client, patient, mode="FULL")

    assert (run["status"], run["counts"]["withdrawn"], run["counts"]["published"]) == ("SUCCEEDED", 1, 2)
    assert len(sandbox.platform.stored(None)) == 2
