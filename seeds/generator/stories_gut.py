"""Coeliac disease, irritable bowel syndrome, Crohn's disease."""

from seeds.generator.story import Story, events, phases

_COELIAC = """
@0
M Ferrous fumarate 210 mg on alternate days; calcium 1,000 mg with colecalciferol 800 units; no regular medication
  before
S Coeliac disease was confirmed by biopsy (Marsh 3b) last month. {first} is relieved to have a name for two years of
  bloating.
S Loose stools three to four times a day, cramps after bread, mouth ulcers and exhaustion by the evening.
S {She} has been gluten-free for ten days «by guesswork» and finds shopping overwhelming.
S {Hers} sister has type 1 diabetes; the family has been advised to have antibody tests.
S Missed work on six days in the last two months because of abdominal pain.
D Bread or pasta at every meal until the diagnosis; oats, soy sauce, beer and sausages were also sources of gluten.
D Lactose gives wind and cramps at present; {she} has cut out milk, so calcium intake is about 450 mg.
D Toaster, chopping board and butter dish are shared with the family: cross-contamination is certain.
D Iron-rich foods: red meat once a week, leafy greens rarely.
D Since the diagnosis breakfast is rice cakes with jam; fibre has fallen to 10 g a day.
A Food and nutrition knowledge deficit on the gluten-free diet, newly diagnosed; tTG-IgA {ttg}.
A Iron deficiency (ferritin {ferritin}) from malabsorption; vitamin D {vitamin-d}.
A Secondary lactose intolerance is likely and should pass as the mucosa heals.
P Strict lifelong gluten-free diet: wheat, rye, barley out; labels read for allergens printed in bold.
P Separate toaster, colander, board and butter; flour dust and fryers explained as sources of gluten.
P Lactose-free milk and yogurt with added calcium for three months, then challenge with 100 ml of milk.
P Gluten-free oats may be introduced after six months, 50 g a day, when symptoms have settled.
P Membership of the coeliac society and prescriptions for gluten-free bread and flour were arranged.
@0.8
M Calcium 500 mg with colecalciferol 400 units; iron stopped when ferritin recovered
S Bowels open once a day, formed. Energy is back; {she} has started running again.
S One accident with gluten: a «gluten-free» pizza baked on a floured stone. Vomiting after three hours.
S {She} travelled abroad with translation cards and managed well.
S The social side is the hardest: {first} eats before parties, and feels like a burden in restaurants.
S {She} asks whether barley malt in breakfast cereal is allowed; {she} has eaten it twice a week.
D Naturally gluten-free base: rice, potatoes, buckwheat, polenta. Bread on prescription four loaves a month.
D Milk is tolerated again; calcium about 1,050 mg a day from milk, yogurt and fortified bread.
D Fibre 18 g; gluten-free products are mostly white and low in fibre and iron.
D Oats of certified gluten-free origin four times a week without symptoms.
D Eats out once a fortnight in three known places with separate fryers.
A Adherence to the gluten-free diet is good by interview (score 11 on the CDAT); tTG-IgA {ttg}.
A Barley malt is a likely explanation for the slow fall of antibodies.
A Weight {weight}, BMI {bmi}: regained weight, now stable. Ferritin {ferritin}.
P Barley malt extract is to be avoided; malt vinegar is allowed as the amount is negligible.
P Choose fortified wholegrain gluten-free bread; add ground flaxseed, teff, quinoa and beans for fibre.
P Practise asking in restaurants: separate fryer, water, surfaces. A card was given.
P Bone density scan and vitamin D follow-up with the gastroenterologist.
P tTG-IgA, full blood count, ferritin, folate, B12 and TSH every year.
@3
M Colecalciferol 800 units daily in winter
S No bowel symptoms for months. {She} no longer thinks of the gluten-free diet as an effort at home.
S {She} has changed jobs; the canteen offers one gluten-free dish which is always the same.
S Weight has crept up, and {she} wonders about the sugar and fat in gluten-free biscuits.
S Planned a long trip; needs a letter for the airline to carry food.
D Prescription bread no longer needed; bakes with buckwheat and sorghum flour.
D Three-day diary: 2,050 kcal, protein 84 g, fibre 27 g, calcium 980 mg, iron 12 mg.
D Gluten-free biscuits and cakes on most days, about 350 kcal.
D Canteen: jacket potato with tuna, or a salad brought from home.
A Coeliac disease in serological remission, tTG-IgA {ttg}; diet nutritionally adequate.
A Energy a little above need by snacks; BMI {bmi}.
A No evidence of gluten exposure by history.
P Yearly review with bloods. Contact earlier with weight loss, diarrhoea or anaemia.
P Canteen manager's allergen sheet to be brought next time; ideas for six packed lunches given.
P Nuts, fruit and yogurt in place of biscuits on working days.
P Pneumococcal vaccination status to be checked by the practice.
"""

