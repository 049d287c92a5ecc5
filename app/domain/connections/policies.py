"""Connections are the installation's: administrators make them, whoever works with patients may name them."""

from sqlalchemy import ColumnElement, false, true

from app.domain.identity.models import Role
from app.domain.identity.policies import Actor, may_administer

__all__ = ["may_administer", "readable"]


def readable(actor: Actor) -> ColumnElement[bool]:
    return true() if actor.role in (Role.ADMIN, Role.DIETICIAN) else false()
