"""Opaque ids: a type and a row's id, so that `node` knows where to look."""

import base64
import binascii
from typing import Any
from uuid import UUID

import strawberry

from app.core.errors import Refusal, not_found

Info = strawberry.Info[Any, Any]
WORDS = {"SyncRun": "synchronisation", "Log": "log entry", "PatientConflict": "conflict", "DeadLetter": "dead letter"}
"""What people call a type where that is not its name: a bad id is refused in the words of an unknown one."""


def encode(type_name: str, row_id: UUID) -> strawberry.ID:
    return strawberry.ID(base64.urlsafe_b64encode(f"{type_name}:{row_id.hex}".encode()).decode().rstrip("="))


def split(value: str) -> tuple[str, UUID] | None:
    """The type and the row's id, or None for anything that we never gave out."""
    try:
        plain = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True).decode("ascii")
        type_name, _, row_id = plain.partition(":")
        return (type_name, UUID(hex=row_id)) if len(row_id) == 32 else None
    except (binascii.Error, ValueError):
        return None


def decode(value: str, type_name: str, *field: str) -> UUID:
    """The row's id; an id of another type or none at all names nothing."""
    found = split(value)
    if found is None or found[0] != type_name:
        raise not_found(WORDS.get(type_name, type_name.lower()), *field)
    return found[1]


def decode_or_none(value: str, type_name: str) -> UUID | None:
    try:
        return decode(value, type_name)
    except Refusal:
        return None
