"""Signing in and out."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.crypto import Vault
from app.core.errors import ErrorCode, Refusal, invalid
from app.core.passwords import hash_password
from app.domain.identity import queries
from app.domain.identity.models import Role, Session, User
from app.domain.identity.policies import Actor

ACCESS_AUDIENCE = "access"
ACCESS_SECONDS = 3600
MIN_PASSWORD = 12
SESSION_LIFE = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """`access_token` is a JWT for the Authorization header; `refresh_token` buys the next one, once."""

    access_token: str
    refresh_token: str
    expires_at: datetime
    user: User


def wrong_credentials() -> Refusal:
    """The same words for an unknown address and a wrong password."""
    return Refusal(ErrorCode.UNAUTHENTICATED, "This e-mail address and password do not belong together.")


async def sign_in(session: AsyncSession, vault: Vault, user: User) -> SignedIn:
    """Opens a session for somebody whose password was checked."""
    refresh = secrets.token_urlsafe(32)
    opened = Session(user_id=user.id, refresh_hash=_hash(refresh), expires_at=datetime.now(UTC) + SESSION_LIFE)
    session.add(opened)
    await session.flush()
    return _signed_in(vault, opened.id, user, refresh)


async def refresh_session(session: AsyncSession, vault: Vault, refresh_token: str) -> SignedIn:
    """Exchanges a refresh token for new tokens; the old one is spent."""
    found = await queries.session_by_refresh(session, _hash(refresh_token))
    if found is None:
        raise Refusal(ErrorCode.UNAUTHENTICATED, "This session has ended. Please sign in again.")
    users = await queries.by_ids(session, Actor(found.user_id, Role.PATIENT, found.id), [found.user_id])
    refresh = secrets.token_urlsafe(32)
    found.refresh_hash = _hash(refresh)
    return _signed_in(vault, found.id, users[found.user_id], refresh)


async def sign_out(session: AsyncSession, actor: Actor) -> UUID:
    await session.execute(update(Session).where(Session.id == actor.session_id).values(revoked_at=func.now()))
    return actor.session_id


async def ensure_user(session: AsyncSession, *, email: str, name: str, role: Role, password: str) -> UUID:
    """The account with this address, made where there is none. For seeds and first administrators."""
    found = await queries.by_email(session, email)
    if found is not None:
        return found.id
    if "@" not in email or not name.strip():
        raise invalid("An account needs an e-mail address and a name.", "email")
    if len(password) < MIN_PASSWORD:
        raise invalid(f"A password has at least {MIN_PASSWORD} characters.", "password")
    user_id = await session.scalar(
        insert(User)
        .values(email=email.strip().lower(), name=name, type=role, password_hash=await hash_password(password))
        .returning(User.id)
    )
    assert user_id is not None
    return user_id


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _signed_in(vault: Vault, session_id: UUID, user: User, refresh: str) -> SignedIn:
    token = vault.sign({"sub": str(user.id), "sid": str(session_id)}, ACCESS_AUDIENCE, ACCESS_SECONDS)
    expires = datetime.now(UTC) + timedelta(seconds=ACCESS_SECONDS)
    return SignedIn(token, refresh, expires, user)
