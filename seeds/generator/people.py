"""The twenty-five. Invented people with telephone numbers from ranges that are reserved for fiction."""

from dataclasses import dataclass
from datetime import date

# id | given | family | gender | born | story | story begins | height in cm when grown | build | telephone
# street; town; county; postcode
# history
# allergies / restrictions
# notes
_PEOPLE = """
amara-okafor|Amara|Okafor|female|1971-03-14|t2d|2016-02-08|166|1.02|020 7946 0101
14 Juniper Walk; Millbrook; Norchester; NC4 2QF
Type 2 diabetes since 2016, hepatic steatosis, raised cholesterol. Father and two aunts with diabetes.
 / low sugar; no pork
Works early shifts as a hospital porter; prefers telephone reviews after 14:00.

rajan-thillaivel|Rajan|Thillaivel|male|1962-11-02|t2d|2017-09-18|172|0.93|020 7946 0102
3 Lockkeeper Row; Harrowmere; Norchester; NC6 8LD
Type 2 diabetes since 2017, hypertension, retinopathy screening yearly without findings.
Penicillin / vegetarian; no eggs
Cooks South Indian food with his wife, who likes to join the visits. Tamil spoken at home, English fluent.

teresa-almendrova|Teresa|Almendrova|female|1979-06-21|t2d|2020-01-13|160|1.06|01632 960 103
88 Canal Street; Millbrook; Norchester; NC4 5RT
Type 2 diabetes since 2020 after gestational diabetes in 2012, polycystic ovary syndrome.
Shellfish / low sugar
School cook; knows portions by eye. Likes written plans by e-mail.

saoirse-brannaghue|Saoirse|Brannaghue|female|1990-08-30|coeliac|2017-04-10|169|1.00|020 7946 0104
Flat 2, 41 Mill Brow; Millbrook; Norchester; NC4 3HN
Coeliac disease proven by biopsy in 2017, osteopenia, iron deficiency in the past.
 / gluten-free
Runs half marathons. Sister with type 1 diabetes.

mateusz-wronkiewski|Mateusz|Wronkiewski|male|1984-01-19|coeliac|2020-09-07|181|1.04|07700 900105
17 Tanner Close; Harrowmere; Norchester; NC6 1AB
Coeliac disease since 2020, found through unexplained anaemia.
Hazelnut / gluten-free; no hazelnut
Electrician who eats lunch on building sites; needs cold packed meals.

desmond-achterloo|Desmond|Achterloo|male|1953-05-27|ckd|2016-05-23|175|1.01|020 7946 0106
The Old Forge; Little Sallow; Norchester; NC9 4JJ
Chronic kidney disease with albuminuria, hypertension since 1998, gout in the past.
 / low salt; low phosphate
Retired teacher, keeps precise tables of his blood results. Hears badly on the telephone.

fenhua-li|Fenhua|Li|female|1958-12-09|ckd|2019-03-04|157|0.90|020 7946 0107
5 Orchard Mews; Millbrook; Norchester; NC4 7KP
Chronic kidney disease from reflux nephropathy, hypertension, secondary hyperparathyroidism.
Sulfonamide / low salt; low potassium
Cantonese at home; her son interprets. Uses soy sauce and dried vegetables in daily cooking.

elin-sandvargen|Elin|Sandvargen|female|2002-02-16|anorexia|2018-10-01|168|1.00|07700 900108
29 Larch Rise; Millbrook; Norchester; NC4 9DE
Anorexia nervosa since 2018, one admission for refeeding, low bone density.
 / no numbers on handouts
Blind weighing. Please do not mention calories in letters that she receives.

noor-al-basiri|Noor|Al-Basiri|female|2004-07-05|anorexia|2021-02-15|162|1.02|07700 900109
Flat 11, Weaver House; Norchester; Norchester; NC1 3GA
Anorexia nervosa since 2021, in recovery; one admission for refeeding.
 / halal; no numbers on handouts
Observes Ramadan only with agreement of the team. Mother attends when asked.

priyanka-veldandi|Priyanka|Veldandi|female|1990-10-12|gdm|2017-06-12|158|0.96|020 7946 0110
6 Sandpiper Court; Harrowmere; Norchester; NC6 2TW
Gestational diabetes in two pregnancies, iron deficiency, family history of type 2 diabetes.
 / vegetarian on Tuesdays; no beef
Two children. Prefers evening video calls.

chidinma-ekwerike|Chidinma|Ekwerike|female|1993-03-03|gdm|2019-08-19|170|1.03|020 7946 0111
52 Station Parade; Norchester; Norchester; NC2 6BB
Gestational diabetes in two pregnancies, raised BMI, vitamin D deficiency.
Latex / low sugar
Accountant; likes numbers and keeps a spreadsheet of readings.

kofi-danquerah|Kofi|Danquerah|male|2013-04-25|peanut|2016-09-12|178|1.00|020 7946 0112
9 Kestrel Avenue; Millbrook; Norchester; NC4 8PL
Peanut allergy with anaphylaxis, eczema, mild asthma.
Peanut / no peanut
Contact through the parents. Carries two adrenaline auto-injectors.

hana-moriyasu|Hana|Moriyasu|female|2019-06-11|milk|2020-01-27|161|0.99|020 7946 0113
Garden Flat, 3 Priory Hill; Norchester; Norchester; NC1 8SU
Cow's milk allergy from infancy, outgrown; eczema.
Cow's milk / none
Contact through the mother, who speaks Japanese and English.

leila-farrokhan|Leila|Farrokhan|female|1988-09-17|ibs|2019-02-11|165|0.98|07700 900114
120 Quayside; Norchester; Norchester; NC2 1QY
Irritable bowel syndrome with diarrhoea, migraine.
 / low sorbitol; garlic and onion in small amounts
Barrister with irregular hours. Practises yoga.

joao-pestaneira|João|Pestaneira|male|1994-05-08|ibs|2021-06-21|177|1.01|07700 900115
Room 4, 15 Chapel Yard; Norchester; Norchester; NC2 4ZF
Irritable bowel syndrome after gastroenteritis abroad in 2019.
Pollen / lactose in small amounts
Chef; tastes all day. Vegetarian colleagues helped with recipes.

dolores-quintavale|Dolores|Quintavale|female|1968-01-31|bariatric|2017-03-20|163|1.02|020 7946 0116
77 Bellfounder Street; Millbrook; Norchester; NC4 4MC
Gastric bypass in 2018, type 2 diabetes in remission, sleep apnoea in the past, depression in remission.
 / no fizzy drinks; small portions
Grandmother of four. Attends the support group.

tama-rangihakea|Tama|Rangihakea|male|1969-10-06|bariatric|2018-06-04|184|0.97|020 7946 0117
31 Ropewalk; Harrowmere; Norchester; NC6 7EN
Gastric bypass in 2019, type 2 diabetes in remission, osteoarthritis of both knees.
Ibuprofen (gastric bypass) / small portions
Rugby coach. Wants plain words and clear goals.

mikko-jarvelampi|Mikko|Järvelampi|male|1970-07-28|hypertension|2018-01-15|179|1.02|07700 900118
8 Timber Yard; Harrowmere; Norchester; NC6 3OX
Essential hypertension, borderline left ventricular wall thickness, gout once.
 / low salt
Drives a lorry; four nights a week away from home.

anselm-grafenthaler|Anselm|Grafenthaler|male|1976-04-13|lipids|2020-05-11|183|0.99|07700 900119
2 Cloister Garth; Norchester; Norchester; NC1 5VD
Polygenic hypercholesterolaemia; brother with myocardial infarction at 49. Calcium score zero.
 / low saturated fat
Cycles to work; travels two weeks of four.

zeynep-karadalli|Zeynep|Karadalli|female|1997-11-24|crohn|2017-10-16|164|1.01|07700 900120
Flat 6, 18 Museum Street; Norchester; Norchester; NC1 2LR
Crohn's disease of the terminal ileum, ileocaecal resection in 2021, osteopenia.
 / no pork; low fibre in flares
Immunosuppressed: live vaccines are contraindicated.

callum-strathmorrow|Callum|Strathmorrow|male|2000-06-02|crohn|2019-11-25|180|0.99|07700 900121
45 Ferry Hill; Millbrook; Norchester; NC4 6TS
Crohn's disease since 2019, ileocaecal resection in 2024, iron deficiency.
Metronidazole / low fibre in flares
Plays the fiddle in a band, eats late. Partner cooks.

marisol-tejadera|Marisol|Tejadera|female|2008-02-29|adolescent-obesity|2021-09-13|167|1.00|020 7946 0122
63 Sycamore Drive; Millbrook; Norchester; NC4 2AW
Obesity in adolescence with hepatic steatosis, both improving.
 / none
Speak to Marisol first, then to her mother. Do not weigh in front of others.

edith-thornwhistle|Edith|Thornwhistle|female|1937-04-04|malnutrition|2018-09-03|156|1.00|020 7946 0123
1 Almshouse Lane; Little Sallow; Norchester; NC9 1CC
Malnutrition after bereavement, osteoporosis, heart failure with preserved function, Alzheimer's disease since 2022.
Codeine / soft food; fortified
Daughter holds power of attorney and receives copies of letters.

yiannis-petrakelis|Yiannis|Petrakelis|male|1940-08-15|malnutrition|2020-02-24|171|1.03|020 7946 0124
23 Harbour View; Norchester; Norchester; NC2 9HV
Malnutrition after bereavement, osteoporosis, atrial fibrillation, cognitive impairment since 2023.
 / soft food; Orthodox fasting days relaxed
Enjoys company at table. Daughter visits on Sundays.

finn-ohallorane|Finn|O'Hallorane|male|1999-03-17|pku|2016-06-20|182|1.00|07700 900125
Studio 9, Gasworks Lane; Norchester; Norchester; NC2 3PK
Classical phenylketonuria, found by newborn screening; responsive to sapropterin since 2020.
 / low phenylalanine; no aspartame; vegetarian
Sound engineer; sends blood spots by post, reminders by text message.
"""


@dataclass(frozen=True)
class Person:
    id: str
    given: str
    family: str
    gender: str
    born: date
    story: str
    start: date
    height_cm: float
    build: float
    phone: str
    address: tuple[str, ...]
    history: str
    allergies: tuple[str, ...]
    restrictions: tuple[str, ...]
    notes: str

    @property
    def name(self) -> str:
        return f"{self.given} {self.family}"

    @property
    def email(self) -> str:
        return f"{self.id.replace('-', '.')}@example.test"


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";") if part.strip() and part.strip() != "none")


def _person(block: str) -> Person:
    head, address, history, diet, notes = block.splitlines()
    ident, given, family, gender, born, story, start, height, build, phone = head.split("|")
    allergies, restrictions = diet.split(" / ")
    return Person(
        id=ident,
        given=given,
        family=family,
        gender=gender,
        born=date.fromisoformat(born),
        story=story,
        start=date.fromisoformat(start),
        height_cm=float(height),
        build=float(build),
        phone=phone,
        address=_parts(address),
        history=history,
        allergies=_parts(allergies),
        restrictions=_parts(restrictions),
        notes=notes,
    )


PEOPLE = tuple(_person(block) for block in _PEOPLE.strip().split("\n\n"))
