"""Versions, conditional reads, and how the server says no."""

import httpx

from app.connectors.http import Answer
from app.connectors.provider.certify.card import Group, Line
from app.connectors.provider.certify.listing import Listed
from app.connectors.provider.fhir.auth import Session
from app.connectors.provider.fhir.bundles import matches
from app.connectors.provider.fhir.resources import Bundle
from app.connectors.provider.fhir.transport import FHIR_JSON, decode, failure, issues, resolve
from app.connectors.provider.port import ProviderError

NOBODY = "healthrecords-certify-nobody"
"""A patient's id that no server has."""
REFUSALS = (400, 403, 404, 410, 422)


class Reads:
    """One question each. None of them writes."""

    def __init__(self, session: Session, patient_id: str) -> None:
        self._session = session
        self._patient_id = patient_id

    async def versions(self, listed: list[Listed]) -> list[Line]:
        group = Group("Versions")
        known = next((it for one in listed for it in one.seen if it.version_id), None)
        if known is None:
            return [group.skipped("Read of a version", "not tried: no resource has a meta.versionId")]
        path = f"{known.reference}/_history/{known.version_id}"
        answer = await self._get(path)
        told = f'"{known.version_id}"'.encode() in answer.body
        complaint = _refusal(answer) or ("" if told else "another version came than was asked for")
        vread = group.judge("Read of a version", complaint, f"{known.reference} was answered by its version")
        return [vread, await self._conditional(group, known.reference)]

    async def _conditional(self, group: Group, reference: str) -> Line:
        name = "ETag and If-None-Match"
        answer = await self._get(reference)
        tag = answer.headers.get("etag", "")
        if refusal := _refusal(answer):
            return group.no(name, refusal)
        if not tag:
            return group.no(name, "there is no ETag")
        again = await self._get(reference, {"If-None-Match": tag})
        if again.status == 304:
            return group.yes(name, "304 for what has not changed")
        return group.no(name, f"there is an ETag; If-None-Match was answered with {again.status}, not 304")

    async def errors(self) -> list[Line]:
        group = Group("Errors")
        unknown = await self._get(f"Patient/{NOBODY}")
        complaint = "" if unknown.status == 404 else f"answered with {unknown.status}"
        if unknown.status == 410:
            complaint = "answered with 410, as if it had been deleted"
        said = [issue.code for issue in issues(unknown) if issue.code]
        return [
            group.judge("Unknown patient: 404", complaint, "404"),
            group.judge(
                "Refusals carry an OperationOutcome",
                "" if said else "the refusal says nothing",
                f"issue code {next(iter(said), '')[:30]}",
            ),
            await self._listing_of_nobody(group),
            await self._bad_value(group),
            await self._strangers(group),
        ]

    async def deleted(self, reference: str) -> list[Line]:
        """`reference` is what the user knows to be deleted; without one there is nothing that could be tried."""
        group, name = Group("Errors"), "Deleted resource: 410"
        if not reference:
            return [group.skipped(name, "not tried: name one that was deleted with --deleted DocumentReference/ID")]
        status = (await self._get(reference)).status
        if status == 404:
            return [group.no(name, "404: what was deleted cannot be told from what is not there for now")]
        return [group.judge(name, "" if status == 410 else f"answered with {status}", "410")]

    async def _listing_of_nobody(self, group: Group) -> Line:
        name = "Unknown patient: nothing is listed"
        answer = await self._get("DocumentReference", query={"patient": NOBODY, "_count": "5"})
        if answer.status in (*REFUSALS, 405):
            return group.yes(name, f"refused with {answer.status}", needed=True)
        try:
            if problem := failure(answer):
                raise problem
            found = matches(decode(answer, Bundle, "Bundle"))
        except ProviderError as error:
            return group.no(name, error.detail)
        complaint = f"{found} documents of other people were listed" if found else ""
        return group.judge(name, complaint, "an empty Bundle", needed=True)

    async def _bad_value(self, group: Group) -> Line:
        name = "Bad parameter: 400"
        answer = await self._get("DocumentReference", query={"patient": self._patient_id, "date": "yesterday-ish"})
        if answer.status == 405:
            return group.skipped(name, "not tried: searches by GET are refused")
        if answer.status != 400:
            return group.no(name, f"date=yesterday-ish was answered with {answer.status}")
        told = bool(issues(answer))
        return group.judge(name, "" if told else "400 without an OperationOutcome", "400 with an OperationOutcome")

    async def _strangers(self, group: Group) -> Line:
        name = "Strangers are refused"
        if await self._session.credentials.header() == "":
            return group.skipped(name, "not tried: we come without credentials ourselves")
        url = self._url(f"Patient/{self._patient_id}")
        try:
            cap = self._session.limits.page_bytes
            answer = await self._session.transport.send("GET", url, {"Accept": FHIR_JSON}, cap=cap)
        except ProviderError as error:
            return group.no(name, error.detail)
        well = answer.status in (401, 403)
        return group.judge(
            name,
            "" if well else f"without credentials the patient was answered with {answer.status}",
            f"{answer.status} without credentials",
        )

    def _url(self, path: str, query: dict[str, str] | None = None) -> httpx.URL:
        url = resolve(self._session.base, path)
        return url.copy_merge_params(query) if query else url

    async def _get(
        self, path: str, headers: dict[str, str] | None = None, query: dict[str, str] | None = None
    ) -> Answer:
        cap = self._session.limits.page_bytes
        return await self._session.ask(self._url(path, query), FHIR_JSON, cap=cap, headers=headers)


def _refusal(answer: Answer) -> str:
    problem = failure(answer)
    return problem.detail if problem else ""
