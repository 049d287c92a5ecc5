"""GraphQL over HTTP, WebSocket and Server-Sent Events."""

from datetime import timedelta
from json import JSONDecodeError
from typing import Any

from cross_web import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http import GraphQLHTTPResponse
from strawberry.schema import BaseSchema
from strawberry.subscriptions import GRAPHQL_SSE_PROTOCOL, GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types.unset import UNSET, UnsetType

from app.api.kit.context import Context
from app.api.kit.socket import Socket
from app.api.kit.strings import UNSTORABLE, storable

CODES = {400: "BAD_REQUEST", 404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 413: "TOO_LARGE"}


class GraphQLView(GraphQL[Context, None]):
    """Queries, mutations and sockets; or streams, at an address of their own: clients that list `text/event-stream` in
    every Accept header would else get one for each query."""

    stream_only = False
    graphql_transport_ws_handler_class = Socket

    def __init__(self, schema: BaseSchema, *, development: bool, stream: bool = False) -> None:
        super().__init__(
            schema,
            graphql_ide="graphiql" if development and not stream else None,
            allow_queries_via_get=True,
            subscription_protocols=(GRAPHQL_SSE_PROTOCOL,) if stream else (GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=timedelta(seconds=5),
        )
        self.stream_only = stream

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:  # noqa: ARG002
        return Context(request.app.state.resources, HTTPConnection(request.scope))

    async def on_ws_connect(self, context: Context) -> UnsetType | dict[str, object] | None:
        """A token that is given must be good; without one, only what is open to anyone can be asked."""
        if context.connection_params.get("Authorization") and await context.authenticate() is None:
            raise ConnectionRejectionError
        return UNSET

    async def run(self, request: Request | WebSocket, *args: Any, **kwargs: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        if self.stream_only:
            others = [it for it in request.scope["headers"] if it[0] != b"accept"]
            request.scope["headers"] = [*others, (b"accept", b"text/event-stream")]
        try:
            return await super().run(request, *args, **kwargs)
        except HTTPException as refused:
            return refusal(refused.status_code, refused.reason)

    def decode_json(self, data: str | bytes) -> object:
        try:
            return super().decode_json(data)
        except (UnicodeDecodeError, RecursionError):
            raise JSONDecodeError("neither UTF-8 nor of any reasonable depth", "", 0) from None

    def parse_json(self, data: str | bytes) -> Any:
        parsed = super().parse_json(data)
        if not isinstance(parsed, dict):
            raise HTTPException(400, "The body must be a JSON object.")
        if not storable(parsed):  # pyright: ignore[reportUnknownArgumentType]
            raise HTTPException(400, UNSTORABLE)
        return parsed  # pyright: ignore[reportUnknownVariableType]

    def create_response(
        self, response_data: GraphQLHTTPResponse | list[GraphQLHTTPResponse], sub_response: Response
    ) -> Response:
        response = super().create_response(response_data, sub_response)
        response.headers["cache-control"] = "no-store"
        return response


def refusal(status: int, message: str) -> JSONResponse:
    """A refusal before GraphQL has begun, in GraphQL's form."""
    code = CODES.get(status, "BAD_REQUEST")
    return JSONResponse({"errors": [{"message": message, "extensions": {"code": code}}]}, status_code=status)
