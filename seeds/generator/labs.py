"""Analytes with LOINC, UCUM and adult reference ranges; panels; and values that follow a story."""

import random
from dataclasses import dataclass, replace

from seeds.generator.body import Body
from seeds.generator.story import Knots, Story, at

_ANALYTES = """
hba1c|59261-8|Hemoglobin A1c/Hemoglobin.total in Blood by IFCC protocol|HbA1c|mmol/mol|mmol/mol|20|41|0|36|2
glucose|14771-0|Fasting glucose [Moles/volume] in Serum or Plasma|Fasting glucose|mmol/L|mmol/L|3.9|5.5|1|4.9|4
glucose2h|14995-5|Glucose [Moles/volume] in Serum or Plasma --2 hours post 75 g glucose PO
  |Glucose, 2 h|mmol/L|mmol/L||7.7|1|6.1|5
sodium|2951-2|Sodium [Moles/volume] in Serum or Plasma|Sodium|mmol/L|mmol/L|133|146|0|140|1
potassium|2823-3|Potassium [Moles/volume] in Serum or Plasma|Potassium|mmol/L|mmol/L|3.5|5.3|1|4.3|4
bicarbonate|1963-8|Bicarbonate [Moles/volume] in Serum or Plasma|Bicarbonate|mmol/L|mmol/L|22|29|0|26|3
urea|22664-7|Urea [Moles/volume] in Serum or Plasma|Urea|mmol/L|mmol/L|2.5|7.8|1|4.9|9
creatinine|14682-9|Creatinine [Moles/volume] in Serum or Plasma|Creatinine|µmol/L|umol/L|45|104|0|70|3
egfr|62238-1|Glomerular filtration rate/1.73 sq M.predicted by
  Creatinine-based formula (CKD-EPI)|eGFR|mL/min/1.73m²|mL/min/{1.73_m2}|60||0|92|3
acr|32294-1|Albumin/Creatinine [Ratio] in Urine|Urine ACR|mg/mmol|mg/mmol||3.0|1|1.2|15
phosphate|14879-1|Phosphate [Moles/volume] in Serum or Plasma|Phosphate|mmol/L|mmol/L|0.80|1.50|2|1.12|5
calcium|2000-8|Calcium [Moles/volume] in Serum or Plasma|Calcium|mmol/L|mmol/L|2.20|2.60|2|2.38|2
magnesium|2601-3|Magnesium [Moles/volume] in Serum or Plasma|Magnesium|mmol/L|mmol/L|0.70|1.00|2|0.84|4
pth|14866-8|Parathyrin.intact [Moles/volume] in Serum or Plasma|PTH|pmol/L|pmol/L|1.6|6.9|1|4.2|9
haemoglobin|718-7|Hemoglobin [Mass/volume] in Blood|Haemoglobin|g/L|g/L|115|165|0|136|2
mcv|787-2|MCV [Entitic volume] by Automated count|MCV|fL|fL|80|100|0|89|2
leukocytes|6690-2|Leukocytes [#/volume] in Blood by Automated count|White cells|10^9/L|10*9/L|4.0|11.0|1|6.6|10
platelets|777-3|Platelets [#/volume] in Blood by Automated count|Platelets|10^9/L|10*9/L|150|400|0|258|7
ferritin|2276-4|Ferritin [Mass/volume] in Serum or Plasma|Ferritin|µg/L|ug/L|15|200|0|72|8
transferrin|2502-3|Iron saturation [Mass Fraction] in Serum or Plasma|Transferrin saturation|%|%|16|45|0|27|9
folate|2284-8|Folate [Mass/volume] in Serum or Plasma|Folate|µg/L|ug/L|3.0|20.0|1|8.6|10
b12|2132-9|Cobalamin (Vitamin B12) [Mass/volume] in Serum or Plasma|Vitamin B12|ng/L|ng/L|200|900|0|420|8
vitamin-d|14635-7|25-hydroxyvitamin D3 [Moles/volume] in Serum or Plasma|Vitamin D (25-OH)|nmol/L|nmol/L|50|125|0|62|10
ttg|31017-7|Tissue transglutaminase IgA Ab [Units/volume] in Serum|tTG-IgA|U/mL|[U]/mL||7.0|1|1.1|8
iga|2458-8|IgA [Mass/volume] in Serum or Plasma|Total IgA|g/L|g/L|0.8|4.0|1|2.1|4
cholesterol|14647-2|Cholesterol [Moles/volume] in Serum or Plasma|Total cholesterol|mmol/L|mmol/L||5.0|1|4.7|3
ldl|39469-2|Cholesterol in LDL [Moles/volume] in Serum or Plasma by
  calculation|LDL cholesterol|mmol/L|mmol/L||3.0|1|2.6|4
hdl|14646-4|Cholesterol in HDL [Moles/volume] in Serum or Plasma|HDL cholesterol|mmol/L|mmol/L|1.0||1|1.4|4
triglycerides|14927-8|Triglyceride [Moles/volume] in Serum or Plasma|Triglycerides|mmol/L|mmol/L||1.7|1|1.2|9
nonhdl|70204-3|Cholesterol non HDL [Moles/volume] in Serum or Plasma|Non-HDL cholesterol|mmol/L|mmol/L||3.9|1|3.3|4
alt|1742-6|Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma|ALT|U/L|U/L||40|0|22|9
alp|6768-6|Alkaline phosphatase [Enzymatic activity/volume] in Serum or Plasma|ALP|U/L|U/L|30|130|0|78|7
bilirubin|14631-6|Bilirubin.total [Moles/volume] in Serum or Plasma|Bilirubin|µmol/L|umol/L||21|0|9|12
albumin|1751-7|Albumin [Mass/volume] in Serum or Plasma|Albumin|g/L|g/L|35|50|0|43|2
prealbumin|14338-8|Prealbumin [Mass/volume] in Serum or Plasma|Prealbumin|mg/L|mg/L|200|400|0|265|5
crp|1988-5|C reactive protein [Mass/volume] in Serum or Plasma|CRP|mg/L|mg/L||5|0|2|20
calprotectin|38445-3|Calprotectin [Mass/mass] in Stool|Faecal calprotectin|µg/g|ug/g||50|0|24|12
tsh|3016-3|Thyrotropin [Units/volume] in Serum or Plasma|TSH|mU/L|m[IU]/L|0.4|4.5|1|1.9|12
urate|14933-6|Urate [Moles/volume] in Serum or Plasma|Urate|µmol/L|umol/L|140|420|0|300|5
phenylalanine|29573-3|Phenylalanine [Moles/volume] in DBS|Phenylalanine (dried blood spot)|µmol/L|umol/L|120|600|0|58|7
tyrosine|35571-9|Tyrosine [Moles/volume] in DBS|Tyrosine (dried blood spot)|µmol/L|umol/L|30|120|0|62|9
ige-peanut|6206-7|Peanut IgE Ab [Units/volume] in Serum|Peanut specific IgE|kU/L|k[IU]/L||0.35|2|0.10|4
ige-milk|7258-7|Cow milk IgE Ab [Units/volume] in Serum|Cow's milk specific IgE|kU/L|k[IU]/L||0.35|2|0.10|4
ige-total|19113-0|IgE [Units/volume] in Serum or Plasma|Total IgE|kU/L|k[IU]/L||100|0|42|6
"""

