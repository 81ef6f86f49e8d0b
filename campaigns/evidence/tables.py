"""The tables of evidence: who was drawn into which variant, which variant won, how far crediting has read."""

import sqlalchemy as sa

from foundation.database import Json, Time, metadata

exposures = sa.Table(
    "exposures",
    metadata,
    sa.Column("campaign_id", sa.BigInteger, sa.ForeignKey("campaigns.id"), primary_key=True),
    sa.Column("step", sa.Text, primary_key=True),
    sa.Column("design", sa.Text, primary_key=True, comment="of the step as it was then: changed words are another one"),
    sa.Column("customer_id", sa.BigInteger, sa.ForeignKey("customers.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("variant", sa.Text, nullable=False),
    sa.Column("at", Time, nullable=False, comment="what she does counts from here"),
    sa.Column("silent", sa.Boolean, nullable=False, comment="held out: nothing was said to her"),
    sa.Column("settled", sa.Boolean, nullable=False, comment="not drawn: a winner was named already"),
    sa.Index("exposures_customer_id_idx", "customer_id"),
    comment="The first time each customer came to an experiment",
)

experiment_winners = sa.Table(
    "experiment_winners",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("campaign_id", sa.BigInteger, sa.ForeignKey("campaigns.id"), nullable=False),
    sa.Column("step", sa.Text, nullable=False),
    sa.Column("design", sa.Text, nullable=False),
    sa.Column("variant", sa.Text, nullable=False),
    sa.Column("at", Time, nullable=False),
    sa.Column("by", sa.Text, comment="who named it; empty: the evidence did"),
    sa.Column("why", Json, nullable=False, comment="the figures it was named on"),
    sa.Column("undone_at", Time),
    sa.Column("undone_by", sa.Text),
    sa.Index(
        "experiment_winners_standing_idx",
        *("campaign_id", "step", "design"),
        unique=True,
        postgresql_where=sa.text("undone_at IS NULL"),
    ),
    comment="Variants newcomers are led to, when and why; undone ones are kept",
)

credit_reading = sa.Table(
    "credit_reading",
    metadata,
    sa.Column("one_row", sa.Boolean, primary_key=True, server_default=sa.text("true")),
    sa.Column("read_until", Time, nullable=False),
    sa.CheckConstraint("one_row", name="one_row"),
    comment="Up to when orders, returns and clicks were seen by crediting; one row",
)
