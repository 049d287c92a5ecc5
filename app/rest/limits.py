"""Bodies are bounded before anybody reads them."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.kit.view import refusal

MAX_BODY = 16 * 1024 * 1024


class BodyLimit:
    """Answers 413 to a body over the limit, announced or not."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > MAX_BODY:
            await refusal(413, "The body is too large.")(scope, receive, send)
            return
        taken = 0

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MAX_BODY:
                # To the reader the client has gone: nothing of a body over the limit is used.
                return {"type": "http.disconnect"}
            return message

        await self.app(scope, bounded, send)
