"""Malnutrition in old age, peanut allergy, cow's milk allergy, phenylketonuria."""

from seeds.generator.story import Story, events, phases

_MALNUTRITION = """
@0
M Bisoprolol 2.5 mg; mirtazapine 15 mg at night; colecalciferol 800 units; lactulose as needed
S {first} has eaten little since {hers} spouse died in the spring. «Cooking for one is no fun», {she} said.
S Clothes have become loose. Tires when climbing stairs; one fall in the kitchen, without injury.
S The lower denture rubs, so {she} avoids meat and apples.
S {Hers} daughter visits on Sundays and fills the fridge; much of it is thrown away.
D Tea and biscuits in the morning, soup at midday, bread and jam in the evening: about 1,150 kcal and 38 g of protein.
D Fluid five cups. Milk only in tea. Fruit from a tin.
D Low-fat yogurt and skimmed milk are bought because of an old leaflet about cholesterol.
D Appetite 3 of 10; early fullness; food tastes of little.
A Malnutrition, MUST score 3: BMI {bmi}, unintended loss of more than 10 % in six months.
A Protein intake well below 1.2 g/kg; risk of sarcopenia and falls.
A Low mood, ill-fitting denture and eating alone are the causes.
P Food first: full-cream milk with 4 tablespoons of milk powder to the pint, butter, cream, cheese, egg in soups.
P Small meals six times a day; a nourishing drink between them. No low-fat products any more.
P Two supplements a day (2.4 kcal/ml, 125 ml) for twelve weeks, cold, sipped between meals.
P Dentist to see the denture; lunch club on Wednesdays; meals delivered at noon on other days.
P Weight each week on the same scales; MUST once a month by the community nurse.
@0.9
M Bisoprolol 2.5 mg; mirtazapine 15 mg; colecalciferol 800 units; supplement 125 ml twice daily
S {She} goes to the lunch club twice a week and has made a friend who plays chess.
S Appetite is better since mirtazapine. The denture was relined.
S A chest infection in winter cost {her} three kilograms; {she} is building up again.
S {She} walks to the shop with a stick, and does chair exercises with the television.
D Cooked breakfast with egg, delivered lunch, sandwich in the evening, two supplements: 1,750 kcal, protein 68 g.
D Puddings with custard daily. Full-cream milk one pint.
D Vegetables are eaten soft; fruit stewed.
D Leaves the evening sandwich when alone.
A Weight {weight}, BMI {bmi}: regaining. MUST score 1. Albumin {albumin} with CRP {crp}.
A Protein about 1.2 g/kg; hand grip 19 kg and rising.
A Still depends on supplements when ill.
P Keep one supplement a day, two for two weeks after any infection.
P Protein 25 g at each main meal; dairy dessert in the evening in place of the sandwich.
P Strength and balance class at the community hall.
P Vitamin D and B12 with the yearly bloods.
P Shopping with {hers} daughter: list of ready-to-eat foods with at least 15 g of protein.
@3.5
M Bisoprolol 2.5 mg; donepezil 5 mg; colecalciferol 800 units; texture modified diet level 6
S Memory is failing; carers come twice a day. {She} forgets whether {she} has eaten.
S Coughs on thin drinks since the summer; speech and language therapy advised soft, bite-sized food.
S {She} enjoys sweet food and finger food, and eats better in company.
S {Hers} daughter is worried about weight and about force at meals; we talked about comfort.
D Finger food: egg sandwiches, banana, cheese cubes, fish cakes; custard with everything.
D Intake about 1,500 kcal by the carers' chart, protein 55 g.
D Drinks slightly thick (level 1); 1.1 litres a day.
D Best meal is breakfast; evenings are restless.
A At high risk of malnutrition with dementia; weight {weight}, BMI {bmi}.
A Swallowing is safe on level 6 food and level 1 drinks, as assessed.
A Hydration is borderline: urea {urea}, sodium {sodium}.
P Largest meal in the morning; bright plates; sit and eat together; no hurry.
P Fortified finger foods each two hours while awake; supplement as a milkshake.
P Drinks offered hourly; jelly and ice lollies count.
P Comfort and pleasure come before numbers; advance care plan is in the record.
"""

