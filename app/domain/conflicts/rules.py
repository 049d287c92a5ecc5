"""Three-way comparison of details. No I/O."""

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import Enum, auto

from app.connectors.provider.port import RETRYABLE, PatientField
from app.domain.conflicts.models import DetailsStatus, ProviderDetails
from app.domain.patients import rules as patients
from app.domain.patients.models import Patient

Values = Mapping[PatientField, str]
WORDS = {
    PatientField.NAME: "name",
    PatientField.BIRTH_DATE: "date of birth",
    PatientField.EMAIL: "e-mail address",
    PatientField.PHONE: "telephone number",
    PatientField.ADDRESS: "postal address",
}
PHONE_PUNCTUATION = re.compile(r"[\s().\-/]+")
ADDRESS_PUNCTUATION = re.compile(r"[\s,;]+")


class Verdict(Enum):
    """What is to be done with a field."""

    SAME = auto()
    SEND = auto()
    TAKE = auto()
    CLASH = auto()
    KEEP = auto()
    """It differs since the beginning, and nobody has changed it since."""


@dataclass(slots=True)
class Merge:
    """What a comparison comes to."""

    send: dict[PatientField, str] = field(default_factory=dict[PatientField, str])
    take: dict[PatientField, str] = field(default_factory=dict[PatientField, str])
    clash: set[PatientField] = field(default_factory=set[PatientField])
    settled: set[PatientField] = field(default_factory=set[PatientField])
    """Edits about which there is nothing left to be told."""


def same(name: PatientField, one: str, other: str) -> bool:
    """Whether two values mean the same, however they are written. A birth date of which the provider knows a part is the same
    as one that has this part."""
    if name is PatientField.BIRTH_DATE and one and other:
        return one.startswith(other) or other.startswith(one)
    return _plain(name, one) == _plain(name, other)


def _plain(name: PatientField, value: str) -> str:
    value = " ".join(unicodedata.normalize("NFC", value).split())
    match name:
        case PatientField.EMAIL:
            return value.lower()
        case PatientField.PHONE:
            return PHONE_PUNCTUATION.sub("", value.lower().removeprefix("tel:"))
        case PatientField.ADDRESS:
            return ADDRESS_PUNCTUATION.sub(" ", value).strip().casefold()
        case _:
            return value


def weigh(name: PatientField, base: str | None, ours: str, theirs: str, *, edited: bool) -> Verdict:
    """`base` is what both sides last agreed on, None where nothing is known; `edited` that the provider was not told yet."""
    if same(name, ours, theirs):
        return Verdict.SAME
    if base is None:
        return Verdict.KEEP if ours else Verdict.TAKE
    we, they = not same(name, ours, base), not same(name, theirs, base)
    if they:
        unclaimed = not we or (not ours and not edited)
        return Verdict.TAKE if unclaimed else Verdict.CLASH
    return Verdict.SEND if edited else Verdict.KEEP


def merge(base: Mapping[str, str] | None, edits: Mapping[str, str], ours: Values, theirs: Values, today: date) -> Merge:
    """`edits` are the fields that were edited here and not sent, with what they were before: where nothing was agreed on yet,
    that is what the person who edited had before their eyes."""
    found = Merge()
    for name in PatientField:
        edited = name in edits
        known = base.get(name, "") if base is not None else edits.get(name)
        match weigh(name, known, ours[name], theirs[name], edited=edited):
            case Verdict.SEND:
                found.send[name] = ours[name]
            case Verdict.CLASH:
                found.clash.add(name)
            case Verdict.TAKE:
                fit = patients.fitting(name, theirs[name], today)
                if fit is not None:
                    found.take[name] = fit
                found.settled.add(name)
            case Verdict.SAME:
                found.settled.add(name)
            case Verdict.KEEP:
                continue
    return found


def without_effect(sent: Values, before: Values, after: Values) -> list[PatientField]:
    """What a server said it had taken and has not. Of a cleared one another may come to light behind it."""
    return [
        name
        for name, value in sent.items()
        if not same(name, after[name], value) and (value or same(name, after[name], before[name]))
    ]


def status(patient: Patient, held: ProviderDetails | None, open_conflicts: int, *, sending: bool) -> DetailsStatus:
    if patient.primary_provider_id is None:
        return DetailsStatus.NOT_CONNECTED
    if open_conflicts:
        return DetailsStatus.CONFLICT
    if patient.edited_details:
        return DetailsStatus.SENDING if sending else DetailsStatus.FAILED
    if held is None or held.details is None:
        return DetailsStatus.NOT_COMPARED
    ours = patients.details_of(patient)
    agreed = all(same(name, ours[name], held.details.get(name, "")) for name in PatientField)
    return DetailsStatus.IN_STEP if agreed else DetailsStatus.DIFFERENT


def heals(code: str | None) -> bool:
    """Whether it is worth trying again by itself, now that the provider answers."""
    return code is None or code in RETRYABLE


def words(names: Collection[PatientField]) -> str:
    """«name, postal address», for people."""
    return ", ".join(WORDS[name] for name in PatientField if name in names)
