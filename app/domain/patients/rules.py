"""What makes a patient's record sound. No I/O."""

import re
import unicodedata
from datetime import date

from app.connectors.provider.port import PatientField
from app.core.errors import Refusal, invalid
from app.domain.patients.models import Patient

EMAIL = re.compile(r"^[^@\s]+@[^@\s]+\.[^@\s]+$")
MAX_NAME = 200
MAX_TEXT = 20_000
MAX_ITEMS = 100


def checked_name(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME:
        raise invalid(f"A name has between 1 and {MAX_NAME} characters.", "name")
    return name


def checked_email(email: str | None) -> str | None:
    if email is None or not email.strip():
        return None
    email = email.strip().lower()
    if len(email) > 254 or not EMAIL.match(email):
        raise invalid("This is not an e-mail address.", "email")
    return email


def checked_text(text: str | None, field: str) -> str | None:
    if text is not None and len(text) > MAX_TEXT:
        raise invalid(f"This text is longer than {MAX_TEXT} characters.", field)
    return text


def checked_birth_date(born: date | None, today: date) -> date | None:
    if born is not None and not date(1880, 1, 1) <= born <= today:
        raise invalid("A birth date lies between 1880 and today.", "birthDate")
    return born


def checked_items(items: list[str] | None, field: str) -> list[str]:
    kept = [" ".join(item.split()) for item in items or [] if item.strip()]
    if len(kept) > MAX_ITEMS or any(len(item) > MAX_NAME for item in kept):
        raise invalid(f"At most {MAX_ITEMS} entries of {MAX_NAME} characters.", "dietaryPreferences", field)
    return kept


def details_of(patient: Patient) -> dict[PatientField, str]:
    """What a provider holds too, as it stands here; empty where there is nothing."""
    return {
        PatientField.NAME: patient.name,
        PatientField.BIRTH_DATE: patient.birth_date.isoformat() if patient.birth_date else "",
        PatientField.EMAIL: patient.email or "",
        PatientField.PHONE: patient.contact_details.get("phone") or "",
        PatientField.ADDRESS: patient.contact_details.get("address") or "",
    }


def fitting(field: PatientField, value: str, today: date) -> str | None:
    """A provider's value as it is kept here; None where it cannot be: a year alone is no date of birth."""
    try:
        match field:
            case PatientField.NAME:
                return checked_name(value)
            case PatientField.BIRTH_DATE:
                checked_birth_date(date.fromisoformat(value), today)
                return value
            case PatientField.EMAIL:
                return checked_email(value) or ""
            case PatientField.PHONE | PatientField.ADDRESS:
                return checked_text(value, field)
    except (Refusal, ValueError):
        return None


def same_name(name: str) -> str:
    """A name as it is compared: without case, accents, punctuation or double spaces."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    letters = "".join(c if c.isalnum() else " " for c in plain if not unicodedata.combining(c))
    return " ".join(letters.split())


def name_parts(name: str) -> tuple[str, str]:
    """First and last name as care platforms want them; a single name is both."""
    first, _, last = name.strip().rpartition(" ")
    return (first or last, last)
