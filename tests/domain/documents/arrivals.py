"""Resources as they arrive from a provider, and what became of them."""

import hashlib
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from app.connectors.provider.port import Attachment, DocumentType, Entry, Relation, ResourceStatus
from app.core.reading import read
from app.core.resources import Resources
from app.domain.documents import recording, rules
from app.domain.documents.models import HealthcareDocument
from app.domain.documents.recording import Received
from app.domain.documents.rules import Contents, Incoming, Outcome
from app.domain.documents.storing import Fresh, Origin
from tests import factories
from tests.domain.rows import rows

NOTE, REPORT = "DocumentReference", "DiagnosticReport"
Files = tuple[str | None, ...]


def incoming(
    reference: str, *files: str | None, replaces: str = "", urls: tuple[str, ...] = (), **given: Any
) -> Incoming:
    """A resource with these texts as its files; None is a file that could not be had."""
    title = given.pop("title", "Progress note")
    values: dict[str, Any] = {
        "reference": reference,
        "resource_type": reference.partition("/")[0],
        "version_id": "1",
        "last_updated": None,
        "digest": hashlib.sha256(repr((reference, title, files, given)).encode()).digest(),
        "subject": "Patient/amara",
        "status": ResourceStatus.CURRENT,
        "type": DocumentType.PROGRESS_NOTE,
        "title": title,
        "date": None,
        "author": "Dr. A",
        "relations": (Relation("replaces", replaces),) if replaces else (),
    } | given
    entry = Entry(**values)
    arrived = [
        rules.missing(Attachment(url=url), "PROVIDER_TIMEOUT", title, position)
        if words is None
        else rules.arrived(
            Attachment("text/plain", url=url), words.encode(), read(words.encode(), "text/plain"), title, position
        )
        for position, (words, url) in enumerate(zip(files, (*urls, *[""] * len(files)), strict=False))
    ]
    return Incoming(entry, Contents(tuple(arrived)))


def retracted(reference: str) -> Incoming:
    return incoming(reference, status=ResourceStatus.ENTERED_IN_ERROR)


@dataclass
class Stream:
    """What one provider tells of one patient, run after run."""

    resources: Resources
    origin: Origin
    received: list[Received] = field(default_factory=list[Received])
    listed: set[str] = field(default_factory=set[str])

    def next_run(self) -> None:
        self.listed.clear()
        origin = self.origin
        self.origin = Origin(origin.patient_id, origin.owner_id, origin.provider_id, origin.provider_name, uuid4())

    async def receive(self, *arrivals: Incoming) -> list[Outcome]:
        self.listed |= {it.entry.reference for it in arrivals}
        async with self.resources.db.transaction() as session:
            self.received = await recording.receive(session, self.origin, arrivals)
        return [it.outcome for it in self.received if it.outcome is not Outcome.SETTLED]

    async def withdraw_unseen(self) -> list[UUID]:
        async with self.resources.db.transaction() as session:
            received = await recording.withdraw_unseen(session, self.origin, self.listed)
        return [it.document.id for it in received if it.document and it.outcome is Outcome.WITHDRAWN]

    def unchanged(self, *references: str) -> None:
        self.listed |= {*references}

    async def new_files(self) -> list[str]:
        """The names of the files that the latest version of the only document brought."""
        statement = (
            "SELECT f.filename FROM files f JOIN healthcare_documents d ON d.id = f.document_id AND d.version = f.version"
            " WHERE d.patient_id = :id AND f.sha256 IS NOT NULL ORDER BY f.position"
        )
        return await rows(self.resources, statement, id=self.origin.patient_id)

    @property
    def document(self) -> HealthcareDocument | Fresh:
        only = self.received[0]
        assert only.document is not None
        return only.document

    async def shown(self, *columns: str) -> list[Any]:
        """Columns of this patient's documents, in the order of their contents."""
        statement = f"SELECT {', '.join(columns)} FROM healthcare_documents WHERE patient_id = :id ORDER BY content, id"
        return await rows(self.resources, statement, id=self.origin.patient_id)

    async def statuses(self) -> dict[str, str]:
        """The status of each document, by the resource that leads it."""
        statement = (
            "SELECT s.reference, d.status FROM document_sources s JOIN healthcare_documents d ON d.id = s.document_id "
            "WHERE s.patient_id = :id AND s.leading"
        )
        return dict(await rows(self.resources, statement, id=self.origin.patient_id))

    async def sources(self) -> dict[str, tuple[UUID, bool]]:
        """The document of each resource, and whether the resource leads it."""
        statement = "SELECT s.reference, s.document_id, s.leading FROM document_sources s WHERE patient_id = :id"
        found = await rows(self.resources, statement, id=self.origin.patient_id)
        return {reference: (document_id, leading) for reference, document_id, leading in found}


async def stream(resources: Resources, dietician: factories.Person, provider_id: UUID | None = None) -> Stream:
    async with resources.db.transaction() as session:
        if provider_id is None:
            provider_id = (await factories.provider(session, resources.vault, "https://ehr.example.test")).id
        patient = await factories.patient(
            session, dietician, primary_provider_id=provider_id, provider_patient_id="amara"
        )
    return Stream(resources, Origin(patient.id, dietician.id, provider_id, "The EHR", uuid4()))
