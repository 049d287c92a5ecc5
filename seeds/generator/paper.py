"""A document before it has a format: what the four renderers read."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from seeds.generator.labs import Result
from seeds.generator.people import Person
from seeds.generator.staff import Clinician
from seeds.generator.story import Story

Kind = Literal[
    "lab", "progress", "physical", "nutrition", "referral", "discharge", "consult", "imaging", "ccd", "diary"
]
Format = Literal["text", "latin1", "pdf", "png", "ccda"]

LOINC: dict[Kind, tuple[str, str]] = {
    "lab": ("11502-2", "Laboratory report"),
    "progress": ("11506-3", "Progress note"),
    "physical": ("34117-2", "History and physical note"),
    "nutrition": ("75303-8", "Nutrition assessment Narrative"),
    "referral": ("57133-1", "Referral note"),
    "discharge": ("18842-5", "Discharge summary"),
    "consult": ("11488-4", "Consult note"),
    "imaging": ("18748-4", "Diagnostic imaging study"),
    "ccd": ("34133-9", "Summary of episode note"),
    "diary": ("75303-8", "Nutrition assessment Narrative"),
}


@dataclass(frozen=True)
class Table:
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    widths: tuple[int, ...]
    """Characters a column, for text; shares of the page width elsewhere."""


@dataclass(frozen=True)
class Section:
    title: str
    lines: tuple[str, ...] = ()
    """Paragraphs; one that begins with `- ` is a list entry."""
    table: Table | None = None


@dataclass(frozen=True)
class Paper:
    kind: Kind
    title: str
    when: datetime
    person: Person
    story: Story
    author: Clinician
    sections: tuple[Section, ...]
    form: Format
    summary: str
    recipient: str = ""
    results: tuple[Result, ...] = ()
    """Of laboratory reports: they become Observations. Of a CCD: the latest values."""
    encounter: str = ""
    started: datetime | None = None
    """Start of the period that the document tells of, where it is not `when` itself."""
    loinc: tuple[str, str] | None = None
    amends: int | None = None
    """Position, among the patient's papers, of the one that this one replaces."""
    vitals: tuple[tuple[str, str, str, float], ...] = ()
    """(LOINC, display, UCUM, value) of a physical assessment or a CCD."""
