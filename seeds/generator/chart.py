"""What is known of one patient as the years go by: the state from which the sentences of a note are filled."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from seeds.generator.body import Body, Vitals
from seeds.generator.dates import day_at, month_of, spoken, years_between
from seeds.generator.labs import ANALYTES, Result
from seeds.generator.people import Person
from seeds.generator.staff import Clinician
from seeds.generator.story import Phase, Story, at, phase_at

_PRONOUNS = {
    "female": {"she": "she", "She": "She", "her": "her", "hers": "her", "Hers": "Her"},
    "male": {"she": "he", "She": "He", "her": "him", "hers": "his", "Hers": "His"},
}


def _rough(weeks: int) -> str:
    return "Review next week." if weeks == 1 else f"Review in about {round(weeks / 4.35)} months."


class Words(Mapping[str, str]):
    """Fills the braces of a sentence: the person, today's measures, or the last result of an analyte with its unit."""

    def __init__(self, chart: "Chart", day: date) -> None:
        self._chart = chart
        self._day = day
        vitals = chart.vitals(day)
        self._known = {
            **_PRONOUNS[chart.person.gender],
            "first": chart.person.given,
            "name": chart.person.name,
            "weight": f"{vitals.weight_kg} kg",
            "height": f"{vitals.height_cm:.0f} cm",
            "bmi": f"{vitals.bmi} kg/m²",
            "bp": f"{vitals.systolic}/{vitals.diastolic}",
        }

    def __getitem__(self, key: str) -> str:
        return self._known[key] if key in self._known else self._chart.latest_text(key, self._day)

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


@dataclass
class Chart:
    person: Person
    story: Story
    body: Body
    rng: random.Random
    dietitian: Clinician
    doctor: Clinician
    results: dict[str, list[tuple[date, Result]]] = field(default_factory=dict[str, list[tuple[date, Result]]])
    weights: list[tuple[date, float]] = field(default_factory=list[tuple[date, float]])
    decks: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    next_visit: date | None = None
    wobbles: dict[date, float] = field(default_factory=dict[date, float])

    def years(self, day: date) -> float:
        return years_between(self.person.start, day)

    def age(self, day: date) -> int:
        born = self.person.born
        return day.year - born.year - ((day.month, day.day) < (born.month, born.day))

    def phase(self, day: date) -> Phase:
        return phase_at(self.story, self.years(day))

    def follow_up(self, day: date) -> str:
        """When the next visit is to be: what was planned is what came."""
        if self.next_visit is None:
            return "Review in the new year."
        weeks = max(1, round((self.next_visit - day).days / 7))
        return f"Review in {weeks} weeks." if 1 < weeks < 13 else _rough(weeks)

    def history(self, day: date) -> str:
        """The past as it was known on that day: a letter of 2017 knows nothing of an operation in 2021."""
        said = [f"{self.story.condition}, in our care since {self.person.start.year}."]
        for event in self.story.events:
            when = day_at(self.person.start, event.at)
            if event.kind == "admission" and when + timedelta(days=event.days) < day:
                title = event.title.removeprefix("Discharge summary: ")
                said.append(f"Admitted in {month_of(when)}: {title[0].lower()}{title[1:]}.")
        return " ".join(said)

    def vitals(self, day: date) -> Vitals:
        if day not in self.wobbles:
            self.wobbles[day] = self.rng.uniform(-1, 1)
        return self.body.vitals(self.years(day), self.wobbles[day])

    def record(self, day: date, results: tuple[Result, ...]) -> None:
        for result in results:
            self.results.setdefault(result.analyte.key, []).append((day, result))

    def latest_text(self, key: str, day: date) -> str:
        """The last measured value; before the first sample the value that came with the referral."""
        analyte = ANALYTES[key]
        known = self.results.get(key)
        if known:
            return f"{known[-1][1].shown} {analyte.unit}"
        value = at(self.story.analytes.get(key, ((0.0, analyte.usual),)), self.years(day))
        return f"{value:.{analyte.decimals}f} {analyte.unit}"

    def draw(self, name: str, pool: tuple[str, ...], count: int = 1) -> list[str]:
        """`count` entries, none of them again before all others were dealt."""
        drawn: list[str] = []
        deck = self.decks.setdefault(name, [])
        while len(drawn) < min(count, len(pool)):
            if not deck:
                deck.extend(self.rng.sample(pool, len(pool)))
            card = deck.pop()
            if card not in drawn:
                drawn.append(card)
        return drawn

    def say(self, day: date, name: str, pool: tuple[str, ...], count: int = 1) -> list[str]:
        words = Words(self, day)
        return [sentence.format_map(words) for sentence in self.draw(name, pool, count)]

    def fill(self, day: date, sentence: str) -> str:
        return sentence.format_map(Words(self, day))

    def results_sentence(self, day: date, count: int = 3) -> str:
        """The quoted analytes that changed hands lately, with the value before and its date."""
        said: list[str] = []
        for key in self.story.quoted:
            known = self.results.get(key, [])
            if not known or (day - known[-1][0]).days > 400:
                continue
            analyte, now = known[-1][1].analyte, known[-1][1]
            text = f"{analyte.short} {now.shown} {analyte.unit} on {spoken(known[-1][0])}"
            if len(known) > 1 and known[-2][1].shown != now.shown:
                word = "up from" if now.value > known[-2][1].value else "down from"
                text += f" ({word} {known[-2][1].shown})"
            said.append(text)
        return f"Results: {'; '.join(said[:count])}." if said else ""

    def weight_sentence(self, day: date) -> str:
        vitals = self.vitals(day)
        text = f"Weight {vitals.weight_kg} kg, height {vitals.height_cm:.0f} cm, BMI {vitals.bmi} kg/m²"
        if self.weights and day > self.weights[-1][0]:
            change = round(vitals.weight_kg - self.weights[-1][1], 1)
            since = spoken(self.weights[-1][0])
            text += f"; {change:+.1f} kg since {since}" if abs(change) >= 0.1 else f"; unchanged since {since}"
        self.weights.append((day, vitals.weight_kg))
        return text + "."