_COELIAC_EVENTS = """
# consult, 0.02, 0 | Gastroenterology clinic: diagnosis of coeliac disease | Gastroenterology
{first} was reviewed with the results of endoscopy. Duodenal biopsies show partial to subtotal villous atrophy with
  raised intraepithelial lymphocytes (Marsh 3b). tTG-IgA was {ttg} with a normal total IgA.
The diagnosis, the need for a lifelong gluten-free diet and the screening of first-degree relatives were explained.
= Coeliac disease. Urgent dietetic referral. Iron and vitamin D replacement. DEXA in the first year.
# imaging, 0.7, 0 | DEXA bone densitometry | Radiology
Clinical details: coeliac disease, vitamin D deficiency.
Lumbar spine L1-L4: bone mineral density 0.962 g/cm2, T-score -1.6, Z-score -1.2. Left femoral neck: 0.771 g/cm2,
  T-score -1.3.
= Osteopenia. Calcium 1,000 mg a day and vitamin D; repeat in three years.
# consult, 1.6, 0 | Gastroenterology follow-up | Gastroenterology
Symptoms have resolved. tTG-IgA has fallen to {ttg}, somewhat slowly; the dietitian traced it to barley malt in
  cereal.
= Good response. No repeat biopsy for now. Annual bloods by the practice.
# imaging, 3.8, 0 | DEXA bone densitometry, repeat | Radiology
Lumbar spine T-score -0.9 (gain of 6.4 %). Femoral neck T-score -0.8.
= Bone density has returned to the normal range. No further scan unless risk changes.
"""

COELIAC = Story(
    key="coeliac",
    condition="Coeliac disease",
    snomed="396331005",
    icd10="K90.0",
    specialty="Gastroenterology",
    reason="biopsy-proven coeliac disease; gluten-free diet education please",
    order="Gluten-free diet, low lactose for three months",
    bmi=((0, 19.4), (0.8, 20.8), (2, 22.1), (5, 23.6), (10, 24.2)),
    systolic=((0, 109), (10, 117)),
    panels=("coeliac", "haematinics", "bone", "blood-count", "micronutrients", "thyroid", "liver"),
    quoted=("ttg", "ferritin", "vitamin-d", "haemoglobin", "folate"),
    phases=phases(_COELIAC),
    events=events(_COELIAC_EVENTS),
    meals=(
        ("GF toast, peanut butter", "GF oats + banana", "eggs, potato cake", "yogurt, berries"),
        ("jacket potato, tuna", "rice salad, chicken", "GF wrap, hummus", "soup (checked label)"),
        ("polenta, mushrooms", "GF pasta - new brand", "fish, potatoes, beans", "risotto"),
        ("rice cakes", "GF biscuits x2", "apple", "nuts"),
    ),
    density=((0, 4.5), (0.8, 2), (3, 1)),
    analytes={
        "ttg": ((0, 128), (0.5, 64), (1, 31), (1.6, 17), (2.2, 8), (3, 3.9), (4, 2.1), (10, 1.4)),
        "ferritin": ((0, 6), (0.6, 22), (1.2, 38), (3, 54), (10, 66)),
        "transferrin": ((0, 9), (0.6, 17), (1.5, 25)),
        "haemoglobin": ((0, 104), (0.5, 121), (1, 130), (10, 137)),
        "mcv": ((0, 74), (0.5, 81), (1.5, 88)),
        "folate": ((0, 2.4), (0.8, 5.6), (2, 8.1)),
        "vitamin-d": ((0, 22), (0.6, 54), (3, 66), (10, 64)),
        "alt": ((0, 52), (0.8, 27), (10, 20)),
        "pth": ((0, 8.6), (1, 5.1), (10, 4.4)),
        "calcium": ((0, 2.18), (0.8, 2.33)),
    },
)

