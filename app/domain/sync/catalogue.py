"""Every failure of a synchronisation: a plain sentence, two to four steps to mend it, whether another try helps."""

from dataclasses import dataclass

from app.connectors.platform.port import RETRYABLE as PLATFORM_RETRYABLE
from app.connectors.platform.port import PlatformErrorCode
from app.connectors.provider.port import RETRYABLE as PROVIDER_RETRYABLE
from app.connectors.provider.port import ProviderErrorCode

ENTRY_UNREADABLE = "ENTRY_UNREADABLE"
ATTACHMENT_EMPTY = "ATTACHMENT_EMPTY"
INTEGRITY_MISMATCH = "INTEGRITY_MISMATCH"
SUBJECT_MISMATCH = "SUBJECT_MISMATCH"
PATIENT_UNKNOWN = "PATIENT_UNKNOWN"
LISTING_LOOPED = "LISTING_LOOPED"
LISTING_SHORT = "LISTING_SHORT"
WORKER_FAILED = "WORKER_FAILED"
WORK_UNKNOWN = "WORK_UNKNOWN"
SUBSCRIPTION_STOPPED = "SUBSCRIPTION_STOPPED"
EXPORT_PARTIAL = "EXPORT_PARTIAL"
EXPORT_EXPIRED = "EXPORT_EXPIRED"
DETAILS_REFUSED = "DETAILS_REFUSED"
DETAILS_CONFLICT = "DETAILS_CONFLICT"


@dataclass(frozen=True, slots=True)
class Advice:
    message: str
    steps: tuple[str, ...]
    retryable: bool = False


WAIT = "Wait a few minutes: the next attempt takes up only what is missing."
ASK_PROVIDER = "If it goes on, ask the provider's support and name the code and the time."
ASK_ADMIN = "Ask your administrator to look at the connection."
RETRY = "Press «Retry»."

_PROVIDER: dict[ProviderErrorCode, tuple[str, tuple[str, ...]]] = {
    ProviderErrorCode.UNREACHABLE: (
        "The provider's server cannot be reached.",
        (WAIT, "Ask your administrator whether the provider's address is right.", ASK_PROVIDER),
    ),
    ProviderErrorCode.TIMEOUT: ("The provider's server does not answer in time.", (WAIT, RETRY, ASK_PROVIDER)),
    ProviderErrorCode.UNAUTHORIZED: (
        "The provider does not accept our credentials.",
        (ASK_ADMIN, "Renew the credentials at the provider.", RETRY),
    ),
    ProviderErrorCode.FORBIDDEN: (
        "The provider does not allow us to read this.",
        ("Ask the provider to grant read access to the patient's documents.", ASK_ADMIN, RETRY),
    ),
    ProviderErrorCode.NOT_FOUND: (
        "The provider does not have what it refers to.",
        ("Ask the provider whether the document still exists.", RETRY),
    ),
    ProviderErrorCode.GONE: (
        "The provider has deleted this.",
        ("Ask the provider for the document if you need it.", "Nothing else is to be done: the rest is complete."),
    ),
    ProviderErrorCode.THROTTLED: ("The provider asks us to slow down.", (WAIT, ASK_PROVIDER)),
    ProviderErrorCode.UNAVAILABLE: ("The provider's server is not working at the moment.", (WAIT, RETRY, ASK_PROVIDER)),
    ProviderErrorCode.NOT_SUPPORTED: (
        "The provider's server does not support what is needed.",
        (ASK_ADMIN, "Compare with the capability card of the connection."),
    ),
    ProviderErrorCode.BAD_RESPONSE: (
        "The provider's answer cannot be understood.",
        (RETRY, ASK_ADMIN, ASK_PROVIDER),
    ),
    ProviderErrorCode.TOO_LARGE: (
        "The provider sends something that is larger than we accept.",
        ("Ask the provider for a smaller copy.", "Ask your administrator to raise the limit."),
    ),
    ProviderErrorCode.HOST_REFUSED: (
        "This file lies at an address that the connection does not allow.",
        (
            "Ask your administrator to add the address to the connection's file hosts, if it is the provider's.",
            "If it stands there: it leads into a network that the operator has to name in HEALTHRECORDS_PRIVATE_NETWORKS.",
            RETRY,
        ),
    ),
    ProviderErrorCode.ADDRESS_REFUSED: (
        "The provider's address leads into a network that this installation does not connect to.",
        (
            "Ask your administrator whether the provider's address is right.",
            "If it is: the operator has to name its network in HEALTHRECORDS_PRIVATE_NETWORKS.",
            RETRY,
        ),
    ),
    ProviderErrorCode.CONFLICT: (
        "The provider's record was changed at the same moment, again and again.",
        ("Wait until the provider has finished editing the record.", RETRY, ASK_PROVIDER),
    ),
    ProviderErrorCode.INVALID: (
        "The provider does not accept these details.",
        ("Check the spelling and the form of what you changed.", "Save the record again.", ASK_PROVIDER),
    ),
}
_PLATFORM: dict[PlatformErrorCode, tuple[str, tuple[str, ...]]] = {
    PlatformErrorCode.UNREACHABLE: ("The care platform cannot be reached.", (WAIT, ASK_ADMIN)),
    PlatformErrorCode.ADDRESS_REFUSED: (
        "The care platform's address leads into a network that this installation does not connect to.",
        (
            "Ask your administrator whether the platform's address is right.",
            "If it is: the operator has to name its network in HEALTHRECORDS_PRIVATE_NETWORKS.",
            RETRY,
        ),
    ),
    PlatformErrorCode.TIMEOUT: ("The care platform does not answer in time.", (WAIT, RETRY)),
    PlatformErrorCode.UNAUTHORIZED: (
        "The care platform does not accept our key.",
        (ASK_ADMIN, "Renew the key at the platform.", RETRY),
    ),
    PlatformErrorCode.NOT_FOUND: (
        "The care platform does not know this patient any more.",
        ("Check the patient's record in the platform.", RETRY),
    ),
    PlatformErrorCode.REFUSED: (
        "The care platform refused this document.",
        ("Look at the details in the history.", ASK_ADMIN),
    ),
    PlatformErrorCode.TOO_LARGE: (
        "This file is larger than the care platform accepts.",
        ("The document is complete here; share it from here.", "Ask the platform to raise its limit."),
    ),
    PlatformErrorCode.FULL: (
        "The care platform has no room left.",
        ("Make room at the platform, or ask it for more.", "The documents are complete here.", RETRY),
    ),
    PlatformErrorCode.NOT_SUPPORTED: (
        "The care platform does not speak the version of its language that we use.",
        ("Ask your administrator to update this software.", "The documents are complete here."),
    ),
    PlatformErrorCode.THROTTLED: ("The care platform asks us to slow down.", (WAIT, RETRY)),
    PlatformErrorCode.UNAVAILABLE: ("The care platform is not working at the moment.", (WAIT, RETRY)),
    PlatformErrorCode.BAD_RESPONSE: ("The care platform's answer cannot be understood.", (RETRY, ASK_ADMIN)),
}

