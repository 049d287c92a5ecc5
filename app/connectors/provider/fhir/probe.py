"""The capability card: what a server does when it is asked, rather than what it says of itself."""

from dataclasses import dataclass
from http import HTTPStatus

from app.connectors.http import Answer
from app.connectors.provider.fhir.auth import Session, smart_configuration
from app.connectors.provider.fhir.bundles import applies_since, matches, total
from app.connectors.provider.fhir.resources import Bundle, CapabilityStatement, RestResource
from app.connectors.provider.fhir.scopes import missing
from app.connectors.provider.fhir.transport import FHIR_JSON, decode, failure, resolve
from app.connectors.provider.port import Auth, AuthKind, Capability, ProviderError, ProviderErrorCode

FAR_FUTURE = "ge2999-01-01"

# What is the matter with the whole connection, not with one capability of the server.
_ENDS_IT = (ProviderErrorCode.UNREACHABLE, ProviderErrorCode.TIMEOUT, ProviderErrorCode.UNAUTHORIZED)


@dataclass(frozen=True, slots=True)
class _Searched:
    """How a plain search ended: a bundle, or the reason why there is none."""

    bundle: Bundle | None
    problem: ProviderError | None = None


async def probe(session: Session, auth: Auth) -> list[Capability]:
    """Raises `ProviderError` only where the server cannot be reached or refuses us altogether."""
    statement, version = await _fhir_version(session)
    authentication, scopes = await _authentication(session, auth)
    documents = await _search(session, "DocumentReference", {"_count": "1"})
    reports = await _search(session, "DiagnosticReport", {"_count": "1"})
    declared = _declared(statement)
    return [
        version,
        authentication,
        scopes,
        _searchable("DocumentReference", documents, declared),
        _searchable("DiagnosticReport", reports, declared),
        _binary(declared),
        await _last_updated(session, documents),
        await _count(session),
        await _smart(session),
        _subscriptions(declared),
    ]


async def _fhir_version(session: Session) -> tuple[CapabilityStatement | None, Capability]:
    name = "FHIR R4"
    try:
        answer = await session.ask(resolve(session.base, "metadata"), FHIR_JSON, cap=session.limits.page_bytes)
        if problem := failure(answer):
            raise problem
        statement = decode(answer, CapabilityStatement, "CapabilityStatement")
    except ProviderError as error:
        return None, _no(name, error.detail)
    version = (statement.fhir_version or "")[:20]
    return statement, Capability(
        name, version.startswith("4.0."), f"the server speaks FHIR {version or 'of no version'}"
    )


async def _authentication(session: Session, auth: Auth) -> tuple[Capability, Capability]:
    granted = await session.credentials.granted()
    if granted is None:
        unscoped = _yes("Scopes", "this kind of authentication has no scopes")
        said = "no authentication is set up" if auth.kind is AuthKind.NONE else f"{auth.kind} was accepted"
        return _yes("Authentication", said), unscoped
    lacking = missing(auth.scope, granted)
    detail = f"not granted: {' '.join(lacking)}" if lacking else "everything that was asked for was granted"
    return _yes("Authentication", "a token was obtained"), Capability("Scopes", not lacking, detail)


async def _search(session: Session, resource_type: str, query: dict[str, str]) -> _Searched:
    url = resolve(session.base, resource_type).copy_merge_params(query)

    async def bundle() -> Bundle:
        answer = await session.ask(url, FHIR_JSON, cap=session.limits.page_bytes)
        if answer.status == HTTPStatus.METHOD_NOT_ALLOWED:
            posted = resolve(session.base, f"{resource_type}/_search")
            answer = await session.ask(posted, FHIR_JSON, cap=session.limits.page_bytes, form=query)
        return _bundle(answer)

    try:
        return _Searched(await bundle())
    except ProviderError as error:
        if error.code in _ENDS_IT:
            raise
        return _Searched(None, error)


def _bundle(answer: Answer) -> Bundle:
    if problem := failure(answer):
        raise problem
    return decode(answer, Bundle, "Bundle")


def _declared(statement: CapabilityStatement | None) -> dict[str, RestResource]:
    rests = (statement.rest if statement else None) or ()
    return {resource.type or "": resource for rest in rests for resource in rest.resource or ()}


def _interactions(resource: RestResource | None) -> set[str]:
    return {each.code or "" for each in (resource.interaction if resource else None) or ()}


def _searchable(resource_type: str, searched: _Searched, declared: dict[str, RestResource]) -> Capability:
    name = f"{resource_type} search"
    if searched.bundle is not None:
        return _yes(name, "a search was answered with a Bundle")
    parameters = {
        each.name for each in (declared[resource_type].search_param if resource_type in declared else None) or ()
    }
    refused = searched.problem is not None and searched.problem.code is ProviderErrorCode.BAD_RESPONSE
    if refused and "patient" in parameters:
        # Many servers answer no search without a patient, and there is none to try it with.
        return _yes(name, "advertised for a patient; a search without a patient was refused")
    return _no(name, _why(searched))


def _binary(declared: dict[str, RestResource]) -> Capability:
    read = "read" in _interactions(declared.get("Binary"))
    return Capability("Binary read", read, "advertised" if read else "not advertised")


async def _last_updated(session: Session, plain: _Searched) -> Capability:
    name = "_lastUpdated filter"
    if plain.bundle is None:
        return _no(name, "not tried: there is no search to try it with")
    searched = await _search(session, "DocumentReference", {"_count": "1", "_lastUpdated": FAR_FUTURE})
    if searched.bundle is None:
        return _no(name, _why(searched))
    if matches(searched.bundle):
        return _no(name, "ignored: a search for changes after 2999 found some")
    if matches(plain.bundle):
        return _yes(name, "applied: a search for changes after 2999 found none")
    links = [link.url or "" for link in searched.bundle.link or () if link.relation == "self"]
    shown = any(map(applies_since, links))
    said = (
        "the self link shows it; there was no document to try it on" if shown else "there was no document to try it on"
    )
    return Capability(name, shown, said)


async def _count(session: Session) -> Capability:
    name = "_summary=count"
    searched = await _search(session, "DocumentReference", {"_summary": "count"})
    if searched.bundle is None:
        return _no(name, _why(searched))
    counted = total(searched.bundle)
    if counted is None:
        return _no(name, "the answer has no total")
    if matches(searched.bundle):
        return _no(name, "a total, but with the entries too")
    return _yes(name, f"{counted} documents")


async def _smart(session: Session) -> Capability:
    name = "SMART discovery"
    try:
        found = await smart_configuration(session.base, session.transport)
    except ProviderError as error:
        return _no(name, error.detail)
    said = "it names a token endpoint" if found.token_endpoint else "it names no token endpoint"
    return Capability(name, bool(found.token_endpoint), said)


def _subscriptions(declared: dict[str, RestResource]) -> Capability:
    may = "create" in _interactions(declared.get("Subscription"))
    return Capability("Subscription (rest-hook)", may, "advertised" if may else "not advertised")


def _why(searched: _Searched) -> str:
    return searched.problem.detail if searched.problem else "not offered"


def _yes(name: str, detail: str) -> Capability:
    return Capability(name, supported=True, detail=detail)


def _no(name: str, detail: str) -> Capability:
    return Capability(name, supported=False, detail=detail)