_IBS = """
@0
M Mebeverine 135 mg before meals as needed; loperamide 2 mg when travelling
S Bloating, cramps and loose stools, up to five times a day, for about four years. Coeliac disease was ruled out.
S Symptoms are worse before meetings and at the end of the day; pain eases after opening the bowels.
S {She} has left out bread, milk and onions in turn without a plan, and is eating less and less.
S No weight loss, no blood, no night symptoms. {She} fears that something has been missed.
D Irregular meals, large at night; coffee six cups; sugar-free gum a packet a day (sorbitol).
D Garlic and onion in every main meal; apples, mango and honey as snacks; wheat three times a day.
D Fluid 900 ml without coffee. Fibre 24 g, mostly wheat bran taken for «regularity».
D Fizzy drinks two cans a day; chilli most evenings.
A Altered gastrointestinal function, IBS with diarrhoea (IBS-SSS 315, severe), with several dietary triggers.
A Restrictive pattern without plan: at risk of inadequate calcium and fibre.
A First-line advice has never been given in a structured form.
P First-line advice for four weeks: regular meals, chew, fluid 1.5 to 2 litres, coffee 2 cups, no sorbitol gum.
P Stop wheat bran; use oats and ground linseed (one tablespoon) in its place.
P Symptom and food diary for two weeks, with stress noted beside it.
P Low FODMAP diet to be considered at the next visit if symptoms persist.
@0.4
M Mebeverine as needed; peppermint oil capsules twice daily
S The low FODMAP phase of five weeks brought clear relief: one or two formed stools, little bloating.
S {She} is nervous about reintroducing foods and would rather stay as {she} is.
S Wheat challenge passed at two slices; onion failed on the second day with cramps and wind.
S A weekend with friends brought garlic bread and a bad Monday; {she} knew why and did not panic.
D Low FODMAP foods at home; eats the same twelve dishes. Lactose-free milk, calcium 900 mg.
D Fibre 17 g during the restriction; constipated for the first week until kiwi and oats were added.
D Challenge foods in the order agreed: milk, mango, bread, garlic, onion, apple, beans.
D Coffee two cups, fizzy drinks none.
A Good response to FODMAP restriction (IBS-SSS fell by more than 50 points); fructans and sorbitol are triggers.
A Restriction is longer than intended: reintroduction should be finished so that variety returns.
A Weight {weight}: stable. No red flags.
P Reintroduce one food over three days, in rising amounts, then three days of rest; chart given.
P Garlic-infused oil and the green part of spring onions for flavour.
P Do not go on with the strict phase beyond eight weeks: effect on gut bacteria and calcium explained.
P Gut-directed hypnotherapy offered through the clinic's programme.
@1.5
M Peppermint oil as needed
S Symptoms are mild and predictable. {She} knows {hers} limits for onion, garlic and apples.
S A stressful spring brought three weeks of cramps in spite of an unchanged diet.
S {She} has started yoga and a fixed lunch break, and counts both as treatment.
S Antibiotics for a tooth upset the bowel for a month.
D Personalised pattern: wheat to two slices, milk freely, onions cooked in small amounts, no sorbitol.
D Fibre 25 g, thirty different plants in a week by {hers} own count.
D Alcohol 4 units; curry without garlic at home.
D Probiotic (one strain) for four weeks, no clear effect, stopped.
A IBS with good control on a personalised diet; stress is the main trigger left.
A Diet varied and adequate. Faecal calprotectin {calprotectin}: no sign of inflammation.
A Weight {weight}, BMI {bmi}.
P Keep variety; challenge tolerance for onion again every six months.
P Hypnotherapy exercises to be taken up again in stressful weeks.
P Return if blood, weight loss, fever or night symptoms occur.
P Review by phone; next visit in a year.
"""

