"""A patient's resources of one type, asked for in the way that this server takes."""

from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus

from app.connectors.http import Answer
from app.connectors.provider.fhir.auth import Session
from app.connectors.provider.fhir.transport import FHIR_JSON, failure, issues, resolve
from app.connectors.provider.port import ProviderError, ProviderErrorCode, SearchFacts, SinceFilter

STATUSES = {
    "DocumentReference": "current,superseded,entered-in-error",
    "DiagnosticReport": (
        "registered,partial,preliminary,final,amended,corrected,appended,cancelled,entered-in-error,unknown"
    ),
}


@dataclass(slots=True)
class Manner:
    """How a server wants to be asked: what is known of it, and what its refusals teach, each lesson once."""

    since: SinceFilter = SinceFilter.UNKNOWN
    post: bool = False
    """GET is refused with 405 (R4 3.1.0.12 allows POST on `_search` for every search)."""
    status: bool = False
    """A search without `status` is refused (US Core lets a server demand it)."""

    @classmethod
    def of(cls, facts: SearchFacts) -> "Manner":
        return cls(facts.since, facts.post, facts.status)

    def facts(self, resource_type: str) -> SearchFacts:
        return SearchFacts(resource_type, self.since, self.post, self.status)

    @property
    def sends_since(self) -> bool:
        """A filter that is ignored is not sent: nothing must make its answer look filtered."""
        return self.since in (SinceFilter.UNKNOWN, SinceFilter.APPLIED)


def facts(manners: dict[str, Manner]) -> tuple[SearchFacts, ...]:
    """What is out of the ordinary, in one order: equal where nothing was learnt."""
    found = (manner.facts(it) for it, manner in sorted(manners.items()))
    return tuple(it for it in found if it != SearchFacts(it.resource_type))


async def search(
    session: Session,
    resource_type: str,
    query: dict[str, str],
    since: datetime | None,
    manner: Manner,
    cap: int | None = None,
) -> Answer:
    """The first page. Raises `ProviderError` where every manner is refused."""
    while True:
        asked = dict(query)
        if since is not None and manner.sends_since:
            asked["_lastUpdated"] = f"ge{instant(since)}"
        if manner.status:
            asked["status"] = STATUSES[resource_type]
        answer = await ask(session, resource_type, asked, post=manner.post, cap=cap)
        problem = failure(answer)
        if problem is None:
            return answer
        if not _learn(manner, answer, problem, asked):
            raise problem


async def ask(
    session: Session, resource_type: str, query: dict[str, str], *, post: bool, cap: int | None = None
) -> Answer:
    """A search once, by GET or POST; the answer, whatever its status."""
    cap = cap or session.limits.page_bytes
    if post:
        return await session.ask(resolve(session.base, f"{resource_type}/_search"), FHIR_JSON, cap=cap, form=query)
    return await session.ask(resolve(session.base, resource_type).copy_merge_params(query), FHIR_JSON, cap=cap)


def _learn(manner: Manner, answer: Answer, problem: ProviderError, asked: dict[str, str]) -> bool:
    """Whether there is another manner to try. Each can be learnt once, so that the asking ends."""
    refused = answer.status == HTTPStatus.BAD_REQUEST or problem.code is ProviderErrorCode.NOT_SUPPORTED
    if answer.status == HTTPStatus.METHOD_NOT_ALLOWED and not manner.post:
        manner.post = True
    elif refused and "status" not in asked and _demands_status(answer):
        manner.status = True
    elif refused and "_lastUpdated" in asked:
        manner.since = SinceFilter.REFUSED
    else:
        return False
    return True


def _demands_status(answer: Answer) -> bool:
    said = " ".join(f"{issue.diagnostics} {issue.details.text if issue.details else ''}" for issue in issues(answer))
    return "status" in said.lower() and "_lastupdated" not in said.lower()


def instant(moment: datetime) -> str:
    """A moment as a search takes it; one without an offset is UTC."""
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return aware.isoformat(timespec="milliseconds").replace("+00:00", "Z")
