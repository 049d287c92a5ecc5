"""The refusals that a caller is meant to see. Anything else is a defect and is masked at the edge."""

from enum import StrEnum


class ErrorCode(StrEnum):
    """Why a request was refused."""

    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    INVALID = "INVALID"
    TAKEN = "TAKEN"
    CONFLICT = "CONFLICT"
    BAD_CURSOR = "BAD_CURSOR"
    BAD_PAGE_SIZE = "BAD_PAGE_SIZE"
    UNAVAILABLE = "UNAVAILABLE"


class Refusal(Exception):
    """A refusal with a code, a sentence for a person, and the path of the input field that it is about."""

    def __init__(self, code: ErrorCode, message: str, field: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field

    @property
    def extensions(self) -> dict[str, object]:
        """What a client's program reads where the refusal is an error of a whole request."""
        return {"code": str(self.code), **({"field": list(self.field)} if self.field else {})}


def not_found(what: str, *field: str) -> Refusal:
    """What a caller may not see does not exist for it: the same words for both."""
    return Refusal(ErrorCode.NOT_FOUND, f"There is no such {what}.", field)


def invalid(message: str, *field: str) -> Refusal:
    return Refusal(ErrorCode.INVALID, message, field)
