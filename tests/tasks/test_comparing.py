"""Whether a listing that does not show something is believed."""

from app.connectors.provider import connect
from app.connectors.provider.port import Connection
from app.core.settings import LOOPBACK
from tasks.sync import comparing
from tests import factories
from tests.conftest import Sandbox


async def test_what_was_entered_in_error_may_be_left_out_of_a_listing(sandbox: Sandbox) -> None:
    sandbox.ehr.put_many(factories.resources("amara", notes=1))
    sandbox.ehr.put(factories.note("amara", "wrong", status="entered-in-error"))
    async with connect(Connection(sandbox.fhir, networks=LOOPBACK)) as provider:
        wrong, holding = "DocumentReference/amara-note-wrong", "DocumentReference/amara-note-0"
        assert await comparing._hidden(provider, [wrong], "amara") == 0
        assert await comparing._hidden(provider, [wrong, holding], "amara") == 1
