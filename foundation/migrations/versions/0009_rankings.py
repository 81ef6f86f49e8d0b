"""Rankings made ahead, for customers who did nothing since."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "rankings",
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("model_id", sa.BigInteger(), nullable=False, comment="whose product numbers these are"),
        sa.Column("version", sa.BigInteger(), nullable=False,
                  comment="of her profile; whoever did anything since has another"),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("products", sa.LargeBinary(), nullable=False, comment="number, score and source of each, best first"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("rankings_customer_id_fkey"),
                                ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("rankings_pkey")),
        comment="What the live model ranks for each customer, made ahead; may be emptied at any time",
    )