_MALNUTRITION_EVENTS = """
# referral, 0.01, 0 | Referral to the community dietitian | Care of older people
MUST score 3 at the nurse's visit. {first} has lost a great deal of weight since bereavement. BMI {bmi}, albumin
  {albumin}. Thyroid function normal; chest radiograph clear; screening bloods without a cause.
= Please assess and advise on food fortification and supplements.
# admission, 1.4, 8 | Discharge summary: pneumonia | Care of older people
Admitted with community-acquired pneumonia and dehydration. Antibiotics for seven days. Phosphate 0.74 mmol/L after
  the first days of feeding, replaced.
The ward dietitian set two supplements and a high-protein menu. Weight on discharge was well below that of the last
  clinic.
= Supplements twice daily for eight weeks; community dietitian within two weeks; physiotherapy at home.
# imaging, 1.6, 0 | DEXA bone densitometry | Radiology
Femoral neck T-score -2.7, lumbar spine T-score -2.2.
= Osteoporosis. Vitamin D and calcium through food; treatment to be discussed by the practice.
# consult, 3.4, 0 | Memory clinic | Care of older people
{first} scored 19 of 30. CT showed generalised atrophy. Alzheimer's disease, mild to moderate. Weight and swallowing
  should be followed.
= Donepezil. Referral to speech and language therapy and dietitian.
"""

MALNUTRITION = Story(
    key="malnutrition",
    condition="Malnutrition in old age",
    snomed="248325000",
    icd10="E44.0",
    specialty="Care of older people",
    reason="weight loss and poor appetite after bereavement, MUST score 3; nutritional support please",
    order="High-energy, high-protein diet with oral nutritional supplements",
    bmi=((0, 17.6), (0.4, 18.2), (1.35, 19.9), (1.45, 18.8), (2.4, 20.6), (3.5, 20.1), (5, 19.3), (8, 18.9)),
    systolic=((0, 118), (8, 126)),
    panels=("nutrition", "blood-count", "renal", "micronutrients", "haematinics", "thyroid"),
    quoted=("albumin", "prealbumin", "crp", "vitamin-d", "b12", "urea"),
    phases=phases(_MALNUTRITION),
    events=events(_MALNUTRITION_EVENTS),
    meals=(
        ("porridge, cream, sugar", "boiled egg, toast", "tea, 2 biscuits", "weetabix, hot milk"),
        ("club: roast + pudding", "delivered: fish pie", "soup w. cream", "cheese on toast"),
        ("sandwich - left half", "rice pudding", "scrambled egg", "custard, peaches"),
        ("supplement (choc)", "milk", "cake w. daughter", "banana", "tea"),
    ),
    density=((0, 3.4), (0.9, 1.7), (3.5, 1.8)),
    analytes={
        "albumin": ((0, 32), (1.3, 36), (1.45, 29), (2.2, 36), (8, 34)),
        "prealbumin": ((0, 142), (1.3, 204), (1.45, 122), (2.2, 206), (8, 181)),
        "crp": ((0, 6), (1.35, 5), (1.42, 74), (1.6, 8), (8, 6)),
        "haemoglobin": ((0, 112), (2, 119), (8, 115)),
        "ferritin": ((0, 28), (2, 54)),
        "b12": ((0, 190), (0.8, 380), (8, 410)),
        "folate": ((0, 2.6), (0.8, 7.0)),
        "vitamin-d": ((0, 18), (0.9, 56), (8, 61)),
        "egfr": ((0, 66), (8, 56)),
        "urea": ((0, 7.2), (8, 8.6)),
        "phosphate": ((0, 0.86), (0.6, 1.02)),
        "magnesium": ((0, 0.69), (0.9, 0.78)),
    },
)

