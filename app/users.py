"""The people who use the console: their roles and their passwords."""

from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum

import argon2
import sqlalchemy as sa
from email_validator import EmailNotValidError, validate_email

from app.tables import sessions, users
from foundation.database import insert_once
from foundation.errors import Conflict, Fault, Invalid

_hasher = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_NOBODY = _hasher.hash("the password of an address nobody has")
"""Checked when the address is unknown, so that the answer takes as long as for a wrong password."""

SHORTEST, LONGEST = 8, 1024
LONGEST_NAME = 80


class Role(StrEnum):
    """What a person may do in the console."""

    ADMIN = "admin"
    MARKETER = "marketer"
    ANALYST = "analyst"
    STORE = "store"


@dataclass(frozen=True, slots=True)
class User:
    """Someone who may sign in."""

    id: int
    email: str
    name: str | None
    role: Role
    locale: str | None
    disabled: bool
    second_factor: bool = False


@dataclass(frozen=True, slots=True)
class Colleague:
    """One line of the team: who, what she may do, and when she last signed in."""

    id: int
    email: str
    name: str | None
    role: Role
    created_at: datetime
    signed_in_at: datetime | None
    disabled_at: datetime | None
    second_factor_since: datetime | None


def team(conn: sa.Connection) -> list[Colleague]:
    """Everybody who has an account, those who may sign in first."""
    names = [field.name for field in fields(Colleague)]
    order = (users.c.disabled_at.is_not(None), sa.func.lower(sa.func.coalesce(users.c.name, users.c.email)))
    rows = conn.execute(sa.select(*(users.c[name] for name in names)).order_by(*order)).mappings()
    return [Colleague(**{**row, "role": Role(row["role"])}) for row in rows]


def create(
    conn: sa.Connection,
    *,
    email: str,
    role: str,
    password: str,
    now: datetime,
    name: str | None = None,
    locale: str | None = None,
) -> int:
    """Adds a person; raises `Invalid` on a bad address, role or password, `Conflict` if the address is taken."""
    faults = [*_password_faults(password)]
    if role not in list(Role):
        faults.append(Fault("/role", f"is {role!r}; give one of: {', '.join(Role)}"))
    try:
        validate_email(normalised(email), check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        faults.append(Fault("/email", str(error)))
    if faults:
        raise Invalid(*faults)
    values = {"email": normalised(email), "role": role, "name": name, "locale": locale, "created_at": now}
    if not insert_once(conn, users, {**values, "password_hash": _hasher.hash(password)}):
        raise Conflict("user_exists", "This address already has an account.")
    return int(conn.scalar(sa.select(users.c.id).where(users.c.email == normalised(email))) or 0)


def _password_faults(password: str) -> list[Fault]:
    if SHORTEST <= len(password) <= LONGEST and password.isprintable():
        return []
    return [Fault("/password", f"needs {SHORTEST} to {LONGEST} characters, all of them printable")]


def normalised(email: str) -> str:
    """Addresses differ by more than capitals and spaces around them."""
    return email.strip().lower()


def authenticate(conn: sa.Connection, email: str, password: str) -> User | None:
    """The person of this address and password; takes the same time whatever is wrong."""
    row = None
    if "\0" not in email and email.isprintable():
        row = conn.execute(sa.select(users).where(users.c.email == normalised(email))).one_or_none()
    known = row.password_hash if row else _NOBODY
    try:
        _hasher.verify(known, password[:LONGEST].encode(errors="replace"))
    except argon2.exceptions.VerificationError:
        return None
    if row is None or row.disabled_at is not None:
        return None
    if _hasher.check_needs_rehash(known):
        values = {"password_hash": _hasher.hash(password)}
        conn.execute(sa.update(users).where(users.c.id == row.id).values(**values))
    return _user(row)


def get(conn: sa.Connection, user_id: int) -> User | None:
    """One person by id."""
    row = conn.execute(sa.select(users).where(users.c.id == user_id)).one_or_none()
    return _user(row) if row else None


def _user(row: "sa.Row[tuple[object, ...]]") -> User:
    found = row._mapping
    return User(
        found["id"],
        found["email"],
        found["name"],
        Role(found["role"]),
        found["locale"],
        found["disabled_at"] is not None,
        found["second_factor_since"] is not None,
    )


def change_password(conn: sa.Connection, user_id: int, *, password: str) -> None:
    """Sets a new password and signs the person out everywhere."""
    if faults := _password_faults(password):
        raise Invalid(*faults)
    values = {"password_hash": _hasher.hash(password)}
    conn.execute(sa.update(users).where(users.c.id == user_id).values(**values))
    _sign_out_everywhere(conn, user_id)


def disable(conn: sa.Connection, user_id: int, *, now: datetime) -> None:
    """Closes an account; the person is signed out everywhere at once. Raises `Conflict` for the last administrator."""
    _keep_an_admin(conn, user_id)
    conn.execute(sa.update(users).where(users.c.id == user_id).values(disabled_at=now))
    _sign_out_everywhere(conn, user_id)


def enable(conn: sa.Connection, user_id: int) -> None:
    """Opens an account again."""
    conn.execute(sa.update(users).where(users.c.id == user_id).values(disabled_at=None))


def change_role(conn: sa.Connection, user_id: int, *, role: Role) -> None:
    """What the person may do from her next page on. Raises `Conflict` for the last administrator."""
    if role != Role.ADMIN:
        _keep_an_admin(conn, user_id)
    conn.execute(sa.update(users).where(users.c.id == user_id).values(role=str(role)))


def _keep_an_admin(conn: sa.Connection, user_id: int) -> None:
    """An installation without an administrator could not be mended from inside. Two who leave at once wait in line."""
    active = sa.select(users.c.id).where(users.c.role == Role.ADMIN, users.c.disabled_at.is_(None)).with_for_update()
    if set(conn.scalars(active)) == {user_id}:
        raise Conflict("last_admin", "This is the only administrator: give somebody else the role first.")


def rename(conn: sa.Connection, user_id: int, *, name: str) -> None:
    """How the console addresses the person; raises `Invalid`."""
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise Invalid(Fault("/name", f"needs 1 to {LONGEST_NAME} characters, all of them printable"))
    conn.execute(sa.update(users).where(users.c.id == user_id).values(name=name))


def choose_locale(conn: sa.Connection, user_id: int, *, locale: str) -> None:
    """Remembers the language this person reads the console in."""
    conn.execute(sa.update(users).where(users.c.id == user_id).values(locale=locale))


def _sign_out_everywhere(conn: sa.Connection, user_id: int) -> None:
    conn.execute(sa.delete(sessions).where(sessions.c.user_id == user_id))
