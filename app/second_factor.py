"""The second factor: six digits a telephone makes anew every half minute (TOTP, RFC 6238), and recovery codes for who
lost the telephone. No code counts twice, and a secret is never readable in the database."""

import hashlib
import re
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pyotp
import sqlalchemy as sa
from pyotp.utils import strings_equal

from app.tables import recovery_codes, users
from foundation import sealing

PURPOSE = "second factor"
ISSUER = "Relance"
DRIFT = (0, -1, 1)
"""Half minutes a telephone's clock may be off, in the order they are tried."""
STEP = 30
RECOVERY_CODES = 10
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


def begin(conn: sa.Connection, user_id: int, *, keys: Sequence[str]) -> str:
    """The secret to give to a telephone: a new one, or the one given before while it is not confirmed."""
    row = _row(conn, user_id)
    if row.second_factor is not None and row.second_factor_since is None:
        return sealing.unseal(row.second_factor, purpose=PURPOSE, keys=keys)
    secret = pyotp.random_base32()
    sealed = sealing.seal(secret, purpose=PURPOSE, keys=keys)
    fresh = (users.c.id == user_id) & users.c.second_factor_since.is_(None)
    conn.execute(sa.update(users).where(fresh).values(second_factor=sealed, second_factor_step=None))
    return secret


def address(secret: str, *, email: str) -> str:
    """What the telephone reads from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=ISSUER)


def confirm(conn: sa.Connection, user_id: int, code: str, *, keys: Sequence[str], now: datetime) -> list[str] | None:
    """Puts the factor in force once its first code is right, and gives the recovery codes, which are kept nowhere;
    None if the code is wrong."""
    if _row(conn, user_id).second_factor is None or not _totp(conn, user_id, code, keys=keys, now=now):
        return None
    conn.execute(sa.update(users).where(users.c.id == user_id).values(second_factor_since=now))
    return renew_recovery(conn, user_id)


def renew_recovery(conn: sa.Connection, user_id: int) -> list[str]:
    """New recovery codes in place of the old ones."""
    codes = ["-".join("".join(secrets.choice(_LETTERS) for _ in range(5)) for _ in "ab") for _ in range(RECOVERY_CODES)]
    conn.execute(sa.delete(recovery_codes).where(recovery_codes.c.user_id == user_id))
    conn.execute(sa.insert(recovery_codes), [{"user_id": user_id, "code_hash": _hash(code)} for code in codes])
    return codes


def check(conn: sa.Connection, user_id: int, code: str, *, keys: Sequence[str], now: datetime) -> bool:
    """Whether this code, or this recovery code, opens the account now; it is used up by being right."""
    if _row(conn, user_id).second_factor_since is None:
        return False
    if re.fullmatch(r"\d{6}", plain := re.sub(r"\s", "", code)):
        return _totp(conn, user_id, plain, keys=keys, now=now)
    mine = (recovery_codes.c.user_id == user_id) & (recovery_codes.c.code_hash == _hash(code))
    unused = mine & recovery_codes.c.used_at.is_(None)
    return conn.execute(sa.update(recovery_codes).where(unused).values(used_at=now)).rowcount == 1


def remove(conn: sa.Connection, user_id: int) -> None:
    """The password alone is asked from now on."""
    values = {"second_factor": None, "second_factor_since": None, "second_factor_step": None}
    conn.execute(sa.update(users).where(users.c.id == user_id).values(**values))
    conn.execute(sa.delete(recovery_codes).where(recovery_codes.c.user_id == user_id))


def left(conn: sa.Connection, user_id: int) -> int:
    """How many recovery codes were not used."""
    mine = (recovery_codes.c.user_id == user_id) & recovery_codes.c.used_at.is_(None)
    return conn.scalar(sa.select(sa.func.count()).where(mine)) or 0


def _totp(conn: sa.Connection, user_id: int, code: str, *, keys: Sequence[str], now: datetime) -> bool:
    """Whether the digits are those of this half minute or its neighbours, and none of them or later was used."""
    row = _row(conn, user_id)
    made = pyotp.TOTP(sealing.unseal(row.second_factor, purpose=PURPOSE, keys=keys))
    here = int(now.timestamp()) // STEP
    plain = re.sub(r"\s", "", code)
    found = next((here + off for off in DRIFT if strings_equal(made.generate_otp(here + off), plain)), None)
    if found is None or (row.second_factor_step is not None and found <= row.second_factor_step):
        return False
    conn.execute(sa.update(users).where(users.c.id == user_id).values(second_factor_step=found))
    return True


def _row(conn: sa.Connection, user_id: int) -> "sa.Row[Any, Any, Any]":
    """The account's line, held until the transaction ends: two tries at once take turns."""
    columns = (users.c.second_factor, users.c.second_factor_since, users.c.second_factor_step)
    return conn.execute(sa.select(*columns).where(users.c.id == user_id).with_for_update()).one()


def _hash(code: str) -> bytes:
    return hashlib.sha256(re.sub(r"[\s-]", "", code).lower().encode(errors="replace")).digest()