_IBS_EVENTS = """
# consult, 0.05, 0 | Gastroenterology clinic | Gastroenterology
Thank you for referring {first}. Coeliac serology was negative (tTG-IgA {ttg}), faecal calprotectin {calprotectin},
  CRP and full blood count normal. Examination unremarkable. Colonoscopy is not indicated.
I explained irritable bowel syndrome as a disorder of gut and brain interaction. Diet is the best first step.
= IBS, diarrhoea-predominant. Dietetic referral for first-line advice, then low FODMAP diet.
# imaging, 0.3, 0 | Ultrasound scan of the abdomen and pelvis | Radiology
Clinical details: bloating.
Liver, gallbladder, pancreas, spleen and kidneys normal. No free fluid. Bowel loops of normal thickness, gas-filled.
= Normal study.
# referral, 0.38, 0 | Referral for the low FODMAP diet | Gastroenterology
First-line measures have helped a little. {first} would like to try the low FODMAP diet under supervision.
= Please see for restriction and structured reintroduction.
"""

IBS = Story(
    key="ibs",
    condition="Irritable bowel syndrome",
    snomed="10743008",
    icd10="K58.0",
    specialty="Gastroenterology",
    reason="irritable bowel syndrome with bloating and diarrhoea; first-line and low FODMAP advice please",
    order="Low FODMAP diet, time-limited, with reintroduction",
    bmi=((0, 23.1), (0.5, 22.4), (2, 23.0), (10, 23.6)),
    systolic=((0, 117), (10, 120)),
    panels=("inflammation", "coeliac", "blood-count", "thyroid", "haematinics", "micronutrients"),
    quoted=("calprotectin", "crp", "ttg", "haemoglobin"),
    phases=phases(_IBS),
    events=events(_IBS_EVENTS),
    meals=(
        ("oats, LF milk, kiwi", "2 sourdough spelt", "eggs, spinach", "rice porridge"),
        ("rice, chicken, carrot", "salad no onion", "GF wrap, tuna", "leftover risotto"),
        ("salmon, potato, green beans", "pasta + GARLIC (test)", "tofu stir fry", "curry, spring onion tops"),
        ("banana (firm)", "walnuts", "mango TEST day 2", "coffee 2", "peppermint tea"),
    ),
    density=((0, 4), (0.4, 3.2), (1.5, 0.9)),
    analytes={"calprotectin": ((0, 31), (10, 26)), "ferritin": ((0, 41), (10, 58)), "vitamin-d": ((0, 48), (10, 60))},
)

