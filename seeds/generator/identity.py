"""Stable identifiers: nothing here is drawn, all is derived from names."""

import uuid

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "norchester.example.test")
ORGANISATION_OID = "2.16.840.1.113883.19.5"
"""From HL7's arc for examples."""


def identifier(*parts: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, "/".join(parts)))


def record_number(patient: str) -> str:
    """A medical record number of eight digits."""
    return f"{uuid.uuid5(_NAMESPACE, patient).int % 90_000_000 + 10_000_000}"
