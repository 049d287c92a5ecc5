"""All stories by key."""

from seeds.generator.stories_gut import COELIAC, CROHN, IBS
from seeds.generator.stories_heart import CKD, HYPERTENSION, LIPIDS
from seeds.generator.stories_metabolic import GDM, T2D
from seeds.generator.stories_pku import PKU
from seeds.generator.stories_special import MALNUTRITION, MILK, PEANUT
from seeds.generator.stories_weight import ADOLESCENT, ANOREXIA, BARIATRIC

STORIES = {
    story.key: story
    for story in (
        T2D,
        GDM,
        COELIAC,
        CKD,
        ANOREXIA,
        PEANUT,
        MILK,
        IBS,
        BARIATRIC,
        HYPERTENSION,
        LIPIDS,
        CROHN,
        ADOLESCENT,
        MALNUTRITION,
        PKU,
    )
}
