"""Sentences that fit any story, by the patient's age, and the examination findings of each story."""

OPENERS = {
    "child": (
        "{first} was seen with {hers} mother in the children's clinic.",
        "{first} attended with both parents.",
        "Telephone review with {hers} father; {first} was at home and said hello.",
        "{first} came with {hers} mother, who brought the food diary.",
    ),
    "adult": (
        "{first} attended alone and on time for a review of 30 minutes.",
        "Review by video call; the picture was good and {first} was at home.",
        "{first} was seen in clinic together with a relative, at {hers} own wish.",
        "Telephone review at the agreed time. {first} had the diary at hand.",
        "{first} attended the dietetic clinic and brought the results letter.",
        "{first} came after a missed appointment three weeks ago and apologised for it.",
    ),
    "old": (
        "Home visit. {first} was sitting in the kitchen; {hers} daughter was present.",
        "{first} was brought by {hers} daughter and was in good spirits.",
        "Home visit together with the community nurse.",
        "Telephone review with {hers} daughter; {first} took part over the loudspeaker.",
    ),
}

LIFE = {
    "child": (
        "Bowels open daily, sleep is good.",
        "Appetite varies from day to day, which the parents take calmly.",
        "Nursery or school reports a lively child who joins in at meals.",
        "Vitamin D is given on most days.",
        "Weekends with relatives went without incident.",
        "Skin is calm at present; emollients daily.",
    ),
    "adult": (
        "Sleep is fair, about six and a half hours. Stress at work rated 5 of 10.",
        "Activity: walks on most days and reports about 7,000 steps.",
        "Alcohol is rare. Does not smoke.",
        "Appetite is good and bowels are regular.",
        "Confidence in keeping the changes going was rated 7 of 10.",
        "Shopping is done once a week with a list; cooking is shared at home.",
        "Money is a little tight this month; cheaper alternatives were looked at together.",
        "Holidays are planned; eating while travelling was talked through.",
        "Activity has fallen since a cold two weeks ago.",
        "Confidence was rated 8 of 10, importance 9 of 10.",
    ),
    "old": (
        "Bowels open on alternate days with lactulose.",
        "Sleeps in the chair after lunch. Walks with a stick indoors.",
        "No falls since the last visit.",
        "Carers write down meals and drinks in the folder on the table.",
        "Mouth inspected: moist, denture in place.",
        "Skin intact, no pressure damage.",
    ),
}

CLOSERS_CHILD = (
    "Agreed with the parents, who repeated the plan in their own words.",
    "Written summary sent to the parents and the practice.",
    "The parents chose the first two points as goals until the next visit.",
    "Handouts were given to the family.",
)

CLOSERS = (
    "Agreed with {first}, who repeated the plan in {hers} own words.",
    "Written summary sent by post; contact details for questions given.",
    "{first} chose the first two points as {hers} goals until the next visit.",
    "Plan copied to the practice.",
    "Time spent: 35 minutes, of which 10 were for documentation.",
    "Handouts were given for the points above.",
)

GENERAL_EXAM = (
    "Alert and comfortable at rest. Heart sounds normal, chest clear. Abdomen soft and not tender.",
    "Well at rest. No oedema, no pallor. Chest clear; abdomen soft, bowel sounds normal.",
    "Good eye contact, well oriented. Skin warm and dry. Heart and lungs without findings.",
)

EXAM_CHILD = (
    "Alert and playful, well perfused. Heart sounds normal, chest clear. Abdomen soft.",
    "Content on the parent's lap or beside it, no pallor. Chest clear; abdomen soft, not distended.",
)

FINDINGS = {
    "t2d": "Feet: pulses present, monofilament felt at 10 of 10 points. Acanthosis of the neck, mild.",
    "gdm": "No oedema. Urine dipstick: no ketones, no protein.",
    "ckd": "Trace ankle oedema. Hand grip 26 kg (right). Skin dry with scratch marks on the forearms.",
    "hypertension": "Heart sounds normal without murmur; no ankle oedema. Fundi not examined.",
    "lipids": "No tendon xanthomata, no xanthelasma, no corneal arcus. Pulses full.",
    "coeliac": "Abdomen slightly distended, not tender. No mouth ulcers, no dermatitis. Nails normal.",
    "ibs": "Abdomen soft with mild tenderness in the left lower quadrant, no mass. Rectal examination not repeated.",
    "crohn": "Abdomen soft, mild fullness in the right lower quadrant. No perianal disease. Mid-arm circumference 25 cm.",
    "anorexia": "Lanugo on the forearms, hands cool, capillary refill 2 seconds. Sit-up and squat test 2 of 3.",
    "bariatric": "Port scars well healed where present. No hernia. Skin folds of the abdomen without irritation.",
    "adolescent-obesity": "Mild acanthosis of the neck. Pubertal stage appropriate. Knees and hips move freely.",
    "malnutrition": "Temporal and interosseous wasting. Calf circumference 29 cm, hand grip 15 kg. Denture in place.",
    "peanut": "Chest clear, no wheeze. Mild eczema in the elbow folds. Growth plotted.",
    "milk": "Skin with minor eczema on the cheeks. Abdomen soft. Development appropriate for age.",
    "pku": "Neurological examination normal, fine tremor of the fingers absent today. Skin and hair normal.",
}

PROTEIN = {
    "ckd": (0.8, 0.8),
    "malnutrition": (1.2, 1.5),
    "crohn": (1.2, 1.5),
    "anorexia": (1.2, 1.5),
    "gdm": (1.1, 1.3),
    "peanut": (0.95, 1.0),
    "milk": (1.1, 1.2),
    "adolescent-obesity": (0.8, 0.9),
    "bariatric": (0.7, 0.9),
}
"""Grams a kilogram and day; 0.8 to 1.0 for the others."""
