"""Type 2 diabetes, gestational diabetes, hypertension, hyperlipidaemia."""

from seeds.generator.story import Story, events, phases

_T2D = """
@0
M Metformin modified release 500 mg, increased to 1 g twice daily as tolerated; atorvastatin 20 mg at night
S {first} was told of the diagnosis by phone and has read a great deal online since; {she} arrived with written
  questions.
S Thirst and night-time urination have been troublesome for about three months. Energy is low by mid-afternoon.
S {She} describes the diagnosis as a shock: {hers} father lost a leg to diabetes and {she} is frightened of the same.
S Metformin caused loose stools in the first fortnight; taking it with food has settled this.
S {She} has bought a glucose meter and tests before breakfast: readings mostly 9 to 12 mmol/L.
D Breakfast is usually skipped. The largest meal is after 20:00, with rice or bread filling half the plate.
D Two to three glasses of fruit juice a day and sweetened tea (2 sugars, 5 cups) add about 90 g of sugar.
D Carbohydrate is unevenly spread: about 25 g at midday and 130 g in the evening.
D Vegetables once a day; fibre estimated at 14 g. Meat is fried in generous amounts of oil.
D Snacks on biscuits and salted crisps at work between 15:00 and 17:00, more from fatigue than hunger.
A Excessive intake of free sugars related to sweetened drinks, as shown by diet history and HbA1c of {hba1c}.
A Uneven distribution of carbohydrate over the day related to a missed breakfast and a late main meal.
A Motivated and well supported at home; food and nutrition knowledge about carbohydrate is limited so far.
P Replace juice and sugared drinks by water, tea without sugar or sugar-free squash; this alone removes about 350
  kcal.
P Eat three meals at regular times with 40 to 50 g of carbohydrate each; models and a hand-portion sheet were given.
P Aim for 5 % weight loss in six months as a first goal; 150 minutes of brisk walking a week in bouts of 20 minutes.
P Half of the plate vegetables, a quarter protein, a quarter wholegrain or pulses; practised with {hers} usual dishes.
P Place on the structured group education programme; invitation posted.
@1
M Metformin modified release 1 g twice daily; atorvastatin 20 mg at night
S {She} is pleased with the last HbA1c and says that walking after the evening meal has become a habit.
S Fasting readings at home are 6 to 8 mmol/L. No hypoglycaemia. Thirst has gone.
S A family wedding and the weeks around it were difficult; {she} counts four evenings with sweets and then stopped.
S Shift pattern changed in the spring, and breakfast is again eaten standing, or not at all, on early days.
S {She} cooks for six and finds that the family now likes the dish with more lentils and less rice.
D Carbohydrate is now 40 to 60 g a meal and about 150 g a day; wholemeal flatbread has replaced the white one.
D Sweet drinks only on feast days. Tea without sugar, five cups.
D Fibre about 26 g: oats at breakfast, beans or lentils daily, fruit twice.
D Portion of rice is measured with the cup that was given (150 g cooked). Oil is down to one bottle a month.
D Eats out on Fridays; chooses grilled chicken and salad but finishes the children's chips.
A Intake of free sugars within the aim; HbA1c {hba1c}, which is a clear response to diet and metformin.
A Weight {weight}: maintained loss. The pattern of meals on early shifts remains the weak point.
A Knowledge is good, and {she} adjusts portions by {her}self after reading the meter.
P Prepare overnight oats with yogurt and seeds for early shifts.
P Keep the cup measure for rice and pasta; try one pulse-based evening meal a week more.
P Discussed a low-carbohydrate pattern (under 130 g a day): {she} would like to keep fruit and flatbread, so not now.
P Agree a plan for feast days: one plate, walk afterwards, no sweet drinks.
P Ask the practice to repeat HbA1c, lipids and urine ACR before the next visit.
@5
M Metformin modified release 1 g twice daily; empagliflozin 10 mg daily; atorvastatin 40 mg at night
S {She} has felt well. Since empagliflozin was started there is some thirst, and {she} drinks two litres of water.
S Caring for {hers} mother has left little time for cooking; ready meals three evenings a week.
S A sensor worn for two weeks showed {her} what porridge with banana does, and {she} has changed to oats with nuts.
S {She} asks whether remission is possible and has heard of total diet replacement from a neighbour.
D Ready meals chosen by the label: under 500 kcal, under 1.5 g of salt, and a bag of frozen vegetables with each.
D Carbohydrate 140 g a day by three-day diary; protein 82 g; fibre 24 g; saturated fat 11 % of energy.
D Two portions of fish a week, one of them oily. Nuts 30 g a day in place of crisps.
D Alcohol none to 4 units a week. Salt about 6.5 g, mostly from bread and pickles.
A HbA1c {hba1c} and LDL {ldl}: near to individual goals. No diet-related risk of hypoglycaemia with present drugs.
A Renal function stable; no reason to restrict protein.
A Risk of ketosis with empagliflozin when fasting or unwell: «sick day» rules were known when asked.
P Sick day rules repeated: stop empagliflozin and metformin when vomiting or fasting, drink, check ketones.
P Total diet replacement explained with its conditions and follow-up; written information given, decision next time.
P Keep to fish twice a week and unsalted nuts; change to low-salt bread.
P Annual review of eyes, feet and kidneys is due; {first} will book it with the practice nurse.
"""

