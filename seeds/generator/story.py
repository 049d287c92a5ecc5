"""What a condition looks like over the years: the shape that `stories*.py` fills and everything else reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

EventKind = Literal["admission", "imaging", "consult", "referral"]

Knots = tuple[tuple[float, float], ...]
"""(years since the story began, value), ascending; straight lines between, flat outside."""


@dataclass(frozen=True)
class Event:
    """Something that happens once, at `at` years: it becomes one letter or report."""

    kind: EventKind
    at: float
    title: str
    specialty: str
    body: tuple[str, ...]
    impression: str
    days: int = 0


@dataclass(frozen=True)
class Phase:
    """Sentences for notes from `since` years on. Braces are filled in by `prose.Words`."""

    since: float
    subjective: tuple[str, ...]
    diet: tuple[str, ...]
    assessment: tuple[str, ...]
    advice: tuple[str, ...]
    medication: str


@dataclass(frozen=True)
class Story:
    key: str
    condition: str
    snomed: str
    icd10: str
    specialty: str
    reason: str
    order: str
    bmi: Knots
    systolic: Knots
    panels: tuple[str, ...]
    quoted: tuple[str, ...]
    phases: tuple[Phase, ...]
    events: tuple[Event, ...]
    meals: tuple[tuple[str, ...], ...]
    """Breakfast, midday, evening and in-between choices of the food diaries."""
    density: Knots = ((0.0, 2.0), (1.0, 1.0))
    """How close visits are: a step function, in visits relative to each other."""
    analytes: Mapping[str, Knots] = field(default_factory=dict[str, Knots])
    allergy: tuple[tuple[str, str, str], ...] = ()
    """(SNOMED code, substance, reaction) of food allergies that come with the story."""


def at(knots: Knots, years: float) -> float:
    """The value of a trajectory `years` after the story began."""
    before = knots[0]
    for knot in knots:
        if knot[0] >= years:
            span = knot[0] - before[0]
            share = (years - before[0]) / span if span > 0 else 1.0
            return before[1] + (knot[1] - before[1]) * share if years > before[0] else before[1]
        before = knot
    return before[1]


def step(knots: Knots, years: float) -> float:
    """The value of a step function: that of the last knot at or before `years`."""
    value = knots[0][1]
    for since, height in knots:
        if since > years:
            break
        value = height
    return value


def phase_at(story: Story, years: float) -> Phase:
    found = story.phases[0]
    for phase in story.phases:
        if phase.since <= years:
            found = phase
    return found


_KINDS: dict[str, EventKind] = {
    "admission": "admission",
    "imaging": "imaging",
    "consult": "consult",
    "referral": "referral",
}
_POOLS = {"S": "subjective", "D": "diet", "A": "assessment", "P": "advice"}


def phases(text: str) -> tuple[Phase, ...]:
    """Reads the sentence sheets of `stories*.py`.

    `@1.5` opens the phase from 1.5 years on; `M` is its medication; `S`, `D`, `A`, `P` begin a sentence for the
    subjective part, the diet history, the assessment and the plan; an indented line continues the one above.
    """
    found: list[Phase] = []
    for block in text.replace("\n  ", " ").strip().split("@")[1:]:
        since, *lines = block.strip().splitlines()
        pools: dict[str, list[str]] = {"M": [], **{letter: [] for letter in _POOLS}}
        for line in lines:
            pools[line[0]].append(line[2:].strip())
        sentences = {name: tuple(pools[letter]) for letter, name in _POOLS.items()}
        found.append(Phase(since=float(since), medication="; ".join(pools["M"]), **sentences))
    return tuple(found)


def events(text: str) -> tuple[Event, ...]:
    """Reads an event sheet: `# kind, years, days | title | specialty`, a line a paragraph, `=` before the impression."""
    found: list[Event] = []
    for block in text.replace("\n  ", " ").strip().split("# ")[1:]:
        head, *lines = block.strip().splitlines()
        when, title, specialty = head.split(" | ")
        kind, years, days = when.split(", ")
        found.append(
            Event(
                kind=_KINDS[kind],
                at=float(years),
                title=title,
                specialty=specialty,
                body=tuple(line for line in lines if not line.startswith("= ")),
                impression=" ".join(line[2:] for line in lines if line.startswith("= ")),
                days=int(days),
            ),
        )
    return tuple(found)
