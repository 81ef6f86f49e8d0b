"""Sign-ins as rows: a random token in the browser, its hash here, gone when it is idle, old or revoked.

A session that waits for the second factor is a row too, which opens nothing and is gone after ten minutes.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from app import users
from app.tables import sessions
from app.tables import users as accounts
from foundation import database

IDLE = timedelta(hours=8)
OLDEST = timedelta(days=7)
PATIENCE = timedelta(minutes=10)
"""How long the second factor may take after the password."""
_TOUCH_EVERY = timedelta(minutes=1)
_LONGEST_AGENT = 300


@dataclass(frozen=True, slots=True)
class Session:
    """A live sign-in, and the number it is known by to its owner."""

    user: users.User
    number: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """One sign-in as its owner sees it; `agent` is what the browser calls itself."""

    number: int
    created_at: datetime
    seen_at: datetime
    agent: str


def start(conn: sa.Connection, user_id: int, *, agent: str = "", pending: bool = False, now: datetime) -> str:
    """Opens a session and gives its token, which is kept nowhere."""
    token = secrets.token_urlsafe(32)
    called = "".join(letter for letter in agent[:_LONGEST_AGENT] if letter.isprintable())
    row = {"token_hash": _hash(token), "user_id": user_id, "agent": called, "pending": pending}
    conn.execute(sa.insert(sessions).values(**row, created_at=now, seen_at=now))
    if not pending:
        conn.execute(sa.update(accounts).where(accounts.c.id == user_id).values(signed_in_at=now))
    return token


def find(conn: sa.Connection, token: str, *, now: datetime) -> Session | None:
    """The live session of this token; None if it is unknown, idle, too old, waiting, or its user was disabled."""
    digest = _hash(token)
    row = conn.execute(
        sa.select(sessions.c.user_id, sessions.c.seen_at, sessions.c.number).where(
            sessions.c.token_hash == digest, *_live(now), sessions.c.pending.is_(False)
        )
    ).one_or_none()
    user = users.get(conn, row.user_id) if row else None
    if row is None or user is None or user.disabled:
        return None
    if row.seen_at < now - _TOUCH_EVERY:
        conn.execute(sa.update(sessions).where(sessions.c.token_hash == digest).values(seen_at=now))
    return Session(user, row.number)


def waiting(conn: sa.Connection, token: str, *, now: datetime) -> users.User | None:
    """Who gave the right password with this token a moment ago, and still owes the second factor."""
    mine = (sessions.c.token_hash == _hash(token)) & sessions.c.pending & (sessions.c.created_at > now - PATIENCE)
    user_id = conn.scalar(sa.select(sessions.c.user_id).where(mine))
    user = users.get(conn, user_id) if user_id is not None else None
    return user if user and not user.disabled else None


def _live(now: datetime) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return sessions.c.seen_at > now - IDLE, sessions.c.created_at > now - OLDEST


def of(conn: sa.Connection, user_id: int, *, now: datetime) -> list[Line]:
    """Where somebody is signed in, the last used first."""
    wanted = sa.select(sessions.c.number, sessions.c.created_at, sessions.c.seen_at, sessions.c.agent).where(
        sessions.c.user_id == user_id, *_live(now), sessions.c.pending.is_(False)
    )
    return database.read(conn, wanted.order_by(sessions.c.seen_at.desc(), sessions.c.number.desc()), Line)


def end(conn: sa.Connection, token: str) -> None:
    """Closes one session."""
    conn.execute(sa.delete(sessions).where(sessions.c.token_hash == _hash(token)))


def end_number(conn: sa.Connection, user_id: int, number: int) -> None:
    """Closes one of somebody's sessions by its number; of nobody else's."""
    conn.execute(sa.delete(sessions).where(sessions.c.user_id == user_id, sessions.c.number == number))


def end_others(conn: sa.Connection, user_id: int, *, keep: int) -> int:
    """Closes all of somebody's sessions but one; says how many."""
    mine = (sessions.c.user_id == user_id) & (sessions.c.number != keep)
    return conn.execute(sa.delete(sessions).where(mine)).rowcount


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
