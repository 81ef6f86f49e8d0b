"""What became of promo codes: their uses, their refusals, figures of their offers, and the files pools came from."""

import sqlalchemy as sa

from campaigns import tables
from foundation.database import Json, Time, metadata

promo_redemptions = sa.Table(
    "promo_redemptions",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("code", sa.Text, sa.ForeignKey("promo_codes.code", ondelete="CASCADE"), nullable=False),
    sa.Column("offer_id", sa.BigInteger, sa.ForeignKey("offers.id"), nullable=False),
    sa.Column("order_id", sa.Text, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("store_id", sa.Text),
    sa.Column(
        "customer_id",
        sa.BigInteger,
        sa.ForeignKey("customers.id", ondelete="SET NULL"),
        comment="who used it, once it is known",
    ),
    sa.Column("discount", sa.BigInteger, nullable=False, comment="minor units"),
    sa.Column("basket", sa.BigInteger, nullable=False, comment="what it was taken off, minor units"),
    sa.Column("at", Time, nullable=False),
    sa.Column("asked", sa.Boolean, nullable=False, comment="else the order told us afterwards"),
    sa.Column("undone_at", Time, comment="when its order was cancelled or returned whole"),
    sa.Column("leaked", sa.Boolean, nullable=False, server_default=sa.text("false"), comment="used by somebody else"),
    sa.Column("alone", sa.Boolean, nullable=False, server_default=sa.text("false"), comment="no other on the order"),
    sa.Column("once_for", sa.BigInteger, comment="the customer who may use no other code of the offer"),
    sa.Index(
        "promo_redemptions_code_key", "code", "order_id", unique=True, postgresql_where=sa.text("undone_at IS NULL")
    ),
    sa.Index(
        "promo_redemptions_alone_key",
        "order_id",
        unique=True,
        postgresql_where=sa.text("undone_at IS NULL AND alone"),
    ),
    sa.Index(
        "promo_redemptions_once_key",
        "offer_id",
        "once_for",
        unique=True,
        postgresql_where=sa.text("undone_at IS NULL AND once_for IS NOT NULL"),
    ),
    sa.Index("promo_redemptions_order_id_idx", "order_id"),
    sa.Index("promo_redemptions_unnamed_idx", "order_id", postgresql_where=sa.text("customer_id IS NULL")),
    sa.Index("promo_redemptions_offer_id_idx", "offer_id", "at"),
    sa.Index("promo_redemptions_at_idx", "at"),
    sa.Index("promo_redemptions_customer_id_idx", "customer_id"),
    sa.Index("promo_redemptions_undone_at_idx", "undone_at", postgresql_where=sa.text("undone_at IS NOT NULL")),
    sa.Index("promo_redemptions_leaked_idx", "offer_id", "at", postgresql_where=sa.text("leaked")),
    comment="Every use of a code for an order; one that was undone stays, with its time",
)

promo_refusals = sa.Table(
    "promo_refusals",
    metadata,
    sa.Column("code", sa.Text, sa.ForeignKey("promo_codes.code", ondelete="CASCADE"), primary_key=True),
    sa.Column("order_id", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text, primary_key=True, comment="see campaigns/verdicts.py"),
    sa.Column("offer_id", sa.BigInteger, sa.ForeignKey("offers.id"), nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("store_id", sa.Text),
    sa.Column("customer_id", sa.BigInteger, sa.ForeignKey("customers.id", ondelete="SET NULL")),
    sa.Column("given", sa.Boolean, nullable=False, comment="the shop took the discount off all the same"),
    sa.Column("times", sa.Integer, nullable=False, server_default="1"),
    sa.Column("first_at", Time, nullable=False),
    sa.Column("last_at", Time, nullable=False),
    sa.Index("promo_refusals_offer_id_idx", "offer_id", "last_at"),
    sa.Index("promo_refusals_customer_id_idx", "customer_id"),
    comment="Codes that were to be used and could not be: a second time, elsewhere, on too small a basket",
)

offer_figures = sa.Table(
    "offer_figures",
    metadata,
    sa.Column("offer_id", sa.BigInteger, sa.ForeignKey("offers.id"), primary_key=True),
    sa.Column("figures", Json, nullable=False, comment="see campaigns/offer_figures.py"),
    sa.Column("found_at", Time, nullable=False),
    comment="What pages show of an offer, counted in the background when one of its codes has moved",
)

pool_imports = sa.Table(
    "pool_imports",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("offer_id", sa.BigInteger, sa.ForeignKey(tables.offers.c.id), nullable=False),
    sa.Column("file", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False, comment="running done failed"),
    sa.Column("share", sa.Float, nullable=False, comment="how much of the file was read"),
    sa.Column("accepted", sa.Integer, nullable=False, server_default="0"),
    sa.Column("repeated", sa.Integer, nullable=False, server_default="0"),
    sa.Column("refused", sa.Integer, nullable=False, server_default="0"),
    sa.Column("faults", Json, nullable=False, server_default="[]", comment="the first refused: line, reason, code"),
    sa.Column("detail", sa.Text, comment="why nothing of it could be read"),
    sa.Column("started_at", Time, nullable=False),
    sa.Column("moved_at", Time, nullable=False, comment="its last sign of life"),
    sa.Index("pool_imports_offer_id_idx", "offer_id", "id"),
    comment="Files of codes that were handed in, and what became of each",
)
