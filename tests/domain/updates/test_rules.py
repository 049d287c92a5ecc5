"""Whose turn it is and when, how much is compared, and who is believed."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from app.core.ids import uuid7
from app.core.resources import Resources
from app.domain.connections.models import Provider
from app.domain.sync.models import RunMode
from app.domain.updates import rules
from app.domain.updates.models import PatientUpdate
from app.domain.updates.rules import History

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECRET = "a secret between the provider and us"
ID = uuid4()


def provider(**given: Any) -> Provider:
    wanted: dict[str, Any] = {"sync_every_minutes": 60, "sweep_every_days": 7, "strategy": {}, "capabilities": []}
    return Provider(**wanted | given)


def marks(**given: Any) -> PatientUpdate:
    return PatientUpdate(**{"changed_at": None, "removed_at": None, "suspect_at": None} | given)


@pytest.mark.parametrize("minutes", [1, 15, 60, 1440])
def test_a_turn_comes_once_an_interval_at_the_patients_own_time(minutes: int) -> None:
    patient, moment, turns = uuid7(), NOW, list[datetime]()
    for _ in range(4):
        moment = rules.next_turn(patient, minutes, moment)
        turns.append(moment)
    assert NOW < turns[0] <= NOW + timedelta(minutes=minutes)
    assert {later - earlier for earlier, later in pairwise(turns)} == {timedelta(minutes=minutes)}
    assert rules.next_turn(patient, minutes, NOW) == turns[0], "the same after a restart"


def test_patients_are_spread_over_the_interval() -> None:
    phases = [rules.phase(uuid7(), HOUR) // 360 for _ in range(1000)]
    assert min(phases.count(tenth) for tenth in range(10)) > 50


async def test_the_database_finds_the_same_phase(resources: Resources) -> None:
    statement = text("SELECT ('x' || right(CAST(:id AS uuid)::text, 8))::bit(32)::bigint % 3600")
    async with resources.db.reading() as session:
        for patient in (UUID(int=0), UUID(int=2**128 - 1), uuid7(), uuid7()):
            assert await session.scalar(statement, {"id": patient}) == rules.phase(patient, HOUR)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, RunMode.FULL),
        ({"history": History(NOW - HOUR, NOW - HOUR)}, RunMode.INCREMENTAL),
        ({"history": History(NOW - HOUR, NOW - HOUR), "scheduled": False}, RunMode.INCREMENTAL),
        ({"scheduled": False}, RunMode.INCREMENTAL),
        ({"history": History(NOW - HOUR * 24 * 8, NOW - HOUR * 24 * 8)}, RunMode.FULL),
        ({"history": History(NOW - HOUR, NOW - HOUR * 24 * 8)}, RunMode.INCREMENTAL),
        ({"history": History(NOW - 2 * HOUR, NOW - 2 * HOUR, NOW - HOUR)}, RunMode.FULL),
        ({"history": History(NOW - HOUR, None, NOW - HOUR)}, RunMode.INCREMENTAL),
        ({"history": History(NOW - 25 * HOUR, None, NOW - 25 * HOUR)}, RunMode.FULL),
        ({"history": History(NOW - HOUR, NOW - HOUR), "suspect_at": NOW}, RunMode.FULL),
        ({"history": History(NOW - HOUR, NOW - HOUR), "suspect_at": NOW, "scheduled": False}, RunMode.INCREMENTAL),
        ({"history": History(NOW - HOUR, NOW - HOUR), "removed_at": NOW, "scheduled": False}, RunMode.FULL),
    ],
    ids=[
        "never swept",
        "swept lately",
        "changed",
        "changed, never swept",
        "swept long ago",
        "a sweep was tried today already",
        "a gap since the last sweep",
        "the sweep itself had the gap",
        "the sweep had the gap, a day ago",
        "events were missing",
        "events were missing, and one has come",
        "something was deleted",
    ],
)
def test_how_much_the_next_run_compares(given: dict[str, Any], expected: RunMode) -> None:
    history, scheduled = given.pop("history", History()), given.pop("scheduled", True)
    assert rules.mode(provider(), marks(**given), history, NOW, scheduled=scheduled) is expected


@pytest.mark.parametrize(
    "known",
    [
        {"capabilities": [{"name": "_lastUpdated filter", "supported": False, "detail": "ignored"}]},
        {"strategy": {"searches": [{"resource_type": "DocumentReference", "since": "IGNORED"}]}},
        {"strategy": {"searches": [{"resource_type": "DocumentReference", "since": "REFUSED"}]}},
    ],
    ids=["card", "ignored", "refused"],
)
def test_a_server_that_ignores_the_filter_is_compared_as_a_whole_each_time(known: dict[str, Any]) -> None:
    lately = History(NOW - HOUR, NOW - HOUR)
    for scheduled in (True, False):
        assert rules.mode(provider(**known), marks(), lately, NOW, scheduled=scheduled) is RunMode.FULL


def headers(body: bytes, seconds: float = 0, more: dict[str, str] | None = None) -> dict[str, str]:
    stamp = str(int(NOW.timestamp() + seconds))
    signed = {rules.TIMESTAMP_HEADER: stamp, rules.SIGNATURE_HEADER: rules.signature(SECRET, ID, stamp, body)}
    return signed | (more or {})


def test_the_signature_is_the_documented_one() -> None:
    expected = hmac.new(SECRET.encode(), f"{ID}.1700000000.".encode() + b"{}", hashlib.sha256).hexdigest()
    assert rules.signature(SECRET, ID, "1700000000", b"{}") == f"v1={expected}"


@pytest.mark.parametrize("seconds", [-299, 0, 299])
def test_a_signature_of_the_last_minutes_is_believed(seconds: int) -> None:
    assert rules.unproven(SECRET, ID, headers(b"{}", seconds), b"{}", NOW) is None


@pytest.mark.parametrize(
    "given",
    [
        headers(b"{}", -301),
        headers(b"{}", 301),
        headers(b"other"),
        headers(b"{}", more={rules.SIGNATURE_HEADER: "v1="}),
        headers(b"{}", more={rules.SIGNATURE_HEADER: "ünïcode"}),
        headers(b"{}", more={rules.SIGNATURE_HEADER: "v1=0", rules.SECRET_HEADER: SECRET}),
        {rules.SIGNATURE_HEADER: rules.signature(SECRET, ID, "", b"{}")},
        {rules.TIMESTAMP_HEADER: "٣", rules.SIGNATURE_HEADER: rules.signature(SECRET, ID, "٣", b"{}")},
        {rules.TIMESTAMP_HEADER: "9" * 40, rules.SIGNATURE_HEADER: rules.signature(SECRET, ID, "9" * 40, b"{}")},
        {rules.SECRET_HEADER: "guessed"},
        {rules.SECRET_HEADER: ""},
        {},
    ],
    ids=range(12),
)
def test_whoever_does_not_show_the_secret_is_not_believed(given: dict[str, str]) -> None:
    assert rules.unproven(SECRET, ID, given, b"{}", NOW)
    assert rules.unproven(SECRET, uuid4(), headers(b"{}"), b"{}", NOW), "a signature for another subscription"


def test_a_server_that_cannot_sign_shows_the_secret_itself() -> None:
    assert rules.unproven(SECRET, ID, {rules.SECRET_HEADER: SECRET}, b"{}", NOW) is None
