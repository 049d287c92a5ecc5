"""Height, weight and blood pressure of one person over time: every document reads them here, so that they agree."""

from dataclasses import dataclass
from datetime import date

from seeds.generator.story import Knots, Story, at

_BOYS: Knots = (
    (0, 0.285),
    (1, 0.43),
    (2, 0.495),
    (4, 0.58),
    (6, 0.655),
    (8, 0.72),
    (10, 0.78),
    (12, 0.84),
    (14, 0.93),
    (16, 0.985),
    (18, 1),
)
_GIRLS: Knots = (
    (0, 0.30),
    (1, 0.455),
    (2, 0.525),
    (4, 0.62),
    (6, 0.705),
    (8, 0.78),
    (10, 0.85),
    (12, 0.93),
    (14, 0.985),
    (16, 1),
)


@dataclass(frozen=True)
class Vitals:
    height_cm: float
    weight_kg: float
    bmi: float
    waist_cm: int
    systolic: int
    diastolic: int
    pulse: int


@dataclass(frozen=True)
class Body:
    story: Story
    born: date
    start: date
    gender: str
    adult_height_cm: float
    build: float
    """A factor near 1 on the BMI of the story, so that two people with one story weigh differently."""

    def age(self, years: float) -> float:
        return (self.start - self.born).days / 365.25 + years

    def height_cm(self, years: float) -> float:
        grown = at(_GIRLS if self.gender == "female" else _BOYS, self.age(years))
        return round(self.adult_height_cm * grown, 1)

    def vitals(self, years: float, wobble: float) -> Vitals:
        """`wobble` is a share of a day-to-day variation, from -1 to 1."""
        height = self.height_cm(years)
        target = at(self.story.bmi, years) * self.build * (1 + 0.006 * wobble)
        weight = round(target * (height / 100) ** 2, 1)
        bmi = round(weight / (height / 100) ** 2, 1)
        systolic = round(at(self.story.systolic, years) + 4 * wobble)
        waist = round((0.235 + 0.0115 * bmi) * height) if self.age(years) >= 5 else round(0.5 * height)
        pulse = round(self._pulse(years, bmi) + 6 * wobble)
        return Vitals(height, weight, bmi, waist, systolic, round(systolic * 0.42 + 25), pulse)

    def _pulse(self, years: float, bmi: float) -> float:
        """Fast in small children, slow in starvation."""
        age = self.age(years)
        return 48 if age > 13 and bmi < 15.5 else at(((1, 116), (4, 100), (9, 86), (14, 74), (20, 72)), age)
