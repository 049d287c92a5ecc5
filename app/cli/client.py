"""A client of the API as any other: the operations in `graphql/`, JSON over HTTP, streams over Server-Sent Events."""

import json
from collections.abc import AsyncGenerator
from typing import Any, Self

import httpx

from app.operations import operation


class ApiError(Exception):
    """What the server refused, in its words, with its code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Client:
    def __init__(self, url: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=httpx.Timeout(30, read=60), trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def sign_in(self, email: str, password: str) -> None:
        data = await self.ask("SessionCreate", input={"email": email, "password": password})
        token = _unrefused(data["sessionCreate"])["session"]["accessToken"]
        self._http.headers["Authorization"] = f"Bearer {token}"

    async def ask(self, name: str, **variables: Any) -> dict[str, Any]:
        """Sends an operation of `graphql/`; raises ApiError where it was refused."""
        body = {"query": operation(name), "variables": variables, "operationName": name}
        answer = await self._http.post("/graphql", json=body)
        return _data(answer.json())

    async def change(self, name: str, field: str, **variables: Any) -> dict[str, Any]:
        """A mutation's payload; raises ApiError for `userErrors`."""
        return _unrefused((await self.ask(name, **variables))[field])

    async def follow(self, name: str, **variables: Any) -> AsyncGenerator[dict[str, Any], None]:
        """The events of a subscription, until it ends or the connection is lost (httpx.TransportError)."""
        body = {"query": operation(name), "variables": variables, "operationName": name}
        async with self._http.stream(
            "POST", "/graphql/stream", json=body, headers={"Accept": "text/event-stream"}
        ) as answer:
            if answer.is_error:
                raise ApiError(f"HTTP_{answer.status_code}", (await answer.aread()).decode(errors="replace")[:200])
            kind = ""
            async for line in answer.aiter_lines():
                if line.startswith("event:"):
                    kind = line.removeprefix("event:").strip()
                elif line.startswith("data:") and kind == "next":
                    yield _data(json.loads(line.removeprefix("data:")))
                elif line.startswith("data:") and kind == "complete":
                    return
        raise httpx.RemoteProtocolError("the stream broke off")


def _data(answer: dict[str, Any]) -> dict[str, Any]:
    if errors := answer.get("errors"):
        raise ApiError(errors[0].get("extensions", {}).get("code", "REFUSED"), errors[0]["message"])
    return answer["data"]


def _unrefused(payload: dict[str, Any]) -> dict[str, Any]:
    if errors := payload["userErrors"]:
        raise ApiError(errors[0]["code"], errors[0]["message"])
    return payload
