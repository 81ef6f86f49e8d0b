"""The ledger in full: purposes and priorities, what waits for a decision, buckets, canaries, the hold of a restored
database, and the sums of each campaign.
"""

from alembic import op

revision = "0019"
down_revision = "0018"

NEW = (
    "ALTER TABLE campaigns ADD COLUMN pause_reason TEXT",
    "COMMENT ON COLUMN campaigns.pause_reason IS 'why it was paused by itself: bounces complaints failures canary'",
    "ALTER TABLE campaigns ADD COLUMN pause_detail JSONB",
    "COMMENT ON COLUMN campaigns.pause_detail IS 'the figures behind it'",
    "ALTER TABLE campaigns ADD COLUMN canary_left INTEGER",
    "COMMENT ON COLUMN campaigns.canary_left IS 'messages the canary may still begin; empty when there is none'",
    "ALTER TABLE campaigns ADD COLUMN canary_since TIMESTAMP WITH TIME ZONE",
    "COMMENT ON COLUMN campaigns.canary_since IS 'when the last of its canary was handed over'",
    "ALTER TABLE enrolments ADD COLUMN said INTEGER DEFAULT '0' NOT NULL",
    "COMMENT ON COLUMN enrolments.said IS 'messages it brought about; the audit adds up'",
    "COMMENT ON COLUMN enrolments.arm IS 'treated; holdout of the campaign; everywhere'",
    """
    UPDATE enrolments SET said = told.n
    FROM (SELECT enrolment_id, count(*) AS n FROM messages WHERE enrolment_id IS NOT NULL GROUP BY 1) AS told
    WHERE enrolments.id = told.enrolment_id
    """,
    "ALTER TABLE messages ADD COLUMN purpose TEXT DEFAULT 'marketing' NOT NULL",
    "COMMENT ON COLUMN messages.purpose IS 'or transactional'",
    "ALTER TABLE messages ADD COLUMN priority INTEGER DEFAULT '50' NOT NULL",
    "COMMENT ON COLUMN messages.priority IS 'the higher goes first'",
    "ALTER TABLE messages ADD COLUMN resends INTEGER DEFAULT '0' NOT NULL",
    "COMMENT ON COLUMN messages.resends IS 'times it left doubt to be sent again'",
    "DROP INDEX messages_pending_idx",
    "CREATE INDEX messages_due_idx ON messages (campaign_id, channel, not_before) WHERE state = 'pending'",
    "CREATE INDEX messages_held_idx ON messages (campaign_id, reason) WHERE state = 'held'",
    "ALTER TABLE provider_gates ADD COLUMN heard_until TIMESTAMP WITH TIME ZONE",
    """
    COMMENT ON COLUMN provider_gates.heard_until
    IS 'the youngest hand-over it has reported on: it tells of what it takes'
    """,
    """
    CREATE TABLE buckets (
        provider TEXT NOT NULL,
        name TEXT NOT NULL,
        tokens DOUBLE PRECISION NOT NULL,
        filled_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT buckets_pkey PRIMARY KEY (provider, name)
    )
    """,
    "COMMENT ON TABLE buckets IS 'Token buckets all senders draw from, by the clock of the database'",
    "COMMENT ON COLUMN buckets.name IS 'what is counted: everything, or one group of addresses'",
    """
    CREATE TABLE installation (
        one_row BOOLEAN DEFAULT true NOT NULL,
        fingerprint TEXT,
        held_since TIMESTAMP WITH TIME ZONE,
        held_reason TEXT,
        held_detail JSONB,
        released_at TIMESTAMP WITH TIME ZONE,
        released_by TEXT,
        refusals_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT installation_pkey PRIMARY KEY (one_row),
        CONSTRAINT installation_one_row_check CHECK (one_row)
    )
    """,
    "COMMENT ON TABLE installation IS 'What this database knows of itself; one row'",
    "COMMENT ON COLUMN installation.fingerprint IS 'of the PostgreSQL cluster this database is known to live in'",
    "COMMENT ON COLUMN installation.held_since IS 'nothing leaves from here until somebody releases it'",
    "COMMENT ON COLUMN installation.held_reason IS 'restored moved journal operator'",
    "COMMENT ON COLUMN installation.refusals_at IS 'until when refusals are in the journal as well'",
    """
    CREATE TABLE sent_before (
        campaign_id BIGINT NOT NULL,
        step TEXT NOT NULL,
        channel TEXT NOT NULL,
        address_hash BYTEA NOT NULL,
        at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT sent_before_pkey PRIMARY KEY (campaign_id, step, channel, address_hash),
        CONSTRAINT sent_before_campaign_id_fkey FOREIGN KEY(campaign_id) REFERENCES campaigns (id)
    )
    """,
    """
    COMMENT ON TABLE sent_before
    IS 'What left after the backup this database was restored from, as the send journal knows it'
    """,
    """
    CREATE TABLE campaign_sums (
        campaign_id BIGINT NOT NULL,
        at TIMESTAMP WITH TIME ZONE NOT NULL,
        figures JSONB NOT NULL,
        broken_since TIMESTAMP WITH TIME ZONE,
        CONSTRAINT campaign_sums_pkey PRIMARY KEY (campaign_id),
        CONSTRAINT campaign_sums_campaign_id_fkey FOREIGN KEY(campaign_id) REFERENCES campaigns (id)
    )
    """,
    "COMMENT ON TABLE campaign_sums IS 'Whether nobody was written to twice and nobody was lost, as last added up'",
    "COMMENT ON COLUMN campaign_sums.figures IS 'see campaigns/audit.py'",
    "COMMENT ON COLUMN campaign_sums.broken_since IS 'empty while the sums hold'",
)


def upgrade() -> None:
    for statement in NEW:
        op.execute(statement)
