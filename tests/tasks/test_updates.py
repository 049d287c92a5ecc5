"""Updates that nobody presses for, through real servers and a real worker: notifications and schedules."""

import asyncio

import pytest

from app.core.resources import Resources
from sandbox.ehr.subscriptions import FEED
from tasks import updates
from tasks.broker import Worker
from tests import factories
from tests.conftest import People, Sandbox
from tests.domain.rows import sql
from tests.runs import Books, SignIn, connected_to
from tests.updating import Feed, at_sandbox, notification, turned_on

TITLES = "SELECT array_agg(title ORDER BY title) FROM healthcare_documents WHERE status = 'CURRENT'"


@pytest.fixture
async def patient(resources: Resources, sandbox: Sandbox, people: People) -> str:
    sandbox.ehr.put_many(factories.resources("amara", notes=1))
    return await connected_to(resources, people, sandbox, "amara")


@pytest.fixture
async def feed(
    resources: Resources, people: People, sign_in: SignIn, patient: str, server: str, worker: Worker
) -> Feed:
    """Turned on and confirmed by the provider, with everything here that was there."""
    found = await turned_on(resources, people, sign_in, patient, server)
    await found.active()
    await found.quiet()
    return found


async def test_a_change_at_the_provider_is_here_without_anybody_pressing(
    feed: Feed, sandbox: Sandbox, resources: Resources
) -> None:
    books = Books(resources)
    assert await books.one(TITLES) == ["Progress note 0"]

    sandbox.ehr.put(factories.note("amara", "new", description="Arrived by itself"))
    sandbox.ehr.put(factories.report("amara", 1))

    titles = await books.until(TITLES, lambda found: len(found) == 3)
    assert "Arrived by itself" in titles
    await feed.quiet()
    runs = await feed.runs()
    assert {(run.trigger, run.requested_by) for run in runs} == {("AUTOMATIC", None)}
    assert {run.mode for run in runs} == {"INCREMENTAL"}
    actions = await books.column("SELECT DISTINCT action FROM synchronization_log WHERE document_id IS NULL")
    assert actions == ["automatic_update"]
    assert await books.one("SELECT sum(gaps) + sum(ignored) FROM subscriptions") == 0


async def test_what_is_asked_of_the_provider_is_id_only_by_topic_with_a_secret_of_its_own(
    feed: Feed, sandbox: Sandbox
) -> None:
    found = at_sandbox(sandbox)
    assert [it["criteria"] for it in found] == [FEED, FEED]
    filters = {it["_criteria"]["extension"][0]["valueString"] for it in found}
    assert filters == {"DocumentReference?trigger=feed-event", "DiagnosticReport?trigger=feed-event"}
    assert {it["channel"]["_payload"]["extension"][0]["valueCode"] for it in found} == {"id-only"}
    secrets = {it["channel"]["header"][0] for it in found}
    assert len(secrets) == 2
    ids = {str((await feed.row(kind)).id) for kind in ("DocumentReference", "DiagnosticReport")}
    assert {it["channel"]["endpoint"].rpartition("/")[2] for it in found} == ids


async def test_a_deleted_document_is_withdrawn_by_its_notification(feed: Feed, sandbox: Sandbox) -> None:
    sandbox.ehr.delete("DocumentReference", "amara-note-0")
    await feed.books.until("SELECT status FROM healthcare_documents", lambda status: status == "WITHDRAWN")
    await feed.quiet()
    assert (await feed.runs())[-1].mode == "FULL"


