"""The faults of one server: what is switched on, the layer that does it, and the control endpoint.

`POST /control/faults` takes a list of rules and adds them to what is on (201), `GET /control/faults` answers `{"faults":
[{..., "id", "matched", "struck"}]}`, `DELETE /control/faults` switches all off, with `?id=` only those (204).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.ehr.store import Store
from sandbox.faults.call import Asked, Call, Strike, read
from sandbox.faults.rules import Rule, WrongRules, parse
from sandbox.faults.table import FAULTS
from sandbox.http import TooLarge, capped

LARGEST_RULES = 1024 * 1024


class Faults:
    """What is switched on at a server (`ehr` or `platform`). The first rule is the outermost."""

    def __init__(self, server: str, store: Store | None = None) -> None:
        self.server = server
        self.store = store
        self.rules: list[Rule] = []
        self._last_id = 0

    def switch_on(self, given: Any) -> list[Rule]:
        """Raises:
        WrongRules: nothing is switched on then.
        """
        made = parse(given, FAULTS, self.server, self._last_id + 1)
        self._last_id += len(made)
        self.rules += made
        return made

    def switch_off(self, ids: Sequence[int] | None = None) -> None:
        for rule in self.rules:
            if ids is None or rule.id in ids:
                rule.off.set()
        self.rules = [rule for rule in self.rules if not rule.off.is_set()]

    def striking(self, asked: Asked) -> list[tuple[Rule, Strike]]:
        return [(rule, rule.fault.strike) for rule in self.rules if rule.fault.strike and rule.strikes(asked)]

    def deliveries(self, url: str) -> list[float]:
        """After how many seconds each copy of a webhook to this address goes out: `[0.0]` where nothing is on."""
        parts = urlsplit(url)
        asked = Asked("POST", parts.path, parts.query)
        copies, wait = 1, 0.0
        for rule in self.rules:
            if rule.fault.strike is None and rule.strikes(asked):
                copies = max(copies, rule.options.get("copies", 1))
                wait += rule.options.get("seconds", 0.0)
        return [wait] * copies


class Faulty:
    """Does what is switched on to the requests before the application."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self.app = app
        self.faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        if scope["type"] != "http" or path.startswith("/control") or not self.faults.rules:
            await self.app(scope, receive, send)
            return
        asked = Asked(scope["method"], path, scope["query_string"].decode("latin-1"))
        app = self.app
        for rule, strike in reversed(self.faults.striking(asked)):
            app = Struck(app, rule, strike, asked, self.faults)
        await app(scope, receive, send)


@dataclass(frozen=True, slots=True)
class Struck:
    app: ASGIApp
    rule: Rule
    strike: Strike
    asked: Asked
    faults: Faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        rule = self.rule
        body = await read(receive)
        spare = partial(rule.spare, self.asked)
        await self.strike(
            Call(
                self.app,
                scope,
                receive,
                send,
                self.asked,
                body,
                rule.options,
                rule.off,
                rule.on_since,
                spare,
                self.faults.server,
                self.faults.store,
            )
        )


def fault_routes(faults: Faults) -> list[BaseRoute]:
    async def switch_on(request: Request) -> Response:
        try:
            given: Any = json.loads(await capped(request, LARGEST_RULES).body())
            made = faults.switch_on(given)
        except TooLarge:
            return _wrong([{"rule": 0, "field": "", "message": "the body is longer than 1 MB"}])
        except (ValueError, RecursionError) as error:
            return _wrong([{"rule": 0, "field": "", "message": f"the body is not JSON: {error}"}])
        except WrongRules as wrong:
            return _wrong(wrong.errors)
        return JSONResponse({"faults": [rule.as_json() for rule in made]}, 201)

    async def show(_: Request) -> Response:
        return JSONResponse({"faults": [rule.as_json() for rule in faults.rules]})

    async def switch_off(request: Request) -> Response:
        ids = request.query_params.getlist("id")
        if not all(it.isascii() and it.isdigit() and len(it) < 10 for it in ids):
            return _wrong([{"rule": 0, "field": "id", "message": "must be the number of a rule"}])
        faults.switch_off([int(it) for it in ids] if ids else None)
        return Response(status_code=204)

    return [
        Route("/control/faults", switch_on, methods=["POST"]),
        Route("/control/faults", show, methods=["GET"]),
        Route("/control/faults", switch_off, methods=["DELETE"]),
    ]


def _wrong(errors: list[dict[str, Any]]) -> Response:
    return JSONResponse({"message": "These rules cannot be switched on", "errors": errors}, 422)
