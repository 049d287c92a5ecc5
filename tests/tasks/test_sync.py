"""A synchronisation from the sandbox into our records and on into the platform, through the real API and a real worker."""

from app.core.resources import Resources
from tasks.broker import Worker
from tests import factories
from tests.conftest import People, Sandbox
from tests.runs import SignIn, connected_to, run_to_end


async def test_everything_that_the_provider_has_arrives_here_and_at_the_platform(
    resources: Resources, sandbox: Sandbox, people: People, worker: Worker, sign_in: SignIn
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=7, reports=3))
    patient = await connected_to(resources, people, sandbox, "amara", page_size=4)
    client = await sign_in(people.dietician)

    run = await run_to_end(client, patient)

    assert run["status"] == "SUCCEEDED", run
    assert run["counts"]["created"] == run["counts"]["published"] == 10
    assert run["percent"] == 100
    assert [part["complete"] for part in run["coverage"]] == [True, True]
    listed = await client.ask("DocumentList", first=100)
    assert listed["documents"]["totalCount"] == 10
    assert len(sandbox.platform.stored(None)) == 10


async def test_a_second_run_creates_and_changes_nothing(
    resources: Resources, sandbox: Sandbox, people: People, worker: Worker, sign_in: SignIn
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=3, reports=1))
    patient = await connected_to(resources, people, sandbox, "amara")
    client = await sign_in(people.dietician)
    await run_to_end(client, patient)

    for mode in ("INCREMENTAL", "FULL"):
        run = await run_to_end(client, patient, mode=mode)
        assert run["status"] == "SUCCEEDED"
        assert run["counts"]["created"] == run["counts"]["updated"] == run["counts"]["withdrawn"] == 0
        assert run["counts"]["published"] == 0
    assert len(sandbox.platform.stored(None)) == 4


async def test_every_seq_is_seen_once_in_order_and_the_stream_ends_with_the_run(
    resources: Resources, sandbox: Sandbox, people: People, worker: Worker, sign_in: SignIn
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=6))
    patient = await connected_to(resources, people, sandbox, "amara", page_size=2)
    client = await sign_in(people.dietician)

    run = await run_to_end(client, patient)

    seqs = [event["seq"] for event in run["events"]]
    assert seqs == list(range(1, len(seqs) + 1))
    assert run["events"][-1]["kind"] == "RUN_FINISHED"
    percents = [event["run"]["percent"] for event in run["events"]]
    assert percents == sorted(percents)
    late = [d["syncProgress"]["seq"] async for d in client.follow("SyncProgress", runId=run["id"])]
    assert late == seqs
    behind = [d["syncProgress"]["seq"] async for d in client.follow("SyncProgress", runId=run["id"], after=4)]
    assert behind == seqs[4:]
    nothing = [d async for d in client.follow("SyncProgress", runId=run["id"], after=seqs[-1])]
    assert nothing == []
