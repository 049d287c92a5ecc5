"""Making connections and recording how they answer."""

import pytest

from app.connectors.provider.port import Auth, AuthKind
from app.core.errors import ErrorCode, Refusal
from app.core.resources import Resources
from app.domain.connections import commands, queries
from app.domain.connections.models import HealthStatus
from tests import factories
from tests.conftest import People
from tests.domain.rows import actors, everything, refusal_of, rows

URL = "https://ehr.example.test/fhir"
TOKEN = "a token that nobody should see"


async def test_an_administrator_makes_a_connection_and_it_is_tried_out(resources: Resources, people: People) -> None:
    async with resources.db.transaction() as session:
        made = await commands.create_provider(
            session, actors(people)["admin"], resources.vault, name=" The EHR ", base_url=URL + "/", auth=Auth()
        )
    assert (made.name, made.base_url, made.health_status) == ("The EHR", URL, HealthStatus.UNKNOWN)
    assert await rows(resources, "SELECT kind, subject_id FROM work") == [("connections.probe", made.id)]


@pytest.mark.parametrize("who", ["dietician", "practitioner", "patient"])
async def test_nobody_else_makes_one(resources: Resources, people: People, who: str) -> None:
    before = await everything(resources)
    with pytest.raises(Refusal) as refused:
        async with resources.db.transaction() as session:
            await commands.create_provider(
                session, actors(people)[who], resources.vault, name="Mine", base_url=URL, auth=Auth()
            )
    assert refused.value.code is ErrorCode.FORBIDDEN
    assert await everything(resources) == before


async def test_a_name_is_taken_once(resources: Resources, people: People) -> None:
    async with resources.db.transaction() as session:
        await factories.provider(session, resources.vault, URL, name="The EHR")
    before = await everything(resources)
    with pytest.raises(Refusal) as refused:
        async with resources.db.transaction() as session:
            await commands.create_provider(
                session, actors(people)["admin"], resources.vault, name="The EHR ", base_url=URL, auth=Auth()
            )
    assert refusal_of(refused) == (ErrorCode.TAKEN, ("name",))
    assert await everything(resources) == before


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": "  "}, ("name",)),
        ({"name": "n" * 201}, ("name",)),
        ({"page_size": 0}, ("pageSize",)),
        ({"page_size": 201}, ("pageSize",)),
        ({"auth": Auth(AuthKind.BEARER)}, ("auth", "token")),
    ],
)
async def test_an_unusable_connection_is_refused_with_its_field(
    resources: Resources, given: dict[str, object], field: tuple[str, ...]
) -> None:
    with pytest.raises(Refusal) as refused:
        async with resources.db.transaction() as session:
            await factories.provider(session, resources.vault, URL, **given)  # pyright: ignore[reportArgumentType]
    assert refusal_of(refused) == (ErrorCode.INVALID, field)
    assert await rows(resources, "SELECT id FROM providers") == []


async def test_credentials_are_sealed_to_their_row(resources: Resources) -> None:
    auth = Auth(AuthKind.BEARER, token=TOKEN)
    async with resources.db.transaction() as session:
        first = await factories.provider(session, resources.vault, URL, auth=auth)
        second = await factories.provider(session, resources.vault, URL, auth=auth)
    assert TOKEN.encode() not in (first.credentials or b"")
    opened = commands.connection(first, resources.vault, 77)
    assert (opened.auth, opened.base_url, opened.limits.attachment_bytes) == (auth, URL, 77)
    first.credentials = second.credentials
    with pytest.raises(ValueError, match="moved"):
        commands.connection(first, resources.vault, 77)


async def test_saving_again_changes_the_connection_of_that_name(resources: Resources) -> None:
    async with resources.db.transaction() as session:
        first = await factories.provider(session, resources.vault, URL, name="The EHR")
    async with resources.db.transaction() as session:
        second = await factories.provider(
            session, resources.vault, URL + "/r4", name="The EHR", file_hosts=[" Files.Example.test "], page_size=10
        )
    assert second.id == first.id
    assert (second.base_url, second.file_hosts, second.page_size) == (URL + "/r4", ["files.example.test"], 10)


async def test_a_platform_is_saved_by_its_name_and_its_key_is_sealed(resources: Resources) -> None:
    async with resources.db.transaction() as session:
        platform_id = await factories.platform(session, resources.vault, "https://care.example.test/", ("u", TOKEN))
    async with resources.db.reading() as session:
        found = await queries.platform(session, platform_id)
    assert found is not None
    assert TOKEN.encode() not in (found.credentials or b"")
    opened = commands.platform_connection(found, resources.vault)
    assert (opened.base_url, opened.username, opened.password) == ("https://care.example.test", "u", TOKEN)


async def test_patients_go_to_the_platform_only_where_there_is_one(resources: Resources) -> None:
    found: list[bool] = []
    for _ in range(3):
        async with resources.db.reading() as session:
            found.append(await queries.default_platform(session) is not None)
        async with resources.db.transaction() as session:
            await factories.platform(session, resources.vault, "https://care.example.test")
    assert found == [False, True, False]


async def test_a_connection_is_seen_by_administrators_and_dieticians(resources: Resources, people: People) -> None:
    async with resources.db.transaction() as session:
        provider_id = (await factories.provider(session, resources.vault, URL)).id
    async with resources.db.reading() as session:
        seen = {name for name, caller in actors(people).items() if await queries.get(session, caller, provider_id)}
    assert seen == {"admin", "dietician", "other dietician"}
