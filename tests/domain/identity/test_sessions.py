"""Signing in, staying in, going out."""

import asyncio
from uuid import UUID, uuid4

import pytest
from sqlalchemy.exc import IntegrityError

from app.core.errors import ErrorCode, Refusal
from app.core.passwords import verify_password
from app.core.resources import Resources
from app.domain.identity import commands, queries
from app.domain.identity.commands import ACCESS_AUDIENCE, SignedIn
from app.domain.identity.models import Role, User
from app.domain.identity.policies import Actor, may_administer
from tests import factories
from tests.conftest import People
from tests.domain.rows import actor, actors, rows, sql


async def signed_in(resources: Resources, person: factories.Person) -> SignedIn:
    async with resources.db.transaction() as session:
        user = await queries.by_email(session, person.email)
        assert user is not None
        return await commands.sign_in(session, resources.vault, user)


async def refreshed(resources: Resources, token: str) -> SignedIn:
    async with resources.db.transaction() as session:
        return await commands.refresh_session(session, resources.vault, token)


async def behind(resources: Resources, access_token: str) -> Actor | None:
    claims = resources.vault.verify(access_token, ACCESS_AUDIENCE)
    assert claims is not None
    async with resources.db.reading() as session:
        return await queries.actor_of_session(session, UUID(claims["sid"]))


async def test_a_token_leads_to_the_person_and_the_role(resources: Resources, people: People) -> None:
    for person, role in (
        (people.dietician, Role.DIETICIAN),
        (people.patient, Role.PATIENT),
        (people.admin, Role.ADMIN),
    ):
        found = await behind(resources, (await signed_in(resources, person)).access_token)
        assert found is not None
        assert (found.id, found.role) == (person.id, role)


async def test_of_a_refresh_token_only_a_hash_is_kept(resources: Resources, people: People) -> None:
    opened = await signed_in(resources, people.dietician)
    (kept,) = await rows(resources, "SELECT refresh_hash FROM sessions")
    assert len(kept) == 64
    assert opened.refresh_token not in kept


async def test_a_refresh_token_is_good_once_and_keeps_the_session(resources: Resources, people: People) -> None:
    first = await signed_in(resources, people.dietician)
    second = await refreshed(resources, first.refresh_token)
    assert (await behind(resources, second.access_token)) == (await behind(resources, first.access_token))
    with pytest.raises(Refusal) as refused:
        await refreshed(resources, first.refresh_token)
    assert refused.value.code is ErrorCode.UNAUTHENTICATED
    assert (await refreshed(resources, second.refresh_token)).user.id == people.dietician.id


async def test_of_two_clients_with_one_refresh_token_one_gets_through(resources: Resources, people: People) -> None:
    token = (await signed_in(resources, people.dietician)).refresh_token
    found = await asyncio.gather(*(refreshed(resources, token) for _ in range(4)), return_exceptions=True)
    assert len([it for it in found if isinstance(it, SignedIn)]) == 1
    assert len([it for it in found if isinstance(it, Refusal)]) == 3


async def test_who_signs_out_is_out_at_once_and_alone(resources: Resources, people: People) -> None:
    here, elsewhere = await signed_in(resources, people.dietician), await signed_in(resources, people.dietician)
    caller = await behind(resources, here.access_token)
    assert caller is not None
    async with resources.db.transaction() as session:
        assert await commands.sign_out(session, caller) == caller.session_id
    assert await behind(resources, here.access_token) is None
    assert await behind(resources, elsewhere.access_token) is not None
    with pytest.raises(Refusal):
        await refreshed(resources, here.refresh_token)


@pytest.mark.parametrize(
    "end",
    [
        "UPDATE sessions SET expires_at = now() - interval '1 second'",
        "UPDATE sessions SET revoked_at = now()",
        "UPDATE users SET deleted_at = now()",
    ],
)
async def test_an_ended_session_or_account_lets_nobody_in(resources: Resources, people: People, end: str) -> None:
    opened = await signed_in(resources, people.dietician)
    await sql(resources, end)
    assert await behind(resources, opened.access_token) is None


async def test_an_unknown_refresh_token_is_refused(resources: Resources) -> None:
    for token in ("", "nonsense", "ünïcode"):
        with pytest.raises(Refusal):
            await refreshed(resources, token)


async def test_an_account_is_made_once_for_an_address(resources: Resources) -> None:
    async def ensure(email: str, password: str) -> UUID:
        async with resources.db.transaction() as session:
            return await commands.ensure_user(session, email=email, name="N", role=Role.ADMIN, password=password)

    first = await ensure(" Admin@Example.test ", "first-password")
    assert await ensure("admin@example.test", "second-password") == first
    ((email, stored),) = await rows(resources, "SELECT email, password_hash FROM users")
    assert email == "admin@example.test"
    assert await verify_password(stored, "first-password")


async def test_an_address_is_kept_in_small_letters_by_the_database(resources: Resources) -> None:
    with pytest.raises(IntegrityError, match="email_lower"):
        async with resources.db.transaction() as session:
            session.add(User(email="Big@Example.test", name="N", type=Role.ADMIN))


async def test_only_administrators_see_other_accounts(resources: Resources, people: People) -> None:
    async with resources.db.reading() as session:
        for name, caller in actors(people).items():
            seen = set(await session.scalars(queries.visible(caller).with_only_columns(User.id)))
            assert (seen == {caller.id}) is (name != "admin"), name
            assert (await queries.get(session, caller, people.other_dietician.id) is not None) is (
                caller.id == people.other_dietician.id or name == "admin"
            )


async def test_a_search_takes_its_words_as_they_stand(resources: Resources, people: People) -> None:
    async with resources.db.transaction() as session:
        await factories.person(session, "PATIENT", name="100%_sure")
    admin = actor(people.admin, Role.ADMIN)
    async with resources.db.reading() as session:
        for search, number in (("%", 1), ("_", 1), ("100%", 1), ("' OR 1=1", 0), ("DIETICIAN-", 2)):
            found = (await session.scalars(queries.listed(admin, search))).all()
            assert len(found) == number, search
        assert len((await session.scalars(queries.listed(admin, roles=[Role.DIETICIAN]))).all()) == 2


def test_only_an_administrator_administers() -> None:
    for role in Role:
        refusal = may_administer(Actor(uuid4(), role, uuid4()))
        assert (refusal is None) is (role is Role.ADMIN)
        assert refusal is None or refusal.code is ErrorCode.FORBIDDEN
