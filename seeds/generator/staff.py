"""Who writes the documents, and for which house. All invented."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Organisation:
    id: str
    name: str
    kind: str
    address: str
    phone: str


@dataclass(frozen=True)
class Clinician:
    id: str
    given: str
    family: str
    prefix: str
    suffix: str
    role: str
    gender: str
    organisation: Organisation

    @property
    def name(self) -> str:
        parts = (self.prefix, self.given, self.family)
        return " ".join(part for part in parts if part) + (f", {self.suffix}" if self.suffix else "")

    @property
    def greeting(self) -> str:
        return f"{self.prefix or ('Ms' if self.gender == 'female' else 'Mr')} {self.family}"


PRACTICE = Organisation(
    "millbrook-health-centre",
    "Millbrook Health Centre",
    "Primary care",
    "2 Weir Lane, Millbrook, Norchester NC4 1AA",
    "020 7946 0500",
)
HOSPITAL = Organisation(
    "st-brannock-hospital",
    "St Brannock's Hospital",
    "Hospital",
    "Abbey Road, Norchester NC1 7TT",
    "020 7946 0600",
)
LABORATORY = Organisation(
    "norchester-laboratory",
    "Norchester Laboratory Services",
    "Laboratory",
    "Unit 5, Abbey Road, Norchester NC1 7TU",
    "020 7946 0650",
)
ORGANISATIONS = (PRACTICE, HOSPITAL, LABORATORY)

_STAFF = """
maren-kowalska|Maren|Kowalska||RD|Dietitian|female|practice
idris-penhallow|Idris|Penhallow||RD|Dietitian|male|practice
saffron-adeyinka|Saffron|Adeyinka||RD|Paediatric dietitian|female|hospital
beatrix-hollowell|Beatrix|Hollowell|Dr||General practice|female|practice
samir-natarvani|Samir|Natarvani|Dr||General practice|male|practice
ingrid-falkenmoor|Ingrid|Falkenmoor|Dr||Diabetes and endocrinology|female|hospital
oluwaseun-brightmere|Oluwaseun|Brightmere|Dr||Obstetric medicine|female|hospital
casimir-dunleaven|Casimir|Dunleaven|Dr||Renal medicine|male|hospital
yuki-harrowden|Yuki|Harrowden|Dr||Cardiology|female|hospital
rafael-monteferro|Rafael|Monteferro|Dr||Gastroenterology|male|hospital
nerys-caradwen|Nerys|Caradwen|Dr||Psychiatry|female|hospital
viktor-sallowfield|Viktor|Sallowfield|Mr||Bariatric surgery|male|hospital
amina-westerbeck|Amina|Westerbeck|Dr||Paediatrics|female|hospital
gordon-applethwaite|Gordon|Applethwaite|Dr||Care of older people|male|hospital
linnea-strakesund|Linnea|Strakesund|Dr||Allergy and immunology|female|hospital
emeka-winterbourn|Emeka|Winterbourn|Dr||Metabolic medicine|male|hospital
petra-lindquarry|Petra|Lindquarry|Dr||Radiology|female|hospital
hugo-marchwood|Hugo|Marchwood|Dr||Laboratory medicine|male|laboratory
"""


def _clinician(line: str) -> Clinician:
    ident, given, family, prefix, suffix, role, gender, house = line.split("|")
    houses = {"practice": PRACTICE, "hospital": HOSPITAL, "laboratory": LABORATORY}
    return Clinician(ident, given, family, prefix, suffix, role, gender, houses[house])


STAFF = tuple(_clinician(line) for line in _STAFF.strip().splitlines())
BY_ROLE = {clinician.role: clinician for clinician in reversed(STAFF)}


def dietitian_for(story: str, index: int) -> Clinician:
    if story in {"peanut", "milk", "adolescent-obesity"}:
        return BY_ROLE["Paediatric dietitian"]
    return STAFF[index % 2]


def doctor_for(index: int) -> Clinician:
    return STAFF[3 + index % 2]
