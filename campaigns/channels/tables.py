"""The tables of the channels: browsers that may be notified, who carries what, and what the shop's own pages show."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from foundation.database import Json, Time, metadata

push_subscriptions = sa.Table(
    "push_subscriptions",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("customer_id", sa.BigInteger, sa.ForeignKey("customers.id", ondelete="CASCADE"), nullable=False),
    sa.Column("endpoint_hash", sa.LargeBinary, nullable=False, unique=True, comment="SHA-256 of the endpoint"),
    sa.Column("endpoint", sa.Text, nullable=False),
    sa.Column("p256dh", sa.Text, nullable=False),
    sa.Column("auth", sa.Text, nullable=False),
    sa.Column("public_key", sa.Text, nullable=False, comment="our key it was made for; with another it is deaf"),
    sa.Column("user_agent", sa.Text),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("seen_at", Time, nullable=False, comment="the last visit, display or click from this browser"),
    sa.Index("push_subscriptions_customer_id_idx", "customer_id"),
    sa.Index("push_subscriptions_seen_at_idx", "seen_at"),
    comment="Browsers that agreed to be notified",
)

connections = sa.Table(
    "connections",
    metadata,
    sa.Column("channel", sa.Text, primary_key=True, comment="push_app sms whatsapp"),
    sa.Column("kind", sa.Text, nullable=False, comment="twilio ovh generic fcm outbox"),
    sa.Column("sealed", sa.LargeBinary, nullable=False, comment="its address with its secrets, encrypted"),
    sa.Column("origin", sa.Text, nullable=False, comment="settings, or who connected it in the console"),
    sa.Column("connected_at", Time, nullable=False),
    comment="Who carries the channels beside e-mail",
)

onsite_blocks = sa.Table(
    "onsite_blocks",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True, comment="a short word for files and commands"),
    sa.Column("state", sa.Text, nullable=False, comment="draft live paused"),
    sa.Column("definition", Json, nullable=False, comment="see campaigns/definitions/onsite.py"),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("updated_at", Time, nullable=False),
    comment="Banners, pop-ins and slots marketers defined for the shop's pages",
)

onsite_days = sa.Table(
    "onsite_days",
    metadata,
    sa.Column("block_id", sa.BigInteger, sa.ForeignKey("onsite_blocks.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("shown", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("clicked", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("closed", sa.BigInteger, nullable=False, server_default="0"),
    comment="How often each block was seen, followed and closed, kept as browsers tell",
)

onsite_views = sa.Table(
    "onsite_views",
    metadata,
    sa.Column("block_id", sa.BigInteger, sa.ForeignKey("onsite_blocks.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("customer_id", sa.BigInteger, sa.ForeignKey("customers.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("shown", sa.Integer, nullable=False, server_default="0"),
    sa.Column("clicked", sa.Integer, nullable=False, server_default="0"),
    sa.Column("closed", sa.Integer, nullable=False, server_default="0"),
    sa.Index("onsite_views_customer_id_idx", "customer_id"),
    sa.Index("onsite_views_day_idx", "day"),
    comment="What each customer saw, for the caps",
)

onsite_notes = sa.Table(
    "onsite_notes",
    metadata,
    sa.Column("message_id", postgresql.UUID, sa.ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("customer_id", sa.BigInteger, sa.ForeignKey("customers.id", ondelete="CASCADE"), nullable=False),
    sa.Column("said", Json, nullable=False, comment="title, text, url, image"),
    sa.Column("expires_at", Time, nullable=False),
    sa.Column("shown_at", Time),
    sa.Column("done_at", Time, comment="when she followed or closed it"),
    sa.Index("onsite_notes_customer_id_idx", "customer_id"),
    comment="Messages of journeys that wait for their customer on the shop's pages",
)
