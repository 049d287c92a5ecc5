"""One patient's years, walked through from the first letter to the last note: a list of papers, oldest first."""

import random
from dataclasses import replace
from datetime import datetime, timedelta

from seeds.generator import letters, prose
from seeds.generator.body import Body, Vitals
from seeds.generator.chart import Chart
from seeds.generator.dates import moment, spoken
from seeds.generator.labs import PANELS, measure
from seeds.generator.paper import Format, Kind, Paper, Section
from seeds.generator.people import Person
from seeds.generator.plan import Entry, plan
from seeds.generator.staff import BY_ROLE, PRACTICE, dietitian_for, doctor_for
from seeds.generator.stories import STORIES
from seeds.generator.story import Event

_FORMS: dict[Kind, tuple[tuple[Format, int], ...]] = {
    "lab": (("text", 46), ("latin1", 7), ("pdf", 45), ("png", 2)),
    "progress": (("text", 79), ("latin1", 4), ("pdf", 10), ("ccda", 7)),
    "physical": (("text", 79), ("latin1", 3), ("pdf", 18)),
    "nutrition": (("text", 50), ("pdf", 42), ("ccda", 8)),
    "referral": (("pdf", 55), ("png", 35), ("text", 10)),
    "discharge": (("pdf", 75), ("text", 10), ("png", 15)),
    "consult": (("pdf", 65), ("text", 25), ("png", 10)),
    "imaging": (("pdf", 45), ("text", 45), ("png", 10)),
    "ccd": (("ccda", 100),),
    "diary": (("png", 100),),
}
_TITLES: dict[Kind, str] = {
    "progress": "Dietetic progress note",
    "physical": "Physical assessment",
    "nutrition": "Nutrition assessment",
    "referral": "Referral to the dietitian",
    "ccd": "Continuity of care document",
    "diary": "Food diary, three days",
}


def _form(kind: Kind, rng: random.Random) -> Format:
    forms, shares = zip(*_FORMS[kind], strict=True)
    return rng.choices(forms, shares)[0]


def _at(entry: Entry, number: int) -> datetime:
    """A time of the day that fits the kind; a few minutes apart for entries of one day."""
    hour = {"lab": 13, "imaging": 15, "diary": 8, "discharge": 16, "ccd": 7}.get(entry.kind, 9 + number * 7 % 8)
    return moment(entry.day, hour, number * 11 % 60)


def _vitals(vitals: Vitals) -> tuple[tuple[str, str, str, float], ...]:
    return (
        ("29463-7", "Body weight", "kg", vitals.weight_kg),
        ("8302-2", "Body height", "cm", vitals.height_cm),
        ("39156-5", "Body mass index (BMI) [Ratio]", "kg/m2", vitals.bmi),
        ("8280-0", "Waist Circumference at umbilicus by Tape measure", "cm", vitals.waist_cm),
        ("8480-6", "Systolic blood pressure", "mm[Hg]", vitals.systolic),
        ("8462-4", "Diastolic blood pressure", "mm[Hg]", vitals.diastolic),
    )


