"""Dead letters: who sees them, what they tell, what comes of replaying one."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from app.api.kit import ids
from app.core import work
from app.core.resources import Resources
from app.domain.connections.events import PROBE
from app.domain.sync import recording
from app.domain.sync.events import RUN
from tests import factories
from tests.api.asking import GARBAGE, SignIn, code, nodes, outcome, refusal
from tests.api.scene import CALLERS, NOWHERE, Scene
from tests.conftest import People

NOT_ADMINS = [caller for caller in CALLERS if caller != "admin"]


async def buried(resources: Resources, kind: str, subject: UUID, error: str = "WORKER_FAILED: KeyError") -> str:
    async with resources.db.transaction() as session:
        work_id = await work.ask(session, kind, subject)
    assert work_id is not None
    async with resources.db.transaction() as session:
        claim = await work.claim(session, work_id)
        assert claim is not None
        await work.bury(session, claim, error)
    return ids.encode("DeadLetter", work_id)


async def works(resources: Resources, kind: str, subject: UUID) -> list[Any]:
    async with resources.db.reading() as session:
        rows = await session.scalars(
            text(
                "SELECT id FROM work WHERE kind = :kind AND subject_id = :subject AND done_at IS NULL AND dead_at IS NULL"
            ),
            {"kind": kind, "subject": subject},
        )
        return list(rows)


async def listed(client: Any) -> dict[str, dict[str, Any]]:
    return {it["id"]: it for it in nodes((await client.ask("DeadLetterList", first=100))["deadLetters"])}


@pytest.mark.parametrize("caller", CALLERS)
async def test_only_administrators_see_dead_letters(scene: Scene, caller: str) -> None:
    letter = await buried(scene.resources, PROBE, uuid4())
    client = scene.clients[caller]
    found = await outcome(client, "DeadLetterList", first=100)
    node = await outcome(client, "AnyNode", id=letter)
    if caller == "admin":
        assert letter in {it["id"] for it in nodes(found)}
        assert node == {"__typename": "DeadLetter", "id": letter}
    else:
        assert found == ("UNAUTHENTICATED" if caller == "nobody" else "FORBIDDEN")
        assert node == ("UNAUTHENTICATED" if caller == "nobody" else None)


@pytest.mark.parametrize("caller", NOT_ADMINS)
async def test_only_administrators_replay_them(scene: Scene, caller: str) -> None:
    letter = await buried(scene.resources, PROBE, uuid4())
    before = await scene.digest()
    for wanted in (letter, ids.encode("DeadLetter", uuid4()), "garbage"):
        refused = await code(scene.clients[caller], "DeadLetterReplay", id=wanted)
        assert refused == ("UNAUTHENTICATED" if caller == "nobody" else "FORBIDDEN")
    assert await scene.digest() == before


@pytest.mark.parametrize("bad", [*GARBAGE, "of another type", "of nothing"], ids=range(len(GARBAGE) + 2))
async def test_an_id_that_names_no_letter_is_not_found(scene: Scene, bad: str) -> None:
    wanted = {"of another type": scene.ids["run"], "of nothing": ids.encode("DeadLetter", uuid4())}.get(bad, bad)
    assert await refusal(scene.clients["admin"], "DeadLetterReplay", id=wanted) == ("NOT_FOUND", ["id"])


async def test_work_that_is_open_or_done_is_no_letter(scene: Scene) -> None:
    async with scene.resources.db.transaction() as session:
        work_id = await work.ask(session, PROBE, uuid4())
    assert work_id is not None
    wanted = ids.encode("DeadLetter", work_id)
    assert await refusal(scene.clients["admin"], "DeadLetterReplay", id=wanted) == ("NOT_FOUND", ["id"])
    assert await outcome(scene.clients["admin"], "AnyNode", id=wanted) is None


@pytest.mark.parametrize("first", [0, 101])
async def test_a_bad_page_is_refused(scene: Scene, first: int) -> None:
    admin = scene.clients["admin"]
    assert await refusal(admin, "DeadLetterList", first=first) == ("BAD_PAGE_SIZE", ["first"])
    assert await refusal(admin, "DeadLetterList", first=1, after="x") == ("BAD_CURSOR", ["after"])


async def test_a_letter_tells_why_in_words_and_nothing_that_others_said(scene: Scene) -> None:
    provider = ids.decode(scene.ids["provider"], "Provider")
    said = "PLATFORM_REFUSED: the platform answered 422: Mrs Silva has no such thing"
    letter = await buried(scene.resources, PROBE, provider, said)
    found = (await listed(scene.clients["admin"]))[letter]
    assert (found["kind"], found["subject"], found["attempts"]) == (PROBE, scene.ids["provider"], 1)
    assert found["error"]["code"] == "PLATFORM_REFUSED"
    assert 2 <= len(found["error"]["steps"]) <= 4
    assert "Silva" not in str(found)
    assert found["createdAt"] < found["deadAt"]


@pytest.mark.parametrize("error", ["", "nonsense", "NO_SUCH_CODE: x", "every attempt ended"])
async def test_a_letter_of_an_unknown_reason_has_words_all_the_same(scene: Scene, error: str) -> None:
    letter = await buried(scene.resources, "trial.unknown", uuid4(), error)
    found = (await listed(scene.clients["admin"]))[letter]
    assert (found["error"]["code"], found["subject"]) == ("WORKER_FAILED", None)


async def test_a_replayed_letter_is_asked_for_once_and_listed_no_more(scene: Scene) -> None:
    subject, admin = uuid4(), scene.clients["admin"]
    letter = await buried(scene.resources, PROBE, subject)
    payloads = await asyncio.gather(*(outcome(admin, "DeadLetterReplay", id=letter) for _ in range(4)))
    assert [it["userErrors"] for it in payloads] == [[]] * 4
    assert len({it["deadLetter"]["replayedAt"] for it in payloads}) == 1
    assert len(await works(scene.resources, PROBE, subject)) == 1
    assert letter not in await listed(admin)
    async with scene.resources.db.reading() as session:
        row = await work.get_dead_letter(session, ids.decode(letter, "DeadLetter"))
    assert row is not None
    assert row.replayed_by == scene.people["admin"].id


async def test_a_letter_whose_work_is_open_again_is_refused(scene: Scene) -> None:
    subject, admin = uuid4(), scene.clients["admin"]
    letter = await buried(scene.resources, PROBE, subject)
    async with scene.resources.db.transaction() as session:
        await work.ask(session, PROBE, subject)
    before = await scene.digest()
    assert await refusal(admin, "DeadLetterReplay", id=letter) == ("CONFLICT", ["id"])
    assert await scene.digest() == before
    assert letter in await listed(admin)


async def dead_run(resources: Resources, people: People, *, told: bool = True) -> tuple[str, UUID, UUID]:
    """A run whose work was given up; the letter, the patient and the run."""
    async with resources.db.transaction() as session:
        provider = await factories.provider(session, resources.vault, NOWHERE)
        patient = await factories.patient(
            session, people.dietician, primary_provider_id=provider.id, provider_patient_id="p"
        )
        run_id = await session.scalar(
            text(
                "INSERT INTO sync_runs (patient_id, owner_id, provider_id, provider_patient_id, mode, trigger)"
                " VALUES (:patient, :owner, :provider, 'p', 'INCREMENTAL', 'MANUAL') RETURNING id"
            ),
            {"patient": patient.id, "owner": people.dietician.id, "provider": provider.id},
        )
    letter = await buried(resources, RUN, run_id)
    if told:
        async with resources.db.transaction() as session:
            await recording.fail(session, run_id, "WORKER_FAILED", "KeyError")
    return letter, patient.id, run_id


async def runs(resources: Resources, patient_id: UUID) -> list[Any]:
    async with resources.db.reading() as session:
        rows = await session.execute(
            text(
                "SELECT r.id, r.status, r.mode, r.requested_by, r.retry_of_id, w.id AS work FROM sync_runs r"
                " LEFT JOIN work w ON w.subject_id = r.id AND w.kind = 'sync.run' AND w.dead_at IS NULL"
                " WHERE r.patient_id = :patient ORDER BY r.id"
            ),
            {"patient": patient_id},
        )
        return list(rows)


async def test_of_a_run_that_has_ended_a_new_one_is_begun_and_stands_in_the_history(
    resources: Resources, people: People, sign_in: SignIn
) -> None:
    letter, patient_id, run_id = await dead_run(resources, people)
    admin = await sign_in(people.admin)
    payload = await outcome(admin, "DeadLetterReplay", id=letter)
    assert payload["userErrors"] == []
    old, new = await runs(resources, patient_id)
    assert (old.id, old.status, old.work) == (run_id, "FAILED", None)
    assert (new.status, new.mode, new.requested_by, new.retry_of_id) == ("QUEUED", "FULL", people.admin.id, run_id)
    assert new.work is not None
    dietician = await sign_in(people.dietician)
    entries = nodes((await dietician.ask("LogList", first=10))["logs"])
    assert [(it["action"], it["status"]) for it in entries][:1] == [("manual_sync", "STARTED")]


async def test_a_run_that_never_heard_of_its_end_goes_on(resources: Resources, people: People, sign_in: SignIn) -> None:
    letter, patient_id, run_id = await dead_run(resources, people, told=False)
    admin = await sign_in(people.admin)
    assert (await outcome(admin, "DeadLetterReplay", id=letter))["userErrors"] == []
    (found,) = await runs(resources, patient_id)
    assert (found.id, found.work is not None) == (run_id, True)


async def test_a_patient_who_is_gone_or_under_way_is_refused_in_words(
    resources: Resources, people: People, sign_in: SignIn
) -> None:
    letter, patient_id, _ = await dead_run(resources, people)
    admin, dietician = await sign_in(people.admin), await sign_in(people.dietician)
    patient = ids.encode("Patient", patient_id)
    await dietician.change("PatientSync", "patientSync", patientId=patient)
    assert await refusal(admin, "DeadLetterReplay", id=letter) == ("CONFLICT", ["id"])
    await dietician.change("PatientDelete", "patientDelete", id=patient)
    assert await refusal(admin, "DeadLetterReplay", id=letter) == ("CONFLICT", ["id"])
    assert letter in await listed(admin)
