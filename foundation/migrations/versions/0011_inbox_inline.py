"""Rows of the inbox that fit a page stay in one piece: apart, each costs as much again to write, read and remove."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.execute("ALTER TABLE inbox SET (toast_tuple_target = 8160)")
