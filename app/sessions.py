"""Sign-ins as rows: a random token in the browser, its hash here, gone when it is idle, old or revoked."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from app import users
from app.tables import sessions

IDLE = timedelta(hours=8)
OLDEST = timedelta(days=7)
_TOUCH_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Session:
    """A live sign-in."""

    user: users.User


def start(conn: sa.Connection, user_id: int, *, now: datetime) -> str:
    """Opens a session and gives its token, which is kept nowhere."""
    token = secrets.token_urlsafe(32)
    conn.execute(sa.insert(sessions).values(token_hash=_hash(token), user_id=user_id, created_at=now, seen_at=now))
    return token


def find(conn: sa.Connection, token: str, *, now: datetime) -> Session | None:
    """The live session of this token; None if it is unknown, idle, too old, or its user was disabled."""
    digest = _hash(token)
    row = conn.execute(
        sa.select(sessions.c.user_id, sessions.c.seen_at).where(
            sessions.c.token_hash == digest,
            sessions.c.seen_at > now - IDLE,
            sessions.c.created_at > now - OLDEST,
        )
    ).one_or_none()
    user = users.get(conn, row.user_id) if row else None
    if row is None or user is None or user.disabled:
        return None
    if row.seen_at < now - _TOUCH_EVERY:
        conn.execute(sa.update(sessions).where(sessions.c.token_hash == digest).values(seen_at=now))
    return Session(user)


def end(conn: sa.Connection, token: str) -> None:
    """Closes one session."""
    conn.execute(sa.delete(sessions).where(sessions.c.token_hash == _hash(token)))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