_T2D_EVENTS = """
# imaging, 0.6, 0 | Ultrasound scan of the abdomen | Radiology
Clinical details: raised ALT, type 2 diabetes.
The liver is mildly enlarged (16.4 cm) with a diffusely increased echotexture. No focal lesion. The biliary tree is
  not dilated and the gallbladder contains no stones. Pancreas partly obscured by gas. Kidneys of normal size, right
  11.2 cm and left 11.5 cm, without hydronephrosis.
= Moderate hepatic steatosis. No gallstones.
# consult, 5, 0 | Diabetes clinic consultation | Diabetes and endocrinology
Thank you for asking me to see {first}, whose HbA1c has crept up to {hba1c} on metformin alone over the past year in
  spite of good dietary habits. There are no symptoms of hyperglycaemia and no retinopathy.
We discussed a second agent. With a BMI of {bmi} and a wish to avoid weight gain, empagliflozin 10 mg is a sensible
  choice. Genital hygiene, fluids and sick day rules were explained. I should be grateful if the dietitian would go
  over fasting and ketones again.
= Add empagliflozin 10 mg daily. Repeat HbA1c in three months. Continue dietetic review.
"""

T2D = Story(
    key="t2d",
    condition="Type 2 diabetes mellitus",
    snomed="44054006",
    icd10="E11.9",
    specialty="Diabetes and endocrinology",
    reason="newly diagnosed type 2 diabetes; dietary advice and weight management please",
    order="Consistent carbohydrate diet, 150 g a day, energy deficit of 500 kcal",
    bmi=((0, 33.4), (0.5, 32.1), (1.2, 30.6), (3, 30.9), (5, 31.3), (6.5, 29.9), (10, 29.4)),
    systolic=((0, 146), (1, 138), (5, 136), (10, 131)),
    panels=("hba1c", "micronutrients", "lipids", "renal", "kidney-urine", "liver"),
    quoted=("hba1c", "glucose", "ldl", "triglycerides", "egfr"),
    phases=phases(_T2D),
    events=events(_T2D_EVENTS),
    meals=(
        ("porridge, berries", "2 toast + egg", "nothing - late", "oats + yogurt", "flatbread, dal"),
        ("chicken salad wrap", "rice + beans (1 cup)", "lentil soup, bread", "leftover curry", "tuna sandwich"),
        ("fish, veg, potato", "rice, stew, spinach", "pasta - big plate!", "chicken, beans, salad", "dal + 2 roti"),
        ("apple", "biscuits x3", "handful nuts", "tea no sugar", "crisps (small bag)"),
    ),
    density=((0, 4), (1, 1.6), (5, 2)),
    analytes={
        "hba1c": ((0, 78), (0.4, 61), (1, 52), (3, 50), (5, 60), (5.5, 53), (7, 49), (10, 50)),
        "glucose": ((0, 11.2), (0.4, 8.3), (1, 7.0), (5, 8.4), (5.6, 7.0), (10, 6.6)),
        "ldl": ((0, 3.7), (0.5, 2.6), (5, 2.3), (6, 1.8), (10, 1.7)),
        "hdl": ((0, 1.0), (3, 1.2), (10, 1.3)),
        "triglycerides": ((0, 2.9), (1, 2.0), (5, 1.9), (10, 1.5)),
        "alt": ((0, 61), (1, 42), (5, 39), (10, 28)),
        "egfr": ((0, 92), (10, 79)),
        "acr": ((0, 2.2), (5, 3.4), (10, 2.1)),
        "b12": ((0, 430), (10, 265)),
        "vitamin-d": ((0, 34), (1, 61), (10, 66)),
    },
)

