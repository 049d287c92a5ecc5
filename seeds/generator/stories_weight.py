"""Anorexia nervosa, bariatric surgery, obesity in adolescence, malnutrition in old age."""

from seeds.generator.story import Story, events, phases

_ANOREXIA = """
@0
M Thiamine 100 mg twice daily; multivitamin; phosphate supplement while refeeding
S {first} attended with {hers} mother. {She} agrees that {she} is unwell but is terrified of gaining weight.
S Eats alone and weighs all food. Checks {hers} weight several times a day; runs before dawn.
S Cold hands, dizziness on standing, poor sleep. Denies vomiting and laxatives.
S {She} said: «I know what I need, I just cannot put it on the plate.»
S Concentration is poor and {she} has withdrawn from friends.
D Intake about 650 kcal a day: black coffee, apple, vegetables, a little yogurt. No fat is added.
D Rules: nothing after 18:00, no bread, no food that others have cooked.
D Fluids 3 litres, partly to blunt hunger before weighing.
D On the meal plan {she} completed about two thirds of each meal, and hid the butter on two occasions.
A Severe malnutrition due to anorexia nervosa, BMI {bmi}; high risk of refeeding syndrome.
A Phosphate {phosphate}, potassium {potassium}, magnesium {magnesium}: daily, then twice-weekly, bloods guide the
  plan.
A Overvalued ideas about weight and shape limit intake; insight is partial.
P Meal plan of three meals and three snacks; start at 1,200 kcal and raise by 200 kcal every two to three days.
P Thiamine before and during refeeding; phosphate, potassium and magnesium checked and replaced.
P Supervised meals at home with {hers} mother; 30 minutes of rest afterwards. No exercise for now.
P Blind weighing at the clinic once a week; scales at home to be put away.
P Shared care with the eating disorders team; admission criteria were agreed in writing.
@0.5
M Multivitamin; olanzapine 2.5 mg at night (psychiatry)
S {She} has left day care and eats breakfast and dinner with the family.
S The voice of the illness is loudest before weighing days, {she} says; {she} can now name it.
S Two difficult weeks around a birthday; meals were kept, snacks were not.
S Walking is permitted, 20 minutes; {she} kept to it on most days.
S {She} ate a slice of pizza with friends for the first time in two years and cried afterwards, then was proud.
D Meal plan of 2,400 kcal, about 85 % completed. Milk drinks are easier than solid snacks.
D Fear foods tried this month: bread with cheese, granola, pasta with cream sauce.
D Still cuts food very small and eats slowly, 50 minutes a meal.
D Vegetable portions are too large and fill the stomach early.
A Weight {weight} (BMI {bmi}), gain about 0.3 to 0.5 kg a week on the plan.
A Physiologically stable: phosphate {phosphate}, potassium {potassium}. Bradycardia has gone.
A Rules are loosening; anxiety around fats remains strong.
P Raise the plan to 2,600 kcal: 30 g of nuts and a glass of full-cream milk.
P One fear food a week from the ladder, in company.
P Vegetables to a quarter of the plate; meals to end within 35 minutes.
P Exposure meal together in the clinic café at the next visit.
P Weekly weight and bloods every four weeks.
@2
M Multivitamin with vitamin D; fluoxetine 20 mg daily
S {She} started at university and shares a flat. Cooking with others is fun on good days.
S Periods returned this year, or so {she} hopes to keep; mood is steady.
S Stress before examinations: skipped snacks for a week, recognised it, called.
S {She} deleted the calorie app and has not put it back.
S {She} wishes to do sport with others, not alone.
D Eats three meals and two snacks by hunger and by habit, about 2,200 kcal.
D All food groups are present; butter and cheese are eaten without weighing.
D Restaurant meals once a week; chooses what {she} likes about half of the time.
D Alcohol little. Coffee after meals, not in place of them.
A Anorexia nervosa in recovery; BMI {bmi}, maintained. Bone density is to be followed.
A Intake meets needs; flexibility is good with lapses under stress.
A Vitamin D {vitamin-d}; ferritin {ferritin}.
P Relapse prevention plan brought up to date: signs, people to call, first three steps.
P Calcium 1,000 mg a day from food; vitamin D 20 micrograms.
P Team sport twice a week with an extra snack on these days.
P Visits every three months, then twice a year.
"""

