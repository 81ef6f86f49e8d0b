"""What the merchant decided of placements and products, experiments, and what became of the slates shown."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"

Time = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("slates", sa.Column("arm", sa.Text(), nullable=True, comment="model or popularity; empty without an experiment"))
    op.drop_index("slates_customer_id_idx", table_name="slates")
    op.create_index("slates_customer_id_idx", "slates", ["customer_id", "placement", "shown_at"],
                    postgresql_where=sa.text("customer_id IS NOT NULL"))
    op.create_index("slates_arm_idx", "slates", ["placement", "shown_at"], postgresql_where=sa.text("arm IS NOT NULL"))
    op.create_table(
        "slate_clicks",
        sa.Column("slate_id", postgresql.UUID(), nullable=False),
        sa.Column("product_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=True),
        sa.Column("placement", sa.Text(), nullable=False),
        sa.Column("model_id", sa.BigInteger(), nullable=True),
        sa.Column("arm", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False, comment="of the product clicked"),
        sa.Column("shown_at", Time, nullable=False),
        sa.Column("clicked_at", Time, nullable=False, comment="the first time"),
        sa.Column("added_at", Time, nullable=True, comment="when it was put into the basket from there"),
        sa.Column("order_id", sa.Text(), nullable=True, comment="the first order of it within a week of the click"),
        sa.Column("revenue", sa.BigInteger(), server_default="0", nullable=False,
                  comment="minor units: its lines in that order"),
        sa.PrimaryKeyConstraint("slate_id", "product_id", name=op.f("slate_clicks_pkey")),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("slate_clicks_customer_id_fkey"),
                                ondelete="CASCADE"),
        comment="A product that a person clicked in a slate, and what it earned",
    )
    op.create_index("slate_clicks_customer_id_idx", "slate_clicks", ["customer_id"])
    op.create_index("slate_clicks_shown_at_idx", "slate_clicks", ["shown_at"])
    op.create_table(
        "slate_counts",
        sa.Column("day", sa.Date(), nullable=False, comment="UTC, of the showing"),
        sa.Column("placement", sa.Text(), nullable=False),
        sa.Column("model_id", sa.BigInteger(), nullable=False, comment="0 while none is published"),
        sa.Column("arm", sa.Text(), nullable=False, comment="empty without an experiment"),
        sa.Column("source", sa.Text(), nullable=False, comment="of products; empty for the slates themselves"),
        sa.Column("shown", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("clicked", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("added", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("ordered", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("revenue", sa.BigInteger(), server_default="0", nullable=False, comment="minor units"),
        sa.PrimaryKeyConstraint("day", "placement", "model_id", "arm", "source", name=op.f("slate_counts_pkey")),
        comment="Kept as slates are shown and clicked, so that no page ever counts them",
    )
    op.create_table(
        "slate_reading",
        sa.Column("one_row", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("read_until", Time, nullable=False),
        sa.PrimaryKeyConstraint("one_row", name=op.f("slate_reading_pkey")),
        sa.CheckConstraint("one_row", name=op.f("slate_reading_one_row_check")),
        comment="Up to where events were searched for clicks",
    )
    op.create_table(
        "merchandising_rules",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False, comment="rules are read in this order"),
        sa.Column("definition", postgresql.JSONB(), nullable=False, comment="see recommender/rules.py"),
        sa.PrimaryKeyConstraint("id", name=op.f("merchandising_rules_pkey")),
    )
    op.create_table(
        "placements",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("definition", postgresql.JSONB(), nullable=False, comment="see recommender/placements.py"),
        sa.PrimaryKeyConstraint("name", name=op.f("placements_pkey")),
        comment="Placements that differ from their defaults",
    )
    op.create_table(
        "merchandising_changes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("at", Time, nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False, comment="rule placement order experiment"),
        sa.Column("subject", sa.Text(), nullable=False, comment="its id or name"),
        sa.Column("before", postgresql.JSONB(), nullable=True),
        sa.Column("after", postgresql.JSONB(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("merchandising_changes_pkey")),
        comment="Who changed what; rows are only ever added, so the last id is the version of it all",
    )
    op.create_table(
        "experiments",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("placement", sa.Text(), nullable=False),
        sa.Column("percent", sa.SmallInteger(), nullable=False, comment="of customers, shown popularity"),
        sa.Column("started_at", Time, nullable=False),
        sa.Column("started_by", sa.Text(), nullable=False),
        sa.Column("ended_at", Time, nullable=True),
        sa.Column("results", postgresql.JSONB(), server_default="{}", nullable=False,
                  comment="{arm: {customers, clickers, buyers, revenue, revenue_squared}}"),
        sa.Column("counted_at", Time, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("experiments_pkey")),
        comment="Model against popularity, on one placement",
    )
    op.create_index("experiments_running_key", "experiments", ["placement"], unique=True,
                    postgresql_where=sa.text("ended_at IS NULL"))
