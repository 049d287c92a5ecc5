"""What holds no longer here does not stay at the platform; what a person uploads gets there without a run."""

import asyncio
import signal
from typing import Any

import pytest
from starlette.responses import Response

from app.connectors.platform.port import PlatformKind
from app.core.resources import Resources
from tasks.broker import Worker
from tests import factories
from tests.api.asking import upload
from tests.conftest import People, Sandbox
from tests.faults.conftest import Fronts
from tests.faults.scale import FULL
from tests.platforms import KINDS, at_platform, references, settled
from tests.runs import Books, SignIn, Workers, ended, run_to_end, start_run

CONFIRMED = "SELECT reference FROM platform_receipts WHERE state = 'CONFIRMED' ORDER BY reference"
STATES = "SELECT state FROM platform_receipts ORDER BY reference"
OURS = """
    SELECT concat(d.id, '/v', f.version, '/', f.position) FROM healthcare_documents d JOIN files f ON f.document_id = d.id
    WHERE d.deleted_at IS NULL AND d.status IN ('CURRENT', 'SUPERSEDED')
      AND f.version = (SELECT max(n.version) FROM files n WHERE n.document_id = d.id)
    ORDER BY 1
"""


async def assert_the_platform_shows_what_we_have(books: Books, sandbox: Sandbox) -> None:
    assert references(sandbox.platform) == sorted(await books.column(OURS)) == sorted(await books.column(CONFIRMED))


async def run(client: Any, patient: str, **variables: Any) -> dict[str, Any]:
    done = await run_to_end(client, patient, mode="FULL", **variables)
    assert done["status"] == "SUCCEEDED", done
    return done


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_withdrawn_or_retracted_leaves_the_platform_and_what_returns_is_put_there_again(
    kind: PlatformKind,
    resources: Resources,
    sandbox: Sandbox,
    people: People,
    books: Books,
    worker: Worker,
    sign_in: SignIn,
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=4))
    patient, _ = await at_platform(resources, people, sandbox, kind)
    client = await sign_in(people.dietician)
    await run(client, patient)
    sandbox.ehr.delete("DocumentReference", "amara-note-1")
    sandbox.ehr.put(factories.note("amara", 2, status="entered-in-error"))

    await run(client, patient)

    assert len(sandbox.platform.stored(None)) == 2
    assert sorted(await books.column(STATES)) == ["ARCHIVED", "ARCHIVED", "CONFIRMED", "CONFIRMED"]
    logged = await books.column("SELECT details FROM synchronization_log WHERE action = 'archived' ORDER BY details")
    assert logged == ["Progress note 1", "Progress note 2"]
    await assert_the_platform_shows_what_we_have(books, sandbox)
    sandbox.ehr.put(factories.note("amara", 1))
    assert (await run(client, patient))["counts"]["published"] == 1
    await assert_the_platform_shows_what_we_have(books, sandbox)
    assert len(sandbox.platform.stored(None)) == 3


@pytest.mark.parametrize("kind", KINDS)
async def test_an_older_version_leaves_once_the_newer_one_is_there(
    kind: PlatformKind,
    resources: Resources,
    sandbox: Sandbox,
    people: People,
    books: Books,
    worker: Worker,
    sign_in: SignIn,
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=2))
    patient, _ = await at_platform(resources, people, sandbox, kind)
    client = await sign_in(people.dietician)
    await run(client, patient)
    sandbox.ehr.put(factories.note("amara", 0, "Now eats fish."))

    await run(client, patient)

    assert sorted(await books.column(STATES)) == ["ARCHIVED", "CONFIRMED", "CONFIRMED"]
    await assert_the_platform_shows_what_we_have(books, sandbox)


async def test_an_older_version_stays_for_as_long_as_the_newer_one_is_refused(
    resources: Resources,
    sandbox: Sandbox,
    fronts: Fronts,
    people: People,
    books: Books,
    worker: Worker,
    sign_in: SignIn,
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=1))
    patient, _ = await at_platform(resources, people, sandbox, PlatformKind.CAREPATRON, fronts.platform_url)
    client = await sign_in(people.dietician)
    await run(client, patient)
    sandbox.ehr.put(factories.note("amara", 0, "Now eats fish."))
    fronts.platform.rule = lambda asked: (
        Response('{"message": "no"}', 422) if asked == "POST /patient_attachments" else None
    )

    refused = await run_to_end(client, patient)

    assert refused["status"] == "SUCCEEDED_WITH_GAPS"
    assert sorted(await books.column(STATES)) == ["CONFIRMED", "FAILED"]
    assert len(sandbox.platform.stored(None)) == 1