_ANOREXIA_EVENTS = """
# referral, 0.01, 0 | Urgent referral to the eating disorders dietitian | Psychiatry
{first} has lost 14 kg in nine months. BMI {bmi}, pulse 46, blood pressure {bp} mmHg, temperature 35.6 C. Potassium
  {potassium}, phosphate {phosphate}. {She} meets the criteria for anorexia nervosa, restricting type.
= Urgent nutritional assessment and refeeding plan please. Low threshold for admission.
# admission, 0.08, 19 | Discharge summary: refeeding in anorexia nervosa | Psychiatry
Admitted with BMI below 14.5, bradycardia of 41 and postural dizziness. Refeeding began at 20 kcal/kg with thiamine.
Phosphate fell to 0.52 mmol/L on day three and was replaced intravenously; potassium 3.2 mmol/L was corrected by
  mouth. The nasogastric tube was needed for five days. Weight rose steadily from the second week on.
= Meal plan 2,000 kcal on discharge. Phosphate and potassium twice a week. Day programme from Monday.
# imaging, 0.4, 0 | DEXA bone densitometry | Radiology
Lumbar spine Z-score -2.1. Total hip Z-score -1.7.
= Bone density below the expected range for age. Restoration of weight is the treatment.
# consult, 1.1, 0 | Eating disorders clinic, multidisciplinary review | Psychiatry
{first} has gained steadily to a BMI of {bmi}. Mood has improved. Family-based work and cognitive therapy go on.
= Continue. Reduce frequency of bloods. Dietitian every two weeks.
# imaging, 3.4, 0 | DEXA bone densitometry, repeat | Radiology
Lumbar spine Z-score -1.3. Total hip Z-score -1.0.
= Improvement at both sites.
"""

ANOREXIA = Story(
    key="anorexia",
    condition="Anorexia nervosa",
    snomed="56882008",
    icd10="F50.0",
    specialty="Psychiatry",
    reason="anorexia nervosa with rapid weight loss; refeeding plan and long-term support please",
    order="Refeeding meal plan, stepwise from 1,200 kcal",
    bmi=((0, 14.3), (0.1, 14), (0.15, 14.9), (0.5, 16.4), (1, 17.8), (2, 19.2), (4, 19.1), (5, 20.1), (9, 20.6)),
    systolic=((0, 88), (0.5, 97), (2, 107), (9, 112)),
    panels=("electrolytes", "nutrition", "blood-count", "liver", "micronutrients", "thyroid"),
    quoted=("phosphate", "potassium", "magnesium", "albumin", "ferritin", "vitamin-d"),
    phases=phases(_ANOREXIA),
    events=events(_ANOREXIA_EVENTS),
    meals=(
        ("granola + milk (done)", "toast, butter, jam", "porridge, honey - 2/3", "yogurt, muesli"),
        ("cheese sandwich - hard", "pasta salad", "soup + roll + butter", "wrap with mum"),
        ("fish pie", "rice, chicken, sauce", "PIZZA with friends!!", "lasagne - left 1/4"),
        ("milk drink", "cereal bar", "nuts 30g - skipped", "hot chocolate", "biscuits x2"),
    ),
    density=((0, 13), (0.5, 5), (2, 1.4)),
    analytes={
        "phosphate": ((0, 0.79), (0.09, 0.66), (0.2, 0.98), (0.6, 1.16), (9, 1.18)),
        "potassium": ((0, 3.3), (0.1, 3.5), (0.3, 4.1), (9, 4.3)),
        "magnesium": ((0, 0.67), (0.2, 0.78), (1, 0.84)),
        "sodium": ((0, 132), (0.3, 138), (1, 140)),
        "albumin": ((0, 41), (9, 44)),
        "prealbumin": ((0, 158), (0.5, 224), (1.5, 262)),
        "leukocytes": ((0, 3.1), (0.6, 4.4), (2, 5.6)),
        "haemoglobin": ((0, 114), (1, 124), (3, 129)),
        "alt": ((0, 78), (0.2, 52), (0.7, 24)),
        "ferritin": ((0, 118), (1, 46), (3, 38)),
        "vitamin-d": ((0, 33), (1, 61), (9, 72)),
        "urea": ((0, 7.9), (0.4, 5.2)),
    },
)

