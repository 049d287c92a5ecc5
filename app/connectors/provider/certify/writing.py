"""The patient's update at the server, tried on one field and put back. Only where the user has asked for it."""

from contextlib import suppress

import msgspec

from app.connectors.provider.certify.card import Group, Line
from app.connectors.provider.fhir.auth import Session
from app.connectors.provider.fhir.mapping import moment
from app.connectors.provider.fhir.transport import FHIR_JSON, failure, resolve
from app.connectors.provider.port import (
    PatientField,
    Provider,
    ProviderError,
    ProviderErrorCode,
    ProviderPatient,
)

PHONE = "+1 555 0100"
"""Of those numbers that are given to nobody."""
UPDATE, STALE, RESTORED = "Patient update", "Stale If-Match: 409 or 412", "Restored afterwards"


class _Meta(msgspec.Struct, rename="camel"):
    last_updated: str = ""


class _Versioned(msgspec.Struct):
    meta: _Meta = msgspec.field(default_factory=_Meta)


async def lines(provider: Provider, session: Session, patient_id: str) -> list[Line]:
    """`provider` and `session` may write."""
    group = Group("Writing")
    before = await provider.patient(patient_id)
    try:
        await provider.update_patient(before, {PatientField.PHONE: PHONE})
    except ProviderError as error:
        refused = group.no(UPDATE, error.detail)
        # Without an answer it may have been changed all the same.
        return [refused, await _restored(group, provider, session, before)] if error.retryable else [refused]
    try:
        now = await provider.patient(patient_id)
        kept = now.details.get(PatientField.PHONE) == PHONE
        complaint = "" if kept else "it was taken, and the telephone number is another when it is read again"
        made = [group.judge(UPDATE, complaint, f"version {before.version_id} became version {now.version_id}")]
        made += [_advances(group, before, now), await _stale(group, provider, before)]
    except ProviderError as error:
        made = [group.no(UPDATE, f"it was taken, and then: {error.detail}")]
    finally:
        restored = await _restored(group, provider, session, before)
    return [*made, restored]


async def _restored(group: Group, provider: Provider, session: Session, before: ProviderPatient) -> Line:
    complaint = await _restore(provider, session, before)
    return group.judge(RESTORED, complaint, "the patient is again as it was", needed=True)


def _advances(group: Group, before: ProviderPatient, now: ProviderPatient) -> Line:
    name, moments = "lastUpdated advances", (_last_updated(before), _last_updated(now))
    if not all(moments):
        return group.skipped(name, "not tried: the patient has no meta.lastUpdated")
    stuck = f"it was {moments[0]} before the update, and is {moments[1]} after it: changes will be missed"
    return group.judge(name, "" if moments[1] > moments[0] else stuck, f"from {moments[0]} to {moments[1]}")


def _last_updated(patient: ProviderPatient) -> str:
    """In one form, so that texts compare as moments do; empty where there is none."""
    found = None
    with suppress(ValueError, RecursionError):
        # It has been read as a Patient; that its meta is an object was not asked for.
        found = moment(msgspec.json.decode(patient.resource, type=_Versioned).meta.last_updated)
    return found.isoformat(timespec="milliseconds") if found else ""


async def _stale(group: Group, provider: Provider, before: ProviderPatient) -> Line:
    """The version that was read first is no longer the current one."""
    try:
        await provider.update_patient(before, {PatientField.PHONE: PHONE})
    except ProviderError as error:
        conflict = error.code is ProviderErrorCode.CONFLICT
        return group.judge(STALE, "" if conflict else error.detail, error.detail)
    return group.no(STALE, "an update of an old version was taken: two who change a patient at once do not notice")


async def _restore(provider: Provider, session: Session, before: ProviderPatient) -> str:
    """What is the matter, if it is not as it was before."""
    try:
        now = await provider.patient(before.reference.removeprefix("Patient/"))
        answer = await session.ask(
            resolve(session.base, before.reference),
            FHIR_JSON,
            cap=session.limits.page_bytes,
            method="PUT",
            resource=before.resource,
            headers={"If-Match": f'W/"{now.version_id}"'} if now.version_id else {},
        )
        if answer.status not in (200, 201, 204) and (problem := failure(answer)):
            raise problem
        again = await provider.patient(before.reference.removeprefix("Patient/"))
    except ProviderError as error:
        return f"the patient was NOT put back: {error.detail}; its telephone number is {PHONE} now"
    return "" if again.details == before.details else "the patient was put back, and differs from before"
