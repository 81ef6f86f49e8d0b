"""Who came too late to enter a campaign is kept and counted by day."""

from alembic import op

revision = "0029"
down_revision = "0028"

NEW = (
    """
    CREATE TABLE cart_looks (
        campaign_id BIGINT NOT NULL,
        at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT cart_looks_pkey PRIMARY KEY (campaign_id),
        CONSTRAINT cart_looks_campaign_id_fkey FOREIGN KEY(campaign_id) REFERENCES campaigns (id)
    )
    """,
    "COMMENT ON TABLE cart_looks IS "
    "'When quiet carts were last looked at for a campaign: those that came and went since nobody saw'",
    """
    CREATE TABLE latecomers (
        campaign_id BIGINT NOT NULL,
        customer_id BIGINT NOT NULL,
        entry_key TEXT NOT NULL,
        kind TEXT NOT NULL,
        happened_at TIMESTAMP WITH TIME ZONE NOT NULL,
        cart_ref BIGINT,
        context JSONB NOT NULL,
        CONSTRAINT latecomers_pkey PRIMARY KEY (campaign_id, customer_id, entry_key),
        CONSTRAINT latecomers_campaign_id_fkey FOREIGN KEY(campaign_id) REFERENCES campaigns (id),
        CONSTRAINT latecomers_customer_id_fkey FOREIGN KEY(customer_id) REFERENCES customers (id) ON DELETE CASCADE,
        CONSTRAINT latecomers_cart_ref_fkey FOREIGN KEY(cart_ref) REFERENCES carts (id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX latecomers_customer_id_idx ON latecomers (customer_id)",
    "CREATE INDEX latecomers_cart_ref_idx ON latecomers (cart_ref) WHERE cart_ref IS NOT NULL",
    "COMMENT ON COLUMN latecomers.kind IS 'event cart product: what brought her'",
    "COMMENT ON TABLE latecomers IS "
    "'Customers who would have entered, had anybody looked in time; kept until somebody decides'",
    """
    CREATE TABLE late_days (
        campaign_id BIGINT NOT NULL,
        day DATE NOT NULL,
        kind TEXT NOT NULL,
        number INTEGER NOT NULL,
        waiting INTEGER NOT NULL,
        oldest TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT late_days_pkey PRIMARY KEY (campaign_id, day, kind),
        CONSTRAINT late_days_campaign_id_fkey FOREIGN KEY(campaign_id) REFERENCES campaigns (id)
    )
    """,
    "COMMENT ON COLUMN late_days.day IS 'when it happened, by the shop''s clock'",
    "COMMENT ON COLUMN late_days.number IS 'who came too late'",
    "COMMENT ON COLUMN late_days.waiting IS 'of them, those nobody decided on yet'",
    "COMMENT ON TABLE late_days IS 'How many came too late to enter, by campaign and day'",
)


def upgrade() -> None:
    for statement in NEW:
        op.execute(statement)
