"""Chronic kidney disease, hypertension, hyperlipidaemia."""

from seeds.generator.story import Story, events, phases

_CKD = """
@0
M Ramipril 10 mg daily; furosemide 20 mg in the morning; atorvastatin 20 mg; colecalciferol 800 units daily
S {first} has known about {hers} kidneys for two years but says that nobody has talked about food until now.
S Mild ankle swelling in the evening, no breathlessness. Appetite is good; no metallic taste, no itching.
S {She} uses a salt substitute since last year because a magazine recommended it: it contains potassium chloride.
S {She} is anxious about dialysis after seeing an uncle go through it, and wants to do what can be done.
D Salt about 9.5 g a day: stock cubes, bread, cheese and bacon are the main sources.
D Protein 1.3 g/kg by three-day diary, mostly from meat at both main meals and a protein shake after the gym.
D Phosphate additives in processed ham, cola and soft cheese; cola one litre a day.
D Fruit and vegetables five portions: bananas, tomatoes and potatoes among them; drinks 2 litres.
A Excessive intake of sodium related to processed foods, with blood pressure of {bp} mmHg.
A Protein intake above the recommended 0.8 to 1.0 g/kg; eGFR {egfr}.
A Potassium {potassium}: no general restriction is needed, but the salt substitute has to go.
P Stop the potassium-based salt substitute today. Use herbs, lemon, garlic and vinegar for flavour.
P Salt below 6 g a day: bread and stock without added salt, cheese no more than 30 g a day.
P Protein 0.8 to 1.0 g/kg of ideal weight; leave out the shake; one plant-based main meal a day.
P Avoid foods with phosphate additives (E338 to E341, E450 to E452); reading labels was practised.
P Keep fruit and vegetables: potassium is to be restricted only when the blood result asks for it.
@2
M Ramipril 5 mg daily; furosemide 40 mg; sodium bicarbonate 1 g three times daily; alfacalcidol 0.25 micrograms
S {She} tires more easily and sleeps after lunch. Appetite fair. Itching in the evenings.
S Potassium was raised last month and ramipril was halved by the clinic; {she} received the low potassium sheet by
  post.
S Cooking two different meals at home was tiring, so the whole family now eats with less salt.
S {She} passes good volumes of urine; no nausea, no restless legs.
D Boils potatoes in plenty of water after cutting small; eats them twice a week. Bananas replaced by apples and
  berries.
D Protein 0.9 g/kg by diary, half from plants: tofu, lentils (soaked, drained) and eggs.
D Salt 5.5 g a day. Cola replaced by lemonade; hard cheese twice a week; no processed ham.
D Phosphate estimated at 1,000 mg a day. Two glasses of milk a day for a sour stomach.
A Phosphate {phosphate} and PTH {pth}: mineral and bone disorder is developing; sources with additives nearly gone.
A Potassium {potassium} with metabolic acidosis (bicarbonate {bicarbonate}) corrected by tablets: diet adequate.
A Weight {weight}: unintended loss of muscle is to be watched; hand grip is measured at each visit.
P Milk 150 ml a day or unfortified rice drink; hard cheese at most 60 g a week.
P Low potassium guide: one portion of potatoes, boiled; no dried fruit, coconut water, or tomato paste.
P Energy at least 30 kcal/kg: add oil and unsalted butter, so that protein is not burnt.
P Take phosphate binders with the meal, not after it, should the clinic start them.
P Bicarbonate, potassium and phosphate with the next bloods in eight weeks.
@5
M Furosemide 80 mg; sevelamer 800 mg with meals; sodium bicarbonate; darbepoetin every two weeks; alfacalcidol
S {first} attends the low-clearance clinic. {She} has chosen peritoneal dialysis if it comes to that.
S Taste is altered, meat smells wrong; breakfast goes down best. No vomiting.
S Cramps at night; {she} finds the fluid allowance harder in summer.
S {She} wants to be ready for a transplant assessment, and has stopped smoking.
D Three-day diary: 1,720 kcal, protein 54 g, phosphate 850 mg, potassium 58 mmol, salt 5 g.
D Small meals five times a day. Eggs, white fish and tofu are tolerated better than meat.
D Fluid about 1.5 litres a day including soup. Ice cubes and small cups help.
D Sevelamer is forgotten at the midday meal away from home two or three times a week.
A Advanced kidney disease, eGFR {egfr}: at risk of malnutrition by subjective global assessment (B).
A Phosphate {phosphate}: missed binders rather than food explain the result.
A Albumin {albumin}; energy intake 10 % below the estimated need.
P Renal-specific supplement (125 ml, low in potassium and phosphate) once a day, in the afternoon.
P Binders in the lunch box and on the desk; phone alarm at 13:00.
P Protein remains at 0.8 g/kg now; rises to 1.0 to 1.2 g/kg when peritoneal dialysis starts.
P Fluid: urine volume plus 500 ml. Weigh each morning; ring the clinic at a gain of 2 kg in two days.
"""

