"""The kinds of work that this context asks for."""

UPLOADED = "documents.uploaded"
"""A person uploaded, edited or deleted a document of their own: the care platform is to have it as it stands. Subject: the
document."""
