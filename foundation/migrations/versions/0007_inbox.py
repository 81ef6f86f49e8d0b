"""An inbox for events that are answered for and not yet taken in."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "inbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False, comment="how many it holds, refused ones among them"),
        sa.Column("parcels", sa.LargeBinary(), nullable=False, comment="JSON: what each request brought"),
        sa.PrimaryKeyConstraint("id", name=op.f("inbox_pkey")),
        comment="Answered for and durable, not yet taken into the tables above; one row for all who sent at a moment",
    )
    # Rows live for a moment: compressing them costs more than it saves.
    op.execute("ALTER TABLE inbox ALTER COLUMN parcels SET STORAGE EXTERNAL")