_PEANUT = """
@0
M Adrenaline auto-injector 150 micrograms (two to be carried); cetirizine as needed
S Urticaria, swelling of the lips and vomiting within ten minutes of a bite of a peanut butter sandwich at nursery.
S {first} has mild eczema and had egg allergy as a baby, outgrown. No asthma.
S The parents are frightened of every meal outside the house and have removed all nuts.
S {Hers} grandmother does not believe in the allergy; both parents asked for a letter to show.
D Varied diet at home: cereals, milk, eggs, fish, pulses. Soya and chickpeas without reaction.
D Tree nuts were never eaten. Sesame (hummus) is tolerated weekly.
D «May contain» products are avoided altogether, which excludes most cereals and chocolate.
D Appetite good; eats with the family.
A IgE-mediated peanut allergy with anaphylaxis; specific IgE {ige-peanut}. Growth follows the centiles.
A Diet nutritionally adequate; unnecessary avoidance of tree nuts and lupin for lack of information.
A Risk of accidental exposure at nursery and with relatives.
P Strict avoidance of peanut, also as groundnut, arachis oil (unrefined), satay, mixed nuts and marzipan substitutes.
P Label reading practised with six packets; precautionary labels explained.
P Anaphylaxis action plan for nursery and grandmother; auto-injector trainer used by both parents.
P Keep those tree nuts and legumes in the diet that were eaten safely; introduce others after the clinic's tests.
P Weight-based dose of the auto-injector to be checked at 25 kg.
@2.5
M Adrenaline auto-injector 300 micrograms (two to be carried); cetirizine as needed; salbutamol inhaler
S No reaction for more than a year. {first} tells {hers} friends by {her}self and asks before eating.
S One hive on the cheek after a birthday party, settled with cetirizine; source not found.
S School trip is planned; {first} is a little anxious and wants to go.
S {She} asked whether {she} will ever eat a chocolate egg from the shop.
D Almond, hazelnut and cashew were passed in supervised challenges and are eaten twice a week.
D Packed lunch from home; school kitchen is peanut-free but not trace-free.
D Three-day diary: 1,780 kcal, protein 62 g, calcium 880 mg, iron 9 mg: adequate.
D Fish once a week, pulses often.
A Peanut allergy persists (IgE {ige-peanut}); avoidance is well managed.
A Growth: height {height}, weight {weight}, along the same centiles.
A Anxiety around food outside the home is moderate, coping well.
P Keep almond, hazelnut and cashew in the diet at least once a week, to keep tolerance.
P Meeting with the school: trip kit, two adults trained, translation card.
P Practise with the trainer pen every term; {first} can name the three steps.
P Ask the clinic about oral immunotherapy.
@6
M Peanut oral immunotherapy, maintenance 300 mg daily; adrenaline auto-injector 300 micrograms (two)
S Maintenance dose of immunotherapy is taken each evening with yogurt; itchy mouth in the first weeks only.
S {She} rests for two hours after the dose, and skipped it during a fever as taught.
S {She} goes to the cinema and to a café with friends without fear.
S The taste is the worst of it: «like cardboard». Mixed with chocolate pudding it works.
D Dose never on an empty stomach: after the evening meal. Diet otherwise unrestricted except for peanut.
D Growing appetite in puberty; breakfast skipped at weekends.
D Calcium 1,020 mg; iron 11 mg.
D Tree nuts three times a week.
A On maintenance immunotherapy; peanut IgE {ige-peanut}, falling. Still avoids peanut otherwise.
A Diet adequate in puberty; height {height}, weight {weight}.
A Takes over responsibility step by step.
P Dose with food, no sport or hot bath for two hours; leave out with fever, asthma symptoms or vomiting.
P Carry both auto-injectors as before; anaphylaxis is still possible after an accident.
P Iron-rich snacks after training; breakfast before the dose day's sport.
P Plan a supervised exit challenge with the clinic.
"""

_PEANUT_EVENTS = """
# consult, 0.05, 0 | Paediatric allergy clinic | Allergy and immunology
Skin prick test peanut 11 mm, hazelnut 2 mm, almond 0, sesame 0. Specific IgE to peanut {ige-peanut}. The history is
  of anaphylaxis.
Two auto-injectors were prescribed, and training was given to both parents.
= IgE-mediated peanut allergy. Strict avoidance. Dietetic review. Supervised challenges with tree nuts.
# admission, 1.1, 1 | Discharge summary: anaphylaxis to peanut | Allergy and immunology
Brought by ambulance after eating a biscuit from a friend: generalised urticaria, cough and wheeze. Adrenaline given
  by the teacher after four minutes, second dose by the crew. Observed overnight without a biphasic reaction.
= Accidental exposure. Action plan went well. Replace auto-injectors. Early review with dietitian about biscuits and
  labels.
# consult, 2.4, 0 | Supervised oral food challenges: almond, hazelnut, cashew | Allergy and immunology
Open challenges on three days, up to 10 g each. No reaction. Parents were advised to keep these nuts in the diet every
  week.
= Tolerates almond, hazelnut and cashew. Continues to avoid peanut.
# referral, 5.2, 0 | Referral for peanut oral immunotherapy | Allergy and immunology
{first} and the family wish to start immunotherapy. Asthma is well controlled. Peanut IgE {ige-peanut}.
= Dietetic assessment before, and support during build-up please.
"""

