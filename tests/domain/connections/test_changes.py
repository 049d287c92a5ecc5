"""Changing connections, and their keys."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import text

from app.connectors.provider.fhir.auth import assertion
from app.connectors.provider.port import Auth, AuthKind
from app.core.errors import ErrorCode, Refusal
from app.core.resources import Resources
from app.domain.connections import commands, queries, rules
from app.domain.connections.commands import ProviderSettings
from app.domain.connections.models import Provider
from tests import factories
from tests.conftest import People
from tests.domain.rows import actors, everything, refusal_of, rows

URL = "https://ehr.example.test/fhir"
BEARER = Auth(AuthKind.BEARER, token="a token that nobody should see")
SMART = Auth(AuthKind.SMART_BACKEND, client_id="records")


async def _provider(resources: Resources, **given: Any) -> Provider:
    async with resources.db.transaction() as session:
        return await factories.provider(session, resources.vault, URL, **given)


async def _update(
    resources: Resources, people: People, provider_id: UUID, who: str = "admin", **given: Any
) -> Provider:
    revision = given.pop("expected_revision", None)
    async with resources.db.transaction() as session:
        return await commands.update_provider(
            session,
            actors(people)[who],
            resources.vault,
            provider_id,
            ProviderSettings(**given),
            expected_revision=revision,
        )


async def _rotate(resources: Resources, people: People, provider_id: UUID, who: str = "admin") -> Provider:
    async with resources.db.transaction() as session:
        return await commands.rotate_key(session, actors(people)[who], resources.vault, provider_id)


async def _age(resources: Resources, by: timedelta) -> Provider:
    """The rotation, so much later."""
    async with resources.db.transaction() as session:
        await session.execute(
            text(
                "UPDATE providers SET key_changes_at = key_changes_at - CAST(:by AS interval),"
                " former_key_until = former_key_until - CAST(:by AS interval)"
            ),
            {"by": by},
        )
    async with resources.db.reading() as session:
        (found,) = await queries.smart_providers(session)
    return found


def _rsa() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _kids(provider: Provider, resources: Resources) -> list[str]:
    return [rules.public_jwk(auth)["kid"] for auth in commands.published_auths(provider, resources.vault)]


async def test_what_is_not_given_stays_as_it_is(resources: Resources, people: People) -> None:
    made = await _provider(resources, auth=BEARER, page_size=30, file_hosts=["files.example.test:443"])
    changed = await _update(
        resources, people, made.id, name=" Renamed ", sync_every_minutes=15, requests_per_second=2.5
    )
    assert (changed.name, changed.base_url, changed.page_size, changed.revision) == ("Renamed", URL, 30, 2)
    assert (changed.sync_every_minutes, changed.sweep_every_days, changed.requests_per_second) == (15, 7, 2.5)
    assert changed.file_hosts == ["files.example.test:443"]
    assert commands.connection(changed, resources.vault, 1).auth == BEARER
    again = await _update(resources, people, made.id, sweep_every_days=1)
    assert (again.sync_every_minutes, again.requests_per_second) == (15, 2.5)
    off = await _update(resources, people, made.id, sync_every_minutes=None, requests_per_second=None, file_hosts=[])
    assert (off.sync_every_minutes, off.requests_per_second, off.file_hosts) == (None, None, [])
    assert await rows(resources, "SELECT kind FROM work") == []


async def test_another_address_forgets_what_was_known_of_the_server_and_tries_it_out(
    resources: Resources, people: People
) -> None:
    made = await _provider(resources)
    async with resources.db.transaction() as session:
        await session.execute(text("""UPDATE providers SET strategy = '{"batch": true}', health_status = 'HEALTHY'"""))
    changed = await _update(resources, people, made.id, base_url=URL + "/r4/")
    assert (changed.base_url, changed.strategy, changed.health_status) == (URL + "/r4", {}, "UNKNOWN")
    assert await rows(resources, "SELECT kind, subject_id FROM work") == [("connections.probe", made.id)]


async def test_a_secret_is_not_sent_to_another_server_unless_it_is_entered_again(
    resources: Resources, people: People
) -> None:
    made = await _provider(resources, auth=BEARER)
    before = await everything(resources)
    with pytest.raises(Refusal) as refused:
        await _update(resources, people, made.id, base_url="https://elsewhere.example.test/fhir")
    assert refusal_of(refused) == (ErrorCode.INVALID, ("auth",))
    assert await everything(resources) == before
    moved = await _update(resources, people, made.id, base_url=URL + "/r4")
    assert moved.base_url == URL + "/r4"
    moved = await _update(resources, people, made.id, base_url="https://elsewhere.example.test/fhir", auth=BEARER)
    assert moved.base_url == "https://elsewhere.example.test/fhir"


async def test_a_token_of_a_fixed_endpoint_is_not_sent_to_another_server(resources: Resources, people: People) -> None:
    auth = Auth(AuthKind.SMART_BACKEND, client_id="us", token_url="https://idp.example.test/token")
    made = await _provider(resources, auth=auth)
    with pytest.raises(Refusal) as refused:
        await _update(resources, people, made.id, base_url="https://elsewhere.example.test/fhir")
    assert refusal_of(refused) == (ErrorCode.INVALID, ("auth",))


async def test_new_credentials_take_the_place_of_the_old_ones_and_are_tried_out(
    resources: Resources, people: People
) -> None:
    made = await _provider(resources, auth=BEARER)
    changed = await _update(resources, people, made.id, auth=Auth(AuthKind.BASIC, username="u", password="p"))
    assert changed.auth_kind is AuthKind.BASIC
    assert commands.connection(changed, resources.vault, 1).auth.token == ""
    assert await rows(resources, "SELECT kind FROM work") == ["connections.probe"]


async def test_a_change_that_was_made_on_an_older_state_is_refused(resources: Resources, people: People) -> None:
    made = await _provider(resources)
    await _update(resources, people, made.id, page_size=20, expected_revision=1)
    with pytest.raises(Refusal) as refused:
        await _update(resources, people, made.id, page_size=30, expected_revision=1)
    assert refusal_of(refused) == (ErrorCode.CONFLICT, ("expectedRevision",))


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": " "}, ("name",)),
        ({"base_url": "ftp://x"}, ("baseUrl",)),
        ({"file_hosts": ["me@files.example.test"]}, ("fileHosts",)),
        ({"file_hosts": ["https://files.example.test"]}, ("fileHosts",)),
        ({"file_hosts": ["files.example.test:99999"]}, ("fileHosts",)),
        ({"file_hosts": [f"h{it}.example.test" for it in range(101)]}, ("fileHosts",)),
        ({"page_size": 0}, ("pageSize",)),
        ({"requests_per_second": 0.0}, ("requestsPerSecond",)),
        ({"requests_per_second": float("nan")}, ("requestsPerSecond",)),
        ({"sync_every_minutes": 0}, ("syncEveryMinutes",)),
        ({"sync_every_minutes": 10_081}, ("syncEveryMinutes",)),
        ({"sweep_every_days": 0}, ("sweepEveryDays",)),
        ({"auth": Auth(AuthKind.BEARER)}, ("auth", "token")),
        ({"auth": Auth(AuthKind.BEARER, token="t" * 20_001)}, ("auth",)),
    ],
)
async def test_a_bad_change_is_refused_with_its_field(
    resources: Resources, people: People, given: dict[str, Any], field: tuple[str, ...]
) -> None:
    made = await _provider(resources)
    before = await everything(resources)
    with pytest.raises(Refusal) as refused:
        await _update(resources, people, made.id, **given)
    assert refusal_of(refused) == (ErrorCode.INVALID, field)
    assert await everything(resources) == before


async def test_another_providers_name_is_taken(resources: Resources, people: People) -> None:
    await _provider(resources, name="The other")
    made = await _provider(resources, name="The one")
    with pytest.raises(Refusal) as refused:
        await _update(resources, people, made.id, name=" The other")
    assert refusal_of(refused) == (ErrorCode.TAKEN, ("name",))
    assert (await _update(resources, people, made.id, name="The one ")).name == "The one"


@pytest.mark.parametrize(
    ("who", "code"),
    [("dietician", ErrorCode.FORBIDDEN), ("patient", ErrorCode.NOT_FOUND), ("practitioner", ErrorCode.NOT_FOUND)],
)
async def test_only_administrators_change_anything(
    resources: Resources, people: People, who: str, code: ErrorCode
) -> None:
    made = await _provider(resources, auth=SMART)
    before = await everything(resources)
    for change in (_update(resources, people, made.id, who, page_size=3), _rotate(resources, people, made.id, who)):
        with pytest.raises(Refusal) as refused:
            await change
        assert refused.value.code is code
    with pytest.raises(Refusal) as refused:
        async with resources.db.transaction() as session:
            await commands.ask_for_probe(session, actors(people)[who], made.id)
    assert refused.value.code is code
    assert await everything(resources) == before


async def test_a_new_key_is_published_first_used_later_and_the_former_one_goes_last(
    resources: Resources, people: People
) -> None:
    made = await _provider(resources, auth=SMART)
    first = commands.signing_auth(made, resources.vault).key_id

    rotated = await _rotate(resources, people, made.id)
    second, former = _kids(rotated, resources)
    assert former == first != second
    assert commands.connection(rotated, resources.vault, 1).auth.key_id == first

    using = await _age(resources, rules.KEY_SETTLES + timedelta(seconds=1))
    assert commands.connection(using, resources.vault, 1).auth.key_id == second
    assert _kids(using, resources) == [second, first]

    ended = await _age(resources, rules.KEY_OVERLAP)
    assert _kids(ended, resources) == [second]
    assert commands.connection(ended, resources.vault, 1).auth.key_id == second
    assert (await _rotate(resources, people, made.id)).revision == 3


async def test_what_either_key_signs_is_verified_by_what_is_published(resources: Resources, people: People) -> None:
    made = await _provider(resources, auth=SMART)
    rotated = await _rotate(resources, people, made.id)
    published = {jwk["kid"]: jwk for jwk in map(rules.public_jwk, commands.published_auths(rotated, resources.vault))}
    later = await _age(resources, rules.KEY_SETTLES + timedelta(seconds=1))
    for provider in (rotated, later):
        signed = assertion(commands.signing_auth(provider, resources.vault), "https://ehr.example.test/token")
        key = jwt.PyJWK(published[jwt.get_unverified_header(signed)["kid"]]).key
        claims = jwt.decode(signed, key, algorithms=["ES384"], audience="https://ehr.example.test/token")
        assert claims["iss"] == claims["sub"] == "records"
        assert claims["exp"] - claims["iat"] <= 300


async def test_keys_are_not_changed_while_a_change_is_under_way(resources: Resources, people: People) -> None:
    made = await _provider(resources, auth=SMART)
    await _rotate(resources, people, made.id)
    with pytest.raises(Refusal) as refused:
        await _rotate(resources, people, made.id)
    assert refusal_of(refused) == (ErrorCode.CONFLICT, ("id",))


async def test_a_connection_without_a_key_has_none_to_change(resources: Resources, people: People) -> None:
    made = await _provider(resources, auth=BEARER)
    with pytest.raises(Refusal) as refused:
        await _rotate(resources, people, made.id)
    assert refusal_of(refused) == (ErrorCode.CONFLICT, ("id",))


async def test_new_credentials_end_a_change_of_keys_at_once(resources: Resources, people: People) -> None:
    made = await _provider(resources, auth=SMART)
    await _rotate(resources, people, made.id)
    replaced = await _update(resources, people, made.id, auth=SMART)
    assert len(_kids(replaced, resources)) == 1
    assert commands.signing_auth(replaced, resources.vault).key_id == _kids(replaced, resources)[0]


async def test_an_rsa_key_is_followed_by_an_rsa_key(resources: Resources, people: People) -> None:
    made = await _provider(resources, auth=Auth(AuthKind.SMART_BACKEND, client_id="us", private_key=_rsa()))
    rotated = await _rotate(resources, people, made.id)
    shown = [rules.public_jwk(auth) for auth in commands.published_auths(rotated, resources.vault)]
    assert [jwk["alg"] for jwk in shown] == ["RS384", "RS384"]
    assert len({jwk["kid"] for jwk in shown}) == 2


async def test_a_probe_is_asked_for_once(resources: Resources, people: People) -> None:
    made = await _provider(resources)
    for _ in range(2):
        async with resources.db.transaction() as session:
            await commands.ask_for_probe(session, actors(people)["admin"], made.id)
    assert await rows(resources, "SELECT kind, subject_id FROM work") == [("connections.probe", made.id)]