_CROHN = """
@0
M Budesonide 9 mg reducing; azathioprine 150 mg daily
S Crohn's disease of the terminal ileum was diagnosed this year. Pain after meals, five loose stools a day, tiredness.
S {first} has lost nine kilograms in five months and eats little for fear of pain.
S {She} started exclusive enteral nutrition and finds the vanilla flavour bearable when cold.
S Mouth ulcers and a sore anus; no fever. University work is slipping.
D Intake before enteral nutrition about 1,100 kcal: white toast, rice and clear soup.
D Exclusive enteral nutrition: eight bottles of 200 ml (2,400 kcal, protein 96 g) a day, water and clear gum besides.
D Raw vegetables, nuts and popcorn cause cramps above the narrowed segment.
D Milk is tolerated in coffee. Spicy food avoided.
A Moderate malnutrition in active Crohn's disease: weight {weight}, BMI {bmi}, unintended loss over 10 %.
A Increased needs, about 35 kcal/kg and protein 1.5 g/kg, with albumin {albumin} and CRP {crp}.
A Iron deficiency with inflammation: ferritin {ferritin}, transferrin saturation {transferrin}.
P Exclusive enteral nutrition for eight weeks in all; then food back in steps over three weeks.
P Phone contact weekly; ring if fewer than six bottles are finished in a day.
P Low fibre, soft textures while the stricture is inflamed; no skins, seeds, nuts.
P Vitamin D 20,000 units weekly for seven weeks; intravenous iron through the infusion unit.
@0.6
M Azathioprine 150 mg; adalimumab 40 mg every two weeks
S In remission since adalimumab. Two formed stools a day, no pain. {She} is back at university.
S Afraid of trying fruit and salad again; {she} asks for a list of what is safe.
S Weight has come back and {she} enjoys cooking with flatmates.
S A short flare around the examinations: four days of cramps, settled by soft food and two bottles a day.
D Meals three times a day with two supplements. Peeled fruit, cooked vegetables, white rice, fish and chicken.
D Three-day diary: 2,350 kcal, protein 98 g, fibre 14 g, calcium 870 mg.
D Processed meat and ready meals reduced after reading about emulsifiers.
D Alcohol rarely. Coffee two cups without symptoms.
A Nutritional recovery in clinical remission: weight {weight}, BMI {bmi}; calprotectin {calprotectin}.
A Fibre lower than needed out of fear; no stricture on the last scan, so it can rise.
A Vitamin B12 {b12}: to be followed, as the terminal ileum is affected.
P Widen the diet: one new fruit or vegetable every three days, cooked before raw; aim for fibre 25 g.
P Mediterranean pattern; fresh food in place of ready meals where money and time allow.
P Supplements down to one bottle, then only as a reserve for flares.
P B12, folate, ferritin and vitamin D every six months.
P Plan for flares: soft low-fibre meals, 2 to 4 bottles a day, and call the nurse line.
@4.2
M Ustekinumab 90 mg every eight weeks; hydroxocobalamin 1 mg every three months
S Recovering from a short bowel resection (18 cm of ileum). The wound has healed; stools are loose after fatty meals.
S {She} works full time and is in remission on ustekinumab.
S Urgency in the morning has improved since colesevelam was tried.
S Wants to run a half marathon and asks about protein.
D Fat 95 g a day by diary; loose stools after fried food suggest bile acid malabsorption.
D Protein 105 g, fibre 24 g, six servings of vegetables; whole nuts chewed well without pain.
D Oral rehydration drink on running days. Fluids two litres.
D Calcium 1,100 mg. Spinach and beetroot in moderation because of oxalate.
A Adequate intake after ileal resection; B12 {b12} on injections; weight {weight}.
A Bile acid diarrhoea responds to a lower fat intake.
A Ferritin {ferritin}, calprotectin {calprotectin}: remission.
P Fat 60 to 70 g a day, spread over meals; grill, bake, steam.
P Hydroxocobalamin for life; the practice nurse gives it every three months.
P Sports plan: 1.4 g/kg protein, carbohydrate 40 g an hour beyond 75 minutes, rehydration drink.
P DEXA in view of steroids in the past.
"""