_CKD_EVENTS = """
# imaging, 0.2, 0 | Ultrasound scan of the kidneys and urinary tract | Radiology
Clinical details: reduced eGFR, albuminuria.
Right kidney 9.3 cm, left kidney 9.6 cm. Cortical thinning on both sides with increased echogenicity and reduced
  corticomedullary differentiation. No hydronephrosis, no calculi. Bladder empties to 20 ml.
= Small echogenic kidneys in keeping with chronic kidney disease. No obstruction.
# consult, 2.1, 0 | Renal clinic consultation | Renal medicine
{first} was reviewed with an eGFR of {egfr} and a potassium of {potassium}. Blood pressure {bp} mmHg. There is trace
  oedema.
Ramipril was halved because of hyperkalaemia; oral bicarbonate was started. I should be grateful for a dietetic review
  of potassium and phosphate before any further reduction, since the benefit of the drug is considerable.
= CKD stage 4 with albuminuria. Renal dietitian to advise on potassium and phosphate. Clinic in three months.
# admission, 3.4, 5 | Discharge summary: hyperkalaemia and acute kidney injury | Renal medicine
Admitted after four days of gastroenteritis with dehydration. Potassium 6.8 mmol/L and creatinine above baseline on
  arrival; ECG with tented T waves.
Treated with intravenous calcium gluconate, insulin with glucose, fluids; ramipril was withheld. Potassium was 5.0
  mmol/L after 36 hours. The ward dietitian saw {first} and confirmed a low potassium diet for two weeks.
= Recovered to near baseline. Ramipril to be restarted by the clinic. Sick day rules given. Potassium in one week.
# referral, 5.0, 0 | Referral to the low-clearance clinic dietitian | Renal medicine
Please see {first} with advanced kidney disease. eGFR is now {egfr}, phosphate {phosphate}, appetite is failing and
  {she} has lost weight. {She} prefers peritoneal dialysis and hopes for a transplant.
= Nutritional assessment, supplements, and preparation for dialysis please.
# consult, 7.2, 0 | Pre-transplant assessment clinic | Renal medicine
{first} was assessed for listing. BMI {bmi}, which presents no obstacle. Cardiac work-up satisfactory. Hand grip
  strength has improved with the supplement.
= Suitable for listing from a nutritional point of view. Keep weight stable and phosphate below 1.7 mmol/L.
"""