PEANUT = Story(
    key="peanut",
    condition="Peanut allergy",
    snomed="91935009",
    icd10="Z91.010",
    specialty="Allergy and immunology",
    reason="anaphylaxis to peanut; avoidance advice and adequacy of the diet please",
    order="Peanut-free diet",
    bmi=((0, 15.9), (3, 16.1), (6, 17.6), (9, 19.2)),
    systolic=((0, 94), (9, 110)),
    panels=("ige-peanut", "micronutrients", "blood-count", "haematinics"),
    quoted=("ige-peanut", "ige-total", "ferritin", "vitamin-d"),
    phases=phases(_PEANUT),
    events=events(_PEANUT_EVENTS),
    meals=(
        ("cereal (checked)", "toast, sunflower butter", "egg, toast", "porridge"),
        ("packed: cheese roll", "pasta, peas", "hummus wrap", "school: jacket potato"),
        ("chicken, rice", "fish fingers, beans", "dal", "spaghetti bolognese"),
        ("hazelnuts - no reaction", "apple", "cake from HOME", "yogurt + dose"),
    ),
    density=((0, 2.6), (1.5, 1.2), (5, 1.8)),
    analytes={
        "ige-peanut": ((0, 34.2), (2, 46.8), (5.2, 41.0), (6, 52.5), (7, 30.4), (9, 17.8)),
        "ige-total": ((0, 286), (5, 340), (9, 262)),
        "vitamin-d": ((0, 46), (1, 62)),
        "haemoglobin": ((0, 122), (9, 131)),
        "ferritin": ((0, 24), (9, 33)),
    },
    allergy=(("762952008", "Peanut", "Anaphylaxis"),),
)

_MILK = """
@0
M Extensively hydrolysed formula, about 500 ml a day; vitamins A, C and D drops
S Hives and vomiting within half an hour of the first bottle of formula. Symptoms settled on the hydrolysed formula.
S {first} sleeps better and the eczema has improved since milk was taken out. {Hers} mother is exhausted.
S The smell of the formula is a trial, but {she} takes it from a cup with a lid.
S Weaning is going on; {hers} parents are afraid of every new food.
D Solids three times a day: vegetables, rice, lentils, chicken, pear. No milk, butter, yogurt or cheese.
D Egg and wheat were introduced without reaction; fish next.
D Formula 480 to 550 ml: calcium about 420 mg and adequate.
D {Hers} mother still avoids milk as well, though breastfeeding has ended.
A IgE-mediated cow's milk allergy, specific IgE {ige-milk}; growth along the centile, weight {weight}.
A Calcium and iodine depend on the formula: it must not be dropped.
A Parents' knowledge of labels is growing.
P Strict avoidance of cow's, goat's and sheep's milk; reading of labels: casein, whey, milk powder, lactose.
P Formula at least 500 ml a day until 12 months, then review; plant drinks with calcium only in cooking.
P One new food every two to three days; peanut butter and fish soon, in line with allergy advice.
P Vitamin D 10 micrograms daily. Weight and length every eight weeks.
@1.2
M Calcium-fortified oat drink 400 ml; vitamin D 10 micrograms and iodine 75 micrograms daily
S {first} is a lively toddler who eats with {hers} hands and loves olives.
S Baked milk challenge was passed in the clinic: a muffin without reaction. The parents were in tears.
S A sip of a cousin's milk gave hives around the mouth within minutes, no more.
S Nursery follows the plan; one mix-up of cups was noticed in time.
D Baked milk in muffins and biscuits three times a week; step three of the milk ladder.
D Oat drink with calcium and iodine 400 ml, soya yogurt daily: calcium about 480 mg.
D Iron-rich food daily. Fruit and vegetables five times. Fussy about meat.
D Energy adequate by diary.
A Cow's milk allergy, tolerating baked milk: a good sign. IgE {ige-milk}.
A Height {height}, weight {weight}: catch-up complete, along the 40th centile.
A Iodine and calcium are met with fortified drink; vitamin D {vitamin-d}.
P Milk ladder: stay on each step for four weeks; next is pancake, then baked cheese.
P Not while ill; antihistamine in the bag, action plan at nursery.
P Fortified drink with calcium AND iodine (label), 400 ml a day.
P Next IgE in a year; supervised challenge with fresh milk when below 2 kU/L.
@4
M No regular medication; cetirizine in reserve
S {first} started school. Pizza is the favourite food, which once seemed impossible.
S Fresh milk: half a glass without symptoms at the supervised challenge.
S {She} does not like the taste of milk and calls it «cow water».
S {Hers} parents still read every label out of habit.
D Cheese, yogurt and baked milk daily; calcium 810 mg. Milk in cereal, 50 ml.
D Vegetables raw rather than cooked. Meat twice a week, beans often.
D Sweets on Saturdays. Water at school.
D Eats at friends' homes without restrictions.
A Cow's milk allergy outgrown in practice; IgE {ige-milk}. Diet varied and adequate.
A Growth: height {height}, weight {weight}, BMI {bmi}: appropriate.
A Remaining caution of the family is understandable and does no harm.
P Keep dairy in the diet every day, to keep tolerance.
P No more medical restriction; school to be informed in writing.
P Vitamin D in winter. Discharge from allergy follow-up after one more visit.
P Fluids: water; no need for growing-up milks.
"""