_CROHN_EVENTS = """
# imaging, 0.05, 0 | Magnetic resonance enterography | Radiology
Clinical details: suspected small bowel Crohn's disease.
A 22 cm segment of terminal ileum shows mural thickening to 8 mm with oedema, restricted diffusion and avid
  enhancement. Short narrowed portion with mild upstream dilatation to 2.9 cm. No abscess or fistula.
= Active inflammatory Crohn's disease of the terminal ileum with a partly inflammatory stricture.
# admission, 0.1, 9 | Discharge summary: flare of Crohn's disease with malnutrition | Gastroenterology
Admitted with abdominal pain, vomiting and weight loss. CRP 94 mg/L, albumin 28 g/L, phosphate 0.71 mmol/L on day
  three of feeding, replaced.
Nasogastric exclusive enteral nutrition was started by the ward dietitian at 10 kcal/kg with thiamine and increased
  over five days in view of the risk of refeeding syndrome; {she} then managed bottles by mouth.
= Exclusive enteral nutrition for eight weeks, azathioprine, clinic in two weeks. Weekly bloods: phosphate, potassium,
  magnesium.
# consult, 0.55, 0 | Inflammatory bowel disease clinic | Gastroenterology
{first} responded to enteral nutrition (CRP {crp}, weight {weight}), but symptoms came back with food. Adalimumab was
  discussed and accepted. TB and hepatitis screens are negative.
= Start adalimumab. Dietitian to guide the return to food.
# admission, 4.1, 6 | Discharge summary: ileocaecal resection | Gastroenterology
Elective laparoscopic ileocaecal resection for a fibrotic stricture. 18 cm of ileum removed; primary anastomosis.
Preoperative supplements for six weeks; oral diet from the first day. No complications.
= Low fibre diet for four weeks, then normal diet. B12 injections for life. Ustekinumab after four weeks.
# imaging, 5.2, 0 | DEXA bone densitometry | Radiology
Lumbar spine T-score -1.4; hip T-score -1.1.
= Mild osteopenia; vitamin D and calcium, weight-bearing exercise.
"""

CROHN = Story(
    key="crohn",
    condition="Crohn's disease",
    snomed="34000006",
    icd10="K50.0",
    specialty="Gastroenterology",
    reason="Crohn's disease with weight loss; enteral nutrition and follow-up please",
    order="Exclusive enteral nutrition, 2,400 kcal, then low fibre diet",
    bmi=((0, 17.4), (0.3, 18.6), (0.6, 19.7), (2, 21.6), (3.9, 20.4), (4.2, 19.9), (5, 21.5), (10, 22.3)),
    systolic=((0, 108), (10, 119)),
    panels=("inflammation", "haematinics", "blood-count", "nutrition", "micronutrients", "liver"),
    quoted=("crp", "calprotectin", "albumin", "ferritin", "b12", "vitamin-d"),
    phases=phases(_CROHN),
    events=events(_CROHN_EVENTS),
    meals=(
        ("2 bottles vanilla", "white toast, egg", "rice pudding", "oats, peeled pear"),
        ("2 bottles", "chicken, rice, carrot", "soup (sieved)", "white roll, turkey"),
        ("fish, mash, courgette", "pasta, tomato (no skin)", "3 bottles, cold", "turkey, noodles"),
        ("bottle", "banana", "clear gum", "yogurt", "melon"),
    ),
    density=((0, 6), (0.6, 2), (4, 2.6), (4.8, 1.2)),
    analytes={
        "crp": ((0, 88), (0.2, 21), (0.5, 14), (0.9, 4), (3.7, 19), (4.1, 26), (4.5, 4), (10, 2)),
        "calprotectin": ((0, 1640), (0.3, 540), (0.9, 140), (2, 72), (3.8, 620), (4.6, 64), (10, 48)),
        "albumin": ((0, 29), (0.5, 36), (1.2, 41), (4.1, 36), (5, 42)),
        "prealbumin": ((0, 118), (0.5, 205), (1.2, 262), (4.1, 180), (5, 258)),
        "ferritin": ((0, 11), (0.5, 62), (2, 48), (4.1, 19), (5, 70)),
        "transferrin": ((0, 8), (0.5, 21), (4.1, 13), (5, 24)),
        "haemoglobin": ((0, 103), (0.5, 122), (2, 134), (4.1, 119), (5, 137)),
        "b12": ((0, 240), (2, 215), (4.1, 182), (4.6, 510), (10, 540)),
        "vitamin-d": ((0, 19), (0.6, 58), (10, 69)),
        "platelets": ((0, 486), (0.6, 310), (10, 262)),
        "phosphate": ((0, 0.78), (0.3, 1.08)),
        "magnesium": ((0, 0.66), (0.4, 0.80)),
    },
)
