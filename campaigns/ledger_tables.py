"""Tables the ledger stands on: what bounds its speed, what stops it, and what is added up to prove it."""

import sqlalchemy as sa

from foundation.database import Json, Time, metadata

buckets = sa.Table(
    "buckets",
    metadata,
    sa.Column("provider", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True, comment="what is counted: everything, or one group of addresses"),
    sa.Column("tokens", sa.Double, nullable=False),
    sa.Column("filled_at", Time, nullable=False),
    comment="Token buckets all senders draw from, by the clock of the database",
)

installation = sa.Table(
    "installation",
    metadata,
    sa.Column("one_row", sa.Boolean, primary_key=True, server_default=sa.text("true")),
    sa.Column("fingerprint", sa.Text, comment="of the PostgreSQL cluster this database is known to live in"),
    sa.Column("held_since", Time, comment="nothing leaves from here until somebody releases it"),
    sa.Column("held_reason", sa.Text, comment="restored moved journal operator"),
    sa.Column("held_detail", Json),
    sa.Column("released_at", Time),
    sa.Column("released_by", sa.Text),
    sa.CheckConstraint("one_row", name="one_row"),
    comment="What this database knows of itself; one row",
)

sent_before = sa.Table(
    "sent_before",
    metadata,
    sa.Column("campaign_id", sa.BigInteger, sa.ForeignKey("campaigns.id"), primary_key=True),
    sa.Column("step", sa.Text, primary_key=True),
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("address_hash", sa.LargeBinary, primary_key=True),
    sa.Column("at", Time, nullable=False),
    comment="What left after the backup this database was restored from, as the send journal knows it",
)

campaign_sums = sa.Table(
    "campaign_sums",
    metadata,
    sa.Column("campaign_id", sa.BigInteger, sa.ForeignKey("campaigns.id"), primary_key=True),
    sa.Column("at", Time, nullable=False),
    sa.Column("figures", Json, nullable=False, comment="see campaigns/audit.py"),
    sa.Column("broken_since", Time, comment="empty while the sums hold"),
    sa.Column("rest", sa.Interval, comment="until it is added up again, if that takes long"),
    comment="Whether nobody was written to twice and nobody was lost, as last added up",
)
