"""Phenylketonuria in a young adult."""

from seeds.generator.story import Story, events, phases

_PKU = """
@0
M Phenylalanine-free protein substitute 60 g protein equivalent a day in three doses
S {first} has had phenylketonuria since newborn screening and moves to the adult clinic this year.
S {She} lives with {hers} parents, who still measure everything; {she} wants to learn it before leaving home.
S The substitute is taken at breakfast and at night, the midday dose seldom, because of the smell at school.
S Headaches and poor concentration in weeks with high levels; {she} has noticed the link by {her}self.
D Allowance nine exchanges (9 g natural protein); eats 11 to 14 by recall, mostly potatoes, cereal and chips.
D Low-protein bread and pasta on prescription; no meat, fish, eggs, cheese, nuts, pulses or aspartame.
D Fizzy drink labelled «no sugar» was taken by mistake twice: aspartame.
D Sends blood spots every four to six weeks, less often than asked.
A Phenylalanine {phenylalanine}: above the target of 120 to 600, due to missed substitute and uncounted exchanges.
A Energy is adequate; low energy intake is not the cause of the levels. Weight {weight}.
A Keen to become independent; arithmetic of exchanges is secure.
P Substitute in three doses, the midday one as a small tablet pack; never all at once.
P Nine exchanges, spread over three meals; scales for potatoes, rice and cereal for four weeks.
P Avoid aspartame (E951, E962): list of drinks and sweeteners was gone through.
P Blood spot every two weeks, before breakfast, posted on the same day.
P Cooking sessions with low-protein flour: pizza base and wraps.
@1.5
M Phenylalanine-free protein substitute 75 g protein equivalent a day; vitamin B12 checked yearly
S {She} lives in a student house. Flatmates know, and one cooks low-protein pasta with {her}.
S {She} takes all three doses on four days of seven, and is honest about the rest.
S Tired of explaining; no longer hides the shaker.
S Levels were good in the term and poor in the holidays, when {she} eats what others eat.
D Exchanges 9 to 10. Vegetables freely; fruit freely. Low-protein rice twice a week.
D Three-day diary: 2,150 kcal, natural protein 10 g, substitute 68 g.
D Beer occasionally (counted), vegan cheese (coconut based, protein below 0.5 g).
D Crisps and chips are the usual unplanned exchanges.
A Phenylalanine {phenylalanine}, tyrosine {tyrosine}: metabolic control is improving.
A Micronutrients are met by the substitute when taken fully; vitamin D {vitamin-d}, B12 {b12}.
A Adherence falls in holidays: a plan is needed rather than more knowledge.
P Holiday plan: bring the substitute for 14 days, three low-protein dishes to cook for everyone.
P App for exchanges instead of the paper diary.
P Blood spot every two to four weeks; text message reminder arranged.
P Sapropterin trial to be discussed with the metabolic team.
@4.5
M Sapropterin 10 mg/kg daily; phenylalanine-free protein substitute 40 g protein equivalent a day
S Sapropterin works: {she} eats 22 exchanges and had a cheese sandwich for the first time in {hers} life.
S {She} works as a sound engineer; irregular hours make the second dose difficult.
S The change was unsettling: «I do not know what people eat.»
S {She} thinks about a family one day and asks how phenylketonuria is inherited.
D Natural protein 22 to 24 g: yogurt, ordinary bread twice a day, beans; still no meat, by choice.
D Substitute 40 g in two doses; forgotten at festivals.
D Low-protein pasta as before, ordinary rice now.
D Three-day diary: 2,240 kcal, fibre 29 g, calcium 1,050 mg.
A Responsive to sapropterin, phenylalanine {phenylalanine} with 22 exchanges: within target.
A Ferritin {ferritin}, B12 {b12}: adequate, to be watched with less substitute.
A Weight {weight}, BMI {bmi}. Relation to new foods is cautious and curious.
P Raise natural protein by 2 g every two weeks while two spots in a row are below 480 micromol/L.
P Substitute in two doses; a pouch in the work bag.
P Yearly: amino acids, B12, ferritin, vitamin D, bone density every five years.
P Inheritance of phenylketonuria explained; carrier testing of a partner is offered by the clinic.
"""

_PKU_EVENTS = """
# referral, 0.01, 0 | Transition to the adult metabolic clinic | Metabolic medicine
{first} has classical phenylketonuria found by newborn screening (phenylalanine at diagnosis 1,480 micromol/L).
  Development is normal. Levels have risen in the past year to about {phenylalanine}.
= Please take over care; independence in counting exchanges is the goal.
# consult, 1.0, 0 | Adult metabolic clinic | Metabolic medicine
Neurological examination normal apart from a fine tremor. Executive function tests in the average range. Phenylalanine
  {phenylalanine}.
= Substitute raised to 75 g protein equivalent. Blood spots every two weeks.
# imaging, 1.8, 0 | DEXA bone densitometry | Radiology
Lumbar spine Z-score -0.9; total hip Z-score -0.6.
= Within the expected range for age.
# consult, 4.4, 0 | Sapropterin responsiveness test | Metabolic medicine
Four-week trial of sapropterin 10 mg/kg: phenylalanine fell by 48 % on an unchanged diet. Natural protein will be
  raised stepwise.
= Responsive. Continue sapropterin; dietitian to raise exchanges.
"""

PKU = Story(
    key="pku",
    condition="Phenylketonuria",
    snomed="7573000",
    icd10="E70.0",
    specialty="Metabolic medicine",
    reason="phenylketonuria, transition to adult care; protein substitute and exchanges please",
    order="Low phenylalanine diet, 9 exchanges, protein substitute 60 g",
    bmi=((0, 22.4), (2, 23.6), (5, 23.9), (10, 24.4)),
    systolic=((0, 116), (10, 121)),
    panels=("amino-acids", "micronutrients", "haematinics", "bone"),
    quoted=("phenylalanine", "tyrosine", "b12", "ferritin", "vitamin-d"),
    phases=phases(_PKU),
    events=events(_PKU_EVENTS),
    meals=(
        ("LP toast + jam, PS 20g", "LP cereal, 1 exch", "fruit, PS", "potato cakes 2 exch"),
        ("LP pasta, tomato", "chips = 2 exch", "veg curry, LP rice", "salad, LP bread"),
        ("LP pizza (coconut cheese)", "veg stir fry, rice 2 ex", "jacket potato 3 ex", "mushroom wrap LP"),
        ("apple", "crisps 1 exch", "PS at 22:00", "PS forgotten", "sorbet"),
    ),
    density=((0, 2.4), (1.5, 1.4), (4.3, 1.8)),
    analytes={
        "phenylalanine": ((0, 842), (0.6, 690), (1.5, 560), (3, 610), (4.3, 580), (4.5, 330), (5.5, 372), (10, 418)),
        "tyrosine": ((0, 41), (2, 55), (10, 58)),
        "vitamin-d": ((0, 47), (2, 66)),
        "b12": ((0, 520), (4, 460), (6, 318), (10, 305)),
        "ferritin": ((0, 52), (10, 64)),
    },
)