class _Walk:
    """The chart, the position and what has to be remembered between entries."""

    def __init__(self, person: Person, index: int, rng: random.Random) -> None:
        story = STORIES[person.story]
        body = Body(story, person.born, person.start, person.gender, person.height_cm, person.build)
        self.chart = Chart(person, story, body, rng, dietitian_for(story.key, index), doctor_for(index))
        self.rng = rng
        self.panels = 0
        self.papers: list[Paper] = []

    def step(self, entry: Entry) -> Paper:
        if entry.amends:
            return self._amended(entry)
        if entry.kind == "lab":
            return self._laboratory(entry)
        if entry.event:
            return self._event(entry, entry.event)
        return self._note(entry)

    def _paper(self, entry: Entry, title: str, sections: tuple[Section, ...], summary: str) -> Paper:
        number = len(self.papers)
        chart = self.chart
        author = chart.doctor if entry.kind in {"referral", "ccd"} else chart.dietitian
        return Paper(
            kind=entry.kind,
            title=title,
            when=_at(entry, number),
            person=chart.person,
            story=chart.story,
            author=author,
            sections=sections,
            form=_form(entry.kind, self.rng),
            summary=summary,
        )

    def _note(self, entry: Entry) -> Paper:
        chart, day = self.chart, entry.day
        writers = {
            "progress": prose.progress,
            "physical": prose.physical,
            "nutrition": prose.nutrition,
            "ccd": prose.continuity,
            "referral": letters.referral,
            "diary": letters.diary,
        }
        sections = writers[entry.kind](chart, day)
        title = _TITLES[entry.kind]
        paper = self._paper(entry, title, sections, f"{title}, {spoken(day)}: {chart.story.condition}.")
        if entry.kind == "referral":
            return replace(paper, recipient=f"{chart.dietitian.name}, {PRACTICE.name}")
        measured = _vitals(chart.vitals(day)) if entry.kind in {"ccd", "physical"} else ()
        if entry.kind == "ccd":
            latest = tuple(chart.results[key][-1][1] for key in chart.story.quoted if key in chart.results)
            return replace(paper, results=latest, vitals=measured, started=moment(chart.person.start, 9, 0))
        return replace(paper, vitals=measured)

    def _laboratory(self, entry: Entry) -> Paper:
        chart, story = self.chart, self.chart.story
        panel = PANELS[self._next_panel()]
        results = measure(panel, story, chart.body, chart.years(entry.day), self.rng)
        sections = letters.laboratory(chart, panel, results, entry.day, len(self.papers))
        summary = letters.conclusion(chart, results)
        chart.record(entry.day, results)
        paper = self._paper(entry, panel.title, sections, summary)
        taken = moment(entry.day, 8, len(self.papers) * 7 % 60)
        return replace(
            paper,
            author=BY_ROLE["Laboratory medicine"],
            results=results,
            started=taken,
            loinc=(panel.loinc, panel.display),
        )

    def _next_panel(self) -> str:
        """The first panel of the story every other time, the others in turn between."""
        main, *others = dict.fromkeys(self.chart.story.panels)
        self.panels += 1
        return main if self.panels % 2 else others[self.panels // 2 % len(others)]

    def _event(self, entry: Entry, event: Event) -> Paper:
        chart = self.chart
        sections = letters.event_letter(chart, event, entry.day)
        paper = self._paper(entry, event.title, sections, chart.fill(entry.day, event.impression))
        addressee = chart.dietitian if event.kind == "referral" else chart.doctor
        started = paper.when - timedelta(days=event.days) if event.kind == "admission" else None
        recipient = f"{addressee.name}, {addressee.organisation.name}"
        return replace(paper, author=BY_ROLE[event.specialty], recipient=recipient, started=started)

    def _amended(self, entry: Entry) -> Paper:
        position = len(self.papers) - 1
        before = self.papers[position]
        remark = Section(
            "Amendment",
            (
                f"Corrected copy of the note of {spoken(before.when.date())}, which was sent without a copy to the practice.",
                f"Copy to {self.chart.doctor.name}. All findings and measurements are unchanged.",
            ),
        )
        return replace(
            before,
            title=f"{before.title} (amended)",
            when=moment(entry.day, 11, 20),
            sections=(remark, *before.sections),
            summary=f"Amended copy. {before.summary}",
            amends=position,
        )


def papers_of(person: Person, index: int, rng: random.Random) -> list[Paper]:
    walk = _Walk(person, index, rng)
    entries = plan(person, walk.chart.story, index, rng)
    visits = [
        entry.day for entry in entries if entry.kind in {"progress", "physical", "nutrition"} and not entry.amends
    ]
    for entry in entries:
        walk.chart.next_visit = next((day for day in visits if day > entry.day), None)
        walk.papers.append(walk.step(entry))
    return walk.papers
