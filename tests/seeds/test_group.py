"""The demo's EHR has a group to export."""

import json
from contextlib import closing
from pathlib import Path

from sandbox.ehr.store import Store
from seeds import ehr


def test_all_demo_patients_belong_to_the_group(tmp_path: Path) -> None:
    loaded = ehr.fill(tmp_path)
    with closing(Store(tmp_path / "ehr.sqlite")) as store:
        found = store.current("Group", ehr.GROUP)
    assert found is not None
    members = {it["entity"]["reference"] for it in json.loads(found.json)["member"]}
    assert members == {f"Patient/{it.fhir_id}" for it in loaded.patients}
    assert ehr.fill(tmp_path).changed == 0
