"""Exports are the administrators': who asks for one sees how many patients a provider knows."""

from sqlalchemy import ColumnElement, false, true

from app.domain.identity.policies import Actor, may_administer

__all__ = ["may_administer", "readable"]


def readable(actor: Actor) -> ColumnElement[bool]:
    return false() if may_administer(actor) else true()
