"""Referral letters, discharge summaries, consult notes, imaging reports, laboratory reports and food diaries."""

from datetime import date, timedelta

from seeds.generator.chart import Chart
from seeds.generator.dates import diary_day, short, spoken
from seeds.generator.labs import ANALYTES, Panel, Result
from seeds.generator.paper import Section, Table
from seeds.generator.story import Event

_FASTING = {"hba1c", "lipids", "ogtt", "glucose"}


def referral(chart: Chart, day: date) -> tuple[Section, ...]:
    """The letter from the practice with which every story begins."""
    person, story = chart.person, chart.story
    age = chart.age(day)
    who = f"{age}-year-old" if age >= 2 else "infant"
    opening = (
        f"Dear {chart.dietitian.greeting},",
        f"Re: {person.name}, born {spoken(person.born)}, {', '.join(person.address)}",
        f"Thank you for seeing this {who} with {story.reason}.",
    )
    words = "BMI {bmi}, weight {weight}, blood pressure {bp} mmHg."
    results = "; ".join(f"{ANALYTES[key].short} {chart.latest_text(key, day)}" for key in story.quoted[:3])
    allergies = ", ".join(person.allergies) or "none known"
    return (
        Section("Referral", opening),
        Section("Background", (" ".join(chart.say(day, "S@0.0", story.phases[0].subjective, 2)),)),
        Section("Findings", (chart.fill(day, words), f"Recent results: {results}.", f"Allergies: {allergies}.")),
        Section("Medication", (f"{story.phases[0].medication}.",)),
        Section("Request", (f"I should be grateful for assessment and advice. {person.notes}", "With kind regards,")),
    )


def _diagnosis(event: Event) -> str:
    text = event.title.removeprefix("Discharge summary: ")
    return text[0].upper() + text[1:]


def event_letter(chart: Chart, event: Event, day: date) -> tuple[Section, ...]:
    body = tuple(chart.fill(day, line) for line in event.body)
    impression = chart.fill(day, event.impression)
    person = chart.person
    if event.kind == "imaging":
        return (
            Section("Clinical details", (f"{chart.story.condition}. Requested by {chart.doctor.name}.",)),
            Section("Findings", body),
            Section("Conclusion", (impression,)),
        )
    if event.kind == "admission":
        admitted = day - timedelta(days=event.days)
        stay = f"Admitted {spoken(admitted)}, discharged {spoken(day)}: {event.days} days." if event.days > 1 else ""
        return (
            Section("Admission", (stay or f"Admitted {spoken(admitted)}, discharged {spoken(day)}.",)),
            Section("Diagnoses", (f"{_diagnosis(event)}; {chart.story.condition}.",)),
            Section("Hospital course", body),
            Section("On discharge", (chart.weight_sentence(day), f"Medication: {chart.phase(day).medication}.")),
            Section(
                "Follow-up", (impression, f"Copies to {chart.doctor.name}, {chart.dietitian.name} and the patient.")
            ),
        )
    addressee = chart.dietitian if event.kind == "referral" else chart.doctor
    return (
        Section(event.title, (f"Dear {addressee.greeting},", f"Re: {person.name}, born {spoken(person.born)}", *body)),
        Section("Medication", (f"{chart.phase(day).medication}.",)),
        Section("Impression and plan" if event.kind == "consult" else "Request", (impression, "Yours sincerely,")),
    )


def result_table(results: tuple[Result, ...]) -> Table:
    rows = tuple((item.analyte.short, item.shown, item.analyte.unit, item.range, item.flag) for item in results)
    return Table(("Analyte", "Value", "Unit", "Reference range", "Flag"), rows, (32, 10, 16, 16, 5))


def conclusion(chart: Chart, results: tuple[Result, ...]) -> str:
    """What a laboratory adds in one or two sentences: the flags, and the value before."""
    said: list[str] = []
    for result in results:
        if not result.flag:
            continue
        word = "above" if result.flag == "H" else "below"
        earlier = chart.results.get(result.analyte.key, [])
        before = f" (previous {earlier[-1][1].shown} on {short(earlier[-1][0])})" if earlier else ""
        unit = result.analyte.unit
        said.append(f"{result.analyte.short} {result.shown} {unit} is {word} the reference range{before}.")
    return " ".join(said[:3]) if said else "All results are within the reference range."


def laboratory(chart: Chart, panel: Panel, results: tuple[Result, ...], day: date, number: int) -> tuple[Section, ...]:
    material = "Capillary dried blood spot" if panel.key == "amino-acids" else "Venous blood"
    if panel.key == "kidney-urine":
        material = "Urine (early morning) and venous blood"
    elif panel.key == "inflammation":
        material = "Venous blood and stool"
    state = "fasting" if panel.key in _FASTING else "not stated as fasting"
    sample = (
        f"Sample N{day:%y%m%d}-{number:03d}. {material}, {state}, taken {spoken(day)}.",
        f"Requested by {chart.doctor.name}. Clinical details: {chart.story.condition}.",
    )
    notes = [conclusion(chart, results)]
    if any(item.analyte.key == "egfr" for item in results):
        notes.append("eGFR by CKD-EPI 2021 without a factor for ethnicity; not valid in acute illness.")
    if panel.key == "coeliac":
        notes.append("A normal tTG-IgA does not exclude coeliac disease when the patient is on a gluten-free diet.")
    if panel.key == "amino-acids":
        notes.append("Target range for treated phenylalanine from the age of 12: 120 to 600 µmol/L.")
    if panel.key == "hba1c":
        notes.append("HbA1c of 48 mmol/mol and above is in the diabetic range.")
    return (
        Section("Sample", sample),
        Section(panel.title, (), result_table(results)),
        Section("Comment", (" ".join(notes), "Authorised electronically.")),
    )


def diary(chart: Chart, day: date) -> tuple[Section, ...]:
    """Three days in the patient's own words: for a scanned page."""
    sections: list[Section] = []
    for back in (3, 2, 1):
        then = day - timedelta(days=back)
        labels = ("Bfast", "Lunch", "Eve", "Other")
        lines = tuple(
            f"{label}: {chart.draw('diary' + label, pool)[0]}"
            for label, pool in zip(labels, chart.story.meals, strict=True)
        )
        sections.append(Section(diary_day(then), lines))
    return tuple(sections)
