"""What the contract demands of bodies and page numbers."""

from collections.abc import Mapping
from datetime import date
from typing import Any
from urllib.parse import urlsplit

LONGEST_DESCRIPTION = 255


class Problem(Exception):
    """An answer of the contract's shape `Error`; `errors` has a sentence for each field that is wrong."""

    def __init__(self, status: int, message: str, errors: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = errors or {}


def patient_fields(body: dict[str, Any]) -> dict[str, str]:
    """Raises:
    Problem: 422.
    """
    errors = _shape(body, required=("first_name", "last_name"), optional=("date_of_birth", "external_identifier"))
    for name in ("first_name", "last_name"):
        if body.get(name) == "":
            errors[name] = "is empty"
    if isinstance(born := body.get("date_of_birth"), str) and not _is_date(born):
        errors["date_of_birth"] = "is not a date"
    if errors:
        raise Problem(422, "The patient is not valid", errors)
    return body


def attachment_fields(body: dict[str, Any]) -> dict[str, str]:
    """Raises:
    Problem: 422.
    """
    errors = _shape(body, required=("patient_id", "upload_url"), optional=("description", "external_id"))
    if isinstance(text := body.get("description"), str) and len(text) > LONGEST_DESCRIPTION:
        errors["description"] = "is too long"
    if isinstance(url := body.get("upload_url"), str) and not _is_url(url):
        errors["upload_url"] = "is not a URL"
    if errors:
        raise Problem(422, "The attachment is not valid", errors)
    return body


def page_number(query: Mapping[str, str], name: str, default: int, maximum: int = 1_000_000) -> int:
    """Raises:
    Problem: 422.
    """
    text = query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= maximum:
        raise Problem(422, f"The parameter {name} is not valid", {name: f"must be a whole number from 1 to {maximum}"})
    return int(text)


def _shape(body: dict[str, Any], required: tuple[str, ...], optional: tuple[str, ...]) -> dict[str, str]:
    errors = {name: "is not allowed" for name in body if name not in required + optional}
    errors |= {name: "is required" for name in required if name not in body}
    errors |= {
        name: "must be a string" for name in required + optional if name in body and not isinstance(body[name], str)
    }
    return errors


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme and parts.netloc)
