"""Errors as clients see them: refusals and mistakes in the document as they are, defects as an id to ask about."""

from uuid import uuid4

import structlog
from graphql import GraphQLError
from strawberry.exceptions import MissingQueryError
from strawberry.extensions import MaskErrors
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError

from app.core.db import unavailable
from app.core.errors import Refusal

log = structlog.get_logger(__name__)


CLIENTS = (Refusal, GraphQLError, MissingQueryError, CannotGetOperationTypeError, InvalidOperationTypeError)
"""What clients got wrong. Everything else is our defect."""
MAX_MESSAGE = 500


def is_a_defect(error: GraphQLError) -> bool:
    return error.original_error is not None and not isinstance(error.original_error, CLIENTS)


def lacks_a_code(error: GraphQLError) -> bool:
    return is_a_defect(error) or "code" not in (error.extensions or {})


class Masking(MaskErrors):
    """No message, path of a file, SQL or value of a defect ever reaches a client; whatever does has a code."""

    def __init__(self) -> None:
        super().__init__(should_mask_error=lacks_a_code)

    def anonymise_error(self, error: GraphQLError) -> GraphQLError:
        original = error.original_error
        if not is_a_defect(error):
            return _as(error, error.message[:MAX_MESSAGE], {"code": "BAD_REQUEST"})
        if original is not None and (refusal := unavailable(original)):
            return _as(error, refusal.message, refusal.extensions)
        error_id = uuid4().hex
        log.error("graphql.defect", error_id=error_id, path=error.path, exc_info=original)
        return _as(error, "Something went wrong on our side.", {"code": "INTERNAL", "errorId": error_id})


def _as(error: GraphQLError, message: str, extensions: dict[str, object]) -> GraphQLError:
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=extensions,
    )