_GDM = """
@0
M Folic acid 400 micrograms until week 12; vitamin D 10 micrograms; aspirin 150 mg; no glucose-lowering drug yet
S {first} is 27 weeks pregnant; the glucose tolerance test showed gestational diabetes and {she} feels guilty about
  it.
S {She} tests four times a day: fasting 5.1 to 5.6 mmol/L, one hour after meals 7.0 to 8.9 mmol/L.
S Nausea has gone, but reflux keeps {her} awake; small meals help. The baby moves well.
S {Hers} mother and an aunt have type 2 diabetes. {She} worries that the baby will be big.
D White rice twice a day (about 300 g cooked) with little protein at midday; fruit smoothie as a mid-morning snack.
D Readings above 7.8 follow cereal at breakfast and noodles in the evening; eggs on wholegrain toast give 6.6.
D Cut carbohydrate to under 100 g a day on her own after reading a forum, and lost weight in one week.
D Milk 200 ml and yogurt daily; calcium is sufficient. Iron-rich foods seldom.
A Altered glucose metabolism in pregnancy, with carbohydrate unevenly spread and of high glycaemic index.
A Weight {weight}; gain so far is within the recommended range. Do not aim for weight loss.
A Intake of carbohydrate was briefly below 130 g with risk of ketosis; corrected after discussion.
P Three meals with 30 to 45 g of carbohydrate and two or three snacks with 15 to 20 g; at least 175 g a day.
P Wholegrain toast with egg or nut butter in place of cereal; basmati rice in a 120 g cooked portion.
P Walk for 15 minutes after each meal as far as the midwife agrees.
P Send the meter readings through the clinic each Monday; targets: fasting below 5.3, one hour below 7.8 mmol/L.
P Plan for the feed after birth: offer early breastfeeding; glucose check of the baby explained.
@0.3
M Vitamin D 10 micrograms daily; no glucose-lowering drug
S The child, born at 38 weeks, keeps {her} busy; meals are often eaten with one hand, {she} says, laughing.
S Sleep is broken. {She} snacks at night, mostly biscuits and sweet tea.
S {She} has gone back to work four days a week and misses the time for cooking.
S A letter about the risk of type 2 diabetes frightened {her} into walking to nursery each day.
D Meals are irregular; the main meal is at 19:00 with the children and is balanced, with vegetables and pulses.
D Energy about 2,100 kcal by recall; free sugars 60 g, most of it from biscuits at night.
D Two portions of fish, beans three times a week, wholegrain bread throughout. Fruit three times a day.
D Cooks in batches on Sunday: lentil stew, chicken and vegetables; freezes eight portions.
A At lasting risk of type 2 diabetes after gestational diabetes: HbA1c {hba1c}, fasting glucose {glucose}.
A Weight {weight}, BMI {bmi}: retained gain of pregnancy is the main thing that can be changed.
A Understands the risk well; time and sleep are the barriers, not knowledge.
P HbA1c and fasting glucose once a year through the practice, and early in any new pregnancy.
P Lose 5 to 7 % of body weight within a year, not faster than 0.5 kg a week.
P Prepare a plate of fruit and nuts for the night in place of biscuits.
P Continue vitamin D; folic acid from before the next conception (5 mg if BMI is 30 or above).
P Referral to the national diabetes prevention programme, evening group.
@3.55
M Aspirin 150 mg; vitamin D 10 micrograms; metformin 500 mg twice daily from week 29; insulin isophane 8 units at
  night
S Second pregnancy: the early test was normal, that at 24 weeks was not. {She} knew what to do and began at once.
S Fasting readings stay at 5.6 to 6.0 in spite of careful meals, so night insulin was started by the clinic.
S {She} feels calmer than in the first pregnancy, but tired with a small child at home.
S One reading of 3.4 in the night; {she} took glucose tablets as taught and told the midwife.
D Carbohydrate about 180 g, evenly spread. Supper snack: wholegrain crispbread with cheese.
D Iron-rich foods daily since the ferritin result: lentils with peppers, red meat twice a week.
D Follows the hand-portion guide from memory. Sugary drinks none.
D Breakfast is the difficult meal: 20 g of carbohydrate is what the readings allow.
A Fasting hyperglycaemia in spite of adequate diet: not a failure of the diet, and {she} was told so.
A Growth of the baby on the 60th centile by scan: no restriction of energy is indicated.
P Bedtime snack with 15 g of carbohydrate and protein to support the fasting value; never skip with insulin.
P Treatment of a low reading: 15 g of fast glucose, recheck after 15 minutes.
P Iron with vitamin C, tea an hour away from meals. Ferritin again in four weeks.
P Weekly phone review with the diabetes midwife until the birth.
@4.9
M Vitamin D 10 micrograms; ferrous sulfate 200 mg on alternate days until ferritin is above 30
S Two healthy children now. {She} stopped breastfeeding at eleven months and wishes to lose the weight of both
  pregnancies.
S {She} joined the prevention programme and has walked 8,000 steps on most days.
S A stressful half-year at work; the evening glass of wine and cheese came back and so did two kilos.
S {She} asks whether intermittent fasting would be safe for {her}.
D Three-day diary: 1,750 kcal, carbohydrate 190 g, fibre 27 g, free sugars 28 g.
D Vegetables at both main meals; rice twice a week instead of twice a day.
D Snacks at the desk: dried mango and cereal bars, about 300 kcal.
D Alcohol 6 units, at weekends. Breakfast is oats and yogurt on working days.
A Glucose regulation: HbA1c {hba1c}. Non-diabetic hyperglycaemia is near and can still be turned.
A Weight {weight}, BMI {bmi}. Diet is of good quality; energy is a little above need.
P Swap dried fruit and bars for fruit and a handful of nuts; wine on two evenings at most.
P A ten-hour eating window may be tried, as long as three proper meals remain.
P Resistance exercise twice a week, at home with bands.
P Yearly HbA1c; contraception and plans for a further pregnancy to be discussed with the practice.
"""

