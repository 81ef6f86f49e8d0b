"""Links that let somebody choose a password: of a new colleague, or of one who forgot hers. Each once, for a week."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from email_validator import EmailNotValidError, validate_email

from app import users
from app.tables import invitations
from app.tables import users as accounts
from foundation import database
from foundation.errors import Conflict, Fault, Invalid, NotFound

VALID = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Invitation:
    """One open link; `user_id` is empty for somebody new."""

    id: int
    email: str
    role: str
    user_id: int | None
    invited_by: str
    invited_at: datetime


def invite(conn: sa.Connection, *, email: str, role: str, by: str, now: datetime) -> str:
    """Opens the door to somebody new and gives the token of her link, which is kept nowhere; a second one to the same
    address takes the place of the first. Raises `Invalid`, or `Conflict` if she has an account."""
    faults = [] if role in list(users.Role) else [Fault("/role", f"give one of: {', '.join(users.Role)}")]
    try:
        validate_email(users.normalised(email), check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        faults.append(Fault("/email", str(error)))
    if faults:
        raise Invalid(*faults)
    address = users.normalised(email)
    if conn.scalar(sa.select(accounts.c.id).where(accounts.c.email == address)) is not None:
        raise Conflict("user_exists", "This address already has an account.")
    return _open(conn, {"email": address, "role": role, "user_id": None, "invited_by": by, "invited_at": now})


def renew(conn: sa.Connection, user_id: int, *, by: str, now: datetime) -> str:
    """A link by which a colleague chooses a new password."""
    user = users.get(conn, user_id)
    if user is None:
        raise NotFound("no such person")
    row = {"email": user.email, "role": str(user.role), "user_id": user.id, "invited_by": by, "invited_at": now}
    return _open(conn, row)


def _open(conn: sa.Connection, row: dict[str, object]) -> str:
    token = secrets.token_urlsafe(32)
    conn.execute(sa.delete(invitations).where(invitations.c.email == row["email"]))
    conn.execute(sa.insert(invitations).values(**row, token_hash=_hash(token)))
    return token


def waiting(conn: sa.Connection, *, now: datetime) -> list[Invitation]:
    """The links nobody has used yet, the newest first."""
    return database.read(conn, _select().where(_valid(now)).order_by(invitations.c.id.desc()), Invitation)


def find(conn: sa.Connection, token: str, *, now: datetime) -> Invitation | None:
    """What this link opens; None if it was used, withdrawn, or is too old."""
    wanted = _select().where(invitations.c.token_hash == _hash(token), _valid(now)).with_for_update()
    return next(iter(database.read(conn, wanted, Invitation)), None)


def accept(conn: sa.Connection, found: Invitation, *, name: str, password: str, now: datetime) -> int:
    """Her account, with the password she chose; the link is used up. Raises `Invalid`."""
    if found.user_id is not None:
        users.change_password(conn, found.user_id, password=password)
        user_id = found.user_id
    else:
        user_id = users.create(conn, email=found.email, role=found.role, password=password, now=now)
        users.rename(conn, user_id, name=name)
    withdraw(conn, found.id)
    return user_id


def withdraw(conn: sa.Connection, number: int) -> None:
    """The link leads nowhere from now on."""
    conn.execute(sa.delete(invitations).where(invitations.c.id == number))


def _select() -> "sa.Select[tuple[object, ...]]":
    return sa.select(*(invitations.c[name] for name in Invitation.__slots__))


def _valid(now: datetime) -> sa.ColumnElement[bool]:
    return invitations.c.invited_at > now - VALID


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
