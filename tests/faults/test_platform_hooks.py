"""What a platform tells us: believed only with its signature, and then only as a reason to look."""

import hashlib
import hmac
import json
import time
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from app.connectors.platform.port import PlatformKind
from app.core.resources import Resources
from app.domain.connections import platforms
from tasks.broker import Worker
from tasks.sync import publishing
from tests import factories
from tests.conftest import People, Sandbox
from tests.platforms import KINDS, SECRET, agree_on_webhooks, at_platform, references, remove_by_hand, settled, until
from tests.runs import Books, SignIn, run_to_end

STATES = "SELECT state FROM platform_receipts ORDER BY reference"
WATCH = "SELECT webhook_checked_at FROM platforms WHERE id = :it"


async def told(resources: Resources, platform_id: UUID, body: bytes, headers: dict[str, str]) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        url = platforms.webhook_url(resources.settings.base_url, platform_id)
        return await client.post(url, content=body, headers=headers)


def signed(content: Any, secret: str = SECRET, age: int = 0) -> tuple[bytes, dict[str, str]]:
    body, stamp = json.dumps(content).encode(), str(int(time.time()) - age)
    digest = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return body, {"X-Webhook-Timestamp": stamp, "X-Webhook-Signature": f"sha256={digest}"}


async def digest(resources: Resources) -> list[Any]:
    async with resources.db.reading() as session:
        return [
            await session.scalar(text(f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t"))
            for table in ("platform_receipts", "platform_events", "synchronization_log", "work", "patients")
        ]


async def watched(resources: Resources, books: Books, sandbox: Sandbox, kind: PlatformKind, platform_id: UUID) -> None:
    """Both sides know each other: by hand, or by the job that sees to it."""
    if kind is PlatformKind.CAREPATRON:
        await agree_on_webhooks(resources, sandbox, platform_id)
        return
    async with resources.db.transaction() as session:
        platform = await platforms.queries.platform(session, platform_id)
        assert platform is not None
        await platforms._watch(session, platform)
    await books.until(WATCH, lambda seen: seen is not None, it=platform_id)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_document_that_somebody_removes_at_the_platform_is_noted_and_not_sent_again(
    kind: PlatformKind,
    resources: Resources,
    sandbox: Sandbox,
    people: People,
    books: Books,
    worker: Worker,
    sign_in: SignIn,
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=3))
    patient, platform_id = await at_platform(resources, people, sandbox, kind)
    client = await sign_in(people.dietician)
    await watched(resources, books, sandbox, kind, platform_id)
    assert (await run_to_end(client, patient))["status"] == "SUCCEEDED"

    await remove_by_hand(sandbox, sandbox.platform.stored(None)[1]["id"])

    await books.until(
        "SELECT count(*) FROM platform_receipts WHERE state = 'REMOVED'", lambda removed: removed == 1, seconds=15
    )
    logged = await books.all("SELECT status, details FROM synchronization_log WHERE action = 'platform_removed'")
    assert [row.status for row in logged] == ["WARNING"]
    again = await run_to_end(client, patient, mode="FULL")
    assert (again["status"], again["counts"]["published"]) == ("SUCCEEDED", 0)
    assert len(references(sandbox.platform)) == 2
    asked = await client.change("SyncRetryEverything", "syncRetry", runId=again["id"])
    assert asked["syncRun"]
    await settled(resources)
    assert len(references(sandbox.platform)) == 3


@pytest.mark.parametrize("kind", KINDS)
async def test_a_removal_that_nobody_told_us_of_is_noticed_when_everything_is_compared(
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
    await run_to_end(client, patient)
    await remove_by_hand(sandbox, sandbox.platform.stored(None)[0]["id"])

    assert (await run_to_end(client, patient))["status"] == "SUCCEEDED"
    assert sorted(await books.column(STATES)) == ["CONFIRMED"] * 3
    run = await run_to_end(client, patient, mode="FULL")

    assert (run["status"], run["counts"]["published"]) == ("SUCCEEDED", 0)
    assert sorted(await books.column(STATES)) == ["CONFIRMED", "CONFIRMED", "REMOVED"]
    assert len(references(sandbox.platform)) == 2


async def test_a_platform_that_has_lost_the_patient_is_given_everything_anew(
    resources: Resources, sandbox: Sandbox, people: People, books: Books, worker: Worker, sign_in: SignIn
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=3))
    patient, _ = await at_platform(resources, people, sandbox, PlatformKind.CAREPATRON)
    client = await sign_in(people.dietician)
    await run_to_end(client, patient)
    for table in ("patient", "attachment"):
        sandbox.platform.db.run(f"DELETE FROM {table}")

    run = await run_to_end(client, patient)

    assert (run["status"], run["counts"]["published"]) == ("SUCCEEDED", 3)
    assert len(references(sandbox.platform)) == 3


async def test_a_document_that_is_processed_late_is_confirmed_without_anybody_asking(
    resources: Resources,
    sandbox: Sandbox,
    people: People,
    books: Books,
    worker: Worker,
    sign_in: SignIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publishing, "CONFIRM_WAITS", (0.1, 0.2))
    sandbox.ehr.put_many(factories.resources("amara", notes=2))
    sandbox.platform.set_processing_ms(3_600_000)
    patient, platform_id = await at_platform(resources, people, sandbox, PlatformKind.CAREPATRON)
    client = await sign_in(people.dietician)
    await watched(resources, books, sandbox, PlatformKind.CAREPATRON, platform_id)
    async with books.no_pauses():
        run = await run_to_end(client, patient, seconds=90)
    assert (run["status"], [it["code"] for it in run["failures"]]) == ("SUCCEEDED_WITH_GAPS", ["PLATFORM_TIMEOUT"])

    sandbox.platform.set_processing_ms(0)

    await books.until(
        "SELECT count(*) FROM platform_receipts WHERE state = 'CONFIRMED'", lambda done: done == 2, seconds=15
    )
    assert len(await books.column("SELECT id FROM synchronization_log WHERE action = 'published'")) == 2
    assert len(references(sandbox.platform)) == 2


async def test_a_message_that_is_not_the_platforms_changes_nothing(
    resources: Resources, sandbox: Sandbox, people: People, books: Books, sign_in: SignIn
) -> None:
    _, platform_id = await at_platform(resources, people, sandbox, PlatformKind.CAREPATRON)
    await sign_in(people.dietician)
    await agree_on_webhooks(resources, sandbox, platform_id)
    content = {"id": "evt_1", "type": "patient_attachment.deleted", "patient_attachment_id": "1", "patient_id": "1"}
    before = await digest(resources)

    body, good = signed(content)
    attempts = [
        (body, {}),
        (body, good | {"X-Webhook-Signature": "sha256=" + "0" * 64}),
        (body, good | {"X-Webhook-Signature": good["X-Webhook-Signature"][:-1]}),
        (body, good | {"X-Webhook-Timestamp": str(int(time.time()) + 1)}),
        (body + b" ", good),
        signed(content, secret="another secret of somebody"),
        signed(content, age=301),
        signed(content, age=-330),
        signed(["no", "object"]),
        signed(content | {"id": ""}),
        signed(content | {"id": "x" * 10_000}),
    ]
    for sent_body, headers in attempts:
        answer = await told(resources, platform_id, sent_body, headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED"), headers
    assert (await told(resources, UUID(int=7), body, good)).status_code == 401
    assert (await told(resources, platform_id, b"x" * 70_000, good)).status_code == 413
    assert await digest(resources) == before


async def test_before_a_secret_is_agreed_on_nothing_is_believed(
    resources: Resources, sandbox: Sandbox, people: People, sign_in: SignIn
) -> None:
    _, platform_id = await at_platform(resources, people, sandbox, PlatformKind.CAREPATRON)
    await sign_in(people.dietician)
    body, headers = signed({"id": "evt_1", "type": "patient_attachment.deleted"}, secret="")
    assert (await told(resources, platform_id, body, headers)).status_code == 401


async def test_a_message_that_comes_twice_is_one_reason_to_look(
    resources: Resources, sandbox: Sandbox, people: People, books: Books, worker: Worker, sign_in: SignIn
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=1))
    patient, platform_id = await at_platform(resources, people, sandbox, PlatformKind.CAREPATRON)
    client = await sign_in(people.dietician)
    await agree_on_webhooks(resources, sandbox, platform_id)
    await run_to_end(client, patient)
    there = sandbox.platform.stored(None)[0]["id"]
    content = {"id": "evt_a", "type": "patient_attachment.deleted", "patient_attachment_id": there}
    body, headers = signed(content)

    answers = [(await told(resources, platform_id, body, headers)).json()["status"] for _ in range(3)]

    assert answers == ["accepted", "known", "known"]
    await settled(resources)
    looks = "SELECT count(*) FROM work WHERE kind = 'sync.look'"
    assert await books.one(looks) == 1
    # It was not true: what is there stays as it is.
    assert await books.column(STATES) == ["CONFIRMED"]


async def test_what_we_did_at_the_platform_ourselves_is_no_reason_to_look(
    resources: Resources, sandbox: Sandbox, people: People, books: Books, worker: Worker, sign_in: SignIn
) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=10))
    patient, platform_id = await at_platform(resources, people, sandbox, PlatformKind.CAREPATRON)
    client = await sign_in(people.dietician)
    await agree_on_webhooks(resources, sandbox, platform_id)
    await run_to_end(client, patient)
    for number in range(10):
        sandbox.ehr.delete("DocumentReference", f"amara-note-{number}")
    await run_to_end(client, patient, mode="FULL")
    await until(lambda: all(it["status"] == 202 for it in sandbox.platform.deliveries()))

    assert {it["kind"] for it in sandbox.platform.deliveries()} == {"created", "processed", "deleted"}
    assert await books.one("SELECT count(*) FROM work WHERE kind = 'sync.look'") <= 2
    assert set(await books.column(STATES)) == {"ARCHIVED"}
    assert await books.column("SELECT id FROM synchronization_log WHERE action = 'platform_removed'") == []


async def test_a_webhook_that_healthie_has_disabled_is_enabled_again(
    resources: Resources, sandbox: Sandbox, people: People, books: Books, worker: Worker, sign_in: SignIn
) -> None:
    _, platform_id = await at_platform(resources, people, sandbox, PlatformKind.HEALTHIE)
    await sign_in(people.dietician)
    await watched(resources, books, sandbox, PlatformKind.HEALTHIE, platform_id)
    (made,) = sandbox.platform.webhooks()
    assert made["is_enabled"]
    sandbox.platform.enable_webhook(made["id"], is_enabled=False)

    # The next look at it is hours away: its time has come.
    async with resources.db.transaction() as session:
        await session.execute(
            text("UPDATE work SET due_at = now() WHERE kind = 'connections.watch' AND done_at IS NULL")
        )

    await until(lambda: sandbox.platform.webhooks()[0]["is_enabled"])
    assert len(sandbox.platform.webhooks()) == 1
    due = "SELECT count(*) FROM work WHERE kind = 'connections.watch' AND done_at IS NULL AND due_at > now() + interval '5 hours'"
    await books.until(due, lambda waiting: waiting == 1)
