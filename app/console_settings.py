"""What administrators decided of the console itself: who needs a second factor, whether the first steps still show."""

from datetime import datetime

import sqlalchemy as sa

from app import users
from app.tables import console_settings
from foundation import database

WHO = ("optional", "admins", "everyone")


def second_factor(conn: sa.Connection) -> str:
    """Who must have a second factor: one of `WHO`."""
    return conn.scalar(sa.select(console_settings.c.second_factor)) or WHO[0]


def require_second_factor(conn: sa.Connection, who: str) -> None:
    """From their next page on, those meant and without one are asked to set it up."""
    if who not in WHO:
        raise ValueError(f"{who} is none of {WHO}")
    database.upsert(conn, console_settings, [{"one_row": True, "second_factor": who}], key=["one_row"])


def must_enrol(conn: sa.Connection, user: users.User) -> bool:
    """Whether this person has to set up a second factor before anything else."""
    if user.second_factor:
        return False
    who = second_factor(conn)
    return who == "everyone" or who == "admins" and user.role == users.Role.ADMIN


def hide_first_steps(conn: sa.Connection, *, now: datetime | None) -> None:
    """The guide of the first minutes leaves the home page; None brings it back."""
    database.upsert(conn, console_settings, [{"one_row": True, "first_steps_hidden_at": now}], key=["one_row"])


def first_steps_hidden(conn: sa.Connection) -> bool:
    """Whether somebody put the guide away."""
    return conn.scalar(sa.select(console_settings.c.first_steps_hidden_at)) is not None
