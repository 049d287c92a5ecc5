"""How these tests ask: by the operations of `graphql/`, and by anything at all."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from app.cli.client import ApiError, Client
from app.operations import operation
from tests.factories import Person

SignIn = Callable[[Person | None], Awaitable[Client]]
GARBAGE = ("", "x", "%%%", "ünïcode", "VXNlcg", "UGF0aWVudDo", "A" * 5000)
"""Ids that nobody ever gave out."""


async def send(client: Client, query: str, variables: Any = None, **more: Any) -> httpx.Response:
    return await post(client, {"query": query, "variables": variables, **more})


async def post(client: Client, body: Any, path: str = "/graphql", **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await client._http.post(path, content=content, headers={"content-type": "application/json", **headers})


async def refusal(client: Client, name: str, **variables: Any) -> tuple[str, list[str] | None]:
    """The code and the field of what was refused, as a `userError` or as an error of the whole request."""
    answer = (await send(client, operation(name), variables, operationName=name)).json()
    if answer.get("errors"):
        first = answer["errors"][0]
        assert first["message"], answer
        return first["extensions"]["code"], first["extensions"].get("field")
    errors = next(iter(answer["data"].values()))["userErrors"]
    assert errors, answer
    assert errors[0]["message"], answer
    return errors[0]["code"], errors[0]["field"]


async def code(client: Client, name: str, **variables: Any) -> str:
    return (await refusal(client, name, **variables))[0]


async def outcome(client: Client, name: str, **variables: Any) -> Any:
    """What the one root field answers, or the code of its refusal."""
    try:
        return next(iter((await client.ask(name, **variables)).values()))
    except ApiError as refused:
        return refused.code


def nodes(connection: dict[str, Any]) -> list[dict[str, Any]]:
    return [edge["node"] for edge in connection["edges"]]


async def pages(client: Client, name: str, field: str, first: int, **variables: Any) -> list[dict[str, Any]]:
    """Every node of a list, a page after the other."""
    found: list[dict[str, Any]] = []
    after = None
    while True:
        listed = (await client.ask(name, first=first, after=after, **variables))[field]
        found += nodes(listed)
        assert len(listed["edges"]) <= first
        if not listed["pageInfo"]["hasNextPage"]:
            return found
        after = listed["pageInfo"]["endCursor"]


async def upload(client: Client, patient: str, **given: Any) -> str:
    """A document of the caller's; its id."""
    wanted = {"title": "A note", "type": "NUTRITION_NOTE", "text": "Eats well."} | given
    if "data" in wanted:
        wanted.pop("text", None)
    payload = await client.change("DocumentUpload", "documentUpload", patientId=patient, input=wanted)
    return payload["document"]["id"]


async def create_patient(client: Client, name: str, **given: Any) -> str:
    payload = await client.change("PatientCreate", "patientCreate", input={"name": name, **given})
    return payload["patient"]["id"]