_GDM_EVENTS = """
# imaging, 0.12, 0 | Obstetric ultrasound, growth scan at 32 weeks | Radiology
Clinical details: gestational diabetes, diet controlled.
Single live fetus, cephalic. Head circumference on the 50th and abdominal circumference on the 68th centile. Estimated
  fetal weight 1,980 g (61st centile). Deepest pool of liquor 5.4 cm. Placenta posterior, high. Umbilical artery
  Doppler normal.
= Normal growth and liquor. Next scan at 36 weeks.
# admission, 0.24, 2 | Discharge summary: birth after gestational diabetes | Obstetric medicine
Induction of labour at 38 weeks and 2 days for gestational diabetes. Normal birth of a live infant of 3,410 g, Apgar 9
  and 10. Blood loss 300 ml.
Capillary glucose was stopped after 24 hours of normal readings. The infant's glucose was 2.9 and 3.4 mmol/L before
  the second and third feed; breastfeeding was established before discharge.
= Glucose tolerance test or fasting glucose 6 to 13 weeks after birth, then HbA1c once a year. Dietetic review.
# consult, 3.62, 0 | Antenatal diabetes clinic | Obstetric medicine
{first} is seen at 26 weeks of {hers} second pregnancy. Fasting glucose has been above target on 5 of 7 days with
  excellent adherence to the diet; post-meal readings are good.
Metformin alone did not bring fasting values below 5.3 mmol/L. Isophane insulin is started at 8 units at bedtime. The
  dietitian kindly adjusted the supper snack on the same day.
= Night insulin, weekly titration by the diabetes midwife; growth scans at 28, 32 and 36 weeks.
# admission, 3.82, 2 | Discharge summary: second birth after gestational diabetes | Obstetric medicine
Spontaneous labour at 37 weeks and 5 days. Normal birth of a live infant of 3,280 g, Apgar 9 and 9. Blood loss 450 ml;
  haemoglobin {haemoglobin} before discharge.
Insulin and metformin were stopped with the birth. Two of the infant's readings were low (2.1 and 2.4 mmol/L) and rose
  with feeds.
= Ferrous sulfate on alternate days. Fasting glucose at 6 to 13 weeks, HbA1c every year. Dietetic review.
"""

