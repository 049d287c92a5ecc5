"""The capability card: what a server does when it is asked, rather than what it says of itself."""

from collections.abc import Sequence
from datetime import UTC, datetime

from app.connectors.http import Answer, http_date
from app.connectors.provider.fhir import probe_reads as reads
from app.connectors.provider.fhir import probe_searches as searches
from app.connectors.provider.fhir.auth import Session, smart_configuration
from app.connectors.provider.fhir.resources import CapabilityStatement, SmartConfiguration
from app.connectors.provider.fhir.scopes import missing
from app.connectors.provider.fhir.search import facts
from app.connectors.provider.fhir.transport import FHIR_JSON, decode, failure
from app.connectors.provider.fhir.trial import Trial, no, yes
from app.connectors.provider.port import (
    Auth,
    AuthKind,
    Capability,
    Connection,
    Probed,
    ProviderError,
    Strategy,
)

CLOCKS_APART = 300.0
"""Seconds. Half of how far an incremental listing reaches back."""


async def probe(
    session: Session, connection: Connection, resource_types: Sequence[str], patient_id: str | None
) -> Probed:
    """About twenty small questions, one after the other, none of which writes. Raises `ProviderError` only where the
    server cannot be reached, refuses us altogether, or asks us to slow down."""
    trial = Trial(session, patient_id)
    first = [*await _version_and_clock(trial), *await _authentication(session, connection.auth)]
    documents, reports = [await searches.plain(trial, it) for it in resource_types]
    pages, most = await searches.paging(trial, documents)
    batch, batches = await reads.batches(trial)
    card = (
        *first,
        searches.searchable(trial, documents),
        searches.searchable(trial, reports),
        *await searches.ways(trial, documents),
        *await searches.filters(trial, documents, reports),
        *pages,
        await reads.binary(trial, documents),
        batch,
        *await reads.operations(trial),
        reads.update(trial),
        *reads.subscriptions(trial),
        *await reads.export(trial),
        await _smart(trial),
    )
    return Probed(card, Strategy(searches=facts(trial.manners), page_size=most, batch=batches))


async def _version_and_clock(trial: Trial) -> tuple[Capability, Capability]:
    asked_at = datetime.now(UTC)

    async def work() -> Answer:
        return await trial.session.ask(trial.url("metadata"), FHIR_JSON, cap=trial.session.limits.page_bytes)

    answer = await trial.attempt(work)
    if isinstance(answer, ProviderError):
        return no("FHIR R4", answer.detail), no("Clock", "not tried: there was no answer to look at")
    return _version(trial, answer), _clock(answer, asked_at)


def _version(trial: Trial, answer: Answer) -> Capability:
    name = "FHIR R4"
    try:
        if problem := failure(answer):
            raise problem
        trial.statement = decode(answer, CapabilityStatement, "CapabilityStatement")
    except ProviderError as error:
        return no(name, error.detail)
    version = (trial.statement.fhir_version or "")[:20]
    return Capability(name, version.startswith("4.0."), f"the server speaks FHIR {version or 'of no version'}")


def _clock(answer: Answer, asked_at: datetime) -> Capability:
    """The Date header is given in whole seconds, of some moment between our asking and now."""
    name, told = "Clock", http_date(answer.headers.get("date", ""))
    if told is None:
        return no(name, "the server tells no time: incremental listings have nothing to begin from")
    now = datetime.now(UTC)
    apart = (told - now).total_seconds() if told > now else min((told - asked_at).total_seconds() + 1, 0)
    words = "the server's clock and ours agree"
    if abs(apart) >= 1:
        words = f"the server's clock is {abs(apart):.0f} seconds {'ahead of' if apart > 0 else 'behind'} ours"
    return Capability(name, abs(apart) <= CLOCKS_APART, words)


async def _authentication(session: Session, auth: Auth) -> tuple[Capability, Capability]:
    granted = await session.credentials.granted()
    if granted is None:
        unscoped = yes("Scopes", "this kind of authentication has no scopes")
        said = "no authentication is set up" if auth.kind is AuthKind.NONE else f"{auth.kind} was accepted"
        return yes("Authentication", said), unscoped
    lacking = missing(auth.scope, granted)
    detail = f"not granted: {' '.join(lacking)}" if lacking else "everything that was asked for was granted"
    return yes("Authentication", "a token was obtained"), Capability("Scopes", not lacking, detail)


async def _smart(trial: Trial) -> Capability:
    name = "SMART discovery"

    async def work() -> SmartConfiguration:
        return await smart_configuration(trial.session.base, trial.session.transport)

    found = await trial.attempt(work)
    if isinstance(found, ProviderError):
        return no(name, found.detail)
    said = "it names a token endpoint" if found.token_endpoint else "it names no token endpoint"
    return Capability(name, bool(found.token_endpoint), said)