async def test_a_platform_that_loses_the_answer_to_a_removal_is_asked_again_and_nothing_is_left_there(
    resources: Resources,
    sandbox: Sandbox,
    fronts: Fronts,
    people: People,
    books: Books,
    worker: Worker,
    sign_in: SignIn,
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=3))
    patient, _ = await at_platform(resources, people, sandbox, PlatformKind.CAREPATRON, fronts.platform_url)
    client = await sign_in(people.dietician)
    await run(client, patient)
    for number in range(3):
        sandbox.ehr.delete("DocumentReference", f"amara-note-{number}")
    lost = {"n": 0}

    def lose(asked: str) -> Response | None:
        if asked.startswith("DELETE") and lost["n"] < 2:
            lost["n"] += 1
            sandbox.platform.delete_attachment(int(asked.rpartition("/")[2]))
            return Response("gateway time-out", 504)
        return None

    fronts.platform.rule = lose
    async with books.no_pauses():
        done = await run_to_end(client, patient, mode="FULL")

    assert (done["status"], lost["n"]) == ("SUCCEEDED", 2), done
    assert sandbox.platform.stored(None) == []
    assert set(await books.column(STATES)) == {"ARCHIVED"}
    assert len(await books.column("SELECT id FROM synchronization_log WHERE action = 'archived'")) == 3


@pytest.mark.parametrize("kind", KINDS)
async def test_an_upload_gets_to_the_platform_without_a_run_and_follows_its_edits_and_its_deletion(
    kind: PlatformKind,
    resources: Resources,
    sandbox: Sandbox,
    people: People,
    books: Books,
    worker: Worker,
    sign_in: SignIn,
) -> None:
    patient, _ = await at_platform(resources, people, sandbox, kind)
    client = await sign_in(people.dietician)

    document = await upload(client, patient)
    await settled(resources)
    assert len(sandbox.platform.stored(None)) == 1
    await client.change("DocumentUpdate", "documentUpdate", id=document, input={"text": "Eats better."})
    await settled(resources)
    await assert_the_platform_shows_what_we_have(books, sandbox)
    assert sorted(await books.column(STATES)) == ["ARCHIVED", "CONFIRMED"]
    await client.change("DocumentDelete", "documentDelete", id=document)
    await settled(resources)

    assert sandbox.platform.stored(None) == []
    assert set(await books.column(STATES)) == {"ARCHIVED"}
    actions = await books.column("SELECT action FROM synchronization_log ORDER BY timestamp")
    assert actions == ["published", "published", "archived", "archived"]


