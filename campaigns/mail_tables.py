"""Tables of mails: what many of them say, and what comes back: visits, soft bounces, the provider's own lists."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import tables
from foundation.database import Time, metadata

visits = sa.Table(
    "visits",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column(
        "message_id",
        postgresql.UUID,
        sa.ForeignKey(tables.messages.c.id, ondelete="CASCADE"),
        nullable=False,
    ),
    sa.Column("kind", sa.Text, nullable=False, comment="click open trap"),
    sa.Column("n", sa.Integer, comment="which link"),
    sa.Column("at", Time, nullable=False),
    sa.Column("machine", sa.Boolean, comment="empty until it was judged beside the other visits of its message"),
    sa.Index("visits_unjudged_idx", "at", postgresql_where=sa.text("machine IS NULL")),
    sa.Index("visits_message_id_idx", "message_id", "at"),
    sa.Index("visits_at_idx", "at", postgresql_using="brin"),
    comment="Who followed a link of a message or fetched its picture: a person or a machine, never who",
)

last_opens = sa.Table(
    "last_opens",
    metadata,
    sa.Column("customer_id", sa.BigInteger, sa.ForeignKey("customers.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("day", sa.Date, nullable=False),
    comment="The day of her last open and nothing else, kept and read for the hygiene of lists alone",
)

soft_bounces = sa.Table(
    "soft_bounces",
    metadata,
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("address_hash", sa.LargeBinary, primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    comment="Days on which a mailbox took no mail",
)

provider_lists = sa.Table(
    "provider_lists",
    metadata,
    sa.Column("provider", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True, comment="bounces spam_reports … of theirs; ours"),
    sa.Column("read_until", Time, nullable=False),
    comment="Up to when the lists of addresses never to be used agree with the provider's",
)

warm_days = sa.Table(
    "warm_days",
    metadata,
    sa.Column("host_group", sa.Text, primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("ceiling", sa.Integer, nullable=False),
    sa.Column("sent", sa.Integer, nullable=False, server_default="0"),
    comment="How many mails a new sender may give to each group of mailbox hosts, and gave",
)

doctor_findings = sa.Table(
    "doctor_findings",
    metadata,
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("good", sa.Boolean, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("found_at", Time, nullable=False),
    comment="What was last found of the installation and its sending domain",
)

mail_forms = sa.Table(
    "mail_forms",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("packed", sa.LargeBinary, nullable=False, comment="see campaigns/channels/pieces.py"),
    sa.Column("used_at", Time, nullable=False, comment="the day it was last sent, by the clock of the database"),
    comment="What mails of one kind all say, once; nothing in it is about anybody",
)
