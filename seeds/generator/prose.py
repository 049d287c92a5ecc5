"""Progress notes, nutrition assessments, physical assessments and continuity-of-care documents of one visit."""

from datetime import date

from seeds.generator.body import Vitals
from seeds.generator.chart import Chart
from seeds.generator.dates import short, spoken
from seeds.generator.paper import Section, Table
from seeds.generator.phrases import CLOSERS, CLOSERS_CHILD, EXAM_CHILD, FINDINGS, GENERAL_EXAM, LIFE, OPENERS, PROTEIN

_MEALS = ("Breakfast", "Midday", "Evening", "Between meals")


def group(chart: Chart, day: date) -> str:
    age = chart.age(day)
    if age < 11:
        return "child"
    return "old" if age >= 75 else "adult"


def _pool(chart: Chart, day: date, name: str) -> str:
    return f"{name}@{chart.phase(day).since}"


def _paragraph(*groups: list[str]) -> str:
    return " ".join(sentence for sentences in groups for sentence in sentences if sentence)


def _subjective(chart: Chart, day: date, count: int, *, in_person: bool = False) -> str:
    who = group(chart, day)
    openers = tuple(
        line for line in OPENERS[who] if not (in_person and line.startswith(("Telephone", "Review by video")))
    )
    return _paragraph(
        chart.say(day, f"opener-{who}-{len(openers)}", openers),
        chart.say(day, _pool(chart, day, "S"), chart.phase(day).subjective, count),
        chart.say(day, f"life-{who}", LIFE[who]),
    )


def _recall(chart: Chart) -> str:
    meals = [
        f"{name.lower()} {chart.draw(name, pool)[0].rstrip('!')}"
        for name, pool in zip(_MEALS, chart.story.meals, strict=True)
    ]
    return f"Yesterday by recall: {'; '.join(meals)}."


def _diet(chart: Chart, day: date, count: int) -> str:
    return _paragraph(chart.say(day, _pool(chart, day, "D"), chart.phase(day).diet, count))


def _plan(chart: Chart, day: date, count: int) -> tuple[str, ...]:
    steps = chart.say(day, _pool(chart, day, "P"), chart.phase(day).advice, count)
    child = group(chart, day) == "child"
    closer = chart.say(day, f"closer-{child}", CLOSERS_CHILD if child else CLOSERS)[0]
    return (*(f"- {step}" for step in steps), f"{chart.follow_up(day)} {closer}")


def progress(chart: Chart, day: date) -> tuple[Section, ...]:
    phase = chart.phase(day)
    rng = chart.rng
    diet = _diet(chart, day, 1 + rng.randint(0, 1))
    objective = _paragraph([chart.weight_sentence(day)], [chart.results_sentence(day)])
    assessment = chart.say(day, _pool(chart, day, "A"), phase.assessment, 1 + rng.randint(0, 1))
    return (
        Section("Subjective", (_subjective(chart, day, 1 + rng.randint(0, 1)), _paragraph([diet], [_recall(chart)]))),
        Section("Objective", (objective, f"Medication: {phase.medication}.")),
        Section("Assessment", (_paragraph(assessment),)),
        Section("Plan", _plan(chart, day, 2 + rng.randint(0, 1))),
    )


def energy_need(chart: Chart, day: date, vitals: Vitals) -> tuple[int, int]:
    """Estimated kcal a day, from and to: Mifflin-St Jeor times 1.3 to 1.5, for children Schofield's order of size."""
    age = chart.age(day)
    if age < 18:
        rest = (22.7 if age < 10 else 15.5) * vitals.weight_kg + (500 if age < 10 else 670)
    else:
        rest = (
            10 * vitals.weight_kg + 6.25 * vitals.height_cm - 5 * age + (5 if chart.person.gender == "male" else -161)
        )
    return round(rest * 1.3 / 50) * 50, round(rest * 1.5 / 50) * 50


def _needs(chart: Chart, day: date) -> tuple[str, ...]:
    vitals = chart.vitals(day)
    low, high = energy_need(chart, day, vitals)
    # Above a BMI of 25 protein is counted on the weight at that BMI, or needs would be overstated.
    weight = min(vitals.weight_kg, 25 * (vitals.height_cm / 100) ** 2)
    grams = tuple(round(share * weight) for share in PROTEIN.get(chart.story.key, (0.8, 1.0)))
    fluid = round(min(2.4, max(1.0, weight * 0.031)), 1)
    protein = f"{grams[0]} g" if grams[0] == grams[1] else f"{grams[0]} to {grams[1]} g"
    return (f"Estimated needs: energy {low} to {high} kcal, protein {protein}, fluid about {fluid} litres a day.",)