async def test_uploads_and_a_run_at_the_same_time_double_nothing(
    resources: Resources,
    sandbox: Sandbox,
    fronts: Fronts,
    people: People,
    books: Books,
    worker: Worker,
    sign_in: SignIn,
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=20))
    fronts.platform.pause = 0.02
    patient, _ = await at_platform(resources, people, sandbox, PlatformKind.CAREPATRON, fronts.platform_url)
    client = await sign_in(people.dietician)
    run_id = await start_run(client, patient)
    for number in range(6):
        await upload(client, patient, title=f"Upload {number}", text=f"Upload {number}")
        await asyncio.sleep(0.1)

    done = await ended(client, run_id)
    await settled(resources)

    assert done["status"] == "SUCCEEDED", done
    assert len(sandbox.platform.stored(None)) == 26
    assert len({it["patient_id"] for it in sandbox.platform.stored(None)}) == 1
    await assert_the_platform_shows_what_we_have(books, sandbox)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_patient_who_gets_many_uploads_at_once_is_made_there_once(
    kind: PlatformKind,
    resources: Resources,
    sandbox: Sandbox,
    fronts: Fronts,
    people: People,
    books: Books,
    worker: Worker,
    sign_in: SignIn,
) -> None:
    fronts.platform.pause = 0.1
    patient, _ = await at_platform(resources, people, sandbox, kind, fronts.platform_url)
    client = await sign_in(people.dietician)

    await asyncio.gather(*(upload(client, patient, title=f"Upload {number}") for number in range(5)))
    await settled(resources)

    assert len(sandbox.platform.stored(None)) == 5
    assert len({it["patient_id"] for it in sandbox.platform.stored(None)}) == 1
    assert sandbox.platform.patients("", 1, 100)[1] == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_a_worker_that_is_killed_while_documents_leave_and_arrive_leaves_both_sides_equal(
    kind: PlatformKind,
    resources: Resources,
    sandbox: Sandbox,
    fronts: Fronts,
    people: People,
    books: Books,
    processes: Workers,
    sign_in: SignIn,
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=40))
    fronts.platform.pause = 0.02
    patient, _ = await at_platform(resources, people, sandbox, kind, fronts.platform_url)
    client = await sign_in(people.dietician)
    worker = await processes.start()
    assert (await ended(client, await start_run(client, patient)))["status"] == "SUCCEEDED"
    for number in range(20):
        sandbox.ehr.delete("DocumentReference", f"amara-note-{number}")
    for number in range(20, 40):
        sandbox.ehr.put(factories.note("amara", number, f"Another word of note {number}."))

    run_id = await start_run(client, patient, mode="FULL")
    done = "SELECT count(*) FROM platform_receipts WHERE state = 'ARCHIVED' OR reference LIKE '%/v2/%' AND state = 'CONFIRMED'"
    for moment in (3, 15, 25, 45):
        await books.until(done, lambda seen, moment=moment: seen >= moment)
        await worker.end(signal.SIGKILL)
        if not FULL:
            await books.end_leases()
        worker = await processes.start()
    finished = await ended(client, run_id)

    assert finished["status"] == "SUCCEEDED", finished
    assert len(sandbox.platform.stored(None)) == 20
    await assert_the_platform_shows_what_we_have(books, sandbox)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_platform_without_room_is_one_named_gap_and_the_next_run_goes_on(
    kind: PlatformKind,
    resources: Resources,
    sandbox: Sandbox,
    people: People,
    books: Books,
    worker: Worker,
    sign_in: SignIn,
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=3))
    patient, _ = await at_platform(resources, people, sandbox, kind)
    client = await sign_in(people.dietician)
    sandbox.platform.set_quota(1)

    full = await run_to_end(client, patient)

    assert (full["status"], full["counts"]["published"]) == ("SUCCEEDED_WITH_GAPS", 1), full
    assert [(it["reference"], it["code"]) for it in full["failures"]] == [("platform", "PLATFORM_FULL")]
    assert len(full["failures"][0]["steps"]) >= 2
    sandbox.platform.set_quota(None)
    assert (await run(client, patient))["counts"]["published"] == 2
    await assert_the_platform_shows_what_we_have(books, sandbox)


async def test_what_was_refused_for_good_is_offered_again_only_when_somebody_asks(
    resources: Resources,
    sandbox: Sandbox,
    fronts: Fronts,
    people: People,
    books: Books,
    worker: Worker,
    sign_in: SignIn,
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=2))
    patient, _ = await at_platform(resources, people, sandbox, PlatformKind.CAREPATRON, fronts.platform_url)
    client = await sign_in(people.dietician)
    asked = "POST /patient_attachments"
    fronts.platform.rule = lambda it: Response('{"message": "no"}', 422) if it == asked else None
    first = await run_to_end(client, patient)
    assert [it["code"] for it in first["failures"]] == ["PLATFORM_REFUSED"] * 2

    again = await run_to_end(client, patient)
    retried = await client.change("SyncRetry", "syncRetry", runId=again["id"])
    retried = await ended(client, retried["syncRun"]["id"])

    assert fronts.platform.asked[asked] == 2
    for run_ in (again, retried):
        assert (run_["status"], [it["code"] for it in run_["failures"]]) == (
            "SUCCEEDED_WITH_GAPS",
            ["PLATFORM_REFUSED"] * 2,
        )
    fronts.platform.rule = lambda _: None
    wanted = await client.change("SyncRetryEverything", "syncRetry", runId=retried["id"])
    mended = await ended(client, wanted["syncRun"]["id"])
    assert (mended["failures"], mended["counts"]["published"]) == ([], 2), mended
    await assert_the_platform_shows_what_we_have(books, sandbox)
