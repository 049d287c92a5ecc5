"""The enums of documents, described."""

from app.api.kit.enums import described
from app.domain.documents.models import DocumentStatus, DocumentType, Integrity, SourceKind
from app.domain.documents.queries import DocumentOrder

__all__ = ["DocumentOrder", "DocumentStatus", "DocumentType", "Integrity", "SourceKind"]

described(
    DocumentType,
    "DocumentType",
    "What a document is, in a dietician's words.",
    LAB_REPORT="Laboratory results.",
    PROGRESS_NOTE="A note of how things go.",
    PHYSICAL_ASSESSMENT="History and physical examination.",
    NUTRITION_NOTE="A nutrition assessment or dietetic note.",
    REFERRAL_LETTER="A referral to another professional.",
    DISCHARGE_SUMMARY="The summary of a stay in hospital.",
    CONSULTATION_NOTE="A specialist's opinion.",
    EMERGENCY_NOTE="A note from an emergency department.",
    PROCEDURE_NOTE="A note of an operation or procedure.",
    PATHOLOGY_REPORT="A report on tissue or cells.",
    IMAGING_REPORT="A report on pictures or recordings: X-ray, ultrasound, ECG.",
    CARE_SUMMARY="A summary of the whole record (C-CDA).",
    LETTER="Another letter.",
    OTHER="Anything else.",
)
described(
    DocumentStatus,
    "DocumentStatus",
    "Whether a document holds today.",
    CURRENT="It holds.",
    SUPERSEDED="A later document has taken its place.",
    WITHDRAWN="It is gone at the provider; kept here.",
    RETRACTED="It was entered in error.",
)
described(
    SourceKind,
    "SourceKind",
    "Who a document comes from.",
    PROVIDER="A Primary Healthcare Provider.",
    USER="Somebody who uploaded it here.",
)
described(
    Integrity,
    "Integrity",
    "Whether a file is what its source said it would be.",
    VERIFIED="Its hash is the declared one.",
    UNDECLARED="Its source declared no hash.",
    MISMATCHED="Its size or hash differs from the declared one.",
    MISSING="Its bytes could not be had.",
)
described(
    DocumentOrder,
    "DocumentOrder",
    "How documents are sorted.",
    NEWEST="By date, the newest first; those without a date last.",
    OLDEST="By date, the oldest first; those without a date first.",
    TITLE="By title.",
)
