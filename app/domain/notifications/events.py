"""The stream of what a person is told."""

from enum import StrEnum
from uuid import UUID


class NotificationEventKind(StrEnum):
    """What happened to a notification."""

    ADDED = "ADDED"


def notification_stream(user_id: UUID) -> str:
    return f"notifications/{user_id}"
