"""Making, reading and deleting Subscriptions at a real server."""

import json
from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest

from app.connectors.provider.fhir.subscriptions import Subscriptions, Wanted, connect, for_subscriptions, resource
from app.connectors.provider.port import Auth, AuthKind, Connection, ProviderError, ProviderErrorCode
from tests import factories
from tests.conftest import Sandbox

WANTED = Wanted("DocumentReference", "http://127.0.0.1:9/hooks/providers/1", "X-Secret: hush")
LOCAL = ("127.0.0.0/8",)


@pytest.fixture
async def opened(sandbox: Sandbox) -> AsyncGenerator[Subscriptions]:
    async with connect(Connection(sandbox.fhir, networks=LOCAL)) as found:
        yield found


async def test_a_subscription_is_made_once_even_where_its_answer_was_lost(opened: Subscriptions) -> None:
    made = await opened.establish(WANTED)
    again = await opened.establish(WANTED)
    assert (made.id, made.status, made.endpoint) == (again.id, "requested", WANTED.endpoint)
    other = await opened.establish(replace(WANTED, endpoint="http://127.0.0.1:9/hooks/providers/2"))
    assert other.id != made.id


async def test_one_that_is_gone_reads_as_none_and_is_deleted_without_a_word(opened: Subscriptions) -> None:
    made = await opened.establish(WANTED)
    assert (await opened.read(made.id)) is not None
    await opened.delete(made.id)
    await opened.delete(made.id)
    assert await opened.read(made.id) is None
    assert await opened.read("never") is None
    with pytest.raises(ProviderError) as refused:
        await opened.renew(replace(WANTED, endpoint="ftp://nowhere"), made.id)
    assert not refused.value.retryable


async def test_whose_a_resource_is(opened: Subscriptions, sandbox: Sandbox) -> None:
    sandbox.ehr.put(factories.note("amara", 1))
    assert await opened.subject("DocumentReference/amara-note-1") == "Patient/amara"
    assert await opened.subject("DocumentReference/none") is None
    sandbox.ehr.delete("DocumentReference", "amara-note-1")
    assert await opened.subject("DocumentReference/amara-note-1") is None


async def test_a_server_that_does_not_let_us_says_so(sandbox: Sandbox) -> None:
    sandbox.ehr.set_open(False)
    sandbox.ehr.register_client("reader", "bearer", secret="token", scopes="system/*.rs")
    async with connect(Connection(sandbox.fhir, Auth(AuthKind.BEARER, token="token"), networks=LOCAL)) as opened:
        with pytest.raises(ProviderError) as refused:
            await opened.establish(WANTED)
    assert refused.value.code is ProviderErrorCode.FORBIDDEN


def test_by_topic_where_there_is_one_and_by_criteria_else() -> None:
    by_topic, plain = resource(WANTED, topic=True), resource(WANTED, topic=False)
    assert (plain["criteria"], "_criteria" in plain) == ("DocumentReference?", False)
    assert by_topic["criteria"].endswith("/patient-data-feed")
    for each in (by_topic, plain):
        assert each["channel"]["header"] == ["X-Secret: hush"]
        assert each["channel"]["_payload"]["extension"][0]["valueCode"] == "id-only"
        assert json.dumps(each)


def test_the_scope_is_asked_for_beside_the_others_and_only_where_it_lacks() -> None:
    asked = Auth(AuthKind.SMART_BACKEND, scope="system/DocumentReference.rs")
    assert for_subscriptions(Connection("http://x", asked)).auth.scope.endswith(" system/Subscription.cruds")
    older = replace(asked, scope="system/*.read")
    assert for_subscriptions(Connection("http://x", older)).auth.scope.endswith(" system/Subscription.write")
    enough = replace(asked, scope="system/*.cruds")
    assert for_subscriptions(Connection("http://x", enough)).auth == enough


def test_the_secret_is_not_shown_where_a_wish_is_logged() -> None:
    assert "hush" not in repr(WANTED)