CKD = Story(
    key="ckd",
    condition="Chronic kidney disease",
    snomed="709044004",
    icd10="N18.9",
    specialty="Renal medicine",
    reason="chronic kidney disease with albuminuria; advice on salt, protein and phosphate please",
    order="Renal diet: protein 0.8 g/kg, salt below 6 g, phosphate below 1,000 mg",
    bmi=((0, 27.6), (2, 26.8), (5, 24.6), (6, 24.2), (10, 24.5)),
    systolic=((0, 151), (1, 139), (5, 136), (10, 134)),
    panels=("renal", "kidney-urine", "blood-count", "bone", "haematinics", "lipids"),
    quoted=("egfr", "potassium", "phosphate", "bicarbonate", "acr"),
    phases=phases(_CKD),
    events=events(_CKD_EVENTS),
    meals=(
        ("white toast, jam", "egg, toast no salt", "porridge w. water", "rice krispies, 100ml milk"),
        ("chicken sandwich", "boiled rice, tofu, peppers", "egg salad", "leek soup (200 ml)"),
        ("white fish, cabbage, rice", "pasta, oil, courgette", "boiled potatoes, pork", "lentils drained, rice"),
        ("apple", "berries", "shortbread x1", "supplement 125ml", "ice cubes"),
    ),
    density=((0, 2), (2, 1.6), (5, 2.2)),
    analytes={
        "egfr": ((0, 44), (2, 34), (3.4, 29), (5, 22), (7, 17), (10, 14)),
        "acr": ((0, 38), (1, 27), (5, 61), (10, 84)),
        "urea": ((0, 10.2), (2, 13.5), (5, 19.8), (10, 24)),
        "potassium": ((0, 5.0), (1.9, 5.2), (2.1, 5.7), (2.5, 5.0), (5, 5.1), (10, 5.2)),
        "bicarbonate": ((0, 23), (2, 19), (2.6, 23), (10, 22)),
        "phosphate": ((0, 1.18), (2, 1.42), (5, 1.79), (6, 1.58), (10, 1.66)),
        "pth": ((0, 7.8), (2, 12.5), (5, 24), (10, 29)),
        "haemoglobin": ((0, 128), (2, 119), (4.8, 99), (5.6, 110), (10, 111)),
        "ferritin": ((0, 88), (4.8, 64), (5.6, 210), (10, 240)),
        "albumin": ((0, 40), (5, 34), (7, 37), (10, 37)),
        "vitamin-d": ((0, 31), (1, 64), (10, 70)),
        "ldl": ((0, 3.1), (1, 2.2), (10, 1.9)),
    },
)

_HYPERTENSION = """
@0
M Amlodipine 5 mg daily
S {first} was found to have high blood pressure at a routine check. {She} feels well and was reluctant to take
  tablets.
S Home readings over a week average 152/94 mmHg. Snores; sleeps six hours.
S {She} drives for a living and eats at service stations on four days of the week.
S Headaches in the morning have become fewer since amlodipine; ankles swell a little.
D Salt about 11 g a day: instant noodles, soy sauce, pickles and takeaway meals three times a week.
D Fruit once a day, vegetables once; potassium about 55 mmol. Dairy seldom.
D Alcohol 24 units a week, most of it at weekends. Coffee five cups.
D Meat pies or burgers at midday with a large sweet drink.
A Excessive sodium intake related to convenience food, as shown by diet history and blood pressure of {bp} mmHg.
A Weight {weight}, BMI {bmi}: five kilograms less would be expected to lower systolic pressure by about 5 mmHg.
A Ready to change one thing at a time; cooking skills are good.
P Salt below 6 g a day: soy sauce by the teaspoon, no instant noodles, bread with less than 1 g of salt per 100 g.
P DASH pattern: eight portions of fruit and vegetables, three of low-fat dairy, nuts four times a week.
P Alcohol below 14 units, with three dry days. Coffee no more than three cups.
P Pack a lunch for driving days; a list of five that keep without a fridge was given.
P Home readings for one week before each visit, written down.
@1.2
M Amlodipine 5 mg daily; losartan 50 mg daily
S Home readings average 134/82 mmHg. {She} is proud of the lunch box.
S {She} sleeps better since losing weight and no longer snores, according to {hers} partner.
S A new route means nights away from home; hotel breakfasts are the difficulty.
S {She} tried beetroot juice, and asks whether it does anything.
D Salt 6 g by recall; soy sauce used with the measuring spoon. Pickles on Sundays only.
D Seven portions of fruit and vegetables on most days, yogurt daily, unsalted nuts in the cab.
D Takeaway once a week. Alcohol 10 units.
D Breakfast away from home: eggs, beans, mushrooms and toast; leaves bacon and sausages.
A Blood pressure {bp} mmHg on two drugs with a much improved diet; potassium {potassium}, eGFR {egfr}.
A Sodium intake near the goal; the remaining salt is in bread and cheese.
A Weight {weight}: steady.
P Choose bread by its label; unsalted butter; season at the table with pepper and lemon only.
P Potassium-rich foods are welcome as long as kidney function and potassium stay normal on losartan.
P Beetroot juice: harmless, small effect, 70 ml a day if {she} likes it.
P Walk 30 minutes at each overnight stop.
P Yearly bloods: renal function, lipids, HbA1c.
"""

