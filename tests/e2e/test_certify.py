"""`healthrecords certify` as a person or a script meets it."""

import json

import pytest

from tests import factories
from tests.conftest import Sandbox
from tests.e2e.test_cli import healthrecords
from tests.faulty import faults


async def test_a_good_server_is_shown_as_a_table_and_ends_with_0(sandbox: Sandbox) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=3, reports=1))

    said = await healthrecords("certify", sandbox.fhir, "--patient", "amara")

    assert (said.code, said.error) == (0, "")
    assert "✓  Listed to the end" in said.out
    assert "Everything that a synchronisation needs works." in said.out


async def test_a_faulty_server_ends_with_1_and_json_says_why(sandbox: Sandbox) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=3))
    async with faults(sandbox.fhir, {"fault": "cross-patient"}):
        said = await healthrecords("certify", sandbox.fhir, "--patient", "amara", "--json")

    card = json.loads(said.out)
    assert (said.code, card["passed"], card["patient_id"]) == (1, False, "amara")
    (refused,) = [it for it in card["lines"] if it["verdict"] == "no" and it["needed"]]
    assert (refused["group"], refused["name"]) == ("DocumentReference", "About the patient only")


async def test_strict_fails_at_what_a_synchronisation_can_do_without(sandbox: Sandbox) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=2))
    async with faults(sandbox.fhir, {"fault": "refuse-batch"}):
        codes = [
            (await healthrecords("certify", sandbox.fhir, "--patient", "amara", *more)).code
            for more in ([], ["--strict"])
        ]
    assert codes == [0, 1]


@pytest.mark.parametrize(
    "words",
    [
        ["ftp://example.org"],
        ["http://127.0.0.1:1/fhir?x=1"],
        ["http://127.0.0.1:1/fhir", "--bearer", "a", "--basic", "b:c"],
        ["http://127.0.0.1:1/fhir", "--basic", "nobody"],
        ["http://127.0.0.1:1/fhir", "--client-id", "us"],
        ["http://127.0.0.1:1/fhir", "--key", "/nowhere.pem"],
        ["http://127.0.0.1:1/fhir", "--patient", "a/b"],
        ["http://127.0.0.1:1/fhir", "--deleted", "7"],
        ["http://127.0.0.1:1/fhir", "--network", "everything"],
        ["http://127.0.0.1:1/fhir", "--page-size", "0"],
        ["http://127.0.0.1:1/fhir", "--write"],
    ],
)
async def test_a_wrong_command_ends_with_2_and_asks_nobody(words: list[str]) -> None:
    said = await healthrecords("certify", *words)
    assert (said.code, said.out) == (2, "")
    assert said.error