def _measures(vitals: Vitals, *, with_pressure: bool) -> Table:
    rows = [
        ("Weight", f"{vitals.weight_kg} kg"),
        ("Height", f"{vitals.height_cm:.1f} cm"),
        ("BMI", f"{vitals.bmi} kg/m²"),
        ("Waist", f"{vitals.waist_cm} cm"),
    ]
    if with_pressure:
        rows += [("Blood pressure", f"{vitals.systolic}/{vitals.diastolic} mmHg"), ("Pulse", f"{vitals.pulse} /min")]
    return Table(("Measure", "Value"), tuple(rows), (22, 20))


def _bloods(chart: Chart, day: date) -> Table | None:
    rows: list[tuple[str, ...]] = []
    for key in chart.story.quoted:
        for taken, result in chart.results.get(key, [])[-1:]:
            if (day - taken).days < 420:
                unit = result.analyte.unit
                rows.append((result.analyte.short, f"{result.shown} {unit}", result.range, result.flag, short(taken)))
    return Table(("Analyte", "Value", "Reference", "Flag", "Taken"), tuple(rows), (30, 20, 15, 6, 11)) if rows else None


def nutrition(chart: Chart, day: date) -> tuple[Section, ...]:
    phase, person = chart.phase(day), chart.person
    lines = (_diet(chart, day, 3), _recall(chart))
    restrictions = ", ".join(person.restrictions) or "none stated"
    history = f"{chart.history(day)} Medication: {phase.medication}. Allergies: {', '.join(person.allergies) or 'none known'}."
    chart.weight_sentence(day)
    return (
        Section("Client history", (_subjective(chart, day, 2), f"{history} Food restrictions: {restrictions}.")),
        Section("Food and nutrition history", lines),
        Section("Anthropometry", _needs(chart, day), _measures(chart.vitals(day), with_pressure=False)),
        Section("Biochemical data", ("Latest results:",), _bloods(chart, day)),
        Section("Nutrition diagnosis", tuple(chart.say(day, _pool(chart, day, "A"), phase.assessment, 2))),
        Section("Intervention", _plan(chart, day, 4)),
        Section("Monitoring and evaluation", (f"Diet order: {chart.story.order}. Weight and diary at each visit.",)),
    )


def physical(chart: Chart, day: date) -> tuple[Section, ...]:
    phase, vitals = chart.phase(day), chart.vitals(day)
    child = group(chart, day) == "child"
    exam = f"{chart.draw(f'exam-{child}', EXAM_CHILD if child else GENERAL_EXAM)[0]} {FINDINGS[chart.story.key]}"
    history = f"{chart.age(day)}-year-old with {chart.story.condition[0].lower()}{chart.story.condition[1:]}."
    if chart.age(day) < 2:
        history = f"Infant with {chart.story.condition[0].lower()}{chart.story.condition[1:]}."
    return (
        Section(
            "History", (f"{history} {_subjective(chart, day, 1, in_person=True)}", f"Medication: {phase.medication}.")
        ),
        Section("Measurements", (chart.weight_sentence(day),), _measures(vitals, with_pressure=True)),
        Section("Examination", (exam,)),
        Section("Impression", tuple(chart.say(day, _pool(chart, day, "A"), phase.assessment, 1))),
        Section("Plan", _plan(chart, day, 2)),
    )


def continuity(chart: Chart, day: date) -> tuple[Section, ...]:
    phase, person, story = chart.phase(day), chart.person, chart.story
    vitals = chart.vitals(day)
    problem = Table(
        ("Problem", "ICD-10", "Since", "Status"),
        ((story.condition, story.icd10, str(person.start.year), "Active"),),
        (40, 8, 8, 8),
    )
    return (
        Section("Allergies", (", ".join(person.allergies) if person.allergies else "No known allergies.",)),
        Section("Medications", (f"{phase.medication}.",)),
        Section("Problems", (chart.history(day),), problem),
        Section("Results", ("Latest results at the time of this summary.",), _bloods(chart, day)),
        Section("Vital signs", (f"Measured on {spoken(day)}.",), _measures(vitals, with_pressure=True)),
        Section("Social history", (f"Does not smoke. {person.notes}",)),
        Section("Plan", tuple(f"- {step}" for step in chart.say(day, _pool(chart, day, "P"), phase.advice, 3))),
    )