_MILK_EVENTS = """
# consult, 0.04, 0 | Paediatric allergy clinic | Allergy and immunology
Skin prick test to cow's milk 7 mm, egg 1 mm, soya 0. Specific IgE {ige-milk}. Immediate reaction to formula is
  convincing.
= IgE-mediated cow's milk allergy. Extensively hydrolysed formula. Dietetic support for weaning.
# consult, 1.5, 0 | Supervised baked milk challenge | Allergy and immunology
Muffin with 1.3 g of milk protein given in four steps. No reaction within two hours.
= Tolerates baked milk. Milk ladder with the dietitian.
# admission, 2.2, 1 | Discharge summary: accidental ingestion of milk | Allergy and immunology
Urticaria and wheeze after a drink of cow's milk at a party. Salbutamol and antihistamine; observed overnight.
= Continue on the same step of the ladder. Action plan renewed.
# consult, 4.1, 0 | Supervised challenge with fresh milk | Allergy and immunology
Cumulative dose of 200 ml without reaction. Specific IgE {ige-milk}.
= Tolerates fresh milk. Keep in the diet regularly.
"""

MILK = Story(
    key="milk",
    condition="Cow's milk allergy",
    snomed="782555009",
    icd10="Z91.011",
    specialty="Allergy and immunology",
    reason="immediate reaction to cow's milk formula; milk-free weaning and adequacy please",
    order="Cow's milk free diet with hydrolysed formula",
    bmi=((0, 16.4), (1, 16.6), (3, 15.8), (7, 15.9)),
    systolic=((0, 86), (7, 98)),
    panels=("ige-milk", "haematinics", "micronutrients", "blood-count"),
    quoted=("ige-milk", "ige-total", "ferritin", "vitamin-d"),
    phases=phases(_MILK),
    events=events(_MILK_EVENTS),
    meals=(
        ("oat porridge (oat drink)", "toast, avocado", "formula 180 ml", "egg, soldiers"),
        ("chicken, rice, peas", "lentils + carrot", "pasta, tomato", "MUFFIN step 2 - ok"),
        ("fish, potato", "bean stew", "pancake step 3", "meatballs, no cheese"),
        ("pear", "soya yogurt", "rice cake", "olives!!", "banana"),
    ),
    density=((0, 4), (1.2, 2), (4, 1.2)),
    analytes={
        "ige-milk": ((0, 18.6), (1.2, 11.2), (2.2, 8.4), (3.5, 2.6), (4.1, 1.4), (7, 0.4)),
        "ige-total": ((0, 96), (3, 148), (7, 112)),
        "haemoglobin": ((0, 112), (3, 120), (7, 126)),
        "mcv": ((0, 76), (3, 79), (7, 82)),
        "ferritin": ((0, 19), (2, 27), (7, 31)),
        "vitamin-d": ((0, 58), (7, 63)),
    },
    allergy=(("3718001", "Cow's milk", "Urticaria and vomiting"),),
)
