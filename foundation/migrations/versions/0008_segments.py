"""Segments, their members and moves; who changed; and the indexes that rules of segments are answered from."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"

Time = sa.DateTime(timezone=True)
Json = postgresql.JSONB()


def upgrade() -> None:
    op.create_table(
        "changes",
        sa.Column("customer_id", sa.BigInteger(), nullable=True, comment="empty: anybody may have"),
        sa.Column("what", sa.Text(), nullable=False, comment="an event's name, else one of shop/changes.py"),
        comment="Customers of whom something new is known, until segments were brought up to date; said more than once",
    )
    op.create_table(
        "segments",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="a short word for files and other rules"),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("rule", Json, nullable=True,
                  comment="see campaigns/definitions/conditions.py; empty for a list of names"),
        sa.Column("size", sa.BigInteger(), nullable=True, comment="members; empty until it was filled once"),
        sa.Column("checked_at", Time, nullable=True, comment="until when the passing of time was seen to"),
        sa.Column("announced", sa.Boolean(), server_default=sa.text("false"), nullable=False,
                  comment="a campaign listens"),
        sa.Column("fault", sa.Text(), nullable=True, comment="why it could not be brought up to date"),
        sa.Column("drift", Json, nullable=True, comment="what the last full check found: at, missing, surplus"),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("updated_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("segments_pkey")),
        sa.UniqueConstraint("name", name=op.f("segments_name_key")),
    )
    op.create_table(
        "segment_members",
        sa.Column("segment_id", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("since", Time, nullable=False),
        sa.ForeignKeyConstraint(["segment_id"], ["segments.id"], name=op.f("segment_members_segment_id_fkey"),
                                ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("segment_members_customer_id_fkey"),
                                ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("segment_id", "customer_id", name=op.f("segment_members_pkey")),
    )
    op.create_index("segment_members_customer_id_idx", "segment_members", ["customer_id"])
    op.create_table(
        "segment_moves",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("segment_id", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("entered", sa.Boolean(), nullable=False, comment="else left"),
        sa.Column("at", Time, nullable=False),
        sa.Column("untold", sa.Boolean(), nullable=False, comment="its event has still to be told"),
        sa.ForeignKeyConstraint(["segment_id"], ["segments.id"], name=op.f("segment_moves_segment_id_fkey"),
                                ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("segment_moves_customer_id_fkey"),
                                ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("segment_moves_pkey")),
        comment="Who entered and left which segment; those of its first filling are not kept",
    )
    op.create_index("segment_moves_customer_id_idx", "segment_moves", ["customer_id", "segment_id"])
    op.create_index("segment_moves_segment_id_idx", "segment_moves", ["segment_id"])
    op.create_index("segment_moves_untold_idx", "segment_moves", ["id"], postgresql_where=sa.text("untold"))
    op.create_index("segment_moves_at_idx", "segment_moves", ["at"], postgresql_using="brin")
    op.create_table(
        "segment_sizes",
        sa.Column("segment_id", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False, comment="the last of that day"),
        sa.ForeignKeyConstraint(["segment_id"], ["segments.id"], name=op.f("segment_sizes_segment_id_fkey"),
                                ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("segment_id", "day", name=op.f("segment_sizes_pkey")),
    )
    op.create_table(
        "fifths",
        sa.Column("measure", sa.Text(), nullable=False, comment="recency frequency value"),
        sa.Column("bounds", postgresql.ARRAY(sa.Double()), nullable=False,
                  comment="the highest of each fifth but the last"),
        sa.Column("found_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("measure", name=op.f("fifths_pkey")),
        comment="Where the fifths of customers who ordered begin and end; found anew every night",
    )
    op.create_index("events_name_occurred_at_idx", "events", ["name", "occurred_at"],
                    postgresql_include=["customer_id"])
    op.create_index("orders_ordered_at_idx", "orders", ["ordered_at"])
    op.create_index("promo_codes_expires_at_idx", "promo_codes", ["expires_at"])
    op.create_index("promo_codes_issued_at_idx", "promo_codes", ["issued_at"])
    op.create_index("promo_codes_redeemed_at_idx", "promo_codes", ["redeemed_at"],
                    postgresql_where=sa.text("redeemed_at IS NOT NULL"))
    op.create_index("messages_accepted_at_idx", "messages", ["accepted_at"],
                    postgresql_where=sa.text("accepted_at IS NOT NULL"))