async def test_a_change_during_a_run_leads_to_another_run(feed: Feed, sandbox: Sandbox) -> None:
    before = len(await feed.runs())
    # A run that has begun and does not end: nobody works on it.
    await sql(
        feed.resources,
        "INSERT INTO sync_runs (patient_id, owner_id, provider_id, provider_patient_id, mode, trigger, status, started_at)"
        " SELECT id, user_id, primary_provider_id, provider_patient_id, 'INCREMENTAL', 'MANUAL', 'RUNNING', now()"
        " FROM patients",
    )
    sandbox.ehr.put(factories.note("amara", "during", description="During a run"))
    await feed.books.until("SELECT count(*) FROM patient_updates WHERE changed_at IS NOT NULL", lambda n: n == 1)
    for _ in range(3):
        await updates.one_round(feed.resources)
    assert len(await feed.runs()) == before + 1

    await sql(
        feed.resources,
        "UPDATE sync_runs SET status = 'SUCCEEDED', finished_at = clock_timestamp() WHERE status = 'RUNNING'",
    )
    await feed.books.until(TITLES, lambda titles: "During a run" in titles)
    await feed.quiet()
    assert len(await feed.runs()) == before + 2


async def test_missing_events_lead_to_all_patients_of_the_connection(
    feed: Feed, sandbox: Sandbox, resources: Resources, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with resources.db.transaction() as session:
        provider = (await feed.row()).provider_id
        sandbox.ehr.put_many(factories.resources("bela", notes=1))
        await factories.patient(
            session, people.other_dietician, primary_provider_id=provider, provider_patient_id="bela"
        )
    row = await feed.row()
    assert (await feed.post(notification((row.last_event + 3, "DocumentReference/amara-note-0")))).status_code == 200
    assert await feed.books.one("SELECT sum(gaps) FROM subscriptions") == 0, "the missing ones may still arrive"
    await _late(feed)

    await feed.books.until("SELECT sum(gaps) FROM subscriptions", lambda gaps: gaps == 1)
    await feed.books.until("SELECT count(DISTINCT patient_id) FROM healthcare_documents", lambda n: n == 2)
    await feed.quiet()
    assert await feed.books.one("SELECT count(*) FROM patient_updates WHERE suspect_at IS NOT NULL") == 2


async def test_events_out_of_order_are_no_gap(feed: Feed) -> None:
    last = (await feed.row()).last_event
    for number in (last + 2, last + 1):
        await feed.post(notification((number, "DocumentReference/amara-note-0"), so_far=last + 2))
    await _late(feed)
    await feed.books.until(
        "SELECT settled_event FROM subscriptions WHERE resource_type = 'DocumentReference'", lambda n: n == last + 2
    )
    assert await feed.books.one("SELECT sum(gaps) FROM subscriptions") == 0


async def test_a_heartbeat_that_counts_more_than_has_arrived_shows_the_gap(feed: Feed, sandbox: Sandbox) -> None:
    last = (await feed.row()).last_event
    body = notification(kind="heartbeat", so_far=last + 1)
    assert (await feed.post(body)).status_code == 200
    await _late(feed)
    await feed.books.until("SELECT sum(gaps) FROM subscriptions", lambda gaps: gaps == 1)
    await feed.quiet()
    assert len(at_sandbox(sandbox)) == 2


async def _late(feed: Feed) -> None:
    """What has not arrived by now is missing."""
    await sql(feed.resources, "UPDATE subscriptions SET counted_at = now() - interval '1 hour'")


async def test_a_subscription_that_the_provider_has_stopped_is_asked_for_again(
    feed: Feed, sandbox: Sandbox, resources: Resources
) -> None:
    stopped = at_sandbox(sandbox)[0]
    sandbox.ehr.put({**stopped, "status": "error", "error": "too many failures"})
    sandbox.ehr.put(factories.note("amara", "unsaid", description="Nobody told us"))
    await _unchecked(resources)

    await feed.books.until(TITLES, lambda titles: "Nobody told us" in titles)
    await feed.active()
    await feed.quiet()
    assert {it["status"] for it in at_sandbox(sandbox)} == {"active"}
    sandbox.ehr.put(factories.note("amara", "said", description="Told again"))
    await feed.books.until(TITLES, lambda titles: "Told again" in titles)


async def test_a_subscription_that_is_gone_at_the_provider_is_made_anew_and_its_numbers_count_again(
    feed: Feed, sandbox: Sandbox, resources: Resources
) -> None:
    sandbox.ehr.put(factories.note("amara", "first", description="Number one"))
    await feed.books.until(TITLES, lambda titles: "Number one" in titles)
    await feed.quiet()
    gone = {it["id"] for it in at_sandbox(sandbox)}
    for subscription_id in gone:
        sandbox.ehr.delete("Subscription", subscription_id)
    await _unchecked(resources)
    await feed.books.until(
        "SELECT count(*) FROM subscriptions WHERE status = 'ACTIVE' AND generation > 2 AND remote_id IS NOT NULL",
        lambda n: n == 2,
    )
    await feed.quiet()
    assert not gone & {it["id"] for it in at_sandbox(sandbox)}

    # The new Subscription's first event has a number that the former one has used.
    sandbox.ehr.put(factories.note("amara", "second", description="Number one again"))
    await feed.books.until(TITLES, lambda titles: "Number one again" in titles)


async def _unchecked(resources: Resources) -> None:
    await sql(resources, "UPDATE subscriptions SET checked_at = now() - interval '1 day'")


async def test_turned_off_it_is_deleted_at_the_provider_and_refused_here(
    feed: Feed, sandbox: Sandbox, people: People, sign_in: SignIn
) -> None:
    admin = await sign_in(people.admin)
    providers = (await admin.ask("ProviderList", first=10))["providers"]["edges"]
    gid = providers[0]["node"]["id"]
    await admin.change("ProviderSubscriptionSet", "providerSubscriptionSet", providerId=gid, enabled=False)

    assert (await feed.post(notification((99, "DocumentReference/amara-note-0")))).status_code == 404
    await feed.books.until("SELECT count(remote_id) FROM subscriptions", lambda n: n == 0)
    assert at_sandbox(sandbox) == []
    await admin.change("ProviderSubscriptionSet", "providerSubscriptionSet", providerId=gid, enabled=True)
    await feed.active()
    assert len(at_sandbox(sandbox)) == 2


@pytest.mark.parametrize("signs", [True, False], ids=["signed", "secret header"])
async def test_a_server_without_topics_notifies_in_r4s_own_way(
    resources: Resources,
    sandbox: Sandbox,
    people: People,
    sign_in: SignIn,
    patient: str,
    server: str,
    worker: Worker,
    signs: bool,
) -> None:
    sandbox.ehr.db.set("subscriptions.plain", "1")
    sandbox.ehr.db.set("subscriptions.unsigned", "" if signs else "1")
    feed = await turned_on(resources, people, sign_in, patient, server)
    await feed.books.until(
        "SELECT count(*) FROM subscriptions WHERE status <> 'OFF' AND remote_id IS NOT NULL", lambda n: n == 2
    )
    assert {it["criteria"] for it in at_sandbox(sandbox)} == {"DocumentReference?", "DiagnosticReport?"}
    await asyncio.sleep(0.2)

    sandbox.ehr.put(factories.note("amara", "plain", description="With its body"))

    await feed.books.until(TITLES, lambda titles: titles and "With its body" in titles)
    kept = await feed.books.all("SELECT * FROM subscription_notifications")
    assert {(it.focus, it.subject, it.event_number) for it in kept} == {
        ("DocumentReference/amara-note-plain", "Patient/amara", None)
    }
    assert (await feed.row()).status == "ACTIVE"


async def test_a_notification_about_somebody_unknown_is_counted_and_changes_nothing(
    feed: Feed, sandbox: Sandbox
) -> None:
    before = len(await feed.runs())
    sandbox.ehr.put_many([factories.fhir_patient("stranger"), factories.note("stranger", 1)])
    await feed.books.until("SELECT sum(ignored) FROM subscriptions", lambda n: n == 1)
    await feed.quiet()
    assert len(await feed.runs()) == before


async def test_old_notifications_are_purged(feed: Feed) -> None:
    await feed.post(notification(((await feed.row()).last_event + 1, "DocumentReference/amara-note-0")))
    await feed.quiet()
    assert await feed.books.one("SELECT count(*) FROM subscription_notifications") == 1
    await sql(feed.resources, "UPDATE subscription_notifications SET created_at = now() - interval '31 days'")
    await feed.books.until("SELECT count(*) FROM subscription_notifications", lambda n: n == 0)
