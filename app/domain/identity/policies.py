"""Who may see and do what with accounts."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, true

from app.core.errors import ErrorCode, Refusal
from app.domain.identity.models import Role, User


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever asks: every query and command takes one."""

    id: UUID
    role: Role
    session_id: UUID


def readable(actor: Actor) -> ColumnElement[bool]:
    """Administrators see all accounts, everybody else their own."""
    return true() if actor.role is Role.ADMIN else User.id == actor.id


def may_administer(actor: Actor) -> Refusal | None:
    if actor.role is Role.ADMIN:
        return None
    return Refusal(ErrorCode.FORBIDDEN, "Only an administrator may do this.")
