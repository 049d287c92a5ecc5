"""What storing and comparing cost beside their limits: a plain COPY of the same rows with the same search index, and a
comparison by objects of the mapper. No network: resources are in memory as the connector hands them over."""

import asyncio
import hashlib
import io
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from sqlalchemy import select

from app.connectors.provider.port import Attachment, AuthKind, DocumentType, Entry, Page, ResourceStatus
from app.core.reading import Reading
from app.core.resources import Resources, open_resources
from app.core.settings import Settings
from app.domain.connections.models import Provider
from app.domain.documents import queries, recording, rules
from app.domain.documents.models import DocumentSource
from app.domain.documents.rules import Contents, Incoming
from app.domain.documents.storing import Origin
from app.domain.identity.models import Role, User
from app.domain.patients.models import Patient
from bench.stage import Stage, database, raised
from tasks.sync.listing import Memory, sort_entries

PAGE_SIZE = 50
WORDS_A_DOCUMENT = 450
DOCUMENT = "id, patient_id, owner_id, type, title, date, author, content, source, source_name, provider_id, status, version, content_hash"
PLAIN = ("document_versions", "files", "document_sources", "document_texts")
PARENTS = ("users", "providers", "patients")
STAGED = f"CREATE TEMPORARY TABLE staged ON COMMIT DROP AS SELECT {DOCUMENT}, ''::text AS words FROM healthcare_documents LIMIT 0"
INDEXED = f"""
    INSERT INTO healthcare_documents ({DOCUMENT}, tsv)
    SELECT {DOCUMENT}, setweight(to_tsvector('english', concat_ws(' ', title, author)), 'A')
        || setweight(to_tsvector('english', left(words, 200000)), 'B') FROM staged
"""


@dataclass(frozen=True, slots=True)
class Pair:
    """Seconds of one round: ours and the yardstick's."""

    ours: float
    yardstick: float

    @property
    def ratio(self) -> float:
        return self.yardstick / self.ours


def ingest(folder: Path, documents: int, rounds: int) -> list[Pair]:
    """First storing of documents, a page a transaction, beside one COPY of the same rows in one transaction."""
    return _rounds(folder, rounds, lambda stage: _ingest(stage, documents))


def resync(folder: Path, documents: int, rounds: int) -> list[Pair]:
    """Finding out that nothing has changed, beside one look-up by the mapper for each document."""
    return _rounds(folder, rounds, lambda stage: _resync(stage, documents))


def _rounds(folder: Path, rounds: int, measure: Callable[[Stage], Pair]) -> list[Pair]:
    found: list[Pair] = []
    with raised(folder, 1) as stage:
        for number in range(1, rounds + 1):
            found.append(measure(stage))
            sys.stderr.write(f"round {number} of {rounds}: {found[-1].ours:.3f} s, {found[-1].yardstick:.3f} s\n")
    return found


def _ingest(stage: Stage, count: int) -> Pair:
    with database(stage) as ours, database(stage) as plain:
        return asyncio.run(_stored_and_copied(ours, plain, _arrivals(count)))


async def _stored_and_copied(ours: Settings, plain: Settings, arrivals: Sequence[Incoming]) -> Pair:
    async with open_resources(ours) as resources:
        origin = await _patient(resources)
        begun = time.perf_counter()
        await _store(resources, origin, arrivals)
        seconds = time.perf_counter() - begun
        rows = await _rows(resources)
    return Pair(seconds, await _copied(plain, rows))


def _resync(stage: Stage, count: int) -> Pair:
    with database(stage) as settings:
        return asyncio.run(_compared_and_looked_up(settings, _arrivals(count, words=5)))


async def _compared_and_looked_up(settings: Settings, arrivals: Sequence[Incoming]) -> Pair:
    async with open_resources(settings) as resources:
        origin = await _patient(resources)
        await _store(resources, origin, arrivals)
        entries = [it.entry for it in arrivals]
        begun = time.perf_counter()
        await _compared(resources, origin, entries)
        ours = time.perf_counter() - begun
        begun = time.perf_counter()
        await _looked_up(resources, origin, entries)
        return Pair(ours, time.perf_counter() - begun)


