"""What a mutation answers: the thing that it changed, or why it did not."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import strawberry
from strawberry.utils.str_converters import to_camel_case

from app.api.kit.enums import described
from app.core.errors import ErrorCode, Refusal

P = ParamSpec("P")
R = TypeVar("R")

described(
    ErrorCode,
    "UserErrorCode",
    "Why a request was refused.",
    UNAUTHENTICATED="The caller is not signed in, or the credentials are wrong.",
    FORBIDDEN="The caller may see this but not do that.",
    NOT_FOUND="There is no such thing, or the caller may not see it: both look the same.",
    INVALID="A value cannot be accepted; `field` says which.",
    TAKEN="Something unique exists already.",
    CONFLICT="The thing is in a state in which this cannot be done.",
    BAD_CURSOR="The cursor is not one of this list in this order.",
    BAD_PAGE_SIZE="A page has 1 to 100 rows.",
    UNAVAILABLE="Something that is needed cannot be reached at the moment; the same request may succeed later.",
)


@strawberry.type(description="An expected refusal, worded for a person. Nothing was changed.")
class UserError:
    code: ErrorCode = strawberry.field(description="The reason, for programs.")
    field: list[str] | None = strawberry.field(
        description="The path of the input field that it is about, if there is one."
    )
    message: str = strawberry.field(description="The reason, for people.")


USER_ERRORS = "Why nothing was changed; empty on success."


def refusable(payload: Callable[..., R]) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Awaitable[R]]]:
    """Turns a refusal in a mutation into the payload's `userErrors`."""

    def decorate(resolver: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
        @wraps(resolver)
        async def answer(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return await resolver(*args, **kwargs)
            except Refusal as refusal:
                return payload(user_errors=[shown(refusal)])

        return answer

    return decorate


def shown(refusal: Refusal) -> UserError:
    path = [to_camel_case(part) for part in refusal.field]
    return UserError(code=refusal.code, field=path or None, message=refusal.message)


def errors() -> Any:
    return strawberry.field(default_factory=list[UserError], description=USER_ERRORS)
