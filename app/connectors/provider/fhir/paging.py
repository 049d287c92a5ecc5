"""The pages of a listing, also where a server sends too much at once, or has forgotten the page that it named."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import httpx

from app.connectors.http import Answer
from app.connectors.provider.fhir.auth import Session
from app.connectors.provider.fhir.search import Manner, search
from app.connectors.provider.fhir.transport import FHIR_JSON, failure, resolve
from app.connectors.provider.port import Connection, ProviderError, ProviderErrorCode, SinceFilter

SHRINK = 4
"""A page that is too large is asked for again with so many times fewer resources."""

# HAPI answers 410 for a paging session that has ended, others 404.
_FORGOTTEN = (ProviderErrorCode.GONE, ProviderErrorCode.NOT_FOUND)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which listing a page belongs to."""

    resource_type: str
    patient_id: str
    since: datetime | None


class Paging:
    """Asks for pages as `manners` say, and makes them smaller for as long as they are too large."""

    def __init__(self, connection: Connection, session: Session, manners: dict[str, Manner]) -> None:
        self._session = session
        self._manners = manners
        known = connection.strategy.page_size
        self._size = min(connection.page_size, known) if known else connection.page_size
        self._begun_anew: set[str] = set()
        self.shrunk = False

    @property
    def size(self) -> int:
        return self._size

    async def answer(self, wanted: Wanted, link: str | None) -> tuple[Answer, bool]:
        """The page, and whether it is the first of a listing that had to begin anew. Raises `ProviderError`."""
        if link is None:
            return await self._first(wanted), False
        try:
            return await self._linked(link), False
        except ProviderError as error:
            if not self._may_begin_anew(wanted.resource_type, error):
                raise
        return await self._first(wanted), True

    def applied(self, wanted: Wanted, self_link_shows_it: bool) -> bool:
        if wanted.since is None:
            return self_link_shows_it
        match self._manners[wanted.resource_type].since:
            case SinceFilter.UNKNOWN:
                return self_link_shows_it
            case found:
                return found is SinceFilter.APPLIED

    def _may_begin_anew(self, resource_type: str, error: ProviderError) -> bool:
        """A forgotten page: once for each listing. One that is too large: as often as a page can be made smaller."""
        if error.code is ProviderErrorCode.TOO_LARGE:
            return self._smaller()
        if error.code not in _FORGOTTEN or resource_type in self._begun_anew:
            return False
        self._begun_anew.add(resource_type)
        return True

    async def _first(self, wanted: Wanted) -> Answer:
        while True:
            query = {"patient": wanted.patient_id, "_count": str(self._size)}
            try:
                manner = self._manners[wanted.resource_type]
                return await search(self._session, wanted.resource_type, query, wanted.since, manner)
            except ProviderError as error:
                if error.code is not ProviderErrorCode.TOO_LARGE:
                    raise
                if not self._smaller():
                    raise _beyond(error) from error

    async def _linked(self, link: str) -> Answer:
        """The page that a link names; where the link shows its `_count`, with a smaller one if it must be.

        A link that counts in pages rather than in resources then leads back a little: something is listed twice, nothing
        is passed over."""
        url = resolve(self._session.base, link)
        while True:
            try:
                return await self._get(url)
            except ProviderError as error:
                count = _count(url)
                if error.code is not ProviderErrorCode.TOO_LARGE or count is None:
                    raise
                if count <= 1:
                    self._size = 1
                    raise _beyond(error) from error
                url = url.copy_set_param("_count", str(max(count // SHRINK, 1)))
                self._size, self.shrunk = min(self._size, max(count // SHRINK, 1)), True

    async def _get(self, url: httpx.URL) -> Answer:
        answer = await self._session.ask(url, FHIR_JSON, cap=self._session.limits.page_bytes)
        if problem := failure(answer):
            raise problem
        return answer

    def _smaller(self) -> bool:
        if self._size <= 1:
            return False
        self._size, self.shrunk = max(self._size // SHRINK, 1), True
        return True


def _count(url: httpx.URL) -> int | None:
    with suppress(ValueError, KeyError):
        # A link without a `_count`, or with one that is no number.
        return int(url.params["_count"])
    return None


def _beyond(error: ProviderError) -> ProviderError:
    """The link to what follows stands in the page that cannot be taken: the listing ends here, as a gap."""
    detail = f"{error.detail}, though it holds a single resource: what follows it cannot be listed"
    return ProviderError(ProviderErrorCode.TOO_LARGE, detail)
