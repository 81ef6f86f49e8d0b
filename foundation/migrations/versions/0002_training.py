"""Training runs that are asked for, tell how far they are and keep what they compared; moves of the live model."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("training_runs", sa.Column("asked_by", sa.Text(), nullable=True,
                  comment="who asked for it in the console; empty for the nightly run"))
    op.add_column("training_runs", sa.Column("progress", postgresql.JSONB(), server_default="{}", nullable=False,
                  comment="{step, done, of} while it runs"))
    op.add_column("training_runs", sa.Column("report", postgresql.JSONB(), server_default="{}", nullable=False,
                  comment="what was compared with what, with intervals; groups of customers; "
                          "what each source contributed"))
    op.alter_column("training_runs", "state", comment="asked running published refused failed")
    op.create_index("training_runs_asked_key", "training_runs", ["state"], unique=True,
                    postgresql_where=sa.text("state = 'asked'"))
    op.create_table(
        "model_moves",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("model_id", sa.BigInteger(), nullable=False),
        sa.Column("before_id", sa.BigInteger(), nullable=True, comment="the model that was live until then"),
        sa.Column("why", sa.Text(), nullable=False, comment="published or chosen"),
        sa.Column("by", sa.Text(), nullable=False, comment="the run, or the person"),
        sa.PrimaryKeyConstraint("id", name=op.f("model_moves_pkey")),
        comment="Every move of the pointer; rows are only ever added",
    )
