"""The platform's second language, and the messages that it sends."""

import base64
import hashlib
import hmac
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.platform.hooks import MOST_FAILURES
from sandbox.platform.store import Store
from sandbox.serve import serving
from tests.platforms import until

from .test_platform import attach

KEY = {"Authorization": "Basic key", "AuthorizationSource": "API"}
CREATE = "mutation($input: createDocumentInput) { createDocument(input: $input) { document { id } messages { field message } } }"


class Listener:
    """Somebody who is told: remembers, and answers as it was asked to."""

    def __init__(self) -> None:
        self.status = 200
        self.heard: list[tuple[dict[str, str], bytes]] = []

    async def hear(self, request: Request) -> Response:
        self.heard.append((dict(request.headers), await request.body()))
        return Response(status_code=self.status)


@pytest.fixture
async def listener() -> AsyncGenerator[tuple[Listener, str]]:
    found = Listener()
    async with serving(Starlette(routes=[Route("/hook", found.hear, methods=["POST"])])) as url:
        yield found, f"{url}/hook"


async def ask(platform: httpx.AsyncClient, query: str, **variables: Any) -> dict[str, Any]:
    answer = await platform.post(
        "/graphql", json={"query": query, "variables": variables}, headers=KEY, auth=httpx.Auth()
    )
    return answer.json()


async def client_of(platform: httpx.AsyncClient) -> str:
    given = {"first_name": "Alva", "last_name": "Dickinson", "skipped_email": True, "record_identifier": "r"}
    query = "mutation($input: createClientInput) { createClient(input: $input) { user { id } messages { field } } }"
    return (await ask(platform, query, input=given))["data"]["createClient"]["user"]["id"]


def file(text: str = "Eats well.") -> str:
    return f"data:text/plain;base64,{base64.b64encode(text.encode()).decode()}"


async def test_both_languages_speak_of_the_same_patients_and_attachments(
    platform: httpx.AsyncClient, platform_store: Store
) -> None:
    patient = await client_of(platform)
    made = await ask(platform, CREATE, input={"file_string": file(), "rel_user_id": patient, "display_name": "a.txt"})
    attachment = made["data"]["createDocument"]["document"]["id"]
    shown = (await platform.get(f"/patient_attachments/{attachment}")).json()
    assert (shown["patient_id"], shown["filename"], shown["size"]) == (patient, "a.txt", 10)
    assert (await platform.get("/patients?q=r")).json()["patients"][0]["id"] == patient
    await platform.delete(f"/patient_attachments/{attachment}")
    gone = await ask(platform, "query($id: ID) { document(id: $id) { id } }", id=attachment)
    assert gone["data"] == {"document": None}


async def test_what_is_not_valid_comes_back_with_200_and_without_errors(platform: httpx.AsyncClient) -> None:
    given = {"file_string": "no data url", "rel_user_id": "999", "metadata": "x" * 128_001}
    answer = await ask(platform, CREATE, input=given)
    assert "errors" not in answer
    payload = answer["data"]["createDocument"]
    assert (payload["document"], [it["field"] for it in payload["messages"]]) == (
        None,
        ["file", "rel_user_id", "metadata"],
    )


@pytest.mark.parametrize(
    "headers",
    [
        {"AuthorizationSource": "API"},
        {"Authorization": "Basic key"},
        {"Authorization": "Basic a2V5OnNlY3JldA==", "AuthorizationSource": "API"},
        {"Authorization": "Bearer key", "AuthorizationSource": "API"},
    ],
    ids=range(4),
)
async def test_the_key_is_wanted_as_it_is(platform: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await platform.post("/graphql", json={"query": "{ __typename }"}, headers=headers, auth=httpx.Auth())
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (401, "UNAUTHENTICATED")


async def test_a_version_that_nobody_knows_is_refused(platform: httpx.AsyncClient) -> None:
    headers = KEY | {"Healthie-GraphQL-API-Version": "2025-06-15"}
    answer = await platform.post("/graphql", json={"query": "{ __typename }"}, headers=headers, auth=httpx.Auth())
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNSUPPORTED_API_VERSION"


async def test_a_listener_is_told_with_a_signature_in_either_style(
    platform: httpx.AsyncClient, platform_store: Store, listener: tuple[Listener, str]
) -> None:
    told, url = listener
    patient = await client_of(platform)
    platform_store.add_webhook("healthie", url, "s3cret")
    added = await platform.post("/control/webhooks", json={"url": url, "secret": "s3cret"})
    assert added.status_code == 201

    await ask(platform, CREATE, input={"file_string": file(), "rel_user_id": patient})

    await until(lambda: len(told.heard) == 2)
    thin = next(it for it in told.heard if "signature-input" in it[0])
    stamped = next(it for it in told.heard if "x-webhook-timestamp" in it[0])
    headers, body = thin
    digest = hashlib.sha256(body).hexdigest()
    signed = f"post /hook  {digest} application/json {len(body)}"
    assert headers["content-digest"] == f"SHA-256={digest}"
    assert headers["signature"] == f"sig1={hmac.new(b's3cret', signed.encode(), hashlib.sha256).hexdigest()}"
    headers, body = stamped
    wanted = hmac.new(b"s3cret", headers["x-webhook-timestamp"].encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers["x-webhook-signature"] == f"sha256={wanted}"


async def test_a_listener_that_fails_too_often_is_told_nothing_any_more(
    platform: httpx.AsyncClient, platform_store: Store, listener: tuple[Listener, str]
) -> None:
    told, url = listener
    told.status = 500
    patient = await client_of(platform)
    platform_store.add_webhook("healthie", url, "s3cret")
    for _ in range(MOST_FAILURES + 2):
        before = len(platform_store.deliveries())
        await ask(platform, CREATE, input={"file_string": file(), "rel_user_id": patient})
        await until(lambda: all(it["status"] is not None for it in platform_store.deliveries()))
        assert len(platform_store.deliveries()) - before <= 1

    assert len(told.heard) == MOST_FAILURES
    (webhook,) = (await platform.get("/control/webhooks")).json()["webhooks"]
    assert (webhook["is_enabled"], "secret" in webhook) == (False, False)


async def test_a_message_can_be_sent_again(
    platform: httpx.AsyncClient, platform_store: Store, listener: tuple[Listener, str]
) -> None:
    told, url = listener
    patient = await client_of(platform)
    platform_store.add_webhook("timestamped", url, "s3cret")
    await ask(platform, CREATE, input={"file_string": file(), "rel_user_id": patient})
    await until(lambda: len(told.heard) == 1)
    assert (await platform.post("/control/webhooks/again")).json() == {"sent": 1}
    await until(lambda: len(told.heard) == 2)
    assert told.heard[0][1] == told.heard[1][1]


async def test_a_full_store_says_so_in_both_languages(platform: httpx.AsyncClient, platform_store: Store) -> None:
    patient = await client_of(platform)
    platform_store.set_quota(0)
    answer = await ask(platform, CREATE, input={"file_string": file(), "rel_user_id": patient})
    assert answer["errors"][0]["extensions"]["code"] == "QUOTA_EXCEEDED"
    assert platform_store.stored(None) == []
    assert (await attach(platform, patient)).status_code == 507
    assert platform_store.stored(None) == []