_PANELS = """
hba1c|59261-8|Haemoglobin A1c|hba1c glucose
ogtt|11502-2|Oral glucose tolerance test, 75 g|glucose glucose2h
renal|24362-6|Renal function panel|sodium potassium bicarbonate urea creatinine egfr phosphate calcium albumin
electrolytes|24326-1|Electrolytes with refeeding bloods|sodium potassium phosphate magnesium calcium urea creatinine
kidney-urine|32294-1|Urine albumin/creatinine ratio|acr creatinine egfr
bone|11502-2|Bone profile with PTH and vitamin D|calcium phosphate alp albumin pth vitamin-d
blood-count|58410-2|Full blood count|haemoglobin mcv leukocytes platelets
haematinics|11502-2|Haematinics|ferritin transferrin folate b12 haemoglobin mcv
coeliac|11502-2|Coeliac serology|ttg iga
lipids|24331-1|Lipid panel|cholesterol hdl ldl triglycerides nonhdl
liver|24325-3|Hepatic function panel|alt alp bilirubin albumin
inflammation|11502-2|Inflammatory markers|crp calprotectin albumin leukocytes platelets
thyroid|3016-3|Thyroid function|tsh
micronutrients|11502-2|Micronutrient screen|vitamin-d b12 folate ferritin magnesium
nutrition|11502-2|Nutrition markers|albumin prealbumin crp magnesium phosphate potassium
amino-acids|11502-2|Phenylalanine and tyrosine, dried blood spot|phenylalanine tyrosine
ige-peanut|11502-2|Specific IgE, peanut|ige-peanut ige-total
ige-milk|11502-2|Specific IgE, cow's milk|ige-milk ige-total
pressure|24321-2|Basic metabolic panel|sodium potassium urea creatinine egfr urate
"""


_PANEL_NAMES = {
    "59261-8": "Hemoglobin A1c/Hemoglobin.total in Blood by IFCC protocol",
    "11502-2": "Laboratory report",
    "24362-6": "Renal function 2000 panel - Serum or Plasma",
    "24326-1": "Electrolytes 1998 panel - Serum or Plasma",
    "32294-1": "Albumin/Creatinine [Ratio] in Urine",
    "58410-2": "CBC panel - Blood by Automated count",
    "24331-1": "Lipid 1996 panel - Serum or Plasma",
    "24325-3": "Hepatic function 2000 panel - Serum or Plasma",
    "3016-3": "Thyrotropin [Units/volume] in Serum or Plasma",
    "24321-2": "Basic metabolic 2000 panel - Serum or Plasma",
}


