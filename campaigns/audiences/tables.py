"""The audiences' tables: what ad platforms hold for us, whether each may be spoken to, and orders sent back to them."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from foundation.database import Json, Time, metadata

audiences = sa.Table(
    "audiences",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True, comment="a short word for files, steps and commands"),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("platform", sa.Text, nullable=False, comment="meta google csv"),
    sa.Column("external_id", sa.Text, comment="the platform's own id of it; empty for a file"),
    sa.Column("segment_id", sa.BigInteger, sa.ForeignKey("segments.id"), comment="empty: journeys alone fill it"),
    sa.Column("until_purchase", sa.Boolean, nullable=False, comment="whoever buys is taken out"),
    sa.Column("state", sa.Text, nullable=False, comment="live ending"),
    sa.Column("fault", sa.Text, comment="why the platform refuses this audience, in its own words"),
    sa.Column("due_at", Time, nullable=False, comment="when it is next brought up to date"),
    sa.Column("synced_at", Time, comment="when it was last as it should be"),
    sa.Column("size", sa.BigInteger, nullable=False, server_default="0", comment="people the platform took"),
    sa.Column("avoided", sa.BigInteger, nullable=False, server_default="0", comment="people taken out on buying"),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("updated_at", Time, nullable=False),
    sa.Index("audiences_segment_id_idx", "segment_id"),
    comment="A segment as an ad platform holds it",
)

audience_members = sa.Table(
    "audience_members",
    metadata,
    # No foreign key: looking each up took a third of the time of taking in a million. Whoever ends an audience deletes
    # its members.
    sa.Column("audience_id", sa.BigInteger, primary_key=True),
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    # Whoever is erased must still be taken out at the platform: her hashes stay until it has confirmed that.
    sa.Column("customer_id", sa.BigInteger, sa.ForeignKey("customers.id", ondelete="SET NULL")),
    sa.Column("state", sa.Text, nullable=False, comment="out adding in removing refused"),
    sa.Column("reason", sa.Text, comment="why she goes: bought left consent minor changed erased asked ended"),
    sa.Column("since", Time, nullable=False, comment="when she was taken in, or asked for"),
    sa.Column("contact", sa.BigInteger, comment="a digest of the address and number that were hashed"),
    sa.Column("email_hash", sa.LargeBinary, comment="as this platform wants it"),
    sa.Column("phone_hash", sa.LargeBinary, comment="as this platform wants it"),
    sa.Column("asked", sa.Boolean, comment="a journey asked for her: in or out; empty: the segment decides"),
    sa.Column("asked_at", Time),
    sa.UniqueConstraint("customer_id", "audience_id"),
    sa.Index(
        "audience_members_moving_idx",
        "audience_id",
        "state",
        "id",
        postgresql_where=sa.text("state IN ('adding', 'removing')"),
    ),
    sa.Index("audience_members_asked_idx", "audience_id", "asked", postgresql_where=sa.text("asked IS NOT NULL")),
    comment="Who is in which audience as far as the platform confirmed, by hashes of its own making",
)

audience_handovers = sa.Table(
    "audience_handovers",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("audience_id", sa.BigInteger, sa.ForeignKey("audiences.id", ondelete="CASCADE"), nullable=False),
    sa.Column("at", Time, nullable=False),
    sa.Column("people", postgresql.ARRAY(sa.BigInteger), nullable=False, comment="customers, in one order with"),
    sa.Column("contacts", postgresql.ARRAY(sa.BigInteger), nullable=False, comment="as of members"),
    sa.Column("email_hashes", postgresql.ARRAY(sa.LargeBinary), nullable=False),
    sa.Column("phone_hashes", postgresql.ARRAY(sa.LargeBinary), nullable=False),
    sa.Index("audience_handovers_audience_id_idx", "audience_id"),
    comment="Whom a sync is handing over at this moment; members once the platform has answered",
)

audience_syncs = sa.Table(
    "audience_syncs",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("audience_id", sa.BigInteger, sa.ForeignKey("audiences.id", ondelete="CASCADE"), nullable=False),
    sa.Column("started_at", Time, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("added", sa.BigInteger, nullable=False),
    sa.Column("removed", sa.BigInteger, nullable=False),
    sa.Column("avoided", sa.BigInteger, nullable=False, comment="of those removed, who had bought"),
    sa.Column("refused", sa.BigInteger, nullable=False),
    sa.Column("stopped", sa.Text, comment="why it did not come to its end"),
    sa.Index("audience_syncs_audience_id_idx", "audience_id", "id"),
    comment="Each time something was changed at a platform, or could not be",
)

ad_gates = sa.Table(
    "ad_gates",
    metadata,
    sa.Column("platform", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text, nullable=False, comment="key busy down"),
    sa.Column("detail", sa.Text, nullable=False, comment="the platform's own words"),
    sa.Column("since", Time, nullable=False),
    sa.Column("blocked_until", Time, nullable=False),
    sa.Column("in_a_row", sa.Integer, nullable=False),
    comment="Platforms that are left alone for a while; one without a row is spoken to",
)

ad_conversions = sa.Table(
    "ad_conversions",
    metadata,
    sa.Column("platform", sa.Text, primary_key=True),
    sa.Column("order_id", sa.Text, sa.ForeignKey("orders.order_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("state", sa.Text, nullable=False, comment="pending sent withheld refused"),
    sa.Column(
        "reason", sa.Text, comment="why it was withheld: consent minor address cancelled; or the platform's words"
    ),
    sa.Column("choices", Json, nullable=False, server_default="{}", comment="what she agreed to when it was noted"),
    sa.Column("noted_at", Time, nullable=False),
    sa.Column("sent_at", Time),
    sa.Index("ad_conversions_order_id_idx", "order_id"),
    sa.Index("ad_conversions_pending_idx", "platform", "noted_at", postgresql_where=sa.text("state = 'pending'")),
    comment="Each order as one platform is told of it, or is not",
)
