"""The platform's webhooks, signed in both styles, and what tests and developers ask of them.

`POST /control/webhooks {"url", "secret", "style"}` does what an administrator of the platform would do by hand, `GET
/control/webhooks` shows webhooks and deliveries, `POST /control/webhooks/again` sends everything once more, with the same
ids. `DELETE /control/attachments/{id}` is somebody who removes a document there by hand.

A webhook that has failed `MOST_FAILURES` times in a row is disabled: three days of the real platform's.
"""

import asyncio
import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.faults.layer import Faults
from sandbox.http import capped
from sandbox.platform.store import Store

MOST_FAILURES = 5
SECONDS = 5.0
LOOK_AGAIN = 0.02
PATIENCE = 600
STYLES = ("timestamped", "healthie")


class Hooks:
    """Tells every enabled webhook what happens to attachments, without anybody waiting for it."""

    def __init__(self, store: Store, faults: Faults) -> None:
        self.store = store
        self._faults = faults
        self._tasks: set[asyncio.Task[None]] = set()

    def tell(self, kind: str, attachment: dict[str, Any]) -> None:
        """`kind` is created, processed or deleted."""
        for webhook in self.store.webhooks():
            if webhook["is_enabled"] and (webhook["style"] != "healthie" or kind != "processed"):
                made = self.store.note_delivery(webhook["id"], kind, attachment["id"], attachment["patient_id"])
                self._start(webhook, {**attachment, "delivery": made, "kind": kind})

    def follow(self, attachment: dict[str, Any]) -> None:
        """Tells of a new attachment, and again once it has been processed."""
        self.tell("created", attachment)
        if any(it["is_enabled"] and it["style"] == STYLES[0] for it in self.store.webhooks()):
            self._keep(asyncio.create_task(self._processed(attachment["id"])))

    def again(self) -> int:
        webhooks = {it["id"]: it for it in self.store.webhooks() if it["is_enabled"]}
        found = [it for it in self.store.deliveries() if it["webhook_id"] in webhooks]
        for it in found:
            told = {"id": it["attachment_id"], "patient_id": it["patient_id"], "delivery": it["id"], "kind": it["kind"]}
            self._start(webhooks[it["webhook_id"]], told)
        return len(found)

    def _start(self, webhook: dict[str, Any], told: dict[str, Any]) -> None:
        for wait in self._faults.deliveries(webhook["url"]):
            self._keep(asyncio.create_task(self._deliver(webhook, told, wait)))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, webhook: dict[str, Any], told: dict[str, Any], wait: float) -> None:
        await asyncio.sleep(wait)
        headers, body = message(webhook, told)
        try:
            async with httpx.AsyncClient(timeout=SECONDS, trust_env=False) as client:
                status = (await client.post(webhook["url"], content=body, headers=headers)).status_code
        except httpx.HTTPError:
            status = 0
        self.store.note_answer(told["delivery"], webhook["id"], status, MOST_FAILURES)

    async def _processed(self, attachment_id: str) -> None:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            await asyncio.sleep(LOOK_AGAIN)
            found = self.store.attachment(int(attachment_id))
            if found is None:
                return
            if found["processing_completed"]:
                self.tell("processed", found)
                return


def message(webhook: dict[str, Any], told: dict[str, Any]) -> tuple[dict[str, str], bytes]:
    """Headers and body of one delivery."""
    if webhook["style"] == "healthie":
        return _healthie(webhook, told)
    content = {
        "id": f"evt_{told['delivery']}",
        "type": f"patient_attachment.{told['kind']}",
        "patient_id": told["patient_id"],
        "patient_attachment_id": told["id"],
    }
    body, stamp = json.dumps(content).encode(), str(int(time.time()))
    signature = _hmac(webhook["secret"], stamp.encode() + b"." + body)
    return {
        "Content-Type": "application/json",
        "X-Webhook-Timestamp": stamp,
        "X-Webhook-Signature": f"sha256={signature}",
    }, body


def _healthie(webhook: dict[str, Any], told: dict[str, Any]) -> tuple[dict[str, str], bytes]:
    """As Healthie's guide describes: method, path, query, digest, media type and length, with spaces between."""
    content: dict[str, Any] = {
        "resource_id": told["id"],
        "resource_id_type": "Document",
        "event_type": f"document.{told['kind']}",
        "changed_fields": [],
    }
    body, where = json.dumps(content, separators=(",", ":")).encode(), urlsplit(str(webhook["url"]))
    digest = hashlib.sha256(body).hexdigest()
    signed = f"post {where.path} {where.query} {digest} application/json {len(body)}"
    fields = '("@method" "@path" "@query" "content-digest" "content-type" "content-length")'
    return {
        "Content-Type": "application/json",
        "Content-Digest": f"SHA-256={digest}",
        "Signature-Input": f"sig1={fields}",
        "Signature": f"sig1={_hmac(webhook['secret'], signed.encode())}",
    }, body


def _hmac(secret: str, text: bytes) -> str:
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


def hook_routes(hooks: Hooks) -> list[BaseRoute]:
    async def register(request: Request) -> Response:
        try:
            given: Any = json.loads(await capped(request, 64 * 1024).body())
            style, url, secret = str(given.get("style", STYLES[0])), str(given["url"]), str(given["secret"])
        except (ValueError, KeyError, AttributeError):
            return JSONResponse({"message": "A webhook needs url and secret"}, 422)
        if style not in STYLES:
            return JSONResponse({"message": f"The style must be one of {', '.join(STYLES)}"}, 422)
        return JSONResponse({"id": hooks.store.add_webhook(style, url, secret)}, 201)

    async def show(_: Request) -> Response:
        webhooks = [{k: v for k, v in it.items() if k != "secret"} for it in hooks.store.webhooks()]
        return JSONResponse({"webhooks": webhooks, "deliveries": hooks.store.deliveries()})

    async def again(_: Request) -> Response:
        return JSONResponse({"sent": hooks.again()})

    async def remove(request: Request) -> Response:
        found = hooks.store.delete_attachment(request.path_params["number"])
        if not found:
            return JSONResponse({"message": "There is no such attachment"}, 404)
        hooks.tell("deleted", found)
        return Response(status_code=204)

    return [
        Route("/control/webhooks", register, methods=["POST"]),
        Route("/control/webhooks", show, methods=["GET"]),
        Route("/control/webhooks/again", again, methods=["POST"]),
        Route("/control/attachments/{number:int}", remove, methods=["DELETE"]),
    ]
