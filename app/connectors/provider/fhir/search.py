"""A patient's resources of one type, asked for in the way that this server takes."""

from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus

from app.connectors.http import Answer
from app.connectors.provider.fhir.auth import Session
from app.connectors.provider.fhir.transport import FHIR_JSON, failure, issues, resolve
from app.connectors.provider.port import ProviderError, ProviderErrorCode

STATUSES = {
    "DocumentReference": "current,superseded,entered-in-error",
    "DiagnosticReport": (
        "registered,partial,preliminary,final,amended,corrected,appended,cancelled,entered-in-error,unknown"
    ),
}


@dataclass(slots=True)
class Manner:
    """How a server wants to be asked; learnt from its refusals, each lesson once."""

    post: bool = False
    """GET is refused with 405 (R4 3.1.0.12 allows POST on `_search` for every search)."""
    ignore_since: bool = False
    """`_lastUpdated` is refused."""
    status: bool = False
    """A search without `status` is refused (US Core lets a server demand it)."""


async def search(
    session: Session, resource_type: str, query: dict[str, str], since: datetime | None, manner: Manner
) -> Answer:
    """The first page. Raises `ProviderError` where every manner is refused."""
    while True:
        asked = dict(query)
        if since is not None and not manner.ignore_since:
            asked["_lastUpdated"] = f"ge{instant(since)}"
        if manner.status:
            asked["status"] = STATUSES[resource_type]
        answer = await _ask(session, resource_type, asked, manner)
        problem = failure(answer)
        if problem is None:
            return answer
        if not _learn(manner, answer, problem, asked):
            raise problem


async def _ask(session: Session, resource_type: str, query: dict[str, str], manner: Manner) -> Answer:
    cap = session.limits.page_bytes
    if manner.post:
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
        manner.ignore_since = True
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
