"""Bodies are bounded before anybody reads them."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.kit.view import refusal

MAX_BODY = 16 * 1024 * 1024


class _TooLarge(Exception):
    """A body that has gone over the limit while it was read."""


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
        taken, answered = 0, False

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MAX_BODY:
                raise _TooLarge
            return message

        async def watched(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            await self.app(scope, bounded, watched)
        except _TooLarge:
            if not answered:
                await refusal(413, "The body is too large.")(scope, receive, send)
