"""A provider whose pages come from an export of a whole group; everything else is asked of it as always."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.connectors.provider.fhir import bulk
from app.connectors.provider.port import (
    Attachment,
    Connection,
    Entry,
    Fetched,
    Page,
    PatientField,
    Probed,
    Provider,
    ProviderError,
    ProviderErrorCode,
    ProviderPatient,
    Strategy,
    Unreadable,
)
from app.core.resources import Resources
from app.domain.updates.exports import queries
from tasks.sync.trip import Trip

AFTER = "export:"
"""A link to the next page: the resource that the last one ended with."""
GONE = (ProviderErrorCode.NOT_FOUND, ProviderErrorCode.GONE)


@dataclass(slots=True)
class Supplied:
    """`Provider`. Its pages are as the export showed them, its deletions are believed once the provider has been asked."""

    resources: Resources
    source: Connection
    export_id: UUID
    provider: Provider
    deleted: frozenset[str]
    resource_types: tuple[str, ...]

    @property
    def learnt(self) -> Strategy:
        return self.provider.learnt

    @property
    def surprised(self) -> bool:
        return self.provider.surprised

    async def page(
        self, resource_type: str, patient_id: str, *, since: datetime | None = None, link: str | None = None
    ) -> Page:
        """Without the provider's clock: an export says nothing of what has changed since its beginning."""
        after = UUID(link.removeprefix(AFTER)) if link else None
        limit, room = self.source.page_size, self.source.limits.page_bytes
        async with self.resources.db.reading() as session:
            total = await queries.counted(session, self.export_id, patient_id, resource_type)
            sizes = await queries.sizes(session, self.export_id, patient_id, resource_type, after, limit + 1)
            ids = _fitting(sizes[:limit], room)
            found = await queries.resources(session, ids)
        read = [bulk.entry(data, reference, self.source.base_url) for reference, data in found]
        return Page(
            entries=tuple(it for it in read if isinstance(it, Entry)),
            unreadable=tuple(it for it in read if isinstance(it, Unreadable)),
            next=f"{AFTER}{ids[-1]}" if len(ids) < len(sizes) else None,
            total=total,
            server_time=None,
            since_applied=since is not None,
        )

    async def read(self, reference: str) -> Entry:
        try:
            return await self.provider.read(reference)
        except ProviderError as error:
            if reference in self.deleted and error.code in GONE:
                detail = "deleted, as the export says"
                raise ProviderError(ProviderErrorCode.GONE, detail) from error
            raise

    async def patient(self, patient_id: str) -> ProviderPatient:
        return await self.provider.patient(patient_id)

    async def update_patient(self, patient: ProviderPatient, changes: Mapping[PatientField, str]) -> ProviderPatient:
        return await self.provider.update_patient(patient, changes)

    async def fetch(self, attachment: Attachment) -> Fetched:
        return await self.provider.fetch(attachment)

    async def fetch_many(self, attachments: Sequence[Attachment]) -> list[Fetched | ProviderError]:
        return await self.provider.fetch_many(attachments)

    async def probe(self, patient_id: str | None = None) -> Probed:
        return await self.provider.probe(patient_id)


async def source_of(resources: Resources, trip: Trip, opened: Provider) -> Provider:
    """Where a run's pages come from: an export where it belongs to one, else the provider itself."""
    run = trip.run
    if run.export_id is None:
        return opened
    async with resources.db.reading() as session:
        deleted = await queries.deleted(session, run.export_id, run.provider_patient_id)
    return Supplied(resources, trip.source, run.export_id, opened, frozenset(deleted), opened.resource_types)


def _fitting(sizes: Sequence[tuple[UUID, int]], room: int) -> list[UUID]:
    """As many as a page may hold, and at least one."""
    ids: list[UUID] = []
    for row_id, size in sizes:
        room -= size
        if ids and room < 0:
            break
        ids.append(row_id)
    return ids
