"""Who may ask for a root field at all. What they then see is decided row by row, by the policies."""

from typing import Any

from strawberry.permission import BasePermission

from app.api.kit.context import Context
from app.core.errors import ErrorCode, Refusal


class Anyone(BasePermission):
    """Open to callers who have not signed in."""

    def has_permission(self, source: Any, info: Any, **kwargs: Any) -> bool:
        return True


class SignedIn(BasePermission):
    """Needs a session."""

    async def has_permission(self, source: Any, info: Any, **kwargs: Any) -> bool:
        context: Context = info.context
        return await context.authenticate() is not None

    def on_unauthorized(self) -> None:
        raise Refusal(ErrorCode.UNAUTHENTICATED, "Please sign in.")
