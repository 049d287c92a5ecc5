"""Another maker's server certified: what it can do is said, and what it cannot is said with the reason."""

import json
from itertools import islice
from pathlib import Path

from app.connectors.provider.certify import Verdict, Wanted, certify
from app.connectors.provider.port import Connection
from tests import factories
from tests.interop.conftest import memfhir, read, subject

LOOPBACK = ("127.0.0.0/8",)


async def test_an_independent_server_is_certified(packages: Path, synthea: Path, tmp_path: Path) -> None:
    # A few of one patient's: the server looks at every resource for each search.
    first = next(read(synthea, "DocumentReference"))
    own = (it for it in read(synthea, "DocumentReference") if subject(it) == subject(first))
    scan = {"contentType": "text/plain", "url": "Binary/scan", "size": 4}
    chart = [
        *(it for it in read(synthea, "Patient") if it["id"] == subject(first)),
        *islice(own, 12),
        factories.note(subject(first), "scan", content=[{"attachment": scan}]),
        {"resourceType": "Binary", "id": "scan", "contentType": "text/plain", "data": "c2Nhbg=="},
    ]
    data = tmp_path / "chart.ndjson"
    data.write_text("\n".join(map(json.dumps, chart)))

    async with memfhir(packages, data) as base:
        cards = [await certify(Wanted(Connection(base, page_size=size, networks=LOOPBACK))) for size in (5, 50)]

    for card, pages in zip(cards, ("3 pages", "1 page"), strict=True):
        found = {f"{it.group}: {it.name}": it for it in card.lines}
        refused = {name: it.detail for name, it in found.items() if it.verdict is Verdict.NO and it.needed}
        assert card.patient_id == subject(first)
        assert refused == {}
        assert found["DocumentReference: Listed to the end"].detail == f"13 resources on {pages}"
        assert found["DocumentReference: About the patient only"].verdict is Verdict.YES
        assert found["Files: Inline data"].verdict is Verdict.YES
        assert found["Files: Files at the server"].detail == "1 of 1 were fetched"
        assert found["Capabilities: Bulk export (Patient)"].verdict is Verdict.NO
