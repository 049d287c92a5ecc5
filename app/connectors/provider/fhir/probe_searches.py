"""Probing searches: which filters are applied, how pages come, what is demanded."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from app.connectors.http import Answer
from app.connectors.provider.fhir.bundles import applies, ids, links, matches, read_page, total
from app.connectors.provider.fhir.resources import Bundle
from app.connectors.provider.fhir.search import STATUSES, Manner, ask, search
from app.connectors.provider.fhir.transport import FHIR_JSON, resolve, same_origin
from app.connectors.provider.fhir.trial import BYTES, Trial, no, read_bundle, yes
from app.connectors.provider.port import Capability, Page, ProviderError, ProviderErrorCode, SinceFilter

FAR_FUTURE = datetime(2999, 1, 1, tzinfo=UTC)
NO_CODE = "http://loinc.org|0-0"
"""No LOINC code ends so: whoever applies the filter finds nothing."""
A_FEW = 2
LARGEST_PAGE = 200
"""What a connection may ask for at most."""
NO_SEARCH = "not tried: there is no search to try it with"


@dataclass(frozen=True, slots=True)
class Searched:
    """How the plain search for a resource type ended."""

    resource_type: str
    bundle: Bundle | None
    page: Page | None
    problem: ProviderError | None = None

    @property
    def found(self) -> int:
        return matches(self.bundle) if self.bundle else 0


async def plain(trial: Trial, resource_type: str) -> Searched:
    """A few of the patient's resources, or of anybody's where we know none. Learns how the server wants to be asked."""
    manner = trial.manners.setdefault(resource_type, Manner())
    query = trial.about | {"_count": str(A_FEW)}

    async def work() -> Answer:
        return await search(trial.session, resource_type, query, None, manner, BYTES)

    try:
        answer = await trial.attempt(work, essential=True)
        if isinstance(answer, ProviderError):
            return Searched(resource_type, None, None, answer)
        return Searched(resource_type, read_bundle(answer), read_page(answer, resource_type, trial.session.base))
    except ProviderError as error:
        if error.code is not ProviderErrorCode.BAD_RESPONSE:
            raise
        return Searched(resource_type, None, None, error)


def searchable(trial: Trial, searched: Searched) -> Capability:
    name = f"{searched.resource_type} search"
    if searched.problem is None:
        whose = "for a patient of ours" if trial.patient_id else "without a patient"
        return yes(name, f"a search {whose} was answered with a Bundle")
    parameters = {it.name for it in trial.declared(searched.resource_type).search_param or ()}
    refused = searched.problem.code is ProviderErrorCode.BAD_RESPONSE
    if not trial.patient_id and refused and "patient" in parameters:
        # Many servers answer no search without a patient, and there is none to try it with.
        return yes(name, "advertised for a patient; a search without a patient was refused")
    return no(name, searched.problem.detail)


async def filters(trial: Trial, documents: Searched, reports: Searched) -> list[Capability]:
    """What a search for nothing finds, with each filter in turn."""
    cards = [await _since(trial, documents)]
    if reports.bundle is not None:
        # Its line would say the same in most cases; what is learnt is what counts.
        await _since(trial, reports)
    for name, value in (("date", "ge2999-01-01"), ("category", NO_CODE), ("type", NO_CODE)):
        cards.append(await _filter(trial, documents, f"{name} filter", {name: value}))
    cards.append(await _sort(trial, documents))
    return cards


async def _since(trial: Trial, searched: Searched) -> Capability:
    name, kind = "_lastUpdated filter", searched.resource_type
    manner = trial.manners[kind]
    if searched.bundle is None:
        return no(name, NO_SEARCH)

    async def work() -> Bundle:
        query = trial.about | {"_count": str(A_FEW)}
        return read_bundle(await search(trial.session, kind, query, FAR_FUTURE, manner, BYTES))

    bundle = await trial.attempt(work)
    if isinstance(bundle, ProviderError):
        return no(name, bundle.detail)
    if manner.since is SinceFilter.REFUSED:
        return no(name, "refused: everything is listed each time")
    card = _judge(name, searched, bundle, "_lastUpdated", "for changes after 2999")
    if matches(bundle):
        manner.since = SinceFilter.IGNORED
    elif searched.found:
        manner.since = SinceFilter.APPLIED
    return card


async def _filter(trial: Trial, searched: Searched, name: str, narrowing: dict[str, str]) -> Capability:
    if searched.bundle is None:
        return no(name, NO_SEARCH)
    bundle = await _variant(trial, searched, {"_count": str(A_FEW)} | narrowing)
    if isinstance(bundle, ProviderError):
        return no(name, bundle.detail)
    return _judge(name, searched, bundle, next(iter(narrowing)), "that nothing can meet")


def _judge(name: str, before: Searched, after: Bundle, parameter: str, words: str) -> Capability:
    if matches(after):
        return no(name, f"ignored: a search {words} found some")
    if before.found:
        return yes(name, f"applied: a search {words} found none")
    if applies(links(after).get("self", ""), parameter):
        return yes(name, "the self link shows it; there was no document to try it on")
    return no(name, "not tried: there was no document to try it on")


async def _variant(trial: Trial, searched: Searched, more: dict[str, str]) -> Bundle | ProviderError:
    """The plain search with something more."""
    manner = trial.manners[searched.resource_type]
    status = {"status": STATUSES[searched.resource_type]} if manner.status else {}

    async def work() -> Bundle:
        query = trial.about | status | more
        return read_bundle(await ask(trial.session, searched.resource_type, query, post=manner.post, cap=BYTES))

    return await trial.attempt(work)


async def _sort(trial: Trial, documents: Searched) -> Capability:
    name = "_sort"
    if documents.found < A_FEW:
        return no(name, "not tried: it takes two documents")
    up = await _variant(trial, documents, {"_count": "1", "_sort": "_lastUpdated"})
    down = await _variant(trial, documents, {"_count": "1", "_sort": "-_lastUpdated"})
    if isinstance(up, ProviderError):
        return no(name, up.detail)
    if isinstance(down, ProviderError):
        return no(name, down.detail)
    if ids(up)[:1] != ids(down)[:1]:
        return yes(name, "applied: the other way round another document comes first")
    if applies(links(down).get("self", ""), "_sort"):
        return yes(name, "the self link shows it, though the same document comes first both ways")
    return no(name, "ignored: both ways the same document comes first")


async def paging(trial: Trial, documents: Searched) -> tuple[list[Capability], int | None]:
    """The lines about pages, and how many resources the server puts on one at most, where that was seen."""
    names = ("Page size", "Largest page", "Bundle.total", "Next links")
    if documents.bundle is None:
        return [no(name, NO_SEARCH) for name in names], None
    size, most = await _page_size(trial, documents)
    counted = total(documents.bundle)
    told = no(names[2], "not told") if counted is None else yes(names[2], f"told: {counted}")
    return [_few(names[0], documents), size, told, await _next(trial, names[3], documents)], most


def _few(name: str, documents: Searched) -> Capability:
    if documents.found > A_FEW:
        return no(name, f"ignored: {documents.found} resources came where {A_FEW} were asked for")
    if documents.found == A_FEW:
        return yes(name, "honoured: no more resources came than were asked for")
    return no(name, f"not tried: it takes more than {documents.found} documents")


async def _page_size(trial: Trial, documents: Searched) -> tuple[Capability, int | None]:
    name = "Largest page"
    bundle = await _variant(trial, documents, {"_count": str(LARGEST_PAGE), "_elements": "id"})
    if isinstance(bundle, ProviderError):
        return no(name, bundle.detail), None
    came, more = matches(bundle), links(bundle).get("next")
    if came >= LARGEST_PAGE:
        return yes(name, f"pages of {LARGEST_PAGE} are given"), None
    if more and came:
        return yes(name, f"at most {came} resources came on a page where {LARGEST_PAGE} were asked for"), came
    return yes(name, f"all {came} resources came on one page"), None


async def _next(trial: Trial, name: str, documents: Searched) -> Capability:
    link = links(documents.bundle or Bundle()).get("next")
    if not link:
        return no(name, f"not tried: {documents.found} documents need no second page")

    async def work() -> Bundle:
        url = resolve(trial.session.base, link)
        if not same_origin(url, trial.session.base):
            detail = f"they lead to another origin ({url.host}): listings end after their first page"
            raise ProviderError(ProviderErrorCode.NOT_SUPPORTED, detail)
        return read_bundle(await trial.session.ask(url, FHIR_JSON, cap=BYTES))

    bundle = await trial.attempt(work)
    if isinstance(bundle, ProviderError):
        return no(name, bundle.detail)
    if matches(bundle) and ids(bundle) == ids(documents.bundle or Bundle()):
        return no(name, "the second page is the first one again")
    return yes(name, "followed, on the server's own origin")


async def ways(trial: Trial, documents: Searched) -> list[Capability]:
    """How a search may be put."""
    manner = trial.manners["DocumentReference"]
    demanded = any(it.status for it in trial.manners.values())
    free = no("Search without status", NO_SEARCH) if documents.bundle is None else _free(demanded=demanded)
    if manner.post:
        return [yes("POST _search", "demanded: GET is refused"), free, await _count(trial, documents)]

    async def work() -> Bundle:
        query = trial.about | ({"status": STATUSES["DocumentReference"]} if manner.status else {}) | {"_count": "1"}
        return read_bundle(await ask(trial.session, "DocumentReference", query, post=True, cap=BYTES))

    return [await _line(trial, "POST _search", work, "answered with a Bundle"), free, await _count(trial, documents)]


def _free(*, demanded: bool) -> Capability:
    name = "Search without status"
    return no(name, "refused: every search names all statuses") if demanded else yes(name, "taken")


async def _count(trial: Trial, documents: Searched) -> Capability:
    name = "_summary=count"
    bundle = await _variant(trial, documents, {"_summary": "count"})
    if isinstance(bundle, ProviderError):
        return no(name, bundle.detail)
    counted = total(bundle)
    if counted is None:
        return no(name, "the answer has no total")
    if matches(bundle):
        return no(name, "a total, but with the entries too")
    return yes(name, f"{counted} documents")


async def _line(trial: Trial, name: str, work: Callable[[], Awaitable[Bundle]], well: str) -> Capability:
    bundle = await trial.attempt(work)
    return no(name, bundle.detail) if isinstance(bundle, ProviderError) else yes(name, well)
