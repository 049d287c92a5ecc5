"""The one judge of every fault: what the provider has is what we have is what the platform has, and the books are straight.

Documents are compared as multisets of (resource, version, hashes of its files)."""

import json
from base64 import b64decode
from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from app.domain.sync.models import OPEN_STATUSES
from sandbox.ehr.store import Store as EhrStore
from sandbox.platform.store import Store as PlatformStore
from tests.runs import Books

Document = tuple[str, str, tuple[str, ...]]

AT_PROVIDER = """
    SELECT r.type, r.id, v.version, v.json
    FROM resource r JOIN version v ON v.resource = r.pk AND v.version = r.version
    WHERE r.deleted = 0 AND r.type IN ('DocumentReference', 'DiagnosticReport')
"""
OURS = """
    SELECT s.reference, s.version_id, s.leading,
           array_agg(f.sha256 ORDER BY f.sha256) FILTER (WHERE f.sha256 IS NOT NULL) AS hashes
    FROM document_sources s
    JOIN healthcare_documents d ON d.id = s.document_id AND d.deleted_at IS NULL
    LEFT JOIN files f ON f.document_id = d.id
     AND f.version = (SELECT max(n.version) FROM files n WHERE n.document_id = d.id)
    WHERE s.withdrawn_at IS NULL AND d.status IN ('CURRENT', 'SUPERSEDED')
    GROUP BY s.id
"""
HANDED_OVER = """
    SELECT r.reference, f.sha256 FROM platform_receipts r JOIN files f ON f.id = r.file_id WHERE r.state = 'CONFIRMED'
"""
NOT_HANDED_OVER = """
    SELECT d.id, f.position
    FROM healthcare_documents d
    JOIN patients p ON p.id = d.patient_id AND p.platform_id IS NOT NULL
    JOIN files f ON f.document_id = d.id AND f.sha256 IS NOT NULL
     AND f.version = (SELECT max(n.version) FROM files n WHERE n.document_id = d.id)
    WHERE d.source = 'PROVIDER' AND d.status IN ('CURRENT', 'SUPERSEDED') AND d.deleted_at IS NULL
      AND NOT EXISTS (SELECT FROM platform_receipts r WHERE r.file_id = f.id AND r.state = 'CONFIRMED')
"""
LOGGED = """
    SELECT d.id, d.status,
           (SELECT count(*) FROM document_versions v WHERE v.document_id = d.id) AS versions,
           count(l.id) FILTER (WHERE l.action = 'document_created') AS created,
           count(l.id) FILTER (WHERE l.action = 'document_updated') AS updated,
           count(l.id) FILTER (WHERE l.action = 'document_withdrawn') AS withdrawn,
           count(l.id) FILTER (WHERE l.action = 'published') AS published,
           EXISTS (SELECT FROM platform_receipts r WHERE r.document_id = d.id AND r.state = 'CONFIRMED') AS handed_over
    FROM healthcare_documents d LEFT JOIN synchronization_log l ON l.document_id = d.id
    WHERE d.source = 'PROVIDER'
    GROUP BY d.id
"""
RUN_ROWS = """
    SELECT r.id, r.status, count(l.id) FILTER (WHERE l.status = 'STARTED') AS begun,
           count(l.id) FILTER (WHERE l.status <> 'STARTED') AS ended
    FROM sync_runs r
    LEFT JOIN synchronization_log l ON l.run_id = r.id AND l.action IN ('manual_sync', 'automatic_update')
    GROUP BY r.id
"""
COUNTED = """
    SELECT (SELECT coalesce(sum(created), 0) FROM sync_runs) AS created,
           (SELECT count(*) FROM healthcare_documents WHERE source = 'PROVIDER') AS documents,
           (SELECT coalesce(sum(published), 0) FROM sync_runs) AS published,
           (SELECT count(*) FROM synchronization_log WHERE action = 'published') AS told
"""
LEFT_OPEN = """
    SELECT count(*) FROM work
    WHERE done_at IS NULL AND (kind = 'sync.run' OR lease_until > clock_timestamp()) AND dead_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class Oracle:
    books: Books
    ehr: EhrStore
    platform: PlatformStore

    async def assert_nothing_is_lost_or_doubled(self) -> None:
        """For the moment when all runs have ended well: the three places agree, and the books with them."""
        await self.assert_all_is_here()
        await self.assert_all_is_at_the_platform()
        await self.assert_the_books_are_straight()

    async def assert_all_is_here(self) -> None:
        ours, joined = await self._ours()
        theirs = Counter({it: n for it, n in at_provider(self.ehr).items() if it[:2] not in joined})
        assert ours == theirs, differences(theirs, ours)
        twice = await self.books.all(
            "SELECT reference FROM document_sources GROUP BY patient_id, provider_id, reference HAVING count(*) > 1"
        )
        assert not twice

    async def _ours(self) -> tuple[Counter[Document], set[tuple[str, str]]]:
        """What stands for itself here, and what was joined to another: that note's files are the other's."""
        rows = await self.books.all(OURS)
        joined = {(row.reference, row.version_id) for row in rows if not row.leading}
        return Counter((row.reference, row.version_id, tuple(row.hashes or ())) for row in rows if row.leading), joined

    async def assert_all_is_at_the_platform(self) -> None:
        there = Counter((it["external_id"], it["sha256"]) for it in self.platform.stored(None))
        handed_over = Counter((row.reference, row.sha256) for row in await self.books.all(HANDED_OVER))
        assert there == handed_over, differences(handed_over, there)
        assert not there or max(there.values()) == 1
        assert not await self.books.all(NOT_HANDED_OVER)

    async def assert_the_books_are_straight(self) -> None:
        """Streams without a hole, a row for everything that happened, no work left open, a file for every row."""
        await self.books.assert_streams_are_contiguous()
        # What a run has asked for behind it, to tell somebody, may be under way for a moment.
        await self.books.until(LEFT_OPEN, lambda left: left == 0, 10)
        for row in await self.books.all(LOGGED):
            assert row.created == 1, row
            # A withdrawal may be a version too.
            assert row.updated <= row.versions - 1 <= row.updated + row.withdrawn, row
            assert row.withdrawn >= (row.status in ("WITHDRAWN", "RETRACTED")), row
            assert row.published >= row.handed_over, row
        for row in await self.books.all(RUN_ROWS):
            assert (row.begun, row.ended) == (1, 0 if row.status in OPEN_STATUSES else 1), row
        counted = (await self.books.all(COUNTED))[0]
        assert (counted.created, counted.published) == (counted.documents, counted.told)
        await self._assert_files_and_rows_agree()

    async def _assert_files_and_rows_agree(self) -> None:
        wanted = set(await self.books.column("SELECT sha256 FROM files WHERE sha256 IS NOT NULL"))
        folder = Path(self.books.resources.settings.data_dir) / "blobs"
        found = {path.name: path for path in folder.glob("??/*") if path.is_file()}
        assert set(found) == wanted, differences(wanted, set(found))
        spoilt = [name for name, path in found.items() if sha256(path.read_bytes()).hexdigest() != name]
        assert not spoilt


def at_provider(ehr: EhrStore) -> Counter[Document]:
    """Every document that holds there: with files, and not entered in error."""
    found: Counter[Document] = Counter()
    for resource_type, resource_id, version, text in ehr.db.all(AT_PROVIDER):
        resource: dict[str, Any] = json.loads(text)
        hashes = tuple(sorted(_hash(ehr, it) for it in attachments(resource) if it.get("data") or it.get("url")))
        if hashes and resource["status"] != "entered-in-error":
            found[f"{resource_type}/{resource_id}", str(version), hashes] += 1
    return found


def attachments(resource: dict[str, Any]) -> list[dict[str, Any]]:
    return [it["attachment"] for it in resource.get("content", ())] or list(resource.get("presentedForm", ()))


def _hash(ehr: EhrStore, attachment: dict[str, Any]) -> str:
    if data := attachment.get("data"):
        return sha256(b64decode(data)).hexdigest()
    url = str(attachment["url"])
    if url.startswith("Binary/"):
        binary = ehr.current("Binary", url.removeprefix("Binary/"))
        return binary.blob or "" if binary else f"missing {url}"
    found = ehr.file(url.rpartition("/")[2])
    return sha256(found[0]).hexdigest() if found else f"missing {url}"


def differences(wanted: Any, found: Any) -> str:
    """A few of each kind: thousands help nobody."""
    missing, surplus = list(wanted - found), list(found - wanted)
    return f"{len(missing)} missing, {len(surplus)} too many; missing {missing[:3]}, too many {surplus[:3]}"