@dataclass(frozen=True)
class Analyte:
    key: str
    loinc: str
    display: str
    short: str
    unit: str
    ucum: str
    low: float | None
    high: float | None
    decimals: int
    usual: float
    noise: float


@dataclass(frozen=True)
class Panel:
    key: str
    loinc: str
    title: str
    analytes: tuple[str, ...]

    @property
    def display(self) -> str:
        """The LOINC name: a panel without a code of its own is a laboratory report."""
        return _PANEL_NAMES[self.loinc]


def _analyte(line: str) -> Analyte:
    key, loinc, display, short, unit, ucum, low, high, decimals, usual, noise = (
        part.strip() for part in line.split("|")
    )
    bounds = tuple(float(bound) if bound else None for bound in (low, high))
    spread = float(noise) / 100
    return Analyte(key, loinc, display, short, unit, ucum, bounds[0], bounds[1], int(decimals), float(usual), spread)


def _panel(line: str) -> Panel:
    key, loinc, title, analytes = line.split("|")
    return Panel(key, loinc, title, tuple(analytes.split()))


ANALYTES = {analyte.key: analyte for analyte in map(_analyte, _ANALYTES.replace("\n  ", " ").strip().splitlines())}
PANELS = {panel.key: panel for panel in map(_panel, _PANELS.strip().splitlines())}


@dataclass(frozen=True)
class Result:
    analyte: Analyte
    value: float

    @property
    def shown(self) -> str:
        return f"{self.value:.{self.analyte.decimals}f}"

    @property
    def flag(self) -> str:
        low, high = self.analyte.low, self.analyte.high
        if low is not None and self.value < low:
            return "L"
        return "H" if high is not None and self.value > high else ""

    @property
    def range(self) -> str:
        low, high, places = self.analyte.low, self.analyte.high, self.analyte.decimals
        if low is None:
            return f"< {high:.{places}f}"
        return f"> {low:.{places}f}" if high is None else f"{low:.{places}f} - {high:.{places}f}"


_CHILDREN = {
    "creatinine": (15.0, 70.0),
    "alp": (60.0, 400.0),
    "haemoglobin": (105.0, 150.0),
    "mcv": (72.0, 95.0),
    "ige-total": (None, 200.0),
}


_MEN = {"haemoglobin": (130.0, 170.0), "ferritin": (30.0, 400.0), "urate": (200.0, 430.0)}


def _for_body(analyte: Analyte, body: Body, age: float) -> Analyte:
    """The reference range that a laboratory prints for this age and sex."""
    special = _CHILDREN if age < 16 else _MEN if body.gender == "male" else {}
    low, high = special.get(analyte.key, (analyte.low, analyte.high))
    return replace(analyte, low=low, high=high)


def creatinine_for(egfr: float, age: float, gender: str) -> float:
    """Creatinine in µmol/L whose CKD-EPI 2021 estimate is `egfr`: the two stand in one report and must agree."""
    kappa, alpha, factor = (0.7, -0.241, 1.012) if gender == "female" else (0.9, -0.302, 1.0)
    quotient = egfr / (142 * 0.9938**age * factor)
    exponent = -1.2 if quotient < 1 else alpha
    return kappa * quotient ** (1 / exponent) * 88.42


def measure(panel: Panel, story: Story, body: Body, years: float, rng: random.Random) -> tuple[Result, ...]:
    """One sample. Derived analytes are computed from the measured ones, as a laboratory does."""
    values: dict[str, float] = {}
    age = body.age(years)
    for key in panel.analytes:
        analyte = ANALYTES[key]
        usual: Knots = ((0.0, analyte.usual),)
        spread = 1 + max(-2.2, min(2.2, rng.gauss(0, 1))) * analyte.noise
        if key == "haemoglobin" and body.gender == "male" and age >= 16:
            spread += 0.07
        values[key] = at(story.analytes.get(key, usual), years) * spread
    if "egfr" in values and age >= 18:
        values["creatinine"] = creatinine_for(values["egfr"], age, body.gender)
    elif "creatinine" in values and age < 18:
        values["creatinine"] = 22 + age * 2.4 + rng.uniform(-3, 3)
        values.pop("egfr", None)
    if "ldl" in values:
        values["cholesterol"] = values["ldl"] + values["hdl"] + values["triglycerides"] / 2.2
        values["nonhdl"] = values["cholesterol"] - values["hdl"]
    return tuple(
        Result(_for_body(ANALYTES[key], body, age), round(values[key], ANALYTES[key].decimals))
        for key in panel.analytes
        if key in values
    )
