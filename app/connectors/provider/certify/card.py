"""The card that a certification ends in."""

from dataclasses import dataclass
from enum import StrEnum

from app.connectors.provider.port import Capability

NEEDED = frozenset({"FHIR R4", "Authentication", "DocumentReference search", "DiagnosticReport search"})
"""Lines of the probe without which there is no synchronisation."""
NOT_TRIED = "not tried"


class Verdict(StrEnum):
    YES = "yes"
    NO = "no"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Line:
    """What was found, with its reason. A «no» to what is `needed` means gaps or failures in every synchronisation."""

    group: str
    name: str
    verdict: Verdict
    detail: str
    needed: bool = False


@dataclass(frozen=True, slots=True)
class Card:
    """`requests` is how many were sent, `seconds` how long it took."""

    server: str
    patient_id: str
    lines: tuple[Line, ...]
    requests: int
    seconds: float

    def passed(self, *, strict: bool = False) -> bool:
        """Everything that a synchronisation needs works; `strict`: nothing at all was answered with «no»."""
        return not any(line.verdict is Verdict.NO and (line.needed or strict) for line in self.lines)


@dataclass(frozen=True, slots=True)
class Group:
    """Makes lines of one group."""

    name: str

    def judge(self, name: str, complaint: str, well: str, *, needed: bool = False) -> Line:
        """«No» where there is a complaint."""
        return Line(self.name, name, Verdict.NO if complaint else Verdict.YES, complaint or well, needed)

    def yes(self, name: str, detail: str, *, needed: bool = False) -> Line:
        return Line(self.name, name, Verdict.YES, detail, needed)

    def no(self, name: str, detail: str, *, needed: bool = False) -> Line:
        return Line(self.name, name, Verdict.NO, detail, needed)

    def skipped(self, name: str, detail: str) -> Line:
        return Line(self.name, name, Verdict.SKIPPED, detail)

    def probed(self, capability: Capability) -> Line:
        verdict = Verdict.YES if capability.supported else Verdict.NO
        if not capability.supported and NOT_TRIED in capability.detail:
            verdict = Verdict.SKIPPED
        return Line(self.name, capability.name, verdict, capability.detail, capability.name in NEEDED)


def some(things: list[str], most: int = 3) -> str:
    """The first few of many, and how many more there are."""
    more = f" and {len(things) - most} more" if len(things) > most else ""
    return ", ".join(things[:most]) + more