_HYPERTENSION_EVENTS = """
# consult, 1.1, 0 | Hypertension clinic | Cardiology
{first} was seen for resistant readings on one drug. Ambulatory monitoring gave a daytime mean of 144/89 mmHg.
  Secondary causes were sought: aldosterone to renin ratio normal, no renal bruit, TSH normal.
Losartan 50 mg was added. Dietary salt has fallen a good deal, for which {she} and the dietitian deserve credit.
= Essential hypertension. Add losartan. Potassium and creatinine in two weeks. Continue dietary measures.
# imaging, 1.3, 0 | Echocardiogram | Radiology
Good quality study. Left ventricular wall thickness 11 mm (upper limit of normal). Ejection fraction 62 %. Left atrium
  normal. No valve disease.
= Normal left ventricular function; borderline wall thickness in keeping with hypertension.
# referral, 4.0, 0 | Referral to the community weight management programme | Cardiology
{first}'s blood pressure is {bp} mmHg on two drugs. BMI is {bmi}. {She} would like support with physical activity.
= Please offer a place in the twelve-week programme.
"""

HYPERTENSION = Story(
    key="hypertension",
    condition="Essential hypertension",
    snomed="59621000",
    icd10="I10",
    specialty="Cardiology",
    reason="newly found hypertension, high salt intake; DASH diet advice please",
    order="DASH diet, salt below 6 g a day",
    bmi=((0, 29.8), (1, 28.2), (3, 27.6), (6, 28.1), (10, 27.4)),
    systolic=((0, 158), (0.6, 148), (1.2, 137), (3, 131), (10, 129)),
    panels=("pressure", "lipids", "hba1c", "kidney-urine", "renal", "thyroid"),
    quoted=("potassium", "sodium", "egfr", "ldl", "urate"),
    phases=phases(_HYPERTENSION),
    events=events(_HYPERTENSION_EVENTS),
    meals=(
        ("hotel: eggs, beans", "toast, low salt", "congee, egg", "yogurt + banana"),
        ("lunch box: rice, chicken", "wrap + fruit", "noodles (no sachet)", "service stn salad"),
        ("stir fry, 1 tsp soy", "fish, greens, potato", "takeaway (fri)", "bean chilli, rice"),
        ("nuts unsalted", "orange", "2 beers", "coffee x3", "yogurt"),
    ),
    density=((0, 2.2), (1.2, 1)),
    analytes={
        "ldl": ((0, 3.6), (2, 3.0), (10, 2.8)),
        "triglycerides": ((0, 2.1), (2, 1.5)),
        "urate": ((0, 431), (2, 372), (10, 366)),
        "acr": ((0, 4.1), (2, 2.0), (10, 1.6)),
        "egfr": ((0, 84), (10, 77)),
        "potassium": ((0, 4.0), (1.2, 4.4), (10, 4.5)),
        "hba1c": ((0, 40), (10, 39)),
    },
)

