"""What happens when: the days of one patient's visits, samples, letters and summaries, before anything is written."""

import random
from dataclasses import dataclass
from datetime import date, timedelta

from seeds.generator.dates import LAST_DAY, day_at, weekday, years_between
from seeds.generator.paper import Kind
from seeds.generator.people import Person
from seeds.generator.story import Event, Story, step

FEWEST, MOST = 54, 75


@dataclass(frozen=True)
class Entry:
    day: date
    kind: Kind
    event: Event | None = None
    amends: bool = False
    """A corrected copy of the entry just before it."""


_KIND_OF_EVENT: dict[str, Kind] = {
    "admission": "discharge",
    "imaging": "imaging",
    "consult": "consult",
    "referral": "referral",
}


def _spread(story: Story, length: float, count: int, rng: random.Random) -> list[float]:
    """`count` points in time whose closeness follows the density of the story."""
    slices = 400
    edges = [length * index / slices for index in range(slices + 1)]
    weights = [step(story.density, edge) for edge in edges[:-1]]
    total = sum(weights)
    points: list[float] = []
    passed, index = 0.0, 0
    for number in range(count):
        jitter = rng.uniform(-0.3, 0.3) if 0 < number < count - 1 else 0.0
        wanted = total * max(0.0, (number + 0.5 + jitter) / count)
        while index < slices - 1 and passed + weights[index] < wanted:
            passed += weights[index]
            index += 1
        inside = (wanted - passed) / weights[index] if weights[index] else 0.5
        points.append(edges[index] + max(0.0, min(1.0, inside)) * length / slices)
    return points


def _note_kind(number: int) -> Kind:
    if number % 5 == 0:
        return "nutrition"
    return "physical" if number % 4 == 2 else "progress"


def _fixed(person: Person, story: Story) -> list[Entry]:
    entries = [Entry(weekday(person.start - timedelta(days=5)), "referral")]
    for event in story.events:
        day = weekday(day_at(person.start, event.at + event.days / 365.25))
        if day < LAST_DAY - timedelta(days=30):
            entries.append(Entry(day, _KIND_OF_EVENT[event.kind], event))
    years = range(person.start.year + 1, LAST_DAY.year + 1)
    return entries + [Entry(weekday(date(year, 2, 3 + person.start.day % 20)), "ccd") for year in years]


def _outside_hospital(person: Person, story: Story, day: date) -> date:
    """A clinic visit that falls into an admission takes place in the week after it."""
    for event in story.events:
        admitted = day_at(person.start, event.at)
        discharged = admitted + timedelta(days=event.days)
        if event.kind == "admission" and admitted - timedelta(days=2) <= day <= discharged:
            return weekday(discharged + timedelta(days=6))
    return day


def _alone(days: list[date]) -> list[date]:
    """One visit a day: a second on the same day moves to the next working day."""
    taken: list[date] = []
    for day in sorted(days):
        free = day
        while taken and free <= taken[-1]:
            free = taken[-1] + timedelta(days=3 if taken[-1].weekday() == 4 else 1)
        taken.append(free)
    return [day for day in taken if day <= LAST_DAY]


def _visits(person: Person, story: Story, count: int, labs: int, diaries: int, rng: random.Random) -> list[Entry]:
    length = years_between(person.start, LAST_DAY) - rng.uniform(0.0, 0.12)
    points = _spread(story, length, count, rng)
    days = _alone([_outside_hospital(person, story, weekday(day_at(person.start, point))) for point in points])
    entries: list[Entry] = []
    for number, day in enumerate(days):
        entries.append(Entry(day, _note_kind(number)))
        due = (number + 1) * labs // len(days) - number * labs // len(days)
        sampled = weekday(day - timedelta(days=rng.randint(3, 8)))
        entries.extend(Entry(sampled, "lab") for _ in range(due))
        if number and number * diaries // len(days) != (number - 1) * diaries // len(days):
            entries.append(Entry(weekday(day - timedelta(days=1)), "diary"))
    return entries


def plan(person: Person, story: Story, index: int, rng: random.Random) -> list[Entry]:
    """Every document of one patient, by day. The number lies between `FEWEST` and `MOST`, one more where one is amended."""
    entries = _fixed(person, story)
    room = rng.randint(FEWEST, MOST) - len(entries)
    diaries = 4 + index % 2
    labs = round((room - diaries) * 0.4)
    entries += _visits(person, story, room - diaries - labs, labs, diaries, rng)
    entries.sort(key=lambda entry: (entry.day, entry.kind != "referral", entry.kind != "lab", entry.kind))
    if index % 4 == 1:
        notes = [at for at, entry in enumerate(entries) if entry.kind == "progress"]
        at = notes[len(notes) // 2]
        entries.insert(at + 1, Entry(weekday(entries[at].day + timedelta(days=2)), "progress", amends=True))
    return entries
