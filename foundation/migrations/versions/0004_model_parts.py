"""Models are kept in parts, so that none is ever whole in memory; those of the format before cannot be read any more."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("DELETE FROM live_model")
    op.execute("DELETE FROM models")
    op.drop_column("models", "artefact")
    op.add_column("models", sa.Column("size", sa.BigInteger(), nullable=False, comment="bytes of all parts"))
    op.alter_column("models", "sha256", comment="of all parts, end to end")
    op.create_table(
        "model_parts",
        sa.Column("model_id", sa.BigInteger(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=False, comment="plain arrays; never pickle"),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("model_parts_model_id_fkey"),
                                ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("model_id", "part", name=op.f("model_parts_pkey")),
        comment="The artefact of a model, in order",
    )
    op.execute("ALTER TABLE model_parts ALTER COLUMN bytes SET STORAGE EXTERNAL")  # factors do not compress