CATALOGUE: dict[str, Advice] = {
    **{code: Advice(*words, retryable=code in PROVIDER_RETRYABLE) for code, words in _PROVIDER.items()},
    **{code: Advice(*words, retryable=code in PLATFORM_RETRYABLE) for code, words in _PLATFORM.items()},
    ENTRY_UNREADABLE: Advice(
        "The provider lists something that cannot be read.", ("Ask the provider to look at this entry.", RETRY)
    ),
    ATTACHMENT_EMPTY: Advice(
        "The provider lists a document without any content.",
        ("Ask the provider for the document.", "The rest is complete."),
    ),
    INTEGRITY_MISMATCH: Advice(
        "The file differs from what the provider says of it (size or hash). It was stored and marked.",
        ("Read it with care.", "Ask the provider to check the file."),
    ),
    SUBJECT_MISMATCH: Advice(
        "The provider listed a document of another person. It was refused.",
        ("Check the patient's id at the provider.", "Tell the provider: this is a privacy incident on their side."),
    ),
    PATIENT_UNKNOWN: Advice(
        "The provider does not know the patient under this id.",
        ("Check the patient's id at the provider in the record.", "Ask the provider for the right id.", RETRY),
    ),
    LISTING_LOOPED: Advice(
        "The provider's list of documents repeats itself and was stopped.", (RETRY, ASK_ADMIN, ASK_PROVIDER), True
    ),
    LISTING_SHORT: Advice("The provider announced more documents than it listed.", (RETRY, ASK_PROVIDER), True),
    SUBSCRIPTION_STOPPED: Advice(
        "The provider has stopped to notify us of changes. It is asked to begin again, and the schedule goes on.",
        (
            "Ask the provider whether its server can reach the address of the subscription.",
            "Compare how it signs with the guide on automatic updates.",
            ASK_PROVIDER,
        ),
        True,
    ),
    EXPORT_PARTIAL: Advice(
        "The provider could not export everything.",
        (
            "Ask for the export again.",
            ASK_PROVIDER,
            "Synchronise single patients meanwhile: that asks for each document by itself.",
        ),
        True,
    ),
    EXPORT_EXPIRED: Advice(
        "The provider has thrown the export away before we had all of it.",
        ("Ask for the export again.", "If it goes on, ask the provider to keep exports for longer."),
        True,
    ),
    DETAILS_REFUSED: Advice(
        "The provider does not let us change the patient's details. Your change is kept here.",
        (
            "Tell the provider of the change by telephone or letter.",
            "Ask your administrator whether the provider can grant us the right to update patients.",
            "Press «Retry» once it has been granted.",
        ),
    ),
    DETAILS_CONFLICT: Advice(
        "You and the provider have changed the same details of this patient, to different values.",
        (
            "Open the patient's record and compare both values.",
            "Ask the patient which one is right.",
            "Choose yours or the provider's for each of them.",
        ),
    ),
    WORK_UNKNOWN: Advice(
        "A worker of another version has met work that it does not know.",
        ("Bring all workers to the same version.", "Then replay it from the list of dead letters."),
        True,
    ),
    WORKER_FAILED: Advice(
        "Something went wrong on our side.", (RETRY, "If it happens again, ask our support and name the run."), True
    ),
}


def advice(code: str) -> Advice:
    """What to do about a code; old rows may hold one that the catalogue has given up since."""
    return CATALOGUE.get(code, CATALOGUE[WORKER_FAILED])