_LIPIDS = """
@0
M Declined a statin for now; no regular medication
S Cholesterol was found to be high in a check for life insurance. {Hers} brother had a heart attack at 49.
S {She} took a statin for three weeks, had aching thighs, stopped, and wants to try diet seriously first.
S {She} is active: football on Sundays, cycles to work. Never smoked.
S {She} follows a low-carbohydrate pattern since January, with butter, cream and cheese without limit.
D Saturated fat 19 % of energy: butter in coffee, cheese 120 g a day, bacon daily. Fibre 13 g.
D Eggs three a day, red meat five times a week, coconut oil for cooking. Fish never.
D No wholegrains, pulses or fruit since the low-carbohydrate diet began.
D Alcohol 8 units a week. No sweet drinks.
A Excessive intake of saturated fat related to a low-carbohydrate pattern high in butter, with LDL of {ldl}.
A Family history makes familial hypercholesterolaemia possible; tendon examination was normal.
A Weight {weight} is healthy: the quality of fat, not the amount of energy, is the matter.
P Replace butter, cream and coconut oil by olive and rapeseed oil; cheese 30 g a day.
P Portfolio pattern: oats or barley (3 g beta-glucan), nuts 30 g, soya or pulses daily, plant sterols 2 g with meals.
P Oily fish twice a week; meat no more than three times.
P Repeat lipids after twelve weeks of the new pattern, fasting, at the same laboratory.
P Genetic testing was raised with the practice; {first} agrees.
@0.7
M Rosuvastatin 5 mg daily, tolerated well
S The gene test was negative. {She} agreed to rosuvastatin at a low dose, without aches this time.
S {She} enjoys the food, more than the old diet, and the children eat porridge too.
S Travels for work two weeks a month; hotel dinners are rich.
S {Hers} brother has started with the same plan.
D Saturated fat 8 % of energy by three-day diary, fibre 34 g, plant sterol drink on most days.
D Oats at breakfast, almonds in the afternoon, lentils or soya three to four times a week.
D Salmon, sardines or mackerel twice a week; cheese at weekends.
D Restaurant meals twice a week; asks for olive oil and vegetables.
A LDL {ldl}: on the way to the individual goal with diet and a low dose of statin.
A Triglycerides {triglycerides} and HDL {hdl}: no action needed. Weight {weight}.
A Diet adequate in all nutrients by diary; vitamin D borderline in winter.
P Keep to the portfolio pattern five days in seven; {she} chooses which.
P Plant sterols only with the main meal and not more than 3 g a day.
P Psyllium 7 g may be added with plenty of water if LDL stays above 2.6 mmol/L.
P Vitamin D 10 micrograms from October to March.
P Lipids and liver function once a year.
"""

_LIPIDS_EVENTS = """
# consult, 0.5, 0 | Lipid clinic | Cardiology
{first} attended with a family history of early heart disease. No xanthomata, no corneal arcus. LDL at its highest was
  6.1 mmol/L while eating a diet rich in saturated fat, and is {ldl} now.
Genetic testing for familial hypercholesterolaemia showed no variant. Polygenic hypercholesterolaemia with a strong
  dietary component is likely.
= Rosuvastatin 5 mg. The portfolio diet to go on. Goal: LDL below 2.6 mmol/L.
# imaging, 0.9, 0 | Coronary artery calcium score | Radiology
Low-dose CT, gated. Agatston score 0. No calcification of the aortic valve. Lung fields included are clear.
= Calcium score zero.
# referral, 3.1, 0 | Referral for dietetic review | Cardiology
LDL has crept up to {ldl} with much travelling. {first} would rather work on diet than raise the dose.
= Please review the portfolio diet and practical options for hotels.
"""

LIPIDS = Story(
    key="lipids",
    condition="Hyperlipidaemia",
    snomed="55822004",
    icd10="E78.5",
    specialty="Cardiology",
    reason="raised LDL cholesterol with a family history of early heart disease; prefers diet first",
    order="Low saturated fat diet with plant sterols, portfolio pattern",
    bmi=((0, 24.8), (1, 23.9), (10, 24.4)),
    systolic=((0, 124), (10, 126)),
    panels=("lipids", "liver", "hba1c", "thyroid", "micronutrients"),
    quoted=("ldl", "nonhdl", "triglycerides", "hdl"),
    phases=phases(_LIPIDS),
    events=events(_LIPIDS_EVENTS),
    meals=(
        ("oats, almonds, berries", "bran flakes + soya milk", "2 rye toast, avocado", "hotel: fruit, yogurt"),
        ("lentil salad", "sardines on toast", "soup + rye bread", "tofu wrap"),
        ("salmon, barley, kale", "bean chilli", "restaurant - steak", "chicken, olive oil veg"),
        ("sterol drink", "almonds 30g", "apple", "dark choc 2 sq"),
    ),
    density=((0, 2.4), (1, 1)),
    analytes={
        "ldl": ((0, 6.1), (0.3, 4.6), (0.6, 4.3), (1, 2.7), (3.1, 3.2), (4, 2.5), (10, 2.4)),
        "hdl": ((0, 1.5), (10, 1.5)),
        "triglycerides": ((0, 1.4), (1, 1.1)),
        "vitamin-d": ((0, 44), (2, 58)),
    },
)
