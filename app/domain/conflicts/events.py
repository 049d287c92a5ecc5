"""The kinds of work that this context asks for."""

CHANGED = "conflicts.changed"
"""Tell who should know how a patient's details stand: conflicts, failures, or neither any more. Subject: the patient."""
SENT = "conflicts.sent"
"""Tell who should know that the provider has taken over what was edited here. Subject: the patient."""
GAVE_UP = "conflicts.gave_up"
"""Record that no attempt to reach the provider came to an end. Subject: the patient."""
