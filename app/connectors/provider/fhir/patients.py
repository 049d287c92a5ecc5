"""A patient's details at the provider (R4, Patient), read and changed; the rest of the resource stays as it is."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any, cast

import msgspec

from app.connectors.http import Answer
from app.connectors.provider.fhir import mapping
from app.connectors.provider.fhir.auth import Session
from app.connectors.provider.fhir.resources import Patient
from app.connectors.provider.fhir.scopes import missing
from app.connectors.provider.fhir.transport import FHIR_JSON, bad_response, decode, failure, issues, resolve
from app.connectors.provider.port import (
    AuthKind,
    Connection,
    PatientField,
    ProviderError,
    ProviderErrorCode,
    ProviderPatient,
)

Json = dict[str, Any]

ADDRESS_PARTS = ("line", "city", "district", "state", "postalCode", "country")
NAMES_OF_THE_PAST = ("old", "maiden")
LOWEST_RANK = 2**31
SUCCESS = (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT)
MOVED = (HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED)
UNFIT = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)

# R4 2.24.0.1: a decimal keeps its precision, so it never becomes a float on its way.
_DECODER = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_ETAG = re.compile(r'(?:W/)?"(?P<version>[^"]*)"')
_VERSION = re.compile(r"[\x21\x23-\x7e]{1,200}")


def for_updates(connection: Connection) -> Connection:
    """The connection with the scope that an update of a patient needs, and no other; one that an administrator has chosen
    and that covers it stays."""
    auth = connection.auth
    if auth.kind is not AuthKind.SMART_BACKEND or not missing("system/Patient.ru", auth.scope):
        return connection
    older = ".read" in auth.scope
    scope = "system/Patient.read system/Patient.write" if older else "system/Patient.ru"
    return replace(connection, auth=replace(auth, scope=scope))


def held(found: ProviderPatient, answer: Answer) -> ProviderPatient:
    """The patient with the details, the version, and the resource that they were read from; without where it holds what we
    could not send back as it is."""
    resource = answer.body.removeprefix(b"\xef\xbb\xbf")
    try:
        plain = _decoded(resource)
    except ProviderError:
        return found
    return replace(found, version_id=_version(answer, plain), details=details(plain), resource=resource)


async def update(
    session: Session, patient: ProviderPatient, changes: Mapping[PatientField, str]
) -> ProviderPatient | None:
    """As `Provider.update_patient`; None where the server changed it and did not say what it is now."""
    if not patient.version_id:
        # Without a version nothing would keep us from writing over what somebody else has just entered.
        raise ProviderError(ProviderErrorCode.NOT_SUPPORTED, "the server keeps no versions of its patients")
    answer = await session.ask(
        resolve(session.base, patient.reference),
        FHIR_JSON,
        cap=session.limits.page_bytes,
        method="PUT",
        resource=_ENCODER.encode(merged(_decoded(patient.resource), changes)),
        headers={"If-Match": f'W/"{patient.version_id}"', "Prefer": "return=representation"},
    )
    if problem := _refusal(answer):
        raise problem
    if b'"Patient"' not in answer.body or issues(answer):
        return None
    try:
        found = held(mapping.patient(decode(answer, Patient, "Patient")), answer)
    except (mapping.Unfit, ProviderError):
        # It was changed all the same: reading it again tells what it is.
        return None
    return found if found.reference == patient.reference and found.version_id else None


def _refusal(answer: Answer) -> ProviderError | None:
    found = issues(answer)
    if answer.status in SUCCESS:
        # «Prefer» is a wish: some answer with an outcome that only says how well it went.
        bad = any((issue.severity or "error") in ("error", "fatal") for issue in found)
        return failure(answer) if bad else None
    problem = failure(answer)
    if problem is None or problem.retryable:
        return problem
    if answer.status in MOVED:
        return ProviderError(ProviderErrorCode.CONFLICT, problem.detail)
    if answer.status in UNFIT and problem.code is ProviderErrorCode.BAD_RESPONSE:
        return ProviderError(ProviderErrorCode.INVALID, problem.detail)
    if answer.status == HTTPStatus.UNPROCESSABLE_ENTITY:
        return ProviderError(ProviderErrorCode.INVALID, problem.detail)
    return problem


def _decoded(resource: bytes) -> Json:
    try:
        return _DECODER.decode(resource)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise bad_response("a Patient that is not JSON as we can keep it") from error


def _version(answer: Answer, resource: Json) -> str:
    """R4 http.html, 3.1.0.1.1: the ETag holds the versionId. Empty where there is none that a header could carry."""
    meta = resource.get("meta")
    told = cast("Json", meta).get("versionId") if isinstance(meta, dict) else None
    if not isinstance(told, str):
        tag = _ETAG.fullmatch(answer.headers.get("etag", "").strip())
        told = tag["version"] if tag else ""
    return told if _VERSION.fullmatch(told) else ""


def details(resource: Json) -> dict[PatientField, str]:
    """What the provider holds of each field; empty where it holds nothing, or nothing that can be read. Of several the one in
    use: the official name, the telecom of the best rank, the home address."""
    return {
        PatientField.NAME: _read_name(_name(resource)),
        PatientField.BIRTH_DATE: _text(resource.get("birthDate")),
        PatientField.EMAIL: _text((_telecom(resource, "email") or {}).get("value")),
        PatientField.PHONE: _text((_telecom(resource, "phone") or {}).get("value")),
        PatientField.ADDRESS: _read_address(_address(resource)),
    }


def merged(resource: Json, changes: Mapping[PatientField, str]) -> Json:
    """The resource with these fields changed. It is changed itself too: it has been decoded for this alone."""
    for name, value in changes.items():
        match name:
            case PatientField.NAME:
                _write_name(_name(resource) or _added(resource, "name", {"use": "official"}), value)
            case PatientField.BIRTH_DATE:
                resource["birthDate"] = value
            case PatientField.EMAIL:
                _write_telecom(resource, "email", value)
            case PatientField.PHONE:
                _write_telecom(resource, "phone", value)
            case PatientField.ADDRESS:
                _change_address(resource, value)
    return resource


def _elements(resource: Json, key: str) -> list[Json]:
    """The objects of a list; what is no list of objects is passed over."""
    found = resource.get(key)
    return (
        [cast("Json", it) for it in cast("list[object]", found) if isinstance(it, dict)]
        if isinstance(found, list)
        else []
    )


def _added(resource: Json, key: str, element: Json) -> Json:
    """A new element of a list that may not be there yet."""
    found = resource.setdefault(key, [])
    if not isinstance(found, list):
        raise bad_response(f"a Patient whose {key} is no list")
    cast("list[object]", found).append(element)
    return element


def _text(value: object) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""


def _in_use(element: Json) -> bool:
    period = element.get("period")
    end = _text(cast("Json", period).get("end")) if isinstance(period, dict) else ""
    try:
        over = bool(end) and date.fromisoformat(end[:10]) < datetime.now(UTC).date()
    except ValueError:
        over = False
    return element.get("use") != "old" and not over


def _name(resource: Json) -> Json | None:
    names = _elements(resource, "name")
    official = [it for it in names if it.get("use") == "official"]
    present = [it for it in names if _in_use(it) and it.get("use") not in NAMES_OF_THE_PAST]
    return next(iter([*official, *present, *names]), None)


def _given(name: Json) -> list[str]:
    found = name.get("given")
    return [it for it in cast("list[object]", found) if isinstance(it, str)] if isinstance(found, list) else []


def _read_name(name: Json | None) -> str:
    if name is None:
        return ""
    return _text(name.get("text")) or _text(" ".join([*_given(name), _text(name.get("family"))]))


def _write_name(name: Json, value: str) -> None:
    """`value` has at least one word. The family name stays where the new name still ends with it."""
    had_text = bool(_text(name.get("text")))
    words, known = value.split(), _text(name.get("family")).split()
    cut = len(words) - len(known)
    if not known or cut < 1 or [it.casefold() for it in words[cut:]] != [it.casefold() for it in known]:
        cut = len(words) - 1
        # «van Beethoven»: small words before the last belong to it.
        while cut > 1 and words[cut - 1].islower():
            cut -= 1
    name["family"] = " ".join(words[cut:])
    if " ".join(_given(name)).split() != words[:cut]:
        _replace_list(name, "given", words[:cut])
    if had_text or _read_name(name) != value:
        name["text"] = value


def _replace_list(element: Json, key: str, values: list[str]) -> None:
    """R4 json.html, 2.6.2.3: what `_key` says of a value stands at its place; beyond the last value there is none."""
    element[key] = values
    about = element.get(f"_{key}")
    if isinstance(about, list):
        kept = cast("list[object]", about)[: len(values)]
        element[f"_{key}"] = kept
        if not any(kept):
            del element[f"_{key}"]
    if not values:
        del element[key]


def _telecom(resource: Json, system: str) -> Json | None:
    found = [it for it in _elements(resource, "telecom") if it.get("system") == system and _in_use(it)]
    return min((it for it in found if _text(it.get("value"))), key=_rank, default=None)


def _rank(telecom: Json) -> int:
    rank = telecom.get("rank")
    return rank if isinstance(rank, int) and rank > 0 else LOWEST_RANK


def _write_telecom(resource: Json, system: str, value: str) -> None:
    """One that is cleared is kept as an old one: the provider may need to know what was used before."""
    found = _telecom(resource, system)
    if not value:
        if found is not None:
            found["use"] = "old"
    elif found is None:
        _added(resource, "telecom", {"system": system, "value": value})
    else:
        found["value"] = value


def _address(resource: Json) -> Json | None:
    found = [it for it in _elements(resource, "address") if _in_use(it)]
    return next((it for it in found if it.get("use") == "home"), found[0] if found else None)


def _parts(address: Json) -> list[tuple[str, int | None, str]]:
    """The structured parts in the order in which they are written: key, place in a list, words."""
    found: list[tuple[str, int | None, str]] = []
    for key in ADDRESS_PARTS:
        value = address.get(key)
        if isinstance(value, list):
            lines = enumerate(cast("list[object]", value))
            found += [(key, place, _text(it)) for place, it in lines if _text(it)]
        elif _text(value):
            found.append((key, None, _text(value)))
    return found


def _read_address(address: Json | None) -> str:
    if address is None:
        return ""
    return _text(address.get("text")) or ", ".join(words for _, _, words in _parts(address))


def _change_address(resource: Json, value: str) -> None:
    found = _address(resource)
    if value:
        _write_address(found if found is not None else _added(resource, "address", {}), value)
    elif found is not None:
        found["use"] = "old"


def _write_address(address: Json, value: str) -> None:
    """Ours is one text. Where it still matches most of the provider's parts, those are changed one by one; else they are
    dropped, for a wrong city is worse than none, and the text stands alone."""
    parts = _parts(address)
    wanted = [" ".join(it.split()) for it in re.split(r"[,\n]", value) if it.strip()]
    changed = [(*part[:2], new) for part, new in zip(parts, wanted, strict=False) if part[2] != new]
    if parts and len(parts) == len(wanted) and len(changed) <= len(parts) // 2:
        for key, place, new in changed:
            if place is None:
                address[key] = new
            else:
                address[key][place] = new
        if not address.get("text"):
            return
    else:
        for key in ADDRESS_PARTS:
            address.pop(key, None)
            address.pop(f"_{key}", None)
    address["text"] = value