_BARIATRIC = """
@0
M Metformin 1 g twice daily; sertraline 50 mg; omeprazole 20 mg
S {first} was referred for assessment before bariatric surgery. {She} has tried nine diets in twenty years.
S Knees hurt, sleep apnoea is treated with CPAP. {She} wants to play with {hers} grandchildren on the floor.
S {She} eats quickly and in secret when alone in the evening; binges about twice a month, fewer than before.
S {She} knows two people who had the operation and has realistic expectations.
D Two large meals and grazing from 20:00; about 3,100 kcal by recall. Sugared drinks a litre a day.
D Protein 75 g. Vegetables three times a week. Takeaway meals four times a week.
D Chews little; drinks with meals.
D Over the last month: three meals a day, no sugared drinks, food log kept on 22 of 30 days.
A Obesity class III, BMI {bmi}, with type 2 diabetes (HbA1c {hba1c}); pattern of grazing and rapid eating.
A Ready for surgery from the dietary point of view once regular meals are established for eight weeks.
A Vitamin D {vitamin-d} and ferritin {ferritin} to be corrected before the operation.
P Regular meals, 20 minutes each, 20 chews, cutlery down; nothing to drink 30 minutes before and after.
P Protein 60 to 80 g from the start of the meal. Stop sugared and fizzy drinks.
P Liver reducing diet for two weeks before surgery: 800 to 1,000 kcal, low in carbohydrate.
P Vitamin D and iron before the operation. Preoperative group, four evenings.
@1
M Multivitamin and mineral twice daily; calcium citrate with vitamin D; hydroxocobalamin 1 mg every three months
S Recovery after gastric bypass is good. Full after six spoons; no vomiting since week five.
S Dumping once after ice cream: sweating, palpitations, had to lie down.
S Hair is falling out in handfuls, which worries {her}.
S {She} moved two clothes sizes and has put away the CPAP machine after a sleep study.
S Food no longer interests {her}; {she} eats by the clock.
D Texture: from purée to soft in week five, to normal by week eight. Meat is still difficult.
D Protein 55 to 65 g by diary with one shake; fluids 1.4 litres between meals.
D Supplements taken on six of seven days; calcium is forgotten at noon.
D Portions: 150 g. Six small meals.
A Expected rapid weight loss: {weight}, BMI {bmi}. Protein is just below the goal of 60 to 80 g.
A Early dumping syndrome related to free sugars; understood.
A Hair loss is telogen effluvium from fast weight loss; zinc, ferritin {ferritin} and protein to be optimised.
P Protein first at each meal: eggs, fish, skyr, tofu; a shake of 20 g in the afternoon.
P Multivitamin twice daily, calcium citrate 1,200 to 1,500 mg in divided doses, apart from iron.
P Avoid sugar in drinks and desserts; eat slowly; lie down if dumping occurs.
P Bloods at 3, 6 and 12 months after surgery, then yearly for life.
P Resistance exercise three times a week to keep muscle.
@2.6
M Multivitamin and mineral daily; calcium citrate with vitamin D; iron 200 mg; hydroxocobalamin every three months
S Weight has been steady for a year; hunger has come back a little.
S {She} feels proud and also unsure in a new body; loose skin troubles {her}.
S A grandchild was born, and the evenings at home brought grazing on biscuits again.
S Dizzy spells two hours after porridge with honey; the meter showed 3.1 mmol/L.
S {She} stopped the multivitamin for four months as {she} felt well.
D Three meals and two snacks, about 1,450 kcal; protein 78 g.
D Alcohol: a glass of wine acts quickly; once a week.
D Grazing from 20:00 with biscuits and nuts, 300 to 400 kcal.
D Eats bread again, half a slice at a time; steak is still avoided.
A Weight {weight}, BMI {bmi}: total loss well maintained, small regain related to evening grazing.
A Late dumping (reactive hypoglycaemia) after refined carbohydrate.
A Ferritin {ferritin}, B12 {b12}, vitamin D {vitamin-d}: deficiency where supplements lapse.
P Slow carbohydrates with protein: oats with skyr and seeds, no honey, no juice.
P Planned evening snack of 150 kcal at the table; nothing in front of the television.
P Supplements for life: weekly pill box; recheck in three months.
P Bone profile with PTH every year; DEXA is due.
P Support group on the first Tuesday of the month.
"""

