"""`healthrecords up`: everything on one machine from an empty folder, and nothing of it afterwards.

The tests build on each other, in the order in which somebody meets the product."""

import json
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.cli.client import Client
from seeds import people
from tests.e2e.house import House

FIRST = "dietician@demo.test"
ENDS_WITHIN = 10
"""Seconds; two of them are what it takes on a machine that has nothing else to do."""
STARTS_WITHIN = 20
"""Seconds, with data that are there already; again far more than it takes."""


@pytest.fixture(scope="module", autouse=True)
def started(house: House) -> None:
    house.start()


@pytest.fixture
async def client(house: House) -> AsyncIterator[Client]:
    async with Client(house.url) as opened:
        await opened.sign_in(FIRST, people.PASSWORD)
        yield opened


def parsed(lines: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.splitlines()]


async def first_patient(client: Client) -> dict[str, Any]:
    listed = await client.ask("PatientList", first=1)
    return listed["patients"]["edges"][0]["node"]


def test_it_says_where_to_find_it(house: House) -> None:
    assert httpx.get(f"{house.url}/readyz", trust_env=False).status_code == 200
    words = [f"{house.url}/graphql", *(email for email, _, _ in people.ACCOUNTS)]
    deadline = time.monotonic() + ENDS_WITHIN
    while not all(word in house.said for word in words):
        assert time.monotonic() < deadline, house.said
        time.sleep(0.05)


async def test_every_demo_account_can_sign_in(house: House) -> None:
    for email, name, role in people.ACCOUNTS:
        async with Client(house.url) as client:
            await client.sign_in(email, people.PASSWORD)
            viewer = (await client.ask("Viewer"))["viewer"]
        assert (viewer["email"], viewer["role"]) == (email, role)
        assert viewer["name"] == (name or next(iter(house.expected_documents())))


async def test_a_patient_is_synchronised_completely_and_a_second_time_changes_nothing(
    house: House, client: Client
) -> None:
    patient = await first_patient(client)
    expected = house.expected_documents()[patient["name"]]

    done = house.command("sync", patient["name"], "--follow", "--json", "--url", house.url)

    assert done.returncode == 0, done.stdout + done.stderr
    message, *events, end = parsed(done.stdout)
    assert patient["name"] in message["message"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert (end["run"]["status"], end["failures"]) == ("SUCCEEDED", [])
    assert end["run"]["counts"]["created"] == end["run"]["counts"]["published"] == expected > 0
    own = {"patientId": patient["id"], "statuses": ["CURRENT", "SUPERSEDED", "WITHDRAWN", "RETRACTED"]}
    assert (await client.ask("DocumentList", first=1, filter=own))["documents"]["totalCount"] == expected
    assert len(house.at_platform()) == expected

    again = house.command("sync", patient["id"], "--full", "--follow", "--json", "--url", house.url)

    counts = parsed(again.stdout)[-1]["run"]["counts"]
    assert (again.returncode, counts["unchanged"]) == (0, expected)
    assert counts["created"] == counts["updated"] == counts["withdrawn"] == counts["published"] == 0
    assert len(house.at_platform()) == expected


def test_the_doctor_finds_a_running_demo_well(house: House) -> None:
    done = house.command("doctor", "--json")
    findings = json.loads(done.stdout)
    assert done.returncode == 0, findings
    assert {finding["name"] for finding in findings} >= {"Python", "PostgreSQL", "Schema", "Work", "Redis"}
    assert all(finding["well"] and not finding["remedy"] for finding in findings)


def test_a_second_one_on_the_same_ports_is_refused_in_words(house: House) -> None:
    done = house.command("up")
    assert done.returncode == 1
    assert f"Port {house.port} is in use" in done.stderr
    assert house.ready()


def test_sigterm_ends_everything_and_the_same_data_start_again(house: House) -> None:
    assert house.end(signal.SIGTERM) < ENDS_WITHIN
    assert house.left() == []
    assert house.process is not None
    assert house.process.returncode == 0, house.said
    assert house.start() < STARTS_WITHIN


async def test_what_was_there_before_the_restart_is_there_after_it(house: House, client: Client) -> None:
    patient = await first_patient(client)
    assert patient["lastSync"]["status"] == "SUCCEEDED"
    assert len(house.at_platform()) == house.expected_documents()[patient["name"]]


def test_a_killed_parent_leaves_nothing_behind_and_the_same_data_start_again(house: House) -> None:
    assert house.end(signal.SIGKILL) < ENDS_WITHIN
    assert house.left() == []
    assert house.start() < STARTS_WITHIN
    assert house.end(signal.SIGTERM) < ENDS_WITHIN


def test_the_doctor_says_what_is_wrong_when_nothing_runs(house: House) -> None:
    done = house.command("doctor", "--json")
    ill = {finding["name"]: finding["remedy"] for finding in json.loads(done.stdout) if not finding["well"]}
    assert done.returncode == 1
    assert set(ill) == {"Database", "Redis"}
    assert all(ill.values())
