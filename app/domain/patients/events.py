"""The kinds of work that this context asks for."""

DELETED = "patients.deleted"
"""Hide what hangs on a deleted patient, end what is under way for it. Subject: the patient."""
EDITED = "patients.edited"
"""Tell the primary provider of details that were edited here. Subject: the patient."""
