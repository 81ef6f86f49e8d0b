"""The tables of who came too late to enter a campaign."""

import sqlalchemy as sa

from foundation.database import Json, Time, metadata

cart_looks = sa.Table(
    "cart_looks",
    metadata,
    sa.Column("campaign_id", sa.BigInteger, sa.ForeignKey("campaigns.id"), primary_key=True),
    sa.Column("at", Time, nullable=False),
    comment="When quiet carts were last looked at for a campaign: those that came and went since nobody saw",
)

latecomers = sa.Table(
    "latecomers",
    metadata,
    sa.Column("campaign_id", sa.BigInteger, sa.ForeignKey("campaigns.id"), primary_key=True),
    sa.Column("customer_id", sa.BigInteger, sa.ForeignKey("customers.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("entry_key", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False, comment="event cart product: what brought her"),
    sa.Column("happened_at", Time, nullable=False),
    sa.Column("cart_ref", sa.BigInteger, sa.ForeignKey("carts.id", ondelete="CASCADE")),
    sa.Column("context", Json, nullable=False),
    sa.Index("latecomers_customer_id_idx", "customer_id"),
    sa.Index("latecomers_cart_ref_idx", "cart_ref", postgresql_where=sa.text("cart_ref IS NOT NULL")),
    comment="Customers who would have entered, had anybody looked in time; kept until somebody decides",
)

late_days = sa.Table(
    "late_days",
    metadata,
    sa.Column("campaign_id", sa.BigInteger, sa.ForeignKey("campaigns.id"), primary_key=True),
    sa.Column("day", sa.Date, primary_key=True, comment="when it happened, by the shop's clock"),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False, comment="who came too late"),
    sa.Column("waiting", sa.Integer, nullable=False, comment="of them, those nobody decided on yet"),
    sa.Column("oldest", Time, nullable=False),
    comment="How many came too late to enter, by campaign and day",
)