_BARIATRIC_EVENTS = """
# consult, 0.5, 0 | Bariatric multidisciplinary clinic | Bariatric surgery
{first} was seen by surgeon, psychologist and dietitian. BMI {bmi}, HbA1c {hba1c}, sleep apnoea on CPAP. Binge eating
  has settled with regular meals. The risks of surgery and the need for lifelong supplements are understood.
= Accepted for laparoscopic Roux-en-Y gastric bypass. Liver reducing diet for two weeks before.
# imaging, 0.8, 0 | Ultrasound scan of the abdomen | Radiology
Enlarged liver of 19 cm with marked steatosis. Gallbladder with two mobile stones of 6 mm. No dilatation of bile
  ducts.
= Marked steatosis; asymptomatic gallstones.
# admission, 1.0, 2 | Discharge summary: laparoscopic gastric bypass | Bariatric surgery
Uncomplicated laparoscopic Roux-en-Y gastric bypass. Free fluids on the first day, purée diet plan explained before
  discharge. Metformin was halved, then stopped by the ward. Enoxaparin for 28 days.
= Purée for four weeks, soft until week eight. Multivitamin, calcium, vitamin D, B12 injections. Ursodeoxycholic acid
  for six months.
# consult, 2.0, 0 | Bariatric surgery follow-up at one year | Bariatric surgery
Excess weight loss is 72 %. HbA1c {hba1c} without medication. No dysphagia. Ferritin {ferritin} and vitamin D
  {vitamin-d} noted.
= Diabetes in remission. Yearly nutritional bloods. Discharge to shared care at two years.
# imaging, 4.5, 0 | DEXA bone densitometry | Radiology
Lumbar spine T-score -0.8, femoral neck T-score -1.2.
= Mild osteopenia of the femoral neck. Continue calcium citrate and vitamin D.
"""

BARIATRIC = Story(
    key="bariatric",
    condition="Obesity, status after gastric bypass",
    snomed="238136002",
    icd10="E66.01",
    specialty="Bariatric surgery",
    reason="assessment and follow-up for bariatric surgery please",
    order="Post-bariatric diet, protein 60 to 80 g a day, textures in steps",
    bmi=((0, 45.2), (0.9, 43.4), (1.0, 42.6), (1.3, 36.4), (1.6, 33.1), (2, 30.4), (2.6, 29.4), (4, 30.2), (9, 31.0)),
    systolic=((0, 148), (1, 139), (1.6, 122), (9, 126)),
    panels=("micronutrients", "nutrition", "hba1c", "haematinics", "bone", "liver", "blood-count", "lipids"),
    quoted=("hba1c", "ferritin", "b12", "vitamin-d", "pth", "albumin"),
    phases=phases(_BARIATRIC),
    events=events(_BARIATRIC_EVENTS),
    meals=(
        ("skyr 100g", "1 egg scrambled", "oats 25g + seeds", "shake 20g prot"),
        ("tuna, 3 spoons mash", "chicken 60g, veg", "soup + tofu", "cottage cheese"),
        ("fish 80g, carrots", "mince + lentils 120g", "half chicken breast", "omelette"),
        ("shake", "cheese 20g", "water 200ml", "ice cream - dumping!", "apple, no skin"),
    ),
    density=((0, 2.2), (0.9, 4), (2, 1.6), (3, 1)),
    analytes={
        "hba1c": ((0, 66), (0.9, 57), (1.4, 43), (2, 38), (9, 40)),
        "glucose": ((0, 9.4), (0.9, 7.6), (1.4, 5.6), (9, 5.1)),
        "ferritin": ((0, 34), (1, 52), (2.2, 19), (3, 11), (3.8, 36), (9, 41)),
        "haemoglobin": ((0, 131), (3, 111), (4, 126), (9, 129)),
        "b12": ((0, 310), (1.6, 245), (2.4, 480), (9, 520)),
        "vitamin-d": ((0, 21), (1, 58), (3, 44), (3.8, 69), (9, 74)),
        "pth": ((0, 8.8), (1.4, 6.0), (3.2, 8.1), (4.4, 6.2)),
        "alt": ((0, 58), (1, 43), (1.6, 29), (9, 21)),
        "albumin": ((0, 40), (1.4, 36), (2, 39), (9, 40)),
        "prealbumin": ((0, 240), (1.4, 192), (2.4, 235)),
        "ldl": ((0, 3.3), (2, 2.2), (9, 2.3)),
        "triglycerides": ((0, 2.6), (2, 1.1)),
    },
)

