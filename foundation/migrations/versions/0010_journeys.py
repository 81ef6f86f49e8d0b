"""Journeys of any steps: versions, places by step, timed runs, arrivals, shelves, webhooks, surveys.

The one kind of campaign there was, a cart relaunched by one message, becomes a journey of one step.
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

NEW = (
    """
    CREATE TABLE campaign_versions (
        campaign_id BIGINT NOT NULL,
        version INTEGER NOT NULL,
        definition JSONB NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT campaign_versions_pkey PRIMARY KEY (campaign_id, version),
        CONSTRAINT campaign_versions_campaign_id_fkey FOREIGN KEY(campaign_id) REFERENCES campaigns (id)
    )
    """,
    "COMMENT ON TABLE campaign_versions IS 'What a campaign says, and said: whoever is under way goes on as it was when she entered'",
    """
    CREATE TABLE campaign_runs (
        campaign_id BIGINT NOT NULL,
        slot TEXT NOT NULL,
        due_at TIMESTAMP WITH TIME ZONE NOT NULL,
        state TEXT NOT NULL,
        enrolled INTEGER DEFAULT '0' NOT NULL,
        ran_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT campaign_runs_pkey PRIMARY KEY (campaign_id, slot),
        CONSTRAINT campaign_runs_campaign_id_fkey FOREIGN KEY(campaign_id) REFERENCES campaigns (id)
    )
    """,
    "COMMENT ON TABLE campaign_runs IS 'The moments a timed campaign took in its audience'",
    """
    CREATE TABLE arrivals (
        campaign_id BIGINT NOT NULL,
        customer_id BIGINT NOT NULL,
        entry_key TEXT NOT NULL,
        times INTEGER NOT NULL,
        happened_at TIMESTAMP WITH TIME ZONE NOT NULL,
        due_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT arrivals_pkey PRIMARY KEY (campaign_id, customer_id, entry_key),
        CONSTRAINT arrivals_campaign_id_fkey FOREIGN KEY(campaign_id) REFERENCES campaigns (id),
        CONSTRAINT arrivals_customer_id_fkey FOREIGN KEY(customer_id) REFERENCES customers (id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX arrivals_customer_id_idx ON arrivals (customer_id)",
    "CREATE INDEX arrivals_due_idx ON arrivals (due_at)",
    "COMMENT ON TABLE arrivals IS 'Customers who will enter if they stay quiet'",
    """
    CREATE TABLE product_watch (
        product_id TEXT NOT NULL,
        price BIGINT,
        currency TEXT,
        available BOOLEAN NOT NULL,
        since TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT product_watch_pkey PRIMARY KEY (product_id)
    )
    """,
    "COMMENT ON TABLE product_watch IS 'The shelf as it was last looked at'",
    """
    CREATE TABLE product_prices (
        product_id TEXT NOT NULL,
        at TIMESTAMP WITH TIME ZONE NOT NULL,
        price BIGINT NOT NULL,
        currency TEXT,
        CONSTRAINT product_prices_pkey PRIMARY KEY (product_id, at)
    )
    """,
    "COMMENT ON TABLE product_prices IS 'Every price a product had, from when: the law asks for the lowest of 30 days'",
    """
    CREATE TABLE webhook_calls (
        id UUID NOT NULL,
        campaign_id BIGINT NOT NULL,
        enrolment_id BIGINT NOT NULL,
        customer_id BIGINT NOT NULL,
        step TEXT NOT NULL,
        url TEXT NOT NULL,
        body JSONB NOT NULL,
        state TEXT NOT NULL,
        attempt INTEGER DEFAULT '0' NOT NULL,
        not_before TIMESTAMP WITH TIME ZONE NOT NULL,
        lease_until TIMESTAMP WITH TIME ZONE,
        status INTEGER,
        detail TEXT,
        queued_at TIMESTAMP WITH TIME ZONE NOT NULL,
        resolved_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT webhook_calls_pkey PRIMARY KEY (id),
        CONSTRAINT webhook_calls_enrolment_id_step_key UNIQUE (enrolment_id, step),
        CONSTRAINT webhook_calls_campaign_id_fkey FOREIGN KEY(campaign_id) REFERENCES campaigns (id),
        CONSTRAINT webhook_calls_enrolment_id_fkey FOREIGN KEY(enrolment_id) REFERENCES enrolments (id) ON DELETE CASCADE,
        CONSTRAINT webhook_calls_customer_id_fkey FOREIGN KEY(customer_id) REFERENCES customers (id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX webhook_calls_campaign_id_idx ON webhook_calls (campaign_id, state)",
    "CREATE INDEX webhook_calls_customer_id_idx ON webhook_calls (customer_id)",
    "CREATE INDEX webhook_calls_due_idx ON webhook_calls (not_before) WHERE state IN ('pending', 'calling')",
    """
    CREATE TABLE survey_answers (
        message_id UUID NOT NULL,
        customer_id BIGINT NOT NULL,
        campaign_id BIGINT NOT NULL,
        step TEXT NOT NULL,
        kind TEXT NOT NULL,
        score INTEGER NOT NULL,
        comment TEXT,
        answered_at TIMESTAMP WITH TIME ZONE NOT NULL,
        alert BOOLEAN NOT NULL,
        seen_at TIMESTAMP WITH TIME ZONE,
        seen_by TEXT,
        CONSTRAINT survey_answers_pkey PRIMARY KEY (message_id),
        CONSTRAINT survey_answers_message_id_fkey FOREIGN KEY(message_id) REFERENCES messages (id) ON DELETE CASCADE,
        CONSTRAINT survey_answers_customer_id_fkey FOREIGN KEY(customer_id) REFERENCES customers (id) ON DELETE CASCADE,
        CONSTRAINT survey_answers_campaign_id_fkey FOREIGN KEY(campaign_id) REFERENCES campaigns (id)
    )
    """,
    "CREATE INDEX survey_answers_alert_idx ON survey_answers (answered_at) WHERE alert AND seen_at IS NULL",
    "CREATE INDEX survey_answers_campaign_id_idx ON survey_answers (campaign_id, step)",
    "CREATE INDEX survey_answers_customer_id_idx ON survey_answers (customer_id)",
)

MOVED = (
    "ALTER TABLE campaigns DROP COLUMN definition",
    "ALTER TABLE enrolments ADD version integer, ADD step text, ADD step_since timestamptz,"
    " ADD happened_at timestamptz, ADD context jsonb NOT NULL DEFAULT '{}', ADD choices jsonb NOT NULL DEFAULT '{}'",
    "UPDATE enrolments SET version = campaigns.version, step = CASE position WHEN 0 THEN 'cart_1' ELSE '' END,"
    " step_since = entered_at, happened_at = coalesce((SELECT least(touched_at, entered_at) FROM carts"
    " WHERE carts.id = cart_ref), entered_at) FROM campaigns WHERE campaigns.id = campaign_id",
    "ALTER TABLE enrolments ALTER version SET NOT NULL, ALTER step SET NOT NULL, ALTER step_since SET NOT NULL,"
    " ALTER happened_at SET NOT NULL, DROP COLUMN position",
    "DROP INDEX enrolments_wake_at_idx",
    "CREATE INDEX enrolments_due_idx ON enrolments (campaign_id, version, wake_at) WHERE state = 'waiting'",
    "ALTER TABLE messages ADD version integer",
    "UPDATE messages SET version = campaigns.version FROM campaigns WHERE campaigns.id = campaign_id",
    "ALTER TABLE messages ALTER version SET NOT NULL",
    "CREATE INDEX events_reviewed_idx ON events (product_id, occurred_at) WHERE name = 'Product Reviewed'",
)


def upgrade() -> None:
    for statement in NEW:
        op.execute(statement)
    conn = op.get_bind()
    rows = conn.execute(sa.text("SELECT id, name, version, definition, updated_at FROM campaigns")).all()
    for campaign, name, version, definition, at in rows:
        conn.execute(
            sa.text("INSERT INTO campaign_versions VALUES (:campaign, :version, :definition, :at)"),
            {"campaign": campaign, "version": version, "definition": json.dumps(_journey(name, definition)), "at": at},
        )
    for statement in MOVED:
        op.execute(statement)


def _journey(name: str, old: dict[str, object]) -> dict[str, object]:
    """A cart relaunched by one message, as a journey of one step."""
    given = ("offer", "placement", "products", "words")
    send = {"type": "send", "id": "cart_1", "expires": f"{old['expires_hours']}h"}
    return {
        "title": name,
        "entry": {
            "type": "cart_abandoned",
            "delay": f"{old['delay_minutes']}m",
            "within": f"{old['expires_hours']}h",
        },
        "steps": [send | {field: old[field] for field in given if old.get(field) is not None}],
        "reentry": {"rule": "each_key"},
        "holdout_percent": old["holdout_percent"],
    }
