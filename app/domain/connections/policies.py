"""Connections are the installation's: administrators make them, whoever works with patients may name them."""

from sqlalchemy import ColumnElement, false, true

from app.domain.identity.models import Role
from app.domain.identity.policies import Actor, may_administer

__all__ = ["may_administer", "may_inspect", "readable"]


def readable(actor: Actor) -> ColumnElement[bool]:
    return true() if actor.role in (Role.ADMIN, Role.DIETICIAN) else false()


def may_inspect(actor: Actor) -> bool:
    """Whether somebody who meets a connection, as their provider, may see more of it than its name."""
    return actor.role in (Role.ADMIN, Role.DIETICIAN)
