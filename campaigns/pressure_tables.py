"""What is kept of how much the members of segments are written to; `campaigns/pressure.py` counts and tells it."""

import sqlalchemy as sa

from foundation.database import Time, metadata

segment_pressure = sa.Table(
    "segment_pressure",
    metadata,
    sa.Column("segment_id", sa.BigInteger, sa.ForeignKey("segments.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("messages", sa.BigInteger, nullable=False, comment="accepted in the last seven days"),
    sa.Column("reached", sa.BigInteger, nullable=False, comment="members who had at least one"),
    sa.Column("at_cap", sa.BigInteger, nullable=False, comment="members who may have no more"),
    sa.Column(
        "flowing", sa.BigInteger, nullable=False, server_default="0", comment="of campaigns that run all the time"
    ),
    sa.Column("at", Time, nullable=False),
    comment="How much the members of each segment were written to of late, counted by a job",
)

segment_weeks = sa.Table(
    "segment_weeks",
    metadata,
    sa.Column("segment_id", sa.BigInteger, sa.ForeignKey("segments.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("week", sa.Date, primary_key=True, comment="its Monday, where the shop is"),
    sa.Column("sent", sa.BigInteger, nullable=False, server_default="0", comment="messages its members got"),
    sa.Column("reached", sa.BigInteger, nullable=False, server_default="0", comment="members who had at least one"),
    sa.Column(
        "at_cap", sa.BigInteger, nullable=False, server_default="0", comment="members who had all the cap allows"
    ),
    sa.Column("planned", sa.BigInteger, comment="messages still to come; empty for a week that is over"),
    sa.Column("at", Time, nullable=False),
    comment="What the members of each segment got in a week, and what is planned for them, counted by a job",
)