GDM = Story(
    key="gdm",
    condition="Gestational diabetes mellitus",
    snomed="11687002",
    icd10="O24.4",
    specialty="Obstetric medicine",
    reason="gestational diabetes at 27 weeks; dietary advice within one week please",
    order="Pregnancy diet with spread carbohydrate, 175 g a day at least",
    bmi=((0, 30.8), (0.23, 32.4), (0.27, 30.2), (1.2, 28.9), (3, 28.4), (3.55, 30), (3.81, 32), (3.85, 30), (7, 27.8)),
    systolic=((0, 118), (0.3, 116), (7, 121)),
    panels=("hba1c", "micronutrients", "ogtt", "haematinics", "blood-count", "thyroid", "lipids"),
    quoted=("glucose", "glucose2h", "hba1c", "ferritin"),
    phases=phases(_GDM),
    events=events(_GDM_EVENTS),
    meals=(
        ("egg, 1 slice toast", "oats 30g + yogurt", "2 toast, avocado", "cereal - reading 8.4"),
        ("chicken salad, bread", "lentil soup", "rice 120g, fish", "wrap, hummus"),
        ("salmon, potatoes, peas", "chicken curry, basmati", "omelette + salad", "noodles - reading 8.9"),
        ("apple + cheese", "nuts 20g", "yogurt", "crispbread x2", "biscuit x2"),
    ),
    density=((0, 26), (0.22, 0), (0.35, 2.2), (3.4, 0), (3.55, 22), (3.8, 0), (4.9, 2.2)),
    analytes={
        "glucose": ((0, 5.7), (0.22, 5.2), (0.4, 5.0), (3, 5.3), (3.55, 5.9), (3.9, 5.2), (4.1, 5.2), (7, 5.4)),
        "glucose2h": ((0, 9.1), (0.3, 7.1), (3.3, 7.4), (3.55, 9.6), (4, 7.3), (7, 7.2)),
        "hba1c": ((0, 36), (0.5, 37), (3, 38), (3.9, 37), (5, 39), (7, 40)),
        "ferritin": ((0, 17), (0.5, 29), (3, 36), (3.7, 11), (4.4, 24), (7, 41)),
        "haemoglobin": ((0, 112), (0.5, 126), (3, 129), (3.7, 107), (4.4, 124), (7, 130)),
        "transferrin": ((0, 16), (1, 24), (3.7, 11), (5, 23)),
        "ldl": ((0, 3.4), (1, 2.9), (7, 2.8)),
        "vitamin-d": ((0, 38), (1, 55), (7, 63)),
    },
)
