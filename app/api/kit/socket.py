"""graphql-transport-ws: a client's mistake in one operation ends that operation, a frame that is none ends that socket, and
neither ends anything else."""

from typing import Any

from graphql import GraphQLError
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler
from strawberry.subscriptions.protocols.graphql_transport_ws.types import SubscribeMessage

from app.api.kit.context import Context
from app.api.kit.strings import UNSTORABLE, storable

WITH_ID = ("subscribe", "complete")


class Socket(BaseGraphQLTransportWSHandler[Context, None]):
    async def handle_message(self, message: Any) -> None:
        if is_message(message):
            await super().handle_message(message)
        else:
            await self.handle_invalid_message("This is no message of graphql-transport-ws.")

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        if self.connection_acknowledged and not storable(message["payload"]):
            refused = GraphQLError(UNSTORABLE, extensions={"code": "BAD_REQUEST"})
            await self.send_message({"type": "error", "id": message["id"], "payload": [refused.formatted]})
        else:
            await super().handle_subscribe(message)

    @staticmethod
    def _get_pre_execution_close_reason(error: GraphQLError) -> str | None:
        """No reason to close: whoever sent the document is told by an `error` of its operation."""
        del error
        return None


def is_message(frame: Any) -> bool:
    """Whether a frame has the shape that its type demands. Unknown types are refused further on."""
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):  # pyright: ignore[reportUnknownMemberType]
        return False
    message: dict[str, Any] = frame  # pyright: ignore[reportUnknownVariableType]
    if message["type"] in WITH_ID and not (
        isinstance(message.get("id"), str) and message["id"] and storable(message["id"])
    ):
        return False
    return message["type"] != "subscribe" or _is_request(message.get("payload"))


def _is_request(payload: Any) -> bool:
    if not isinstance(payload, dict):
        return False
    request: dict[str, Any] = payload  # pyright: ignore[reportUnknownVariableType]
    return (
        isinstance(request.get("query"), str)
        and isinstance(request.get("variables"), dict | None)
        and isinstance(request.get("operationName"), str | None)
    )