_ADOLESCENT = """
@0
M No regular medication
S {first} came with {hers} mother, who did most of the talking. {She} said that being weighed at school was awful.
S Teased in sports lessons; since then {she} skips them. Screen time about six hours a day.
S {She} falls asleep after midnight and is never hungry in the morning.
S {Hers} mother works nights, and {first} heats {hers} own dinner.
D No breakfast; crisps and an energy drink at break; a large meal after school and another at night.
D Sugared drinks 1.2 litres a day, about 480 kcal. Fruit twice a week.
D Fast food three times a week on the way home. Milk none; calcium about 500 mg.
D Eats in {hers} room in front of a screen; the family eats together on Sundays.
A Obesity in adolescence, BMI {bmi} (above the 99th centile), related to skipped meals, sweet drinks and late nights.
A Low intake of calcium, iron and fibre.
A {first} would like to change drinks and sleep first; {she} does not want a diet, rightly.
P No talk of dieting: growth is used, aim for a steady weight while height goes on.
P Water or milk in place of energy and soft drinks on school days; one can at the weekend.
P Breakfast small: milk and a banana, or toast and egg, before the bus.
P Screens out of the bedroom from 22:30; family meal three times a week.
P An activity {she} likes: {first} chose dancing and cycling to school.
@1.2
M Vitamin D 10 micrograms daily in winter
S {She} spoke for {her}self today. Proud of cycling to school all term.
S Drinks are water and milk on school days; weekends are mixed.
S Exams and a quarrel among friends brought late nights and ordering food.
S {She} cooks two dishes alone now, and posts photographs of them.
D Breakfast on four of five days. Fruit daily, vegetables with the evening meal.
D Calcium about 950 mg; milk 300 ml and cheese.
D Fast food once a week, without the drink.
D Portions are normal; second helpings on two evenings.
A BMI {bmi} at a height of {height}: falling against the centiles while growing as expected.
A Metabolic markers improving: HbA1c {hba1c}, ALT {alt}, triglycerides {triglycerides}.
A Self-esteem is better; relation to food is relaxed, no sign of disordered eating.
P Go on with what works. A plan for examination weeks: freezer meals, bed before 23:00.
P Strength training twice a week with the school club.
P Vitamin D from October to March; iron-rich food: beans, lean red meat, with fruit.
P Prepare the move to adult services: {first} books the next visit {her}self.
"""

_ADOLESCENT_EVENTS = """
# consult, 0.2, 0 | Paediatric weight clinic | Paediatrics
{first} was seen with {hers} mother. BMI {bmi}, acanthosis of the neck, blood pressure {bp} mmHg. No features of an
  endocrine or genetic cause; pubertal development as expected.
ALT {alt}, HbA1c {hba1c}: insulin resistance is likely and should respond to changes at home.
= Family-based lifestyle programme with the dietitian; no medication. Review in six months.
# imaging, 0.4, 0 | Ultrasound scan of the liver | Radiology
Mildly increased echogenicity of the liver. Spleen and kidneys normal.
= Mild hepatic steatosis.
# referral, 3.4, 0 | Transition letter to adult dietetic service | Paediatrics
{first} has done very well over more than three years. BMI {bmi}, HbA1c {hba1c}. {She} is ready for adult services.
= Please take over yearly follow-up.
"""

ADOLESCENT = Story(
    key="adolescent-obesity",
    condition="Obesity in adolescence",
    snomed="414916001",
    icd10="E66.9",
    specialty="Paediatrics",
    reason="obesity in a young person with raised ALT; family-based advice please",
    order="Balanced family meals, no sugared drinks, growth-based goals",
    bmi=((0, 31.2), (0.6, 31.0), (1.5, 29.8), (3, 28.3), (6, 27.1)),
    systolic=((0, 126), (1.5, 120), (6, 117)),
    panels=("hba1c", "liver", "lipids", "micronutrients", "thyroid", "haematinics"),
    quoted=("hba1c", "alt", "triglycerides", "vitamin-d", "ferritin"),
    phases=phases(_ADOLESCENT),
    events=events(_ADOLESCENT_EVENTS),
    meals=(
        ("nothing", "toast + egg", "milk + banana", "cereal"),
        ("school dinner - pasta", "crisps, energy drink", "sandwich, apple", "chicken wrap"),
        ("I COOKED: stir fry", "pizza with mum", "rice + beans", "burger (friday)"),
        ("yogurt", "sweets", "fruit", "water!!", "hot choc"),
    ),
    density=((0, 2.6), (1.2, 1.4)),
    analytes={
        "hba1c": ((0, 42), (1.5, 39), (3, 37), (6, 36)),
        "glucose": ((0, 5.6), (2, 5.1), (6, 4.9)),
        "alt": ((0, 58), (1, 41), (3, 28), (6, 23)),
        "triglycerides": ((0, 2.2), (2, 1.4), (6, 1.1)),
        "hdl": ((0, 0.9), (3, 1.2)),
        "vitamin-d": ((0, 24), (1, 52), (6, 60)),
        "ferritin": ((0, 16), (1.5, 31), (6, 40)),
    },
)
