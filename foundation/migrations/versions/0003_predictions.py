"""What is expected of each customer, and the nightly runs that say so with how well they held."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "customer_predictions",
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False,
                  comment="when these values were last found different"),
        sa.Column("next_order_at", sa.DateTime(timezone=True), nullable=True,
                  comment="as likely before as after; empty if that is more than a year away"),
        sa.Column("order_probability_30d", sa.Double(), nullable=False,
                  comment="0 to 1: at least one order in 30 days"),
        sa.Column("churn_risk", sa.Double(), nullable=False,
                  comment="0 to 1: no order at all in the next 12 months"),
        sa.Column("expected_value_12m", sa.BigInteger(), nullable=False, comment="minor units, net of returns"),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("favourite_category", sa.Text(), nullable=True,
                  comment="as the catalogue writes it: Kitchen > Pots"),
        sa.Column("favourite_channel", sa.Text(), nullable=True, comment="a source channel"),
        sa.Column("favourite_hour", sa.SmallInteger(), nullable=True, comment="0 to 23, on the customer's clock"),
        sa.Column("favourite_weekday", sa.SmallInteger(), nullable=True,
                  comment="1 Monday to 7 Sunday, on the customer's clock"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("customer_predictions_customer_id_fkey"),
                                ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("customer_predictions_pkey")),
        comment="One row a customer who has ordered and does not refuse personalization; none means nothing is predicted",
    )
    op.create_table(
        "prediction_runs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False, comment="what was known until then was used"),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False, comment="fitted, shop_rates or none"),
        sa.Column("missing", postgresql.JSONB(), server_default="[]", nullable=False,
                  comment="what a better basis still needs"),
        sa.Column("parameters", postgresql.JSONB(), nullable=False,
                  comment="of the fitted distributions, times in days"),
        sa.Column("calibration", postgresql.JSONB(), nullable=False,
                  comment="said beforehand against what came, by prediction"),
        sa.Column("customers", sa.BigInteger(), nullable=False, comment="who have predictions"),
        sa.Column("written", sa.BigInteger(), nullable=False, comment="rows that were new or different"),
        sa.PrimaryKeyConstraint("id", name=op.f("prediction_runs_pkey")),
    )
