"""Probing what lies beside searching: whole charts, files, batches, exports."""

from http import HTTPStatus

import httpx

from app.connectors.http import Answer
from app.connectors.provider.fhir import batch
from app.connectors.provider.fhir.mapping import relative
from app.connectors.provider.fhir.probe_searches import Searched
from app.connectors.provider.fhir.resources import Bundle, Operation, RestResource
from app.connectors.provider.fhir.transport import FHIR_JSON, failure, same_origin
from app.connectors.provider.fhir.trial import BYTES, NO_PATIENT, Trial, no, yes
from app.connectors.provider.port import Capability, ProviderError, ProviderErrorCode

NOBODY = "healthrecords-probe"
"""A patient's id that no server has: even its «not found» shows that a batch is answered entry by entry."""
TOPICS = "subscriptions-backport"
# A server may hide the Patient, and still answer each entry by itself.
_SENSIBLE = (HTTPStatus.OK, HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.FORBIDDEN)
CONDITIONAL = ("versioned", "versioned-update")


async def operations(trial: Trial) -> list[Capability]:
    everything, docref = "Patient/$everything", "DocumentReference/$docref"
    if trial.patient_id is None:
        return [no(everything, NO_PATIENT), no(docref, NO_PATIENT)]
    return [
        await _operation(trial, everything, f"Patient/{trial.patient_id}/$everything", {"_count": "1"}),
        await _operation(trial, docref, docref, {"patient": trial.patient_id}),
    ]


async def _operation(trial: Trial, name: str, path: str, query: dict[str, str]) -> Capability:
    async def work() -> Bundle:
        return await trial.bundle(path, query)

    bundle = await trial.attempt(work)
    if not isinstance(bundle, ProviderError):
        return yes(name, "answered with a Bundle")
    if bundle.code is ProviderErrorCode.TOO_LARGE:
        return yes(name, f"it answers, with more than {BYTES // 1024 // 1024} MB at once")
    return no(name, bundle.detail)


async def binary(trial: Trial, documents: Searched) -> Capability:
    name, url = "Binary read", _binary_url(trial, documents)
    if url is None:
        advertised = "read" in trial.interactions("Binary")
        said = "advertised" if advertised else "not advertised"
        return Capability(name, advertised, f"{said}; not tried: no document that was seen has one")

    async def work() -> Answer:
        answer = await trial.session.ask(url, "*/*", cap=BYTES)
        if answer.status >= HTTPStatus.BAD_REQUEST and (problem := failure(answer)):
            raise problem
        return answer

    answer = await trial.attempt(work)
    if isinstance(answer, ProviderError):
        if answer.code is ProviderErrorCode.TOO_LARGE:
            return yes(name, f"it answers, with more than {BYTES // 1024 // 1024} MB")
        return no(name, answer.detail)
    if answer.headers.get("location"):
        return yes(name, "it leads to another address, which is followed where the connection allows it")
    return yes(name, "as a FHIR resource, whatever is asked for" if "json" in answer.media_type else "as plain bytes")


def _binary_url(trial: Trial, documents: Searched) -> httpx.URL | None:
    """The smallest file of the server's own among those that were seen."""
    base = trial.session.base
    found = [
        (file.declared_size or 0, file.url)
        for entry in (documents.page.entries if documents.page else ())
        for file in entry.attachments
        if relative(file.url, base).startswith("Binary/")
    ]
    for _, address in sorted(found):
        url = httpx.URL(address)
        if same_origin(url, base):
            return url
    return None


async def batches(trial: Trial) -> tuple[Capability, bool]:
    """A batch of two harmless reads."""
    name = "Batch of reads"
    patient = f"Patient/{trial.patient_id or NOBODY}"

    async def work() -> list[int]:
        return [batch.status_of(entry) for entry in await batch.read(trial.session, [patient, f"Patient/{NOBODY}"])]

    statuses = await trial.attempt(work)
    if isinstance(statuses, ProviderError):
        return no(name, statuses.detail), False
    first, second = statuses
    if first in _SENSIBLE and second in _SENSIBLE:
        return yes(name, "each entry has an answer of its own: small files are fetched together"), True
    return no(name, f"its entries were answered with {first or 'no status'} and {second or 'no status'}"), False


def subscriptions(trial: Trial) -> list[Capability]:
    resource = trial.declared("Subscription")
    may = "create" in trial.interactions("Subscription")
    named = [*(resource.supported_profile or ()), *(it.url or "" for it in resource.extension or ())]
    topics = any(TOPICS in it for it in named)
    return [
        Capability("Subscription (rest-hook)", may, "advertised" if may else "not advertised"),
        Capability("Subscription topics (R4 backport)", topics, "advertised" if topics else "not advertised"),
    ]


def update(trial: Trial) -> Capability:
    name, versioning = "Patient update (If-Match)", trial.declared("Patient").versioning or ""
    if "update" not in trial.interactions("Patient"):
        return no(name, "no update of a Patient is advertised; a probe never writes")
    if versioning not in CONDITIONAL:
        return no(name, "updates are advertised, versions are not: two who change a patient at once would not notice")
    how = "demanded" if versioning == "versioned-update" else "taken"
    return yes(name, f"advertised with versions: If-Match is {how}; a probe never writes")


async def export(trial: Trial) -> list[Capability]:
    """Bulk Data: what the statement says, and how the address looks to a HEAD, which starts nothing."""
    head = await _head(trial, "Patient/$export")
    return [
        _exports("Bulk export (Patient)", trial.declared("Patient"), "patient-export", _system(trial), f"; {head}"),
        _exports("Bulk export (Group)", trial.declared("Group"), "group-export", _system(trial), ""),
    ]


def _exports(name: str, resource: RestResource, known_as: str, system: list[Operation], more: str) -> Capability:
    own = any(_is_export(it, known_as) for it in resource.operation or ())
    may = own or any(known_as in f"{it.name} {it.definition}" for it in system)
    return Capability(name, may, ("advertised" if may else "not advertised") + more)


def _is_export(operation: Operation, known_as: str) -> bool:
    return (operation.name or "").strip("$") in ("export", known_as) or known_as in (operation.definition or "")


def _system(trial: Trial) -> list[Operation]:
    rests = (trial.statement.rest if trial.statement else None) or ()
    return [it for rest in rests for it in rest.operation or ()]


async def _head(trial: Trial, path: str) -> str:
    async def work() -> int:
        return (await trial.session.ask(trial.url(path), FHIR_JSON, cap=BYTES, method="HEAD")).status

    try:
        status = await trial.attempt(work)
    except ProviderError as error:
        return f"a HEAD was not answered ({error.code})"
    return f"a HEAD was answered with {status}" if isinstance(status, int) else "a HEAD was not answered"