async def _compared(resources: Resources, origin: Origin, entries: Sequence[Entry]) -> None:
    """As a run does it: what is known is read once, then each page is sorted."""
    async with resources.db.reading() as session:
        memory = Memory(await queries.digests(session, origin.provider_id, origin.patient_id), set(), ())
    for start in range(0, len(entries), PAGE_SIZE):
        page = Page(tuple(entries[start : start + PAGE_SIZE]), (), None, None, None, since_applied=False)
        assert len(sort_entries(page, memory, "bench").unchanged) == len(page.entries)


async def _looked_up(resources: Resources, origin: Origin, entries: Sequence[Entry]) -> None:
    async with resources.db.reading() as session:
        for entry in entries:
            row = await session.scalar(
                select(DocumentSource).where(
                    DocumentSource.patient_id == origin.patient_id,
                    DocumentSource.provider_id == origin.provider_id,
                    DocumentSource.reference == entry.reference,
                )
            )
            assert row is not None
            assert row.digest == entry.digest


async def _store(resources: Resources, origin: Origin, arrivals: Sequence[Incoming]) -> None:
    for start in range(0, len(arrivals), PAGE_SIZE):
        async with resources.db.transaction() as session:
            await recording.receive(session, origin, arrivals[start : start + PAGE_SIZE])


async def _rows(resources: Resources) -> dict[str, bytes]:
    """The stored rows as COPY takes them."""
    wanted = {name: f"SELECT * FROM {name}" for name in (*PARENTS, *PLAIN)}
    wanted["staged"] = (
        f"SELECT {', '.join(f'd.{it.strip()}' for it in DOCUMENT.split(','))}, t.content FROM healthcare_documents d"
        " JOIN document_texts t ON t.document_id = d.id"
    )
    found: dict[str, bytes] = {}
    async with resources.db.engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None
        for name, query in wanted.items():
            sink = io.BytesIO()
            await raw.copy_from_query(query, output=sink, format="binary")
            found[name] = sink.getvalue()
    return found


async def _copied(settings: Settings, rows: dict[str, bytes]) -> float:
    """Seconds that PostgreSQL needs to take the rows in, with nothing else to do."""
    async with open_resources(settings) as resources, resources.db.engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None
        for name in PARENTS:
            await raw.copy_to_table(name, source=io.BytesIO(rows[name]), format="binary")
        begun = time.perf_counter()
        async with raw.transaction():
            await raw.execute(STAGED)
            await raw.copy_to_table("staged", source=io.BytesIO(rows["staged"]), format="binary")
            await raw.execute(INDEXED)
            for name in PLAIN:
                await raw.copy_to_table(name, source=io.BytesIO(rows[name]), format="binary")
        return time.perf_counter() - begun


async def _patient(resources: Resources) -> Origin:
    async with resources.db.transaction() as session:
        user = User(email=f"{uuid4().hex}@bench.test", name="Bench", type=Role.DIETICIAN, password_hash="")
        provider = Provider(name=uuid4().hex, base_url="https://ehr.bench.test", auth_kind=AuthKind.NONE)
        session.add_all([user, provider])
        await session.flush()
        patient = Patient(name="Mark Bench", user_id=user.id)
        session.add(patient)
        await session.flush()
        return Origin(patient.id, user.id, provider.id, "EHR", uuid4())


def _arrivals(count: int, words: int = WORDS_A_DOCUMENT) -> list[Incoming]:
    chance = random.Random(count)
    vocabulary = ["".join(chance.choices("abcdefghijklmnoprstuvw", k=chance.randint(3, 10))) for _ in range(5000)]
    return [_arrival(number, " ".join(chance.choices(vocabulary, k=words))) for number in range(count)]


def _arrival(number: int, words: str) -> Incoming:
    data = words.encode()
    attachment = Attachment("text/plain", url=f"https://ehr.bench.test/Binary/{number}")
    file = rules.arrived(attachment, data, Reading("text/plain", words, hashlib.sha256(data).digest()), "Note", 0)
    entry = Entry(
        reference=f"DocumentReference/{number}",
        resource_type="DocumentReference",
        version_id="1",
        last_updated=None,
        digest=hashlib.sha256(data).digest(),
        subject="Patient/bench",
        status=ResourceStatus.CURRENT,
        type=DocumentType.PROGRESS_NOTE,
        title=f"Progress note {number}",
        date=None,
        author="Dr. Bench",
    )
    return Incoming(entry, Contents((file,)))
