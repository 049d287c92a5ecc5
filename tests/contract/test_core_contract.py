"""What clients already send: every operation of the core contract, word for word, through the real server."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    Visitor,
    parse,
    print_ast,
    validate,
    visit,
)

from app.api.kit import ids
from app.cli.client import Client
from app.core.resources import Resources
from app.domain.notifications.rules import of_connection
from app.operations import paths
from app.schema import schema
from tests import factories
from tests.conftest import SHARED, People

CONTRACT = SHARED / "contract" / "core.graphql"
NOT_YET = {
    "DocumentShare",
    "ShareRevoke",
    "SharedWithMe",
    "DocumentsRequest",
    "InquirySubmit",
}
"""Operations whose contexts are not built yet. A name leaves this table by hand, with the change that builds it."""

pytestmark = pytest.mark.skipif(not CONTRACT.exists(), reason="the contract lies beside the project, and is not here")


def contract() -> dict[str, OperationDefinitionNode | FragmentDefinitionNode]:
    """Every operation and fragment of the contract by its name."""
    if not CONTRACT.exists():
        return {}
    found: dict[str, OperationDefinitionNode | FragmentDefinitionNode] = {}
    for node in parse(CONTRACT.read_text()).definitions:
        assert isinstance(node, OperationDefinitionNode | FragmentDefinitionNode)
        assert node.name is not None
        found[node.name.value] = node
    return found


NODES = contract()
OPERATIONS = {name for name, node in NODES.items() if isinstance(node, OperationDefinitionNode)}
READY = sorted(OPERATIONS - NOT_YET)


def document(name: str) -> str:
    """An operation of the contract with the fragments that it spreads, as it is written there."""
    wanted, parts = [name], dict[str, str]()
    while wanted:
        part = wanted.pop()
        if part not in parts:
            place = NODES[part].loc
            assert place is not None
            parts[part] = place.source.body[place.start : place.end]
            wanted += spreads(NODES[part])
    return "\n".join(parts.values())


def spreads(node: OperationDefinitionNode | FragmentDefinitionNode) -> list[str]:
    found: list[str] = []

    class Collector(Visitor):
        def enter_fragment_spread(self, spread: FragmentSpreadNode, *_: object) -> None:
            found.append(spread.name.value)

    visit(node, Collector())
    return found


def test_the_table_names_only_what_the_contract_has_and_the_schema_has_not() -> None:
    assert NOT_YET <= OPERATIONS
    for name in NOT_YET:
        errors = validate(schema._schema, parse(document(name)))
        assert errors, f"{name} is there: take it out of the table"


@pytest.mark.parametrize("name", sorted(NODES.keys() - NOT_YET))
def test_our_files_say_what_the_contract_says(name: str) -> None:
    ours: Path = paths()[name]
    written: DocumentNode = parse(ours.read_text())
    assert [print_ast(node) for node in written.definitions] == [print_ast(NODES[name])]


@pytest.mark.parametrize("name", READY)
def test_an_operation_is_valid(name: str) -> None:
    assert validate(schema._schema, parse(document(name))) == []


SignIn = Callable[[factories.Person | None], Awaitable[Client]]
FIRST = {"first": 10}


class Play:
    """The operations in the order in which a day brings them; each finds what those before it left."""

    def __init__(self, client: Client, admin: Client, people: People) -> None:
        self.client = client
        self.admin = admin
        self.people = people
        self.played: list[str] = []

    async def send(self, name: str, **variables: Any) -> Any:
        """The one root field's answer, free of errors."""
        sender = self.admin if name in ("ProviderCreate", "UserList") else self.client
        body = {"query": document(name), "variables": variables, "operationName": name}
        answer = (await sender._http.post("/graphql", json=body)).json()
        assert "errors" not in answer, answer
        (payload,) = answer["data"].values()
        assert not (isinstance(payload, dict) and payload.get("userErrors")), payload
        self.played.append(name)
        return payload

    async def follow(self, name: str, count: int, **variables: Any) -> list[Any]:
        body = {"query": document(name), "variables": variables, "operationName": name}
        seen: list[Any] = []
        async with self.client._http.stream("POST", "/graphql/stream", json=body) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: {"):
                    seen.append(line)
                if len(seen) == count:
                    break
        assert all('"errors"' not in line for line in seen), seen
        self.played.append(name)
        return seen


async def people_and_patients(play: Play) -> str:
    credentials = {"email": play.people.dietician.email, "password": factories.PASSWORD}
    session = await play.send("SessionCreate", input=credentials)
    assert session["session"]["user"] == await play.send("Viewer")
    assert (await play.send("UserList", **FIRST, search="@", filter={"roles": ["DIETICIAN"]}))["totalCount"] >= 2
    provider = await play.send(
        "ProviderCreate",
        input={"name": "The clinic", "baseUrl": "http://127.0.0.1:9/fhir", "auth": {"kind": "NONE"}},
    )
    provider_id = provider["provider"]["id"]
    listed = await play.send("ProviderList", **FIRST)
    assert provider_id in {edge["node"]["id"] for edge in listed["edges"]}
    wanted = {"name": "Ana Silva", "email": "ana@example.test"}
    wanted |= {"primaryProviderId": provider_id, "providerPatientId": "ana"}
    patient = (await play.send("PatientCreate", input=wanted))["patient"]
    edited = await play.send("PatientUpdate", id=patient["id"], input={"medicalHistory": "Coeliac disease."})
    assert edited["patient"] == patient
    read = await play.send("PatientGet", id=patient["id"])
    assert (read["medicalHistory"], read["primaryProvider"]["name"]) == ("Coeliac disease.", "The clinic")
    found = await play.send("PatientList", **FIRST, search="ana", filter={"providerId": provider_id}, orderBy="NAME")
    assert [edge["node"]["id"] for edge in found["edges"]] == [patient["id"]]
    return patient["id"]


async def documents(play: Play, patient: str) -> None:
    given = {"title": "Plan", "type": "NUTRITION_NOTE", "text": "More lentils."}
    document_id = (await play.send("DocumentUpload", patientId=patient, input=given))["document"]["id"]
    await play.send("DocumentUpdate", id=document_id, input={"text": "More chickpeas."})
    read = await play.send("DocumentGet", id=document_id)
    assert (read["text"], read["source"]["kind"]) == ("More chickpeas.", "USER")
    assert [edge["node"]["number"] for edge in read["versions"]["edges"]] == [2, 1]
    wanted = {
        "patientId": patient,
        "types": ["NUTRITION_NOTE"],
        "sources": ["USER"],
        "authors": [play.people.dietician.name],
        "statuses": ["CURRENT"],
        "from": "2020-01-01T00:00:00Z",
        "to": "2100-01-01T00:00:00Z",
        "newSince": "2020-01-01T00:00:00Z",
        "significantOnly": False,
    }
    found = await play.send("DocumentList", **FIRST, search="chickpea", filter=wanted, orderBy="NEWEST")
    assert [edge["node"]["id"] for edge in found["edges"]] == [document_id]
    assert "<mark>chickpeas</mark>" in found["edges"][0]["highlight"]
    assert await play.send("AnyNode", id=document_id) == {"__typename": "Document", "id": document_id}
    assert (await play.send("DocumentDelete", id=document_id))["deletedId"] == document_id


async def runs(play: Play, patient: str) -> None:
    run = (await play.send("PatientSync", patientId=patient))["syncRun"]
    assert (await play.send("PatientSync", patientId=patient, mode="FULL", idempotencyKey="k"))["syncRun"] == run
    assert (await play.send("SyncCancel", runId=run["id"]))["syncRun"]["status"] == "CANCELLED"
    assert len(await play.follow("SyncProgress", 2, runId=run["id"], after=0)) == 2
    read = await play.send("SyncRunGet", id=run["id"])
    assert (read["status"], read["failures"]["edges"]) == ("CANCELLED", [])
    again = (await play.send("SyncRetry", runId=run["id"]))["syncRun"]
    assert (again["status"], again["mode"]) == ("QUEUED", "INCREMENTAL")
    wanted = {"patientId": patient, "runId": run["id"], "actions": ["manual_sync"], "statuses": ["STARTED", "WARNING"]}
    wanted |= {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}
    listed = await play.send("LogList", **FIRST, search="sync", filter=wanted)
    assert listed["totalCount"] == 2
    entry = await play.send("LogGet", id=listed["edges"][0]["node"]["id"])
    assert entry["action"] == "manual_sync"


async def told(resources: Resources, people: People) -> str:
    async with resources.db.transaction() as session:
        provider = await factories.provider(session, resources.vault, "http://127.0.0.1:9/fhir")
        note = of_connection(provider, "PROVIDER_UNREACHABLE")
        return ids.encode("Notification", await factories.notification(session, people.dietician, note))


async def notifications(play: Play, resources: Resources, people: People) -> None:
    one, two = await told(resources, people), await told(resources, people)
    listed = await play.send("NotificationList", **FIRST, unread=True)
    assert ([edge["node"]["id"] for edge in listed["edges"]], listed["unreadCount"]) == ([two, one], 2)
    assert (listed["totalCount"], listed["edges"][0]["node"]["subject"]["__typename"]) == (2, "Provider")
    read = await play.send("NotificationsRead", ids=[one])
    assert [it["id"] for it in read["notifications"]] == [one]
    assert (await play.send("NotificationList", **FIRST, unread=True))["totalCount"] == 1


async def test_every_operation_works_as_it_is_written(resources: Resources, people: People, sign_in: SignIn) -> None:
    play = Play(await sign_in(people.dietician), await sign_in(people.admin), people)
    patient = await people_and_patients(play)
    await documents(play, patient)
    await runs(play, patient)
    await notifications(play, resources, people)
    assert (await play.send("PatientDelete", id=patient))["deletedId"] == patient
    assert sorted({*play.played, "SyncActivity", "NotificationAdded"}) == READY


async def test_the_activity_is_told_as_it_is_written(resources: Resources, people: People, sign_in: SignIn) -> None:
    play = Play(await sign_in(people.dietician), await sign_in(people.admin), people)
    async with resources.db.transaction() as session:
        provider = await factories.provider(session, resources.vault, "http://127.0.0.1:9/fhir")
        row = await factories.patient(
            session, people.dietician, primary_provider_id=provider.id, provider_patient_id="p"
        )
    following = asyncio.create_task(play.follow("SyncActivity", 1))
    await asyncio.sleep(0.5)
    await play.send("PatientSync", patientId=ids.encode("Patient", row.id))
    assert len(await asyncio.wait_for(following, 20)) == 1


async def test_a_notification_is_told_as_it_is_written(resources: Resources, people: People, sign_in: SignIn) -> None:
    play = Play(await sign_in(people.dietician), await sign_in(people.admin), people)
    following = asyncio.create_task(play.follow("NotificationAdded", 1))
    await asyncio.sleep(0.5)
    await told(resources, people)
    assert len(await asyncio.wait_for(following, 20)) == 1
